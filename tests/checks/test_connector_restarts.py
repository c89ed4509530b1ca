"""How restarts are counted: from look to look, on virtual time."""

import asyncio
from dataclasses import replace

import pytest

from checks.connector import ConnectorSpec, new_memory, probe
from checks.connector_restarts import MAX_KEPT, Restarts
from checks.model import Outcome, Reason, Status
from checks.runtime.model import Sighting
from tests.support.sightings import RUNNING, STARTED_AT, Looks, standing, stopped

INTERVAL_S = 15.0
GONE = Sighting(runtime="docker", problem=Reason.NOT_FOUND)


def started(number: int, *, restarts: int | None = 0, started_at: float | None = STARTED_AT) -> Sighting:
    """Make the sighting of the process that was started as number so-and-so."""
    return replace(RUNNING, id=f"process-{number}", restarts=restarts, started_at=started_at)


def down(restarts: int | None = None) -> Sighting:
    """Make the sighting of a unit that does not run: its id names no process any more."""
    return replace(stopped(), id="no process", started_at=None, restarts=restarts)


@pytest.mark.parametrize(
    ("sightings", "count"),
    [
        pytest.param((started(1, restarts=7),), 0, id="the first look counts none, whatever the runtime counted"),
        pytest.param((started(1), started(1), started(1)), 0, id="nothing changed"),
        pytest.param((started(1), started(2), started(3)), 2, id="another process"),
        pytest.param((started(1), started(2, restarts=1)), 1, id="one restart seen in both ways"),
        pytest.param((started(1), started(2, restarts=4)), 4, id="several between two looks"),
        pytest.param((started(1), started(1, restarts=2)), 2, id="only the count grows"),
        pytest.param((started(1, restarts=5), started(2, restarts=0)), 1, id="started by hand: the count begins anew"),
        pytest.param((started(1, restarts=5), started(2, restarts=2)), 3, id="and has grown since"),
        pytest.param((started(1, restarts=5), started(1, restarts=0)), 0, id="a count that is reset is no restart"),
        pytest.param((started(1, restarts=None), started(2, restarts=None)), 1, id="a runtime that does not count"),
        pytest.param((started(1), GONE, started(1)), 0, id="not found for a moment"),
        pytest.param((started(1), GONE, started(2)), 1, id="made anew"),
        pytest.param((started(1), down(), down(), started(2)), 1, id="stopped for a while, then started"),
        pytest.param((started(1), down(), started(1)), 0, id="paused and resumed"),
        pytest.param((down(), down(), started(1)), 0, id="a first start is no restart"),
        pytest.param((started(1), down(restarts=1), started(2, restarts=1)), 1, id="counted while it waits to start"),
        pytest.param((started(1), down(restarts=1), started(2, restarts=3)), 3, id="and again before the next look"),
        pytest.param((started(1), down(restarts=4), down(restarts=9)), 9, id="a loop that is never seen running"),
        pytest.param((started(1, restarts=5), down(restarts=0), started(2)), 1, id="stopped and started by hand"),
        pytest.param((started(1), replace(RUNNING, running=None), started(1)), 0, id="nothing told whether it runs"),
    ],
)  # fmt: skip
def test_restarts_are_counted_from_look_to_look(sightings: tuple[Sighting, ...], count: int) -> None:
    """What changed between two looks counts; the first look, and one that saw nothing, never do."""
    restarts = Restarts()
    for number, sighting in enumerate(sightings):
        restarts.note(sighting, number * INTERVAL_S)
    assert restarts.total == restarts.lately(len(sightings) * INTERVAL_S) == count


@pytest.mark.parametrize(("shift", "count"), [(0.0, 0), (1.0, 0), (-1.9, 0), (3.0, 1)])
def test_a_start_read_a_little_differently_is_the_same(shift: float, count: int) -> None:
    """Where only the time of the start tells, rounding and small clock steps are no restart."""
    restarts = Restarts()
    for at in (STARTED_AT, STARTED_AT + shift):
        restarts.note(replace(RUNNING, id="", restarts=None, started_at=at), at)
    assert restarts.total == count


async def looks(memory: Restarts, *sightings: Sighting) -> list[Outcome]:
    """Look once in each interval."""
    context, found = replace(standing(), memory=memory, connector=Looks(*sightings)), []
    for _ in sightings:
        found.append((await probe(ConnectorSpec(), context))["process"])
        await asyncio.sleep(INTERVAL_S)
    return found


@pytest.mark.looptime
async def test_three_restarts_within_15_minutes_are_a_warning() -> None:
    """From the third on it is `restarting`; 15 minutes after the first of them it is ok again, and the total stays."""
    memory = new_memory()
    first = await looks(memory, *(started(n) for n in range(4)))
    assert [o.status for o in first] == [Status.OK] * 3 + [Status.WARNING]
    assert (first[-1].reason, first[-1].facts["restarts_15m"]) == (Reason.RESTARTING, 3)
    assert "restarted 3 times in the last 15 minutes" in first[-1].summary
    quiet = await looks(memory, *(started(3) for _ in range(61)))
    assert [o.status for o in quiet].count(Status.WARNING) == 58
    assert (quiet[-1].status, quiet[-1].facts["restarts"], quiet[-1].facts["restarts_15m"]) == (Status.OK, 3, 0)


@pytest.mark.looptime
async def test_three_restarts_spread_over_a_long_time_are_none() -> None:
    """What happened while nobody could look is spread over that time: three in an hour are not three in 15 minutes."""
    memory = new_memory()
    await looks(memory, started(1))
    await asyncio.sleep(3600)
    (found,) = await looks(memory, started(2, restarts=3))
    assert (found.status, found.facts["restarts"], found.facts["restarts_15m"]) == (Status.OK, 3, 1)


@pytest.mark.looptime
async def test_what_stopped_in_the_end_is_not_running() -> None:
    """A restart loop that is between two attempts is critical; how often it restarted is told beside that."""
    found = await looks(new_memory(), *(started(n) for n in range(4)), replace(stopped("restarting"), id="process-3"))
    assert (found[-1].reason, found[-1].facts["also"]) == (Reason.NOT_RUNNING, ("restarting",))


@pytest.mark.looptime
async def test_what_is_not_found_any_more_keeps_its_count() -> None:
    """The counter goes on where the Connector is gone: a counter that comes and goes can't be read."""
    found = await looks(new_memory(), started(1), started(2), GONE)
    assert [o.facts["restarts"] for o in found] == [0, 1, 1]


def test_a_count_without_end_is_bounded() -> None:
    """A runtime that claims a billion restarts costs nothing."""
    restarts = Restarts()
    restarts.note(started(1), 0.0)
    restarts.note(started(1, restarts=10**9), INTERVAL_S)
    assert (restarts.total, restarts.lately(INTERVAL_S)) == (10**9, MAX_KEPT)
