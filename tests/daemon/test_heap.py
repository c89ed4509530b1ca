"""The collector of garbage: it does not look through all that stays while we work, and leaves no cycle behind."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Iterator

import pytest

from daemon import heap

YOUNG = 700 * 10 * 20  # objects after which, by Python's own numbers, full collections would have come


class Node:
    """Something that may refer to itself."""

    def __init__(self) -> None:
        self.other: object = None


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the collector of this process as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def _cycle() -> "weakref.ref[Node]":
    one = Node()
    one.other = one
    return weakref.ref(one)


def test_no_full_collection_while_rows_come_and_go() -> None:
    """Rows that are replaced again and again bring about collections of the young, and none of everything."""
    gc.collect()
    rows = [Node() for _ in range(1000)]
    heap.settle()
    before = [stats["collections"] for stats in gc.get_stats()]
    held: list[list[Node]] = []
    for number in range(YOUNG):
        held.append([Node()])
        rows[number % len(rows)] = held[-1][0]
    young, middle, full = (now["collections"] - was for now, was in zip(gc.get_stats(), before, strict=True))
    assert (young > 0, middle > 0, full) == (True, True, 0)


def test_cycles_go_all_the_same() -> None:
    """What refers to itself and is forgotten is collected with the young, without a full collection."""
    heap.settle()
    forgotten = _cycle()
    gc.collect(1)
    assert forgotten() is None


def test_what_a_reload_replaced_goes() -> None:
    """What was there at the first call and is forgotten by the second does not stay for ever."""
    gc.disable()  # so that nobody else collects it in between
    try:
        plan = Node()
        plan.other = plan
        gone = weakref.ref(plan)
        heap.settle()
        del plan
        gc.collect()
        assert gone() is not None, "it was taken for lasting"
        heap.settle()
        assert gone() is None
    finally:
        gc.enable()


def test_a_large_reload_is_taken_for_lasting_without_a_full_collection() -> None:
    """What many new jobs brought is left alone from then on; nothing else is looked through for that, nor for few."""
    heap.settle()
    full, frozen = gc.get_stats()[2]["collections"], gc.get_freeze_count()
    plan = [Node() for _ in range(heap.MANY)]
    heap.keep(heap.MANY - 1)
    assert gc.get_freeze_count() == frozen
    heap.keep(len(plan))
    assert gc.get_freeze_count() >= frozen + heap.MANY
    assert gc.get_stats()[2]["collections"] == full


@pytest.mark.looptime
async def test_the_young_are_looked_at_each_second() -> None:
    """Rows that replace each other never make Python look: we do, so that no burst has to go through all of them."""
    heap.settle()
    task = asyncio.get_running_loop().create_task(heap.tend())
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    try:
        await asyncio.sleep(8.5)
    finally:
        gc.callbacks.remove(note)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert seen == [0, 0, 0, 1, 0, 0, 0, 1]
