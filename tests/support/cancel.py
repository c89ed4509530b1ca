"""The promise "cancelling leaves nothing behind", tested at every await there is.

The coroutine is run again and again. Run N is cancelled at the Nth time that it, or a task it started, waits: once as
soon as it waits, and once when what it waited for is just done (the moment at which a result, say a new connection, is
easily lost). After each run no task of its own and no file descriptor may be left, and the cancellation must not have
been swallowed. The first run that ends before its turn ends the test.
"""

# ruff: noqa: ANN401 - a wrapper passes on what it does not look at

import asyncio
import contextvars
import os
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

MAX_WAITS = 2000  # a coroutine that waits more often than this has no place in a test that runs it once for each
SETTLE_ROUNDS = 200  # a scripted server in this loop needs some rounds to see that its client is gone
SETTLE_S = 0.005

_watch: contextvars.ContextVar["_Watch | None"] = contextvars.ContextVar("_watch", default=None)


async def check_cancellation(make_coro: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """Cancel a fresh coroutine from `make_coro` at each of its waits; return how many waits there are.

    Whatever else runs in this loop (scripted servers) may be used by the coroutine, and is not judged.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(_make_task)  # type: ignore[arg-type]
    try:
        waits = 0
        for late in (False, True):
            for turn in range(MAX_WAITS):
                if not await _cancelled_at(make_coro, turn, late=late):
                    waits = max(waits, turn)
                    break
            else:
                raise AssertionError(f"it still waits after {MAX_WAITS} waits")
        return waits
    finally:
        loop.set_task_factory(before)


async def _cancelled_at(make_coro: Callable[[], Coroutine[Any, Any, object]], turn: int, *, late: bool) -> bool:
    """Cancel at wait number `turn`; tell whether that wait was reached. Raises: AssertionError."""
    where = f"cancelled at wait {turn}{' when it was over' if late else ''}"
    descriptors = _descriptors()
    watch = _Watch(turn, late=late)
    token = _watch.set(watch)
    try:
        main = asyncio.get_running_loop().create_task(make_coro())
    finally:
        _watch.reset(token)
    watch.main = main
    try:
        await main
    except asyncio.CancelledError:
        assert watch.cancelled, f"{where}: it cancelled itself"
    else:
        assert not watch.cancelled, f"{where}: the cancellation was swallowed"
    left = [task for task in watch.tasks if not task.done()]
    assert not left, f"{where}: tasks are left: {left}"
    for _ in range(SETTLE_ROUNDS):
        if not _descriptors().keys() - descriptors.keys():
            break
        await asyncio.sleep(SETTLE_S)
    leaked = {n: what for n, what in _descriptors().items() if n not in descriptors}
    assert not leaked, f"{where}: descriptors are left open: {leaked}"
    return watch.cancelled


class _Watch:
    """One run: counts the waits of all its tasks, and cancels the first of them in its turn."""

    def __init__(self, turn: int, *, late: bool) -> None:
        self.turn = turn
        self.late = late
        self.main: asyncio.Task[object] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.cancelled = False
        self._waits = 0

    def waiting(self, on: object) -> None:
        self._waits += 1
        if self._waits != self.turn + 1:
            return
        if self.late and isinstance(on, asyncio.Future):
            on.add_done_callback(lambda _: self._cancel())  # runs before the task is woken: it adds its own later
        else:
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        if self.main is not None and self.main.cancel():
            self.cancelled = True


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells each time it waits."""

    def __init__(self, coro: Coroutine[Any, Any, Any], watch: _Watch) -> None:
        self._coro = coro
        self._watch = watch

    def send(self, value: Any, /) -> Any:
        waited_on = self._coro.send(value)
        self._watch.waiting(waited_on)
        return waited_on

    def throw(self, kind: Any, value: Any = None, trace: TracebackType | None = None, /) -> Any:
        waited_on = self._coro.throw(kind) if value is None else self._coro.throw(kind, value, trace)
        self._watch.waiting(waited_on)
        return waited_on

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()


def _make_task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    watch = _watch.get()
    if watch is None:
        return asyncio.Task(coro, loop=loop, **options)
    task: asyncio.Task[Any] = asyncio.Task(_Watched(coro, watch), loop=loop, **options)
    watch.tasks.append(task)
    return task


def _descriptors() -> dict[str, str]:
    """Return the open file descriptors of this process and what they are."""
    found = {}
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is wanted
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except FileNotFoundError:  # the listing's own
            continue
    return found
