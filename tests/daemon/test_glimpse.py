"""Half-open looks without a task, through the engine: found well, they are recorded on the spot; else a run goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from checks.model import Reason, Status
from checks.net.seat import Seat
from daemon.board import Board
from daemon.config.load import parse_config
from daemon.engine import Engine
from daemon.looplag import LoopLag
from daemon.state import Policy, State
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch
from tests.support.fakes import FakeResolver
from tests.support.half_open_fake import SECONDS, FakeHalfOpen

PORT = "tcp:10.0.0.1:5432"
TEXT = """
connector: {name: test-1, runtime: none, vantage: host}
relays: {endpoints: []}
clock: {servers: []}
provider: {enabled: never}
checks: {host: false, resolver: false}
schedule: {interval: 30s, timeout: 1s, confirm: {interval: 2s}}
resources:
"""
pytestmark = pytest.mark.looptime(resolution=1e-4)


class Rig:
    """An engine whose seat has the fake prober; `tasks` counts the runs that took one."""

    def __init__(self, resources: str, prober: FakeHalfOpen, names: dict[str, tuple[str, ...]]) -> None:
        loop = asyncio.get_running_loop()
        config = parse_config((TEXT + resources).encode(), "test.yaml").config
        self.prober = prober
        self.watch = ConnectorWatch(config)
        self.seat = Seat(resolver=FakeResolver(names), half_open=prober)
        self.watch.seats = Seats(self.seat)
        self.board = Board(Policy(), loop.time, clock=loop.time)
        self.ran: list[str] = []
        self.engine = Engine(config, self.board, LoopLag(), self._hear, self.watch)
        self.loop = loop

    def _hear(self, results: object, transitions: object) -> None:
        del results, transitions
        if (task := asyncio.current_task()) is not None:
            self.ran.append(task.get_name())

    def status(self, row: str = PORT) -> tuple[Status, Reason | None]:
        """What a row says."""
        outcome = self.board.rows[row].result.outcome
        return outcome.status, outcome.reason


@contextlib.asynccontextmanager
async def rig(
    resources: str = "- {name: A, address: 10.0.0.1, tcp: [5432]}",
    reason: Callable[[str, int], Reason | None] = lambda _address, _look: None,
    names: dict[str, tuple[str, ...]] | None = None,
) -> AsyncIterator[Rig]:
    """Run an engine for the block."""
    made = Rig(resources, FakeHalfOpen(reason), names or {})
    task = asyncio.get_running_loop().create_task(made.engine.scheduler.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_port_that_accepts_takes_no_task() -> None:
    """A look that finds the port open is recorded with its method and its time, once in each interval."""
    async with rig() as made:
        await asyncio.sleep(100)
        assert made.ran == []
        looks = len(made.prober.asked)
        assert looks in (3, 4)  # at first within 10 s, then every 30
        row = made.board.rows[PORT]
        assert row.state is State.OK
        assert row.result.outcome.facts["method"] == "half_open"
        assert row.result.outcome.measurements == {"connect_seconds": SECONDS}
        assert made.board.counters.conclusive[row.result.check] == looks
        assert made.engine.scheduler.in_flight == 0


async def test_a_failure_is_not_asked_twice() -> None:
    """What a look found is judged by an ordinary run; only the confirmation, 2 s later, asks again."""
    async with rig(reason=lambda _address, _look: Reason.REFUSED) as made:
        await made.prober.was_asked.wait()
        await asyncio.sleep(1)
        assert made.prober.asked == ["10.0.0.1"]
        assert made.status() == (Status.CRITICAL, Reason.REFUSED)
        assert made.board.rows[PORT].state is State.PENDING
        await asyncio.sleep(2)
        assert made.prober.asked == ["10.0.0.1"] * 2
        assert made.board.rows[PORT].state is State.FAILING
        assert made.ran == [PORT, PORT]


async def test_one_address_of_two() -> None:
    """With `addresses: all` a look that finds one of two refusing goes on as a run, and is critical."""
    async with rig(
        "- {name: A, address: a.test, tcp: [5432], addresses: all}",
        reason=lambda address, _look: Reason.REFUSED if address == "10.0.0.2" else None,
        names={"a.test": ("10.0.0.1", "10.0.0.2")},
    ) as made:
        await asyncio.sleep(60)
        assert made.status("tcp:a.test:5432") == (Status.CRITICAL, Reason.REFUSED)
        assert made.board.rows["tcp:a.test:5432"].result.outcome.facts["failed"] == {"10.0.0.2": "refused"}


async def test_a_name_is_looked_up_by_its_own_check() -> None:
    """A look goes to the addresses that the dns row found last: when they change, so does it."""
    names: dict[str, tuple[str, ...]] = {"a.test": ("10.0.0.1",)}
    async with rig("- {name: A, address: a.test, tcp: [5432]}", names=names) as made:
        await asyncio.sleep(100)
        assert set(made.prober.asked) == {"10.0.0.1"}
        made.engine.runner.seats.first.resolver.names["a.test"] = ("10.0.0.2",)  # type: ignore[attr-defined]
        await asyncio.sleep(70)
        assert made.prober.asked[-1] == "10.0.0.2"
        assert "tcp:a.test:5432" not in made.ran[2:]


async def test_denied_addresses_are_not_looked_at() -> None:
    """A name that leads to a denied address sends nothing."""
    async with rig("- {name: A, address: a.test, tcp: [5432]}", names={"a.test": ("169.254.169.254",)}) as made:
        await asyncio.sleep(60)
        assert made.prober.asked == []
        assert made.status("tcp:a.test:5432") == (Status.SKIPPED, Reason.NOT_ALLOWED)


async def test_a_failed_name_keeps_its_ports_from_being_asked() -> None:
    """The port behind a name that fails is skipped: its name's row tells why."""
    names: dict[str, tuple[str, ...]] = {"a.test": ("10.0.0.1",)}
    async with rig("- {name: A, address: a.test, tcp: [5432]}", names=names) as made:
        await asyncio.sleep(60)
        made.seat.resolver.names.clear()  # type: ignore[attr-defined]
        await asyncio.sleep(60)
        asked = len(made.prober.asked)
        await asyncio.sleep(60)
        assert len(made.prober.asked) == asked
        assert made.status("tcp:a.test:5432") == (Status.SKIPPED, Reason.DEPENDENCY_FAILED)


async def test_a_reload_takes_what_is_under_way_with_it() -> None:
    """A look whose Resource was removed is heard of no more, and gives back its place."""
    async with rig() as made:
        made.prober.after_s = 1e6
        await made.prober.was_asked.wait()
        assert made.engine.scheduler.in_flight == 1
        config = parse_config((TEXT + "- {name: B, address: 10.0.0.9, tcp: [1]}").encode(), "test.yaml").config
        made.engine.load(config)
        await asyncio.sleep(1)
        assert made.engine.scheduler.in_flight == 0
        assert PORT not in made.board.rows


async def test_without_the_right_ports_are_connected_to() -> None:
    """A seat that can no longer look so leaves no row without a verdict of the other method, or a reason."""
    async with rig("- {name: A, address: 10.0.0.1, tcp: [3306]}") as made:
        await asyncio.sleep(40)
        assert made.status("tcp:10.0.0.1:3306") == (Status.OK, None)
        made.prober.available = False
        await asyncio.sleep(40)
        assert made.status("tcp:10.0.0.1:3306") == (Status.SKIPPED, Reason.NOT_ALLOWED)
        assert set(made.prober.asked) == {"10.0.0.1"}


async def test_another_seat_meanwhile() -> None:
    """A failure that was seen from a seat that has been left says nothing: it is asked again from the new one."""
    async with rig(reason=lambda _address, _look: Reason.TIMEOUT) as made:
        made.prober.after_s = 0.5
        await made.prober.was_asked.wait()
        other = FakeHalfOpen()
        made.engine.runner.take(Seats(replace(made.seat, half_open=other)))
        await asyncio.sleep(2)
        assert other.asked == ["10.0.0.1"]
        assert made.status() == (Status.OK, None)


@pytest.mark.parametrize(
    ("resource", "address"), [("10.0.0.1", "10.0.0.1"), ("db.corp.internal", "10.0.0.1")], ids=["literal", "name"]
)
async def test_what_is_denied_by_a_reload_is_looked_at_no_more(resource: str, address: str) -> None:
    """Which addresses may be looked at is remembered for each job, and never beyond the configuration it holds for."""
    names: dict[str, tuple[str, ...]] = {resource: (address,)}
    text = f"- {{name: A, address: {resource}, tcp: [5432]}}"
    async with rig(text, names=names) as made:
        await asyncio.sleep(100)
        assert made.prober.asked
        denies = f"{TEXT}{text}\nprobing: {{deny: [10.0.0.0/24]}}\n"
        await made.engine.reload(parse_config(denies.encode(), "test.yaml").config)
        before = len(made.prober.asked)
        await asyncio.sleep(100)
        looked = made.prober.asked[before:]
        assert bool(looked) is (resource == address), "an address that the file names is the operator's wish"
        if resource != address:
            assert made.status(f"tcp:{resource}:5432") == (Status.SKIPPED, Reason.NOT_ALLOWED)


async def test_a_name_that_moves_to_a_denied_address_is_not_followed() -> None:
    """The deny list holds for each answer of the nameserver, not for the first one only."""
    names: dict[str, tuple[str, ...]] = {"db.corp.internal": ("10.0.0.1",)}
    async with rig("- {name: A, address: db.corp.internal, tcp: [5432]}", names=names) as made:
        await asyncio.sleep(100)
        assert made.prober.asked
        assert isinstance(made.seat.resolver, FakeResolver)
        table = made.seat.resolver.names
        for moved in ("169.254.169.254", "127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"):
            table["db.corp.internal"] = (moved,)
            await asyncio.sleep(35)
            before = len(made.prober.asked)
            await asyncio.sleep(65)
            assert made.prober.asked[before:] == [], moved
            assert made.status("tcp:db.corp.internal:5432") == (Status.SKIPPED, Reason.NOT_ALLOWED)
