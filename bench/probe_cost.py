"""CPU per probe of the whole engine (schedule, runner, check, board) on loopback, beside a bare asyncio connect loop.

Run: make bench. Prints medians of interleaved rounds and their ratio; absolute times mean nothing on a shared machine.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rrset

from checks.model import CheckName
from checks.names import NameSpec
from checks.net.endpoint import Endpoint
from checks.net.helper import start_helper
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Seat, SocketFactory, open_socket
from checks.net.stub import StubResolver
from checks.tcp import TcpSpec
from daemon.board import Board
from daemon.jobs import Job
from daemon.known import Known
from daemon.looplag import LoopLag
from daemon.runner import Runner
from daemon.scheduler import Limits, RunKind, Scheduler
from daemon.state import Policy
from daemon.vantage.seats import Seats

TARGETS = 500
INTERVAL_S = 1.0


def cpu_s() -> float:
    """Return the CPU seconds of this thread: the peers run in threads of their own."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_utime + usage.ru_stime


def acceptor() -> int:
    """Start a thread that accepts and closes on every address of 127/8; return the port."""
    server = socket.create_server(("0.0.0.0", 0), backlog=4096)

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def nameserver() -> int:
    """Start a thread that answers every question for an address; return the port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            wire, client = sock.recvfrom(4096)
            query = dns.message.from_wire(wire)
            if query.flags & dns.flags.QR:
                continue  # a stray answer of somebody else's: ports are reused
            reply = dns.message.make_response(query)
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "127.0.0.1"))
            sock.sendto(reply.to_wire(), client)

    threading.Thread(target=serve, daemon=True).start()
    port: int = sock.getsockname()[1]
    return port


def tcp_jobs(port: int) -> list[Job]:
    """One connect job for each of TARGETS addresses."""
    hosts = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(TARGETS)]
    return [
        Job(
            id=f"tcp:{host}:{port}", check=CheckName.TCP, target=f"{host}:{port}", interval_s=INTERVAL_S, timeout_s=5,
            spec=TcpSpec(address=host, port=port, target=f"{host}:{port}"), resources=(host,), host=host, connections=1,
        )
        for host in hosts
    ]  # fmt: skip


def dns_jobs() -> list[Job]:
    """One dns job for each of TARGETS names."""
    names = [f"host-{n}.corp.internal" for n in range(TARGETS)]
    return [
        Job(
            id=f"dns:{name}", check=CheckName.DNS, target=name, interval_s=INTERVAL_S, timeout_s=9,
            spec=NameSpec(name=name, timeout_s=5), resources=(name,),
        )
        for name in names
    ]  # fmt: skip


async def engine_round(
    jobs: list[Job], nameserver_port: int, seconds: float, sockets: SocketFactory = open_socket
) -> float:
    """Run the engine for some seconds; return its CPU seconds per run of a job."""
    settings = SystemSettings(nameservers=(Endpoint("127.0.0.1", nameserver_port),), search=())
    seat = Seat(resolver=StubResolver(settings, open_socket, 5.0), open_socket=sockets)
    board = Board(Policy(), seat.wall_clock, clock=asyncio.get_running_loop().time)
    board.load(jobs)
    lag = LoopLag()
    known = Known(latest=lambda _: None, rows=lambda _: (), ever_up=board.ever_up.__contains__)
    runner = Runner(Seats(seat), frozenset({CheckName.TCP, CheckName.DNS}), known, lag.between)
    runs = 0

    async def run(job: Job, _: RunKind) -> None:
        nonlocal runs
        board.record(await runner.run(job, thorough=False))
        runs += 1

    scheduler = Scheduler(run, Limits(concurrency=1000, per_host=16, max_rate=10_000))
    scheduler.update(jobs)
    tasks = [asyncio.ensure_future(scheduler.run()), asyncio.ensure_future(lag.run())]  # noqa: TID251 - no TaskGroup: cancelled below
    await asyncio.sleep(2 * INTERVAL_S)  # every job has run: what is first in a process is not measured
    before, runs = cpu_s(), 0
    await asyncio.sleep(seconds)
    cost = (cpu_s() - before) / max(1, runs)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    failing = sum(row.result.outcome.status != "ok" for row in board.rows.values())
    if failing:
        raise SystemExit(f"{failing} of {len(jobs)} targets were not ok: the figures would mean nothing")
    return cost


@contextlib.contextmanager
def helper() -> Iterator[SocketFactory | None]:
    """Start the helper for a process of ours, in this very network namespace; None without the right to."""
    if os.geteuid() != 0:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        name = f"ch-bench-{os.getpid() % 10000}"  # comm holds 15 characters
        program = Path(folder, name)
        program.symlink_to("/bin/sleep")
        with subprocess.Popen([program, "3600"]) as stander:
            client = start_helper(["--process", name])
            try:
                yield client.open_socket
            finally:
                client.close()
                stander.kill()


async def bare_round(port: int, count: int) -> float:
    """Connect and close `count` times with nothing around it; return CPU seconds per connection."""
    loop = asyncio.get_running_loop()
    before = cpu_s()
    for n in range(count):
        sock = open_socket(socket.AF_INET, socket.SOCK_STREAM)
        await loop.sock_connect(sock, (f"127.1.{n // 250 % 250}.{n % 250 + 1}", port))
        sock.close()
    return (cpu_s() - before) / count


def main() -> None:
    """Measure and print a table, and JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tcp_port, dns_port = acceptor(), nameserver()
    rounds: dict[str, Callable[[], Awaitable[float]]] = {
        "bare asyncio connect": lambda: bare_round(tcp_port, 2000),
        "engine, TCP connect": lambda: engine_round(tcp_jobs(tcp_port), dns_port, options.seconds),
        "engine, DNS question": lambda: engine_round(dns_jobs(), dns_port, options.seconds),
    }
    with helper() as sockets:
        if sockets is not None:
            jobs = tcp_jobs(tcp_port)
            rounds["engine, TCP by helper"] = lambda: engine_round(jobs, dns_port, options.seconds, sockets)
        costs: dict[str, list[float]] = {name: [] for name in rounds}
        for _ in range(options.rounds):
            for name, measure in rounds.items():
                costs[name].append(asyncio.run(measure()))  # type: ignore[arg-type]
    medians = {name: statistics.median(values) * 1e6 for name, values in costs.items()}
    bare = medians["bare asyncio connect"]
    if options.json:
        print(json.dumps({name: {"median_us": us, "ratio": us / bare} for name, us in medians.items()}, indent=2))
        return
    print(
        f"{options.rounds} rounds, {TARGETS} targets every {INTERVAL_S:g} s, medians; CPU of the probing thread alone"
    )
    for name, us in medians.items():
        print(f"  {name:22} {us:7.0f} µs   {us / bare:5.2f} x bare connect")


if __name__ == "__main__":
    main()
