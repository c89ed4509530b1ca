"""What the watch for changes notes and whom it tells: everything around it is set by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from daemon.changes.network import Difference
from daemon.changes.ring import Changes
from daemon.changes.watch import TICK_S, ChangeWatch
from tests.support.netns import Namespace, namespace
from tests.support.sightings import RUNNING
from tests.support.surroundings import DEFAULT, EMPTY, Place, Standing, Told, route


@pytest.fixture(scope="module")
def quiet() -> Iterator[Namespace]:
    """A network in which nothing happens by itself."""
    with namespace() as made:
        yield made


HEAD = "Iface\tDestination\n"
SUBNET = route("0000580A", "0000FFFF")


@dataclass
class Hour:
    """The two clocks of a host."""

    wall: float = 1_767_000_000.0
    elapsed: float = 100.0

    def passes(self, wall_s: float, elapsed_s: float | None = None) -> None:
        """Let time pass; where the two differ the clock was set."""
        self.wall += wall_s
        self.elapsed += wall_s if elapsed_s is None else elapsed_s


class Desk:
    """A watch that is ticked by hand."""

    def __init__(self, standing: Standing) -> None:
        self.standing, self.hour, self.told = standing, Hour(), Told()
        self.changes = Changes(lambda: self.hour.wall)
        self.watch = ChangeWatch(standing, self.changes, self.told, elapsed=lambda: self.hour.elapsed)

    def tick(self, *, rung: bool = False) -> list[tuple[str, str]]:
        """Look once; return what was noted by that."""
        before = self.changes.recent()
        self.watch.tick(rung=rung)
        return [(str(c.kind), c.text) for c in self.changes.recent()[len(before) :]]


async def test_nothing_happens(quiet: Namespace) -> None:
    """Where nothing changes nothing is noted and nobody is told."""
    desk = Desk(Standing(Place(quiet.open_socket).seat(), sighting=RUNNING))
    for _ in range(5):
        desk.hour.passes(1.0)
        assert desk.tick() == []
    assert (desk.told.networks, desk.told.nameservers, desk.told.outward) == ([], 0, 0)


@pytest.mark.parametrize(
    ("wall", "elapsed", "noted"),
    [
        (1.0, 1.0, []),
        (7.0, 1.0, ["this host's clock was set forward by 6 s"]),
        (-3599.0, 1.0, ["this host's clock was set back by 3.6e+03 s"]),
        (1.9, 1.0, []),
        (3600.0, 3600.0, []),
    ],
    ids=["quiet", "forward", "back", "less-than-a-second", "asleep"],
)
async def test_step_of_the_clock(quiet: Namespace, wall: float, elapsed: float, noted: list[str]) -> None:
    """Setting the clock by a second or more is noted with its size; time that passed is no step."""
    desk = Desk(Standing(Place(quiet.open_socket).seat()))
    desk.tick()
    desk.hour.passes(wall, elapsed)
    assert [text for kind, text in desk.tick() if kind == "clock"] == noted
    desk.hour.passes(1.0)
    assert desk.tick() == [], "told once"


async def test_other_nameservers(quiet: Namespace) -> None:
    """Other nameservers in use are noted from and to, and told at once; unreadable settings are no change."""
    place = Place(quiet.open_socket)
    desk = Desk(Standing(place.seat()))
    for given, noted in (
        (("10.0.0.2",), []),
        ((), []),
        (("10.0.0.2",), []),
        (("10.0.0.3", "fd00::3"), [("nameservers", "the nameservers in use: from 10.0.0.2 to 10.0.0.3, fd00::3")]),
        (("10.0.0.3", "fd00::3"), []),
    ):
        place.resolver.set(*given)
        assert desk.tick() == noted
    assert desk.told.nameservers == 1


async def test_other_seat(quiet: Namespace) -> None:
    """It is noted from where we look when that changes, and the other network is no change of the first."""
    desk = Desk(Standing(Place(quiet.open_socket, {**EMPTY, "route": HEAD + DEFAULT}).seat()))
    desk.tick(rung=True)
    desk.standing.seats = Standing(
        Place(quiet.open_socket).seat("connector"), Place(quiet.open_socket, {**EMPTY, "route": HEAD + DEFAULT}).seat()
    ).seats
    assert desk.tick(rung=True) == [("seat", "probing from the Connector's own network now")]


async def test_both_networks_are_watched(quiet: Namespace) -> None:
    """The Connector's network elsewhere, which has no bell, is compared each tick; ours when the bell rang."""
    near, far = Place(quiet.open_socket), Place(quiet.open_socket)
    desk = Desk(Standing(far.seat("connector"), near.seat()))
    desk.tick(rung=True)
    far.tables = {**EMPTY, "route": HEAD + SUBNET}
    assert desk.tick() == [("route", "in the Connector's network: route 10.88.0.0/16 via 10.0.0.1 on eth0 was added")]
    assert desk.told.networks[-1] == Difference(networks=frozenset({"10.88.0.0/16"}))
    near.tables = {**EMPTY, "route": HEAD + DEFAULT}
    assert desk.tick(rung=True) == [("route", "on this host: the IPv4 default route was added (via 10.0.0.1 on eth0)")]
    assert desk.told.networks[-1].way_out
    far.tables = None
    assert desk.tick() == [], "its Connector is just being started anew"
    far.tables = {**EMPTY, "route": HEAD + DEFAULT}
    assert len(desk.tick()) == 2, "and compared with what it was"


@pytest.mark.looptime
async def test_network_that_never_rests(quiet: Namespace) -> None:
    """A network that changes every second for an hour has nobody asked more often than is fit, and the last is told."""
    place = Place(quiet.open_socket)
    desk = Desk(Standing(place.seat()))
    desk.tick(rung=True)
    lines = (HEAD + SUBNET, HEAD)
    for second in range(3600):
        place.tables = {**EMPTY, "route": lines[second % 2]}
        desk.tick(rung=True)
        await asyncio.sleep(1)
    relevant = [difference for difference in desk.told.networks if difference.relevant]
    assert 1000 <= len(relevant) <= 1250
    assert 300 <= desk.told.outward <= 400
    place.tables = {**EMPTY, "route": HEAD + DEFAULT}
    desk.tick(rung=True)
    desk.told.networks.clear()
    desk.told.outward = 0
    for _ in range(15):
        desk.tick()
        await asyncio.sleep(1)
    assert desk.told.outward == 1, "what was owed is asked when it may be, and once"


@pytest.mark.looptime
async def test_links_of_containers_have_the_host_asked_at_most(quiet: Namespace) -> None:
    """Rings without a visible effect have the host's own row asked, which costs nothing, and that not for ever."""
    desk = Desk(Standing(Place(quiet.open_socket).seat()))
    desk.tick(rung=True)
    desk.told.networks.clear()
    for _ in range(600):
        await asyncio.sleep(1)
        desk.tick(rung=True)
    assert not any(difference.relevant for difference in desk.told.networks)
    assert desk.told.outward == 0
    assert 50 <= len(desk.told.networks) <= 75


@contextlib.asynccontextmanager
async def sleeper() -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that stands in for the Connector."""
    process = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the kernel does next, a bounded time."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.01)


async def test_end_of_the_process_is_heard_at_once(quiet: Namespace) -> None:
    """The Connector's process ends: that is told at once, without a tick; a runtime that lags is asked again."""
    async with sleeper() as process:
        desk = Desk(Standing(Place(quiet.open_socket).seat(), sighting=replace(RUNNING, pid=process.pid)))
        desk.tick()
        desk.tick()
        assert desk.told.ends == 0
        process.kill()
        await until(lambda: desk.told.ends == 1)
        for _ in range(50):
            desk.tick()
        assert desk.told.ends == 6, "the runtime says all the time that it runs: that is believed in the end"
        desk.standing.sighting = replace(RUNNING, running=False, pid=None, status="exited", exit_code=137)
        assert desk.tick() == [("connector", "the Connector (twingate-1) has stopped: exited, exit code 137")]
        assert desk.told.ends == 6


async def test_next_process_is_followed(quiet: Namespace) -> None:
    """After a restart it is the new process whose end is heard of; the old one's is no news."""
    async with sleeper() as first, sleeper() as second:
        desk = Desk(Standing(Place(quiet.open_socket).seat(), sighting=replace(RUNNING, pid=first.pid)))
        desk.tick()
        desk.standing.sighting = replace(RUNNING, pid=second.pid, id="b" * 12)
        text = f"the Connector (twingate-1) was started anew (process {second.pid})"
        assert desk.tick() == [("connector", text)]
        first.kill()
        await first.wait()
        await asyncio.sleep(0.05)
        assert desk.told.ends == 0
        second.kill()
        await until(lambda: desk.told.ends == 1)


async def test_process_that_can_not_be_seen(quiet: Namespace) -> None:
    """A number that is nobody's here (another PID namespace) has the Connector looked at once, and never again."""
    async with sleeper() as process:
        pid = process.pid
    desk = Desk(Standing(Place(quiet.open_socket).seat(), sighting=replace(RUNNING, pid=pid, id="c")))
    for _ in range(20):
        desk.tick()
    assert desk.told.ends <= 6


@pytest.mark.looptime
async def test_runs_until_cancelled(quiet: Namespace) -> None:
    """The root task ticks by itself, and leaves nothing behind when it is cancelled."""
    place = Place(quiet.open_socket)
    desk = Desk(Standing(place.seat()))
    task = asyncio.get_running_loop().create_task(desk.watch.run())
    await asyncio.sleep(10 * TICK_S)
    place.resolver.set("10.0.0.9")
    await asyncio.sleep(2 * TICK_S)
    assert [c.kind for c in desk.changes.recent()] == ["nameservers"]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not desk.watch._bell.hangs
