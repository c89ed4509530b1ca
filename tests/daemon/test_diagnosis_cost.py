"""What thinking about 20,000 failures costs: never the loop."""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from daemon.diagnosis import rules_network
from daemon.diagnosis.diagnostician import Diagnostician, diagnose_once
from tests.support.scenes import Place

MANY = 20_000
PROMISED_HOLD_S = 0.025
GENEROUS = 3  # a busy machine takes the CPU away for longer than we hold it
STEPS = 100  # at the very least: each is a place where others may run


@pytest.fixture(autouse=True)
def quiet_memory() -> Iterator[None]:
    """Keep the collector from looking through 20,000 rows of the test's own while time is taken."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _refusing(place: Place, number: int) -> None:
    place.tcp(f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}", 5432, "refused")


def _silent(place: Place, number: int) -> None:
    place.tcp(f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}", 5432, "timeout")


def _nameless(place: Place, number: int) -> None:
    place.dns(f"n{number}.z{number % 50}.corp.internal", "timeout", ns_192_168_0_53="timeout")


def _not_asked(place: Place, number: int) -> None:
    place.skip(f"tcp:10.0.{number // 250}.{number % 250}:443", "connector:process")


def _mixed(place: Place, number: int) -> None:
    place.tcp(f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}", 5432, "timeout" if number % 3 else None)


def crowd(one: Callable[[Place, int], None]) -> Place:
    """Return a place with many rows of a kind."""
    place = Place()
    place.nameserver("192.168.0.53", "timeout" if one is _nameless else None)
    place.connector("not_running" if one is _not_asked else None)
    for number in range(MANY):
        one(place, number)
    return place


@pytest.mark.parametrize(
    ("one", "causes"),
    [(_refusing, MANY), (_silent, 1), (_nameless, 1), (_not_asked, 1), (_mixed, MANY * 2 // 3)],
)
async def test_the_loop_is_never_held(one: Callable[[Place, int], None], causes: int) -> None:
    """However 20,000 rows fail, others run between the steps, and none of the steps is long."""
    place = crowd(one)
    gc.collect()
    gc.freeze()
    loop = asyncio.get_running_loop()
    diagnostician = Diagnostician(loop.time)
    longest, turns = 0.0, 0

    async def watch() -> None:
        nonlocal longest, turns
        last = loop.time()
        while True:
            await asyncio.sleep(0)
            longest, last, turns = max(longest, loop.time() - last), loop.time(), turns + 1

    for _ in range(2):  # the first time every row is read, from then on those that changed
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch())
            await asyncio.sleep(0)
            begin = loop.time()
            diagnosis = await diagnostician.diagnose(place.scene())
            took_s = loop.time() - begin
            watcher.cancel()
        print(f"{one.__name__}: {took_s * 1000:.0f} ms, longest hold {longest * 1000:.1f} ms")  # noqa: T201
        assert abs(len(diagnosis.causes) - causes) <= 1
    assert turns > 1
    assert longest <= PROMISED_HOLD_S * GENEROUS


def test_work_is_cut_into_many_steps() -> None:
    """Whatever the machine's speed, the work has places to pause at, more of them the more there is."""
    steps = Diagnostician(lambda: 0.0).steps(crowd(_refusing).scene())
    assert sum(1 for _ in steps) >= STEPS


@pytest.mark.parametrize(("bound", "told"), [("", 8), ("MOST_SUBNETS", 5), ("MOST_PREFIXES", 3)])
def test_a_nameserver_that_scatters_addresses(monkeypatch: pytest.MonkeyPatch, bound: str, told: int) -> None:
    """Silent subnets beyond a bound are not told, nor looked at: each port that fails there speaks for itself."""
    if bound:
        monkeypatch.setattr(rules_network, bound, 5)
    place = Place()
    for number in range(24):
        place.tcp(f"n{number}.corp.internal", 5432, "timeout", ips=(f"2001:db8:{number // 3}::{number:x}",))
    codes = Counter(cause.code for cause in diagnose_once(place.scene()).causes)
    assert codes == Counter(SubnetUnreachable=told, PortFails=24 - 3 * told)
