import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from daemon.looplag import STEP_S, WINDOW_S, LoopLag


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[LoopLag]:
    """Watch the loop for the block."""
    lag = LoopLag()
    task = asyncio.get_running_loop().create_task(lag.run())
    await asyncio.sleep(0)
    try:
        yield lag
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def stand_still(seconds: float) -> tuple[float, float]:
    """Block the loop as a long computation would; return the loop's time before and after."""
    before = asyncio.get_running_loop().time()
    time.sleep(seconds)  # noqa: ASYNC251 - the fault under test
    return before, asyncio.get_running_loop().time()


async def test_a_standstill_is_seen_by_a_probe_it_hit() -> None:
    """Right after a standstill, before the watcher itself was woken, a probe can tell that the loop was late."""
    async with watching() as lag:
        before, after = await stand_still(0.4)
        assert 0.4 - STEP_S - 0.01 <= lag.between(before, after) <= after - before


async def test_a_standstill_stays_on_record() -> None:
    """Once the watcher was woken, the lag is still known for the time it hit, and as the largest of the last minute."""
    async with watching() as lag:
        before, after = await stand_still(0.4)
        await asyncio.sleep(4 * STEP_S)
        now = asyncio.get_running_loop().time()
        assert lag.between(before, after) >= 0.4 - STEP_S - 0.01
        assert lag.largest() >= 0.4 - STEP_S - 0.01
        assert lag.between(now - STEP_S, now) < 0.3, "a probe that began later was not hit"
        assert lag.between(before - 10, before - 5) == 0.0


@pytest.mark.looptime
async def test_a_loop_that_keeps_up_has_no_lag() -> None:
    """Nothing is noted while the loop keeps up."""
    async with watching() as lag:
        await asyncio.sleep(10)
        assert lag.largest() < 0.01


@pytest.mark.looptime
async def test_old_lag_is_forgotten() -> None:
    """The largest lag is that of the last minute, and no more is kept."""
    async with watching() as lag:
        await asyncio.sleep(1)
        lag._late.append((0.1, 0.9))
        assert lag.largest() == pytest.approx(0.8)
        await asyncio.sleep(WINDOW_S + 1)
        assert lag.largest() < 0.01
        assert not lag._late
