"""Long work on the event loop in slices, so that others run in between: a probe's timing must not suffer from a reader.

Work is written as a generator of steps that yields after each batch of rows and returns what it has made. Driven by
`in_slices` it lets the loop go whenever a slice of time is used up; `at_once` is for who has no loop to hold.
"""

import asyncio
import heapq
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]

SLICE_S = 0.004  # seconds for which the loop is held at a time; several who do so at once stay far below 25 ms
BATCH = 200  # rows between two looks at the clock: less than a millisecond of work for most that is done with a row
SORTED = 500  # rows sorted at a time: the C code of a sort can't be interrupted


async def in_slices(steps: Steps[T]) -> T:
    """Drive steps to their end; the loop is never held for longer than about SLICE_S at a time."""
    clock = asyncio.get_running_loop().time
    begin = clock()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        if clock() - begin >= SLICE_S:
            await asyncio.sleep(0)
            begin = clock()


def at_once(steps: Steps[T]) -> T:
    """Drive steps to their end without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """Yield a sequence in parts of at most `size`; a list that grows meanwhile is followed to its end."""
    start = 0
    while start < len(items):
        yield items[start : start + size]
        start += size


def sort_steps(items: Sequence[T], key: Callable[[T], Any]) -> Steps[list[T]]:
    """Sort in steps, stably; `key` is asked once for each item. Comparing keys must not fail."""
    runs: list[list[tuple[Any, int, T]]] = []
    for place, batch in enumerate(batches(items, SORTED)):
        runs.append(sorted((key(item), place * SORTED + n, item) for n, item in enumerate(batch)))
        yield
    if len(runs) == 1:
        return [item for _, _, item in runs[0]]
    found: list[T] = []
    for count, (_, _, item) in enumerate(heapq.merge(*runs)):
        if count % BATCH == 0:
            yield
        found.append(item)
    return found
