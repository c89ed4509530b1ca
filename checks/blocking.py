"""The only door to threads: calls that have no asynchronous form (SQLite, a container engine's library).

A thread can't be cancelled, and the standard pool's threads are joined when the interpreter ends: one call that never
returns (a disk that hangs) would keep the process from ever stopping. Here threads are daemonic, few, and never waited
for longer than was said; what can be lost is the result of a call that nobody waits for any more.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
MAX_WAITING = 8  # calls that wait for a thread: more means that it hangs, and waiting longer would not help


class BusyError(Exception):
    """All threads are busy and enough calls are waiting: the call was not made."""


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[[], object]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Blocking:
    """A few daemonic threads of one purpose, started when first needed. One thread runs calls one after another."""

    def __init__(self, purpose: str, threads: int = 1) -> None:
        self._purpose = purpose
        self._most = threads
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    async def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Run `function` in a thread and return its result, within `timeout_s` seconds.

        On a time-out or cancellation the call goes on in its thread, unwatched; one that still waits is not begun.
        Raises: BusyError, TimeoutError, and whatever `function` raises.
        """
        if self._unfinished >= self._most + MAX_WAITING:
            raise BusyError(f"{self._purpose}: {self._unfinished} calls have not ended")
        loop = asyncio.get_running_loop()
        call = _Call(function, loop, loop.create_future())
        self._unfinished += 1
        self._calls.put(call)
        if len(self._threads) < min(self._most, self._unfinished):
            name = f"{self._purpose}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        async with asyncio.timeout(timeout_s):
            result: T = await call.future
            return result

    async def close(self, timeout_s: float) -> bool:
        """End the threads; return False when one was still busy after `timeout_s` seconds (it is left behind)."""
        for _ in self._threads:
            self._calls.put(None)
        end = asyncio.get_running_loop().time() + timeout_s
        while any(thread.is_alive() for thread in self._threads):
            if asyncio.get_running_loop().time() >= end:
                return False
            await asyncio.sleep(0.005)  # a thread's end can't be awaited; this happens once in a process's life
        self._threads.clear()
        return True

    def _work(self) -> None:
        while self._work_once():
            pass

    def _work_once(self) -> bool:
        """Make one call; a method of its own, so that nothing of it is kept until the next one comes."""
        call = self._calls.get()
        if call is None:
            return False
        result: object = None
        error: BaseException | None = None
        if not call.future.cancelled():
            try:
                result = call.function()
            except BaseException as raised:  # noqa: BLE001 - not handled here: carried over to who awaits
                error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody awaits any more
            call.loop.call_soon_threadsafe(self._deliver, call.future, result, error)
        return True

    def _deliver(self, future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
        self._unfinished -= 1
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
