"""Shared questions, and what a cancelled lookup leaves: nothing."""

import asyncio
from collections.abc import Callable, Coroutine

import dns.message
import dns.rcode
import pytest

from checks.net.seat import Resolution
from tests.support.cancel import check_cancellation
from tests.support.nameservers import Send, silent
from tests.support.stubs import serving, stub, zone

A = zone({"db.test. A": "10.0.0.1"})


async def _together(*makers: Callable[[], Coroutine[object, object, Resolution]]) -> list[Resolution]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(maker()) for maker in makers]
    return [task.result() for task in tasks]


async def test_same_name_shares_one_question() -> None:
    """Callers that want one name at the same time share the question; later callers ask anew."""
    async with serving(A) as (server,):
        resolver = stub(server.endpoint)
        found = await _together(*[lambda: resolver.resolve("db.test")] * 5, lambda: resolver.resolve("other.test"))
        assert len(server.asked) == 2
        assert len({id(resolution) for resolution in found}) == 2
        await resolver.resolve("db.test")
        assert len(server.asked) == 3


async def test_cancelled_asker_hands_over() -> None:
    """When the caller that asks is cancelled, one of those that wait asks in its place."""
    calls = 0
    came = asyncio.Event()

    def on_udp(query: dns.message.Message, send: Send) -> None:
        nonlocal calls
        calls += 1
        came.set()
        if calls > 1:
            A(query, send)

    async with serving(on_udp) as (server,):
        resolver = stub(server.endpoint)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(resolver.resolve("db.test")) for _ in range(4)]
        await came.wait()
        tasks[1].cancel()  # one that only waits changes nothing
        tasks[0].cancel()
        done, _ = await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, True, False, False]
    assert len(done) == 4
    assert tasks[2].result().addresses == tasks[3].result().addresses == ("10.0.0.1",)
    assert calls == 2


@pytest.mark.parametrize("thorough", [True, False])
async def test_cancelled_lookup_leaves_nothing(thorough: bool) -> None:
    """Cancelled at any await, a lookup leaves no socket and no task."""
    async with serving(A, silent) as servers:
        resolver = stub(*(server.endpoint for server in servers), timeout_s=0.1)
        await check_cancellation(lambda: resolver.lookup("db.test", thorough=thorough, first=0))


async def test_cancelled_resolution_leaves_nothing() -> None:
    """Cancelled at any await, a resolution leaves no socket, no task, and no flight that others would wait for."""
    async with serving(zone({"db.test. AAAA": "fd00::1"})) as (server,):
        resolver = stub(server.endpoint)
        await check_cancellation(lambda: resolver.resolve("db.test"))
        assert (await resolver.resolve("db.test")).addresses == ("fd00::1",)
