"""One client's connection to the web server, byte for byte: one request after another, ends, and what is no request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from daemon.web import server as web_server
from daemon.web.answer import Answer
from daemon.web.routes import Routes
from daemon.web.server import Limits, WebServer
from tests.support.office import office, seen
from tests.support.webs import Reply, backend, local, serving

HOST = b"Host: 127.0.0.1\r\n"
BACK = backend(lambda: seen(office()).view())

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connected(server: WebServer) -> AsyncIterator[Streams]:
    """Connect to a server for the block."""
    at = server.addresses[0]
    reader, writer = await asyncio.open_connection(at.host, at.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def said(reader: asyncio.StreamReader, *, body: bool = True) -> Reply:
    """Read one answer, and no more of the connection than that."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(Reply(head).headers["content-length"])
        return Reply(head + (await reader.readexactly(length) if body else b""))


async def test_one_request_after_another() -> None:
    """A connection serves many requests: with small bodies that nobody wanted, of HEAD, and sent before the answers."""
    get = b"GET /-/healthy HTTP/1.1\r\n" + HOST
    async with serving(local(), BACK) as server, connected(server) as (reader, writer):
        writer.write(b"POST /-/reload HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"\r\nhello")
        writer.write(get + b"\r\n" + get.replace(b"GET", b"HEAD") + b"\r\n" + get + b"Connection: close\r\n\r\n")
        replies = [await said(reader), await said(reader), await said(reader, body=False), await said(reader)]
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert [(r.status, r.body) for r in replies[1:]] == [(200, b"healthy\n"), (200, b""), (200, b"healthy\n")]
    assert replies[0].status == 200
    assert ["connection" in reply.headers for reply in replies] == [False, False, False, True]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
        (b"GET http://127.0.0.1/-/healthy HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /%2d/healthy?x=%zz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"POST /-/reload HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n" + HOST + b"\r\n", 200),
        (b"GET /-/healthy HTTP/1.1\r\n\r\n", 400),
        (b"GET /-/healthy HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n", 400),
        (b"GET /-/healthy HTTP/1.1\r\nContent-Length: 1, 2\r\n" + HOST + b"\r\n", 400),
        (b"GET /-/healthy HTTP/1.1\r\nContent-Length: -1\r\n" + HOST + b"\r\n", 400),
        (b"GET /-/healthy HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + HOST + b"\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /-/healthy HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    ],
)
async def test_odd_requests(raw: bytes, status: int) -> None:
    """What can be read is answered; what may be read in two ways is no request, and ends the connection."""
    async with serving(local(), BACK) as server, connected(server) as (reader, writer):
        writer.write(raw)
        reply = await said(reader)
        assert reply.status == status
        if status == 400:
            assert await asyncio.wait_for(reader.read(), 5) == b""
            assert reply.text.startswith(("this is no valid request\n", "the request has no Host header"))


async def test_a_body_that_never_comes() -> None:
    """Who announces a small body and sends none has the answer at once, and keeps the connection for a moment only."""
    async with serving(local(), BACK) as server, connected(server) as (reader, writer):
        writer.write(b"POST /-/reload HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"\r\n")
        assert (await said(reader)).status == 200
        assert await asyncio.wait_for(reader.read(), 5 * web_server.LINGER_S) == b""


async def test_an_answer_under_way_when_the_server_ends() -> None:
    """An answer that takes a moment is still given; one that takes too long is given up, and its work with it."""
    begun, may_go = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def reload() -> str | None:
        begun.set()
        try:
            await may_go.wait()
        finally:
            ended.append("reload")
        return None

    for patient in (True, False):
        begun.clear()
        may_go.clear()
        back = backend(lambda: office().view())
        server = WebServer(local(), type(back)(view=back.view, report=back.report, history=back.history, reload=reload))
        await server.start()
        async with connected(server) as (reader, writer):
            writer.write(b"POST /-/reload HTTP/1.1\r\n" + HOST + b"\r\n")
            await begun.wait()
            closing = asyncio.get_running_loop().create_task(server.close())
            if patient:
                may_go.set()
                assert (await said(reader)).status == 200
                assert await asyncio.wait_for(reader.read(), 5) == b""
            else:
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 5) == b""
            await closing
        assert server.connections == 0
    assert ended == ["reload", "reload"]


async def test_a_fault_after_the_beginning_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that shows when half an answer is out breaks the connection off: it must not look like a whole one."""

    async def half(_: Routes, request: object) -> Answer:  # noqa: ARG001 - the signature of all of them
        return Answer((b"half\n", "no bytes", b"whole\n"))  # type: ignore[arg-type]

    monkeypatch.setattr(Routes, "_answer_healthy", half)
    async with serving(local(), BACK) as server, connected(server) as (reader, writer):
        writer.write(b"GET /-/healthy HTTP/1.1\r\n" + HOST + b"\r\n")
        reply = Reply(await asyncio.wait_for(reader.read(), 5))
    assert (reply.status, reply.body) == (200, b"half\n")
    assert int(reply.headers["content-length"]) > len(reply.body)


async def test_who_does_not_take_the_answer_to_a_broken_request() -> None:
    """What is no request is answered by the library: who does not take that answer is cut off all the same."""
    async with serving(local(), BACK, Limits(send_s=0.2)) as server, connected(server) as (reader, writer):
        writer.write(b"GET /-/healthy HTTP/1.1\r\n" + HOST + b"\r\n")
        await said(reader)
        assert server._server is not None
        server._server.connections[0].pause_writing()  # as when the buffers of the kernel are full to the brim
        writer.write(b"no request\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        assert server.connections == 0
