"""Shared questions, and what a cancelled lookup leaves: nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace

import dns.message
import dns.rcode
import pytest

from checks.net.endpoint import Endpoint
from checks.net.resolvconf import Settings
from checks.net.seat import Resolution, open_socket
from checks.net.stub import StubResolver
from tests.support.cancel import check_cancellation
from tests.support.nameservers import OnUdp, Scripted, Send, reply, scripted, silent


class _Fixed:
    """Settings that a test changes by hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def current(self) -> Settings:
        return self.settings


def _resolver(*nameservers: Endpoint, timeout_s: float = 5.0, **more: object) -> StubResolver:
    settings = replace(Settings(nameservers=nameservers), **more)  # type: ignore[arg-type]
    return StubResolver(_Fixed(settings), open_socket, timeout_s)


def _zone(records: dict[str, str]) -> OnUdp:
    """Answer from "NAME TYPE" → data; another type of a known name is empty, another name does not exist."""
    known = {key.split()[0] for key in records}

    def on_udp(query: dns.message.Message, send: Send) -> None:
        question = query.question[0]
        name, kind = question.name.to_text(), question.rdtype.name
        data = records.get(f"{name} {kind}")
        if data:
            send(reply(query, f"{name} 60 IN {kind} {data}"))
        else:
            send(reply(query, rcode=dns.rcode.NOERROR if name in known else dns.rcode.NXDOMAIN))

    return on_udp


@contextlib.asynccontextmanager
async def _serving(*scripts: OnUdp) -> AsyncIterator[list[Scripted]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(scripted(script)) for script in scripts]


A = _zone({"db.test. A": "10.0.0.1"})


async def _together(*makers: Callable[[], Coroutine[object, object, Resolution]]) -> list[Resolution]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(maker()) for maker in makers]
    return [task.result() for task in tasks]


async def test_same_name_shares_one_question() -> None:
    """Callers that want one name at the same time share the question; later callers ask anew."""
    async with _serving(A) as (server,):
        resolver = _resolver(server.endpoint)
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

    async with _serving(on_udp) as (server,):
        resolver = _resolver(server.endpoint)
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
    async with _serving(A, silent) as servers:
        resolver = _resolver(*(server.endpoint for server in servers), timeout_s=0.1)
        await check_cancellation(lambda: resolver.lookup("db.test", thorough=thorough, first=0))


async def test_cancelled_resolution_leaves_nothing() -> None:
    """Cancelled at any await, a resolution leaves no socket, no task, and no flight that others would wait for."""
    async with _serving(_zone({"db.test. AAAA": "fd00::1"})) as (server,):
        resolver = _resolver(server.endpoint)
        await check_cancellation(lambda: resolver.resolve("db.test"))
        assert (await resolver.resolve("db.test")).addresses == ("fd00::1",)
