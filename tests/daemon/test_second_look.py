"""Two seats: a failure at the Connector's is looked at from the host's, and a Connector that moves accuses nobody."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from checks.model import CheckName, Event, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.errors import SeatError
from checks.net.seat import Seat
from checks.tcp import TcpSpec
from daemon.advice import split_action
from daemon.board import Board
from daemon.jobs import Job, Result
from daemon.known import Known
from daemon.runner import SECOND_LOOKS, Runner
from daemon.state import Policy
from daemon.vantage.orphan import RUNS, Orphans
from daemon.vantage.seats import Seats
from tests.support.fakes import FakeResolver
from tests.support.tcp import listening, port_of

EVERYTHING = frozenset(CheckName)
NOTHING = Known(latest=lambda _: None, rows=lambda _: (), ever_up=lambda _: False)


def _refusing(code: int) -> Callable[[int, int], socket.socket]:
    def refuse(_family: int, _kind: int) -> socket.socket:
        raise OSError(code, "planted")

    return refuse


def _seat(name: str = "connector", **changes: object) -> Seat:
    seat = Seat(resolver=FakeResolver({"a.test": ("127.0.0.1",)}), mark=lambda: 1)
    return replace(seat, name=name, **changes)  # type: ignore[arg-type]


def _runner(first: Seat, host: Seat | None) -> Runner:
    return Runner(Seats(first, host), EVERYTHING, NOTHING, lambda _start, _end: 0.0)


def _job(port: int, *, confirmable: bool = True) -> Job:
    target = f"127.0.0.1:{port}"
    spec = TcpSpec(address="127.0.0.1", port=port, target=target, timeout_s=0.5, literal_allowed=True)
    return Job(
        id=f"tcp:{target}", check=CheckName.TCP, target=target, spec=spec, interval_s=30.0, timeout_s=2.0,
        resources=("R",), host="127.0.0.1", connections=1, confirmable=confirmable,
    )  # fmt: skip


NAME = Job(
    id="dns:b.test", check=CheckName.DNS, target="b.test", spec=NameSpec(name="b.test", timeout_s=0.5),
    interval_s=30.0, timeout_s=2.0, resources=("R",),
)  # fmt: skip


async def test_only_the_connectors_network_fails() -> None:
    """A port that refuses the Connector and accepts this host stays critical, and the row says which network fails."""
    with listening() as server:
        made = _runner(_seat(open_socket=_refusing(errno.ECONNREFUSED)), _seat("host"))
        first, second = await made.run(_job(port_of(server)))
    assert (first.outcome.status, first.outcome.reason) == (Status.CRITICAL, Reason.REFUSED)
    assert first.outcome.facts["seen_from_host"] == "ok"
    assert "only the Connector's network fails" in first.outcome.summary
    assert "differs between the Connector's network and this host's" in first.outcome.action
    assert (second.id, second.outcome.status, second.second) == (first.id + "@host", Status.OK, True)


async def test_the_command_to_repeat_it_enters_the_connectors_network() -> None:
    """Typed on the host, the plain command would succeed and prove the row wrong."""
    with listening() as server:
        there = _seat(open_socket=_refusing(errno.ECONNREFUSED), mark=lambda: (4711, 1, 2))
        first, _ = await _runner(there, _seat("host")).run(_job(port_of(server)))
        (command,) = split_action(first.outcome.action).commands
        assert command == f"nsenter -t 4711 -n nc -vz -w 5 127.0.0.1 {port_of(server)}"


async def test_both_fail() -> None:
    """A name that neither seat resolves says so: the cause is not the Connector's network."""
    first, second = await _runner(_seat(), _seat("host")).run(NAME)
    assert first.outcome.summary.endswith("; from this host it fails too")
    assert first.outcome.event is Event.DNS_LOOKUP_ERROR
    assert second.outcome.reason is Reason.NXDOMAIN


async def test_the_name_is_resolved_by_each_seat_itself() -> None:
    """The host's look at a port uses the host's own addresses, not those that the Connector's resolver found."""
    asked: list[str] = []

    class Listening(FakeResolver):
        async def resolve(self, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
            asked.append(name)
            return await super().resolve(name)

    row = Result(
        id="dns:a.test", job="dns:a.test", check=CheckName.DNS, target="a.test", started_at=0.0, duration_s=0.0,
        outcome=Outcome(status=Status.OK, summary="resolves", facts={"addresses": ("127.0.0.1",)}),
    )  # fmt: skip
    known = replace(NOTHING, latest={"dns:a.test": row}.get)
    first = _seat(open_socket=_refusing(errno.ECONNREFUSED))
    made = Runner(Seats(first, _seat("host", resolver=Listening())), EVERYTHING, known, lambda _start, _end: 0.0)
    spec = TcpSpec(address="a.test", port=9, target="a.test:9", timeout_s=0.5, allow=())
    job = replace(_job(9), id="tcp:a.test:9", target="a.test:9", spec=spec, name="a.test", host="a.test")
    await made.run(job)
    assert asked == ["a.test"]


@pytest.mark.parametrize(
    ("job", "host"),
    [(_job(1, confirmable=False), True), (_job(1), False)],
    ids=["port-with-a-policy", "same-namespace"],
)
async def test_no_second_look(job: Job, *, host: bool) -> None:
    """A port with a policy is not connected to twice, and who shares the namespace has no second seat."""
    made = _runner(_seat(open_socket=_refusing(errno.ECONNREFUSED)), _seat("host") if host else None)
    assert len(await made.run(job)) == 1


async def test_what_works_is_not_looked_at_twice() -> None:
    """A port that accepts from the Connector's seat costs one connection, wherever it fails from."""
    with listening() as server:
        made = _runner(_seat(), _seat("host", open_socket=_refusing(errno.ENETUNREACH)))
        (only,) = await made.run(_job(port_of(server)))
    assert only.outcome.status is Status.OK


async def test_second_looks_are_bounded() -> None:
    """Of many failures at once only a bounded number is looked at from the host too; none waits for its turn."""
    going, most = 0, 0
    release = asyncio.Event()

    class Slow(FakeResolver):
        async def lookup(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
            nonlocal going, most
            going += 1
            most = max(most, going)
            await release.wait()
            going -= 1
            return await super().lookup(*args, **kwargs)  # type: ignore[arg-type]

    made = _runner(_seat(), _seat("host", resolver=Slow()))
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(made.run(NAME)) for _ in range(3 * SECOND_LOOKS)]
        while sum(run.done() for run in runs) < 2 * SECOND_LOOKS:  # noqa: ASYNC110 - they end one by one
            await asyncio.sleep(0)
        release.set()
    assert most == SECOND_LOOKS
    assert sorted(len(run.result()) for run in runs) == [1] * (2 * SECOND_LOOKS) + [2] * SECOND_LOOKS


def _marks(*marks: object) -> Callable[[], object]:
    rest: Iterator[object] = iter(marks)
    last = marks[-1]
    return lambda: next(rest, last)


async def test_restart_meanwhile_is_followed() -> None:
    """A failure seen while the Connector was started anew is asked again from where it stands now: ok, not critical."""
    with listening() as server:
        refusals = [errno.ENETUNREACH]

        def opening(family: int, kind: int) -> socket.socket:
            if refusals:
                raise OSError(refusals.pop(), "the interface is gone")
            sock = socket.socket(family, kind)
            sock.settimeout(0)
            return sock

        made = _runner(_seat(open_socket=opening, mark=_marks("old", "new")), _seat("host"))
        (result,) = await made.run(_job(port_of(server)))
    assert result.outcome.status is Status.OK


async def test_genuine_failure_is_asked_once_when_nothing_moved() -> None:
    """A Connector that stands still: a failure is a failure, and costs no second connection."""
    opened = 0

    def refuse(_family: int, _kind: int) -> socket.socket:
        nonlocal opened
        opened += 1
        raise OSError(errno.ECONNREFUSED, "planted")

    (result,) = await _runner(_seat(open_socket=refuse), None).run(_job(1))
    assert (result.outcome.status, opened) == (Status.CRITICAL, 1)


@pytest.mark.parametrize("marks", [("a", None), ("a", "b", "c", "d", "e")], ids=["gone", "restart-loop"])
async def test_no_place_no_verdict(marks: tuple[object, ...]) -> None:
    """With the Connector gone, or in a restart loop, its Resources are skipped with it as the parent, never failing."""
    made = _runner(_seat(open_socket=_refusing(errno.ENETUNREACH), mark=_marks(*marks)), None)
    (result,) = await made.run(_job(1))
    assert (result.outcome.status, result.outcome.reason) == (Status.SKIPPED, Reason.DEPENDENCY_FAILED)
    assert result.outcome.facts["parent"] == "connector:process"


async def test_port_with_a_policy_is_not_asked_again_after_a_move() -> None:
    """A restart is no reason to connect twice to a port that may be connected to only now and then."""
    opened = 0

    def refuse(_family: int, _kind: int) -> socket.socket:
        nonlocal opened
        opened += 1
        raise OSError(errno.ENETUNREACH, "planted")

    made = _runner(_seat(open_socket=refuse, mark=_marks("old", "new")), None)
    (result,) = await made.run(_job(1, confirmable=False))
    assert (result.outcome.status, opened) == (Status.SKIPPED, 1)


async def test_missing_helper_is_unknown() -> None:
    """Without permission for the Connector's seat nothing is known of its Resources: unknown, never critical."""

    def refuse(_family: int, _kind: int) -> socket.socket:
        raise SeatError(Reason.PERMISSION_DENIED, "the helper does not answer")

    (result,) = await _runner(_seat(open_socket=refuse), None).run(_job(1))
    assert (result.outcome.status, result.outcome.reason) == (Status.UNKNOWN, Reason.PERMISSION_DENIED)


async def test_stopped_connector_silences_its_resources() -> None:
    """A row that says that the Connector does not run skips dns and tcp; one that does not know silences nothing."""
    for running, expected in ((False, Status.SKIPPED), (None, Status.CRITICAL)):
        outcome = Outcome(status=Status.CRITICAL, reason=Reason.NOT_RUNNING, summary="x", facts={"running": running})
        row = Result(
            id="connector:process", job="connector:process", check=CheckName.CONNECTOR, target="process",
            outcome=outcome, started_at=0.0, duration_s=0.0,
        )  # fmt: skip
        known = replace(NOTHING, latest={"connector:process": row}.get)
        seats = Seats(_seat("host", open_socket=_refusing(errno.ECONNREFUSED)))
        (result,) = await Runner(seats, EVERYTHING, known, lambda _start, _end: 0.0).run(_job(1))
        assert result.outcome.status is expected


def test_second_look_is_evidence_only() -> None:
    """The board shows a second look, counts it nowhere, and drops it as soon as a run brings none."""
    board = Board(Policy(failures=1, successes=1), lambda: 0.0, reasons=lambda _: ())
    job = _job(1)
    board.load([job])
    bad = Result(
        id=job.id, job=job.id, check=job.check, target=job.target, started_at=0.0, duration_s=0.1, resources=("R",),
        outcome=Outcome(status=Status.CRITICAL, reason=Reason.REFUSED, summary="x"),
    )  # fmt: skip
    host = replace(bad, id=job.id + "@host", outcome=Outcome(status=Status.OK, summary="y", facts={"accepted": ("a",)}))
    board.record([bad, host])
    assert set(board.rows) == {job.id, host.id}
    assert board.counters.conclusive == {CheckName.TCP: 1}
    assert not board.ever_up
    board.record([replace(bad, outcome=Outcome(status=Status.UNKNOWN, reason=Reason.TIMEOUT, summary="z"))])
    assert set(board.rows) == {job.id}


def test_sidecar_left_alone() -> None:
    """Only loopback for 3 runs in a shared namespace: unknown, then the sign to end; on a host it is a fault."""
    lonely = Result(
        id="host:network", job="host:network", check=CheckName.HOST, target="network", started_at=0.0, duration_s=0.0,
        outcome=Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="x", facts={"loopback_only": True}),
    )  # fmt: skip
    fine = replace(lonely, outcome=Outcome(status=Status.OK, summary="fine", facts={"loopback_only": False}))
    orphans = Orphans()
    alone_after, seen = [], lonely
    for result in (lonely, lonely, fine, lonely, lonely, lonely):
        (seen,) = orphans.judged((result,), shared=True)
        alone_after.append(orphans.alone)
    assert alone_after == [False] * 5 + [True], "an interface that came back ends the count"
    assert seen.outcome.status is Status.UNKNOWN
    alone = Orphans()
    for _ in range(2 * RUNS):
        (seen,) = alone.judged((lonely,), shared=False)
    assert (alone.alone, seen.outcome.status) == (False, Status.CRITICAL)
