"""What reading costs at 10,000 Resources with two ports each: the exposition, the JSON document and the page.

Run: make bench. A board of 10,000 names and 20,000 ports is filled as the checks fill it, the real web server serves it
on loopback, and a client in another process asks. Before each request none, half or all of the rows report anew (a
scrape every 15 s meets half of them new at the default interval). `CPU` is that of this process, compression in its
thread included; `hold` the longest turn of its event loop, in CPU time of the loop's thread, so that other processes
don't count. The collector of garbage runs as in the daemon (`daemon/heap.py`).
"""

import argparse
import asyncio
import gc
import json
import resource
import selectors
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout that is not installed can be measured too

from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.endpoint import Endpoint
from checks.net.tcp import Attempt
from checks.tcp_spec import Aim, TcpSpec
from checks.tcp_verdict import plainly_up
from daemon import heap
from daemon.board import Board
from daemon.config.schema import Config, Metrics, Web
from daemon.config.schema import Resource as Configured
from daemon.jobs import Job, Result
from daemon.plan import Plan
from daemon.report import Reporter
from daemon.state import Policy
from daemon.view import EngineFigures, View
from daemon.web.server import Backend, WebServer

RESOURCES = 10_000
PORTS = (443, 5432)
FAILING = 50  # one port in so many is refused
INTERVAL_S = 30.0
MAX_SERIES = 50_000  # the default: the rest is counted, which costs too
RUNS = 7
GOAL_MS, GOAL_HOLD_MS = 100.0, 25.0  # of a scrape with gzip; of everything
ASKED = frozenset({CheckName.DNS, CheckName.TCP})
NEW = {"none": 0.0, "half": 0.5, "all": 1.0}
WHAT: Mapping[str, tuple[str, bool]] = {
    "metrics": ("/metrics", False),
    "metrics, gzip": ("/metrics", True),
    "status": ("/api/v1/status", False),
    "status, gzip": ("/api/v1/status", True),
    "page": ("/", False),
}


class Turns(selectors.DefaultSelector):
    """The loop's selector: each turn of the loop lies between two calls of it."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_s = 0.0
        self._woken = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, and note how much CPU the turn before took."""
        self.longest_s = max(self.longest_s, time.thread_time() - self._woken)
        found = super().select(timeout)
        self._woken = time.thread_time()
        return found


class Site:
    """A board, what it shows, and the results that come in."""

    def __init__(self, resources: int) -> None:
        self.at = 1_767_323_045.0
        shown = [Configured(name=f"Resource {n}", address=f"host-{n}.corp.example") for n in range(resources)]
        jobs = [job for one in shown for job in jobs_of(one)]
        rows_of = {one.name: tuple(j.id for j in jobs[i * 3 : i * 3 + 3]) for i, one in enumerate(shown)}
        self.config = Config(resources=tuple(shown), metrics=Metrics(detail="all", max_series=MAX_SERIES))
        self.plan = Plan(jobs=tuple(jobs), resources=tuple(shown), rows_of=rows_of)
        self.board = Board(Policy(), lambda: self.at)
        self.board.load(jobs)
        self.report(1.0)

    def report(self, share: float) -> None:
        """Let a share of the rows report anew."""
        self.at += INTERVAL_S * share
        for number, job in enumerate(self.plan.jobs[:: int(1 / share)] if share else ()):
            self.board.record((result_of(job, number, self.at),))
        gc.collect(1)  # rows come in over an interval: the collector does not meet all of them new at once

    def view(self) -> View:
        """Return the present moment."""
        return View(
            config=self.config, plan=self.plan, board=self.board, engine=EngineFigures(connector="office-1", ready=True)
        )


def jobs_of(one: Configured) -> list[Job]:
    """Return the jobs of one Resource: its name, then its ports."""
    name = one.address
    made = [job_of(CheckName.DNS, name, NameSpec(name=name), one)]
    for port in PORTS:
        target = f"{name}:{port}"
        made.append(job_of(CheckName.TCP, target, TcpSpec(address=name, port=port, target=target), one))
    return made


def job_of(check: CheckName, target: str, spec: object, one: Configured) -> Job:
    """Make a job."""
    return Job(
        id=f"{check}:{target}", check=check, target=target, spec=spec, interval_s=INTERVAL_S, timeout_s=5.0,
        resources=(one.name,), name=one.address,
    )  # fmt: skip


def result_of(job: Job, number: int, at: float) -> Result:
    """Return what a check says of a target: most are fine, one port in FAILING is refused."""
    address, seconds = f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}", 0.001 + number % 997 / 1e6
    outcome: Outcome | None
    if isinstance(job.spec, TcpSpec):
        outcome = plainly_up(job.spec, Aim((address,), (address,)), [Attempt(address, seconds)])
        if outcome is None or number % FAILING == 0:
            outcome = refused(job.target, address)
    else:
        facts: dict[str, Json] = {
            "addresses": (address,), "address_count": 1, "ttl": 300,
            "matrix": {"10.0.0.2": {"class": "address", "addresses": (address,), "seconds": seconds}},
        }  # fmt: skip
        outcome = Outcome(
            status=Status.OK, event=Event.NONE, summary=f"{job.target} is {address}, by 10.0.0.2 in 1 ms",
            measurements={"lookup_seconds": seconds}, facts=facts,
        )  # fmt: skip
    return Result(
        id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome, started_at=at,
        duration_s=seconds, resources=job.resources,
    )  # fmt: skip


def refused(target: str, address: str) -> Outcome:
    """A port that refuses."""
    return Outcome(
        status=Status.CRITICAL, reason=Reason.REFUSED, event=Event.UNABLE_TO_CONNECT,
        summary=f"{target} does not accept: {address} refused",
        action=f"Start the service, or correct the port. Repeat it by hand on this host: nc -vz {address} 443",
        facts={"addresses": (address,), "accepted": (), "failed": {address: "refused"}, "method": "connect"},
    )  # fmt: skip


@dataclass(slots=True)
class Figures:
    """Of each request: CPU of the process, the time the client waited, the longest turn (all in ms), and bytes."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    hold: list[float] = field(default_factory=list)
    size: int = 0


CLIENT = """
import http.client, sys, time
for line in sys.stdin:
    port, path, encoding = line.split()
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    begin = time.monotonic()
    connection.request("GET", path, headers={"Accept-Encoding": encoding, "Accept": "application/openmetrics-text"})
    size = len(connection.getresponse().read())
    print(time.monotonic() - begin, size, flush=True)
    connection.close()
"""


async def measure(site: Site, turns: Turns, runs: int) -> dict[tuple[str, str], Figures]:
    """Ask for everything in turns, `runs` times, after one round that does not count."""
    reporter = Reporter()
    backend = Backend(
        view=site.view, report=lambda view: reporter.steps(view, ASKED), history=_no_history, reload=_no_reload
    )
    server = WebServer(Web(listen=(Endpoint("127.0.0.1", 0),)), backend)
    await server.start()
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    found = {(what, new): Figures() for what in WHAT for new in NEW}
    try:
        for count in range(runs + 1):
            for (what, new), figures in found.items():
                site.report(NEW[new])
                await asyncio.sleep(0)
                began, turns.longest_s = cpu_s(), 0.0
                took, size = await ask(client, server.addresses[0].port, *WHAT[what])
                if count:
                    figures.cpu.append((cpu_s() - began) * 1000)
                    figures.hold.append(turns.longest_s * 1000)
                    figures.wall.append(took * 1000)
                    figures.size = size
    finally:
        client.terminate()
        await client.wait()
        await server.close()
    return found


async def ask(client: asyncio.subprocess.Process, port: int, path: str, packed: bool) -> tuple[float, int]:  # noqa: FBT001
    """Have the client ask; return the seconds that it waited, and the bytes that it got."""
    if client.stdin is None or client.stdout is None:
        raise RuntimeError("the client has no pipes")
    client.stdin.write(f"{port} {path} {'gzip' if packed else 'identity'}\n".encode())
    took, size = (await client.stdout.readline()).split()
    return float(took), int(size)


async def _no_history(_: str, __: int) -> Sequence[Json] | None:
    return None


async def _no_reload() -> str | None:
    return None


def cpu_s() -> float:
    """Return the CPU seconds of this process, all of its threads included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_mib() -> float:
    """Return the memory of this process that is resident, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def peak_mib() -> float:
    """Return the most that it ever was, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(found: Mapping[tuple[str, str], Figures]) -> Iterable[str]:
    """Return the table."""
    yield f"{'asked for':16}{'new rows':>9}{'CPU':>8}{'wall':>8}{'hold':>7}{'MB':>7}{'of 100 ms':>11}{'of 25 ms':>10}"
    for (what, new), one in found.items():
        cpu, wall, hold = (statistics.median(values) for values in (one.cpu, one.wall, one.hold))
        goal = f"{cpu / GOAL_MS:11.2f}" if what.startswith("metrics") else " " * 11
        yield f"{what:16}{new:>9}{cpu:8.1f}{wall:8.1f}{hold:7.1f}{one.size / 1e6:7.2f}{goal}{hold / GOAL_HOLD_MS:10.2f}"


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description="cost of the exposition, the JSON document and the page")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--resources", type=int, default=RESOURCES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    before = resident_mib()
    site = Site(options.resources)
    heap.settle()
    filled = resident_mib()
    turns = Turns()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:
        found = runner.run(measure(site, turns, options.runs))
    memory = {"before": before, "board": filled - before, "kept": resident_mib() - filled, "peak": peak_mib() - filled}
    if options.json:
        medians = [
            {"asked": what, "new": new, "cpu_ms": statistics.median(one.cpu), "wall_ms": statistics.median(one.wall),
             "hold_ms": statistics.median(one.hold), "bytes": one.size}
            for (what, new), one in found.items()
        ]  # fmt: skip
        print(json.dumps({"resources": options.resources, "requests": medians, "memory_mib": memory}, indent=2))
        return
    print(f"{len(site.plan.jobs):,} rows, at most {MAX_SERIES:,} series; ms, medians of {options.runs} requests each")
    for line in table(found):
        print(line)
    print("memory in MiB: " + ", ".join(f"{name} {value:.0f}" for name, value in memory.items()))


if __name__ == "__main__":
    main()
