import asyncio
import gc
import threading
import weakref

import pytest

from checks.blocking import MAX_WAITING, Blocking, BusyError


async def test_a_call_returns_what_the_function_returns() -> None:
    """The function runs in another thread, and its result comes back."""
    blocking = Blocking("test")
    assert await blocking.call(threading.current_thread, 5.0) is not threading.current_thread()
    assert await blocking.close(5.0)


async def test_a_call_raises_what_the_function_raises() -> None:
    """An exception crosses over to who awaits, and the thread lives on."""
    blocking = Blocking("test")
    with pytest.raises(ZeroDivisionError):
        await blocking.call(lambda: 1 // 0, 5.0)
    assert await blocking.call(lambda: 1, 5.0) == 1
    assert await blocking.close(5.0)


async def test_a_call_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """The time-out holds though the thread hangs; further calls fail in time or at once, and closing is bounded too."""
    blocking, release = Blocking("test"), threading.Event()
    try:
        for _ in range(1 + MAX_WAITING):
            with pytest.raises(TimeoutError):
                await blocking.call(release.wait, 0.01)
        with pytest.raises(BusyError):
            await blocking.call(release.wait, 0.01)
        assert not await blocking.close(0.05)
    finally:
        release.set()
    assert await blocking.close(5.0)
    await asyncio.sleep(0)
    assert caplog.text == "", "the late result disturbs nobody"


async def test_a_call_that_was_given_up_before_its_turn_is_not_made() -> None:
    """What nobody waits for any more is not begun."""
    blocking, release = Blocking("test"), threading.Event()
    made: list[int] = []
    with pytest.raises(TimeoutError):
        await blocking.call(release.wait, 0.01)
    with pytest.raises(TimeoutError):
        await blocking.call(lambda: made.append(1), 0.01)
    release.set()
    await blocking.call(lambda: made.append(2), 5.0)
    assert made == [2]
    assert await blocking.close(5.0)


async def test_calls_run_beside_each_other_up_to_the_number_of_threads() -> None:
    """Two threads run two calls at once; one thread runs them one after another."""
    blocking, barrier = Blocking("test", threads=2), threading.Barrier(2)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(blocking.call(lambda: barrier.wait(5), 5.0))
    assert await blocking.close(5.0)


def test_a_hanging_thread_does_not_keep_the_loop_from_ending() -> None:
    """asyncio.run returns though a thread still hangs, and the late result disturbs nobody."""
    release = threading.Event()

    async def give_up() -> list[threading.Thread]:
        before = set(threading.enumerate())
        blocking = Blocking("test")
        with pytest.raises(TimeoutError):
            await blocking.call(release.wait, 0.01)
        return [thread for thread in threading.enumerate() if thread not in before]

    (thread,) = asyncio.run(give_up())
    assert thread.daemon
    release.set()
    thread.join(0.2)
    assert thread.is_alive(), "it waits for its next call, which never comes; the interpreter does not wait for it"


async def test_nothing_is_kept_of_a_call_that_is_over() -> None:
    """What was given to a call, and what came of it, is free before the next call comes."""

    class Large:
        pass

    blocking = Blocking("test")

    async def call() -> list[weakref.ref[Large]]:
        given = Large()
        made = await blocking.call(lambda: (given, Large()), 5.0)
        return [weakref.ref(one) for one in made]

    refs = await call()
    async with asyncio.timeout(5):
        while any(ref() is not None for ref in refs):
            await asyncio.sleep(0.01)
            gc.collect()
    assert await blocking.close(5.0)
