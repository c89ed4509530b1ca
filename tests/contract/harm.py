"""Rows of the rules "No harm" and "Never up"."""

import asyncio
import ipaddress
import itertools
import socket
from dataclasses import replace

from checks.model import CheckName
from checks.net.seat import Context
from daemon.board import Board
from daemon.config.schema import Config
from daemon.jobs import Job
from daemon.known import Known
from daemon.runner import Runner
from daemon.state import Policy
from daemon.targets import enabled_checks, make_plan
from daemon.vantage.seats import Seats
from tests.contract.bench import HASTE, QUIET, Bench, Row, Scenario, verdict, wall
from tests.support.fakes import context
from tests.support.half_open import prober
from tests.support.nameservers import says
from tests.support.servers import free_port
from tests.support.tcp import listening, port_of, spec

HERE = "127.0.0.1"
UP, DOWN = "ok none", "critical/refused unable_to_connect"
NOT_ALLOWED, NEVER_UP = "skipped/not_allowed -", "skipped/never_up -"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def resource(text: str, rest: str = "") -> Scenario:
    """Return the verdicts, sorted, of one Resource's ports by `check --only tcp`; UP and CLOSED stand for ports."""

    async def scenario(bench: Bench) -> list[str]:
        with listening() as server:
            ports = text.replace("UP", str(port_of(server))).replace("CLOSED", str(free_port()))
            found = await bench.check(f"{QUIET}{HASTE}resources: [{{name: R, {ports}}}]\n{rest}", CheckName.TCP)
        return sorted(verdict(outcome) for outcome in found.values())

    return scenario


async def a_range(bench: Bench) -> list[str]:
    """Return the verdicts of a range of two closed ports."""
    port = free_port()
    resources = f'resources: [{{name: R, address: {HERE}, tcp: ["{port}-{port + 1}"]}}]'
    found = await bench.check(f"{QUIET}{HASTE}{resources}", CheckName.TCP)
    return [verdict(outcome) for outcome in found.values()]


async def polite(bench: Bench) -> tuple[str, bytes, int]:
    """Return what a server sees of a probe: the bytes sent, and an error if the end was no FIN."""
    loop = asyncio.get_running_loop()
    with listening() as server:
        looking = loop.create_task(bench.look(CheckName.TCP, spec(HERE, port_of(server)), context()))
        connection, _ = await loop.sock_accept(server)
        with connection:
            seen = await loop.sock_recv(connection, 10)
            failed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return verdict(await looking), seen, failed


def _job(bench: Bench, text: str, row_id: str, *, half_open: bool = False) -> Job:
    config = bench.config(text)
    return next(job for job in make_plan(config, enabled_checks(config), half_open=half_open).jobs if job.id == row_id)


def permitted(bench: Bench, names: dict[str, tuple[str, ...]] | None = None) -> Context:
    """Stand on this host with the right to raw sockets."""
    here = context(names or {})
    return replace(here, seat=replace(here.seat, half_open=bench.stack.enter_context(prober())))


def accepted(server: socket.socket) -> int:
    """Count the connections that an application would get."""
    for count in itertools.count():
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError


async def half_open(bench: Bench) -> list[tuple[str, object]]:
    """Return the verdicts, with the method, of a port that accepts and of one that does not."""
    seen: list[tuple[str, object]] = []
    with listening() as server:
        for port in (port_of(server), free_port()):
            wanted = spec(HERE, port, method="half_open")
            outcome = await bench.look(CheckName.TCP, wanted, permitted(bench))
            seen.append((verdict(outcome), outcome.facts["method"]))
    return seen


async def unseen(bench: Bench) -> tuple[set[str], int]:
    """Look twenty times half-open; return the verdicts, and how many connections the application got."""
    here = permitted(bench)
    with listening() as server:
        wanted = spec(HERE, port_of(server), method="half_open")
        return {verdict(await bench.look(CheckName.TCP, wanted, here)) for _ in range(20)}, accepted(server)


async def no_right(bench: Bench) -> tuple[str, int]:
    """Look half-open without the right to: nobody connects instead."""
    with listening() as server:
        wanted = spec(HERE, port_of(server), method="half_open")
        return verdict(await bench.look(CheckName.TCP, wanted, context())), accepted(server)


async def methods(bench: Bench) -> list[tuple[object, float, bool]]:
    """Return method, pace and whether it is confirmed, with `method: auto` where half-open probes are permitted."""
    text = "resources: [{name: R, address: 10.0.0.1, tcp: [22, 443, 3306]}]"
    jobs = [_job(bench, text, f"tcp:10.0.0.1:{port}", half_open=True) for port in (22, 443, 3306)]
    return [(getattr(job.spec, "method", None), job.interval_s, job.confirmable) for job in jobs]


async def rebound_half_open(bench: Bench) -> list[str]:
    """Probe a name half-open twice: where it leads is permitted the first time, and denied the second."""
    only = (ipaddress.ip_network(f"{HERE}/32"),)
    with listening() as server:
        wanted = spec("moved.test", port_of(server), method="half_open", deny=LOOPBACK, allow=only)
        return [
            verdict(await bench.look(CheckName.TCP, wanted, permitted(bench, {"moved.test": (address,)})))
            for address in (HERE, "127.0.0.2")
        ]


def _runner(board: Board | None = None, *, user_failed: bool = False) -> Runner:
    ever_up = board.ever_up if board else frozenset[str]()
    known = Known(
        latest=lambda _: None, rows=lambda _: (), ever_up=ever_up.__contains__, user_failed=lambda _: user_failed
    )
    return Runner(Seats(context().seat), frozenset({CheckName.TCP}), known, lambda _start, _end: 0.0)


async def paced(bench: Bench) -> list[float]:
    """Return the seconds between two probes of a port with a policy, and of one without."""
    text = "resources: [{name: R, address: 10.0.0.1, tcp: [22, 443]}]"
    return [_job(bench, text, f"tcp:10.0.0.1:{port}").interval_s for port in (22, 443)]


async def confirmed(bench: Bench) -> tuple[list[str], int]:
    """Run a port with a policy, then once more as the fast confirmation; count the connections."""
    seen = []
    with listening() as server:
        port = port_of(server)
        text = f"resources: [{{name: R, address: {HERE}, tcp: [{port}]}}]\nprobing: {{ports: {{{port}: 5m}}}}"
        job, runner = _job(bench, text, f"tcp:{HERE}:{port}"), _runner()
        for confirming in (False, True):
            (result,) = await runner.run(job, confirming=confirming)
            seen.append(verdict(result.outcome))
        return seen, accepted(server)


async def rebound(bench: Bench) -> list[str]:
    """Probe a name twice: where it leads is permitted the first time, and denied the second."""
    only = (ipaddress.ip_network(f"{HERE}/32"),)
    with listening() as server:
        wanted = spec("moved.test", port_of(server), deny=LOOPBACK, allow=only)
        return [
            verdict(await bench.look(CheckName.TCP, wanted, context({"moved.test": (address,)})))
            for address in (HERE, "127.0.0.2")
        ]


async def denied(bench: Bench) -> list[str]:
    """Check a name that leads to loopback."""
    server = await bench.nameserver(says("here.test. 60 IN A 127.0.0.1"))
    text = f"{QUIET}{HASTE}dns: {{nameservers: ['{server.endpoint}'], search: []}}\n"
    text += "resources: [{name: R, address: here.test, tcp: [443]}]"
    return [verdict(outcome) for outcome in (await bench.check(text, CheckName.DNS, CheckName.TCP)).values()]


async def mysql(_: Bench) -> tuple[object, object]:
    """Return the policy of MySQL's ports when nothing is configured."""
    ports = Config().probing.ports
    return ports[3306], ports[33060]


async def once_up(bench: Bench) -> list[str]:
    """Run a port of a range before it was ever up, while it is, and after that."""
    board, seen = Board(Policy(), wall), []
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        port = port_of(sock)
        text = f'resources: [{{name: R, address: {HERE}, tcp: ["{port}-{port + 1}"]}}]'
        job, runner = _job(bench, text, f"tcp:{HERE}:{port}"), _runner(board)
        board.load([job])
        for step in ("never", "listens", "stopped"):
            if step == "listens":
                sock.listen()
            elif step == "stopped":
                sock.shutdown(socket.SHUT_RDWR)
            results = await runner.run(job)
            board.record(results)
            seen.append(verdict(results[0].outcome))
    return seen


async def user_fails(bench: Bench) -> list[str]:
    """Run a port of a range that was never up, without and with a user who fails on it by the Connector's log."""
    port = free_port()
    job = _job(bench, f'resources: [{{name: R, address: {HERE}, tcp: ["{port}-{port + 1}"]}}]', f"tcp:{HERE}:{port}")
    runners = (_runner(), _runner(user_failed=True))
    return [verdict((await runner.run(job))[0].outcome) for runner in runners]


async def unresolved_any(bench: Bench) -> str:
    """Probe a name that does not resolve, of a Resource of which anything is fine."""
    return verdict(await bench.look(CheckName.TCP, spec("gone.test", 443, expect="any"), context()))


NO_HARM = [
    Row("`half_open`: SYN, SYN/ACK, reset by the kernel", half_open, [(UP, "half_open"), (DOWN, "half_open")]),
    Row("no application ever sees it", unseen, ({UP}, 0)),
    Row("needs CAP_NET_RAW", no_right, (NOT_ALLOWED, 0)),
    Row("`connect`: opens, closes with FIN, sends nothing", polite, (UP, b"", 0)),
    Row("Port policy of `probing.ports`", paced, [300.0, 30.0]),
    Row("Port policy", methods, [("half_open", 30.0, True)] * 3),
    Row("the fast confirmation never connects to a port with a policy", confirmed, ([UP, NOT_ALLOWED], 1)),
    Row("Denied address", denied, [UP, NOT_ALLOWED]),
    Row("(checked again after each lookup)", rebound, [UP, NOT_ALLOWED]),
    Row("Denied address (checked again", rebound_half_open, [UP, NOT_ALLOWED]),
    Row("port without a permitted method", resource("address: 10.0.0.1, tcp: [3306, 33060, 9100, 102, 502]"),
        [NOT_ALLOWED] * 5),  # nobody has the right to raw sockets here
    Row("port without a permitted method → `skipped/not_allowed`",
        resource("address: 10.0.0.1, tcp: [3306]", "probing: {method: connect}"), [NOT_ALLOWED]),
    Row("`connect` to MySQL's ports can block the Connector's address", mysql, ("half_open", "half_open")),
]  # fmt: skip
NEVER_UP_ROWS = [
    Row("With `expect: auto`, ports from ranges", a_range, [NEVER_UP, NEVER_UP]),
    Row("sources, learning and samples that have never accepted are `skipped/never_up`",
        resource("address: 127.0.0.0/8, samples: [127.0.0.1], tcp: [CLOSED]", "probing: {allow: [127.0.0.1]}"),
        [NEVER_UP]),
    Row("critical only once they were up", once_up, [NEVER_UP, UP, DOWN]),
    Row("or the Connector's log shows a user failing there", user_fails, [NEVER_UP, DOWN]),
    Row("Ports written one by one in the static file are `up`", resource("address: 127.0.0.1, tcp: [CLOSED]"), [DOWN]),
    Row("`down` and reachable → `warning/unexpectedly_up`",
        resource("address: 127.0.0.1, tcp: [UP, CLOSED], expect: down"), [UP, "warning/unexpectedly_up none"]),
    Row("`any` → never worse than ok", resource("address: 127.0.0.1, tcp: [UP, CLOSED], expect: any"), [UP, UP]),
    Row("never worse than ok (fact)", unresolved_any, UP),
]  # fmt: skip
ROWS = NO_HARM + NEVER_UP_ROWS
