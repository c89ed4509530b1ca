"""Long work in slices."""

import asyncio
import itertools
import random

import pytest

from daemon.slices import BATCH, SLICE_S, SORTED, Steps, at_once, batches, in_slices, sort_steps
from tests.support.sliced import stepped


def work(steps: int, took_s: float) -> Steps[int]:
    """Take so many steps, each of which holds the loop for a while on its clock."""
    clock = asyncio.get_running_loop()
    for _ in range(steps):
        clock.held_s = getattr(clock, "held_s", 0.0) + took_s  # type: ignore[attr-defined]
        yield
    return steps


async def test_others_run_whenever_a_slice_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two turns of the loop lies about a slice of time, and never more than a slice and a step."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: getattr(loop, "held_s", 0.0))
    turns: list[float] = []

    async def watch() -> None:
        while True:
            turns.append(loop.time())
            await asyncio.sleep(0)

    step_s = SLICE_S / 10
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watch())
        await asyncio.sleep(0)
        assert await in_slices(work(200, step_s)) == 200
        watcher.cancel()
    holds = [after - before for before, after in itertools.pairwise(turns)]
    assert len(turns) >= 200 * step_s / (SLICE_S + step_s)
    assert max(holds) <= SLICE_S + step_s * 1.01


async def test_steps_that_fail_or_are_cancelled() -> None:
    """An error of the work is its caller's; a cancellation ends it at the next pause."""
    ended: list[str] = []

    def broken() -> Steps[None]:
        yield
        raise ValueError("broken")

    def endless() -> Steps[None]:
        try:
            while True:
                yield
        finally:
            ended.append("endless")

    with pytest.raises(ValueError, match="broken"):
        await in_slices(broken())
    steps = endless()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await in_slices(steps)
    steps.close()
    assert ended == ["endless"]


@pytest.mark.parametrize("size", [0, 1, SORTED - 1, SORTED, SORTED + 1, 7 * SORTED + 3])
def test_sorting_in_steps_is_sorting(size: int) -> None:
    """What is sorted piece by piece is sorted, and what is equal keeps its order."""
    rng = random.Random(size)
    items = [(rng.randrange(50), n) for n in range(size)]
    found, pauses = stepped(sort_steps(items, key=lambda item: item[0]))
    assert found == sorted(items, key=lambda item: item[0])
    assert pauses >= size // SORTED


def test_batches() -> None:
    """Nothing is left out, and nothing is more than a batch."""
    items = list(range(2 * BATCH + 1))
    parts = list(batches(items))
    assert [n for part in parts for n in part] == items
    assert max(map(len, parts)) == BATCH
    assert list(batches(())) == []


def test_at_once_returns_what_was_made() -> None:
    """Who has no loop to hold gets the same."""
    assert at_once(sort_steps([3, 1, 2], key=lambda n: n)) == [1, 2, 3]
