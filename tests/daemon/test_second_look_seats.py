"""A seat that is given up for another: what the one saw does not hold for the other, and nothing is flooded."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from checks.model import CheckName, Json, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.errors import SeatError
from checks.net.seat import Seat, open_socket
from checks.tcp import TcpSpec
from daemon.jobs import Job, Result
from daemon.known import Known
from daemon.runner import SECOND_LOOKS, Runner
from daemon.second_look import GONE, Sample, not_seen
from daemon.vantage.seats import Seats
from tests.support.fakes import FakeResolver
from tests.support.tcp import listening, port_of

EVERYTHING = frozenset(CheckName)
HERE = "127.0.0.1"


def _seat(name: str, address: str = HERE, **changes: object) -> Seat:
    seat = Seat(resolver=FakeResolver({"a.test": (address,)}), mark=lambda: name)
    return replace(seat, name="host" if name == "host" else "connector", **changes)  # type: ignore[arg-type]


def _port(port: int, *, name: str | None = None, confirmable: bool = True) -> Job:
    target = f"{name or HERE}:{port}"
    allow = () if name is None else (ipaddress.ip_network("127.0.0.0/8"),)
    spec = TcpSpec(
        address=name or HERE, port=port, target=target, timeout_s=0.5, literal_allowed=name is None, allow=allow
    )
    return Job(
        id=f"tcp:{target}", check=CheckName.TCP, target=target, spec=spec, interval_s=30.0, timeout_s=2.0, name=name,
        resources=("R",), host=name or HERE, connections=1, confirmable=confirmable,
    )  # fmt: skip


NAME = Job(
    id="dns:a.test", check=CheckName.DNS, target="a.test", spec=NameSpec(name="a.test", timeout_s=0.5),
    interval_s=30.0, timeout_s=2.0, resources=("R",),
)  # fmt: skip


def _row(row_id: str, status: Status, **facts: Json) -> Result:
    check, _, target = row_id.partition(":")
    reason = None if status is Status.OK else Reason.NXDOMAIN
    return Result(
        id=row_id, job=row_id, check=CheckName(check), target=target, started_at=0.0, duration_s=0.0,
        outcome=Outcome(status=status, reason=reason, summary="x", facts=facts),
    )  # fmt: skip


def _runner(seats: Seats, *rows: Result) -> Runner:
    table = {row.id: row for row in rows}
    known = Known(
        latest=table.get, rows=lambda check: tuple(r for r in table.values() if r.check is check),
        ever_up=lambda _: False,
    )  # fmt: skip
    return Runner(seats, EVERYTHING, known, lambda _start, _end: 0.0)


@pytest.mark.parametrize(
    "row",
    [
        _row("dns:a.test", Status.OK, addresses=("127.0.0.9",)),
        _row("dns:a.test", Status.CRITICAL),
        _row("host:network", Status.CRITICAL, loopback_only=True),
    ],
    ids=["addresses", "name-failed", "no-network"],
)
async def test_rows_of_another_seat_do_not_hold(row: Result) -> None:
    """After a switch a port is judged by what its new seat resolves, until name and network were seen from there."""
    with listening() as server:
        old, new = _seat("host", "127.0.0.9"), _seat("connector")
        made = _runner(Seats(old), row)
        job = _port(port_of(server), name="a.test")
        (before,) = await made.run(job)
        assert before.outcome.status in (Status.CRITICAL, Status.SKIPPED) or row.check is CheckName.HOST
        made.take(Seats(new, old))
        (after,) = await made.run(job)
        assert after.outcome.status is Status.OK
        if row.check is CheckName.DNS:
            await made.run(NAME)
            assert (await made.run(job))[0].outcome.reason == before.outcome.reason, (
                "seen from here, the row holds again"
            )


async def test_same_seat_taken_again_changes_nothing() -> None:
    """Taking the seat that is taken already leaves names alone: a port asks no resolver of its own."""
    seats = Seats(_seat("connector"))
    made = _runner(seats, _row("dns:a.test", Status.CRITICAL))
    made.take(Seats(seats.first, _seat("host")))
    (result,) = await made.run(_port(1, name="a.test"))
    assert result.outcome.reason is Reason.DEPENDENCY_FAILED


class Switching:
    """A seat from which everything fails, and that is given up while it is asked."""

    def __init__(self, name: str) -> None:
        self.opened = 0
        self.then: Callable[[], None] = lambda: None
        self.seat = _seat(name, open_socket=self._refuse)

    def _refuse(self, _family: int, _kind: int) -> socket.socket:
        self.opened += 1
        self.then()
        raise OSError(errno.ENETUNREACH, "planted")


@pytest.mark.parametrize("names", [("host", "connector"), ("connector", "host")], ids=" to ".join)
async def test_switch_while_a_port_is_asked(names: tuple[str, str]) -> None:
    """A failure seen from a seat that was given up meanwhile is asked again from the new one."""
    with listening() as server:
        old = Switching(names[0])
        made = _runner(Seats(old.seat))
        old.then = lambda: made.take(Seats(new))
        new = _seat(names[1])
        (result,) = await made.run(_port(port_of(server)))
    assert (result.outcome.status, old.opened) == (Status.OK, 1)


async def test_port_with_a_policy_is_not_asked_again_after_a_switch() -> None:
    """A port that may be asked only now and then keeps what was seen of it."""
    old = Switching("host")
    made = _runner(Seats(old.seat))
    asked = Switching("connector")
    old.then = lambda: made.take(Seats(asked.seat))
    (result,) = await made.run(_port(1, confirmable=False))
    assert (result.outcome.reason, old.opened, asked.opened) == (Reason.NO_ROUTE, 1, 0)


async def test_name_seen_from_a_seat_that_was_given_up_is_no_parent() -> None:
    """A name whose look began before the switch says nothing of the addresses that count now."""
    with listening() as server:
        old = _seat("host", "127.0.0.9")
        made = _runner(Seats(old), _row("dns:a.test", Status.OK, addresses=("127.0.0.9",)))

        class Slow(FakeResolver):
            async def lookup(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
                made.take(Seats(_seat("connector")))
                return await super().lookup(*args, **kwargs)  # type: ignore[arg-type]

        made.take(Seats(replace(old, resolver=Slow({"a.test": ("127.0.0.9",)}))))
        await made.run(NAME)
        (result,) = await made.run(_port(port_of(server), name="a.test"))
    assert result.outcome.status is Status.OK


@pytest.mark.looptime
async def test_second_looks_are_few_however_many_fail() -> None:
    """800 ports that refuse at once cost a bounded number of connections from the host: so many a second."""
    opened = 0

    def count(_family: int, _kind: int) -> socket.socket:
        nonlocal opened
        opened += 1
        raise OSError(errno.ECONNREFUSED, "planted")

    def refuse(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.ECONNREFUSED, "planted")

    made = _runner(Seats(_seat("connector", open_socket=refuse), _seat("host", open_socket=count)))
    for number in range(800):
        await made.run(_port(number + 1))
    assert opened == SECOND_LOOKS
    await asyncio.sleep(1.0)
    for number in range(800):
        await made.run(_port(number + 1))
    assert opened == 2 * SECOND_LOOKS


def test_sample_is_given_back() -> None:
    """A place is free again when its look ended, however it ended; tokens are not saved up beyond the most."""
    sample = Sample(2)
    for now in (0.0, 100.0):
        with sample.one(now) as first, sample.one(now) as second, sample.one(now) as third:
            assert (first, second, third) == (True, True, False)
    with pytest.raises(KeyError), sample.one(200.0):
        raise KeyError
    with sample.one(201.0) as first, sample.one(201.0) as second, sample.one(202.0) as third:
        assert (first, second, third) == (True, True, False), "both are under way, whatever time it is"


async def test_seat_that_was_just_taken_has_not_moved() -> None:
    """A failure from a new seat, and one after a move that was noticed, is a failure: asked once."""
    fresh = Switching("connector")
    made = _runner(Seats(_seat("host")))
    made.take(Seats(fresh.seat))
    await made.run(_port(1))
    assert fresh.opened == 1
    marks = ["anew"]
    moved = Switching("connector")
    made.take(Seats(replace(moved.seat, mark=lambda: marks[-1])))
    marks.append("and again")
    await made.run(_port(1))
    assert moved.opened == 2, "it moved: asked again"
    await made.run(_port(2))
    assert moved.opened == 3, "and stands still since"


async def test_connector_that_is_back_at_once_is_asked_from_where_it_stands() -> None:
    """A probe that met nobody at the Connector's place asks again where it stands by then."""
    with listening() as server:
        marks: list[object] = ["old"]

        def nobody(family: int, kind: int) -> socket.socket:
            if marks[-1] == "old":
                marks.append("new")
                raise SeatError(Reason.NOT_RUNNING, "nobody stands there")
            return open_socket(family, kind)

        made = _runner(Seats(_seat("connector", open_socket=nobody, mark=lambda: marks[-1])))
        (result,) = await made.run(_port(port_of(server)))
    assert result.outcome.status is Status.OK


def test_only_resources_are_cut_off_by_the_connector() -> None:
    """What was not asked because nobody stood there: a Resource is skipped with its cause, anything else is unknown."""
    rows = {"x": Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="x")}
    relay = replace(NAME, id="relay:x", check=CheckName.RELAY)
    assert not_seen(NAME, rows, GONE)["x"].status is Status.SKIPPED
    assert not_seen(relay, rows, GONE)["x"].status is Status.UNKNOWN


def test_without_a_row_on_the_connector_none_is_named() -> None:
    """Where the check `connector` is switched off, the text stands alone and no row is said to silence another."""
    rows = {"x": Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="x")}
    relay = replace(NAME, id="relay:x", check=CheckName.RELAY)
    for job in (NAME, relay):
        found = not_seen(job, rows, GONE, watched=False)["x"]
        assert "connector:process" not in f"{found.summary} {found.action} {found.facts}"
        assert "not asked: the Connector is not running" in found.summary
        assert "See that the Connector runs" in found.action
        assert "connector:process" in not_seen(job, rows, GONE)["x"].summary
