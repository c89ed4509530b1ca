"""What a client may take of a server that speaks TLS: connections, time, memory."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest

from daemon.web.server import Limits, WebServer
from tests.support.office import office, seen
from tests.support.servers import accepts
from tests.support.web_access import Folder, Streams, get, secured
from tests.support.webs import backend, local, serving

BACK = backend(lambda: seen(office()).view())
ASKED = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make a certificate once for all tests here."""
    made = Folder(tmp_path_factory.mktemp("web"))
    made.write()
    return made


async def silent(server: WebServer) -> Streams:
    """Connect, and say nothing."""
    return await asyncio.open_connection(server.addresses[0].host, server.addresses[0].port)


async def until(reached: Callable[[], bool]) -> None:
    """Wait for something that other tasks of this loop bring about, bounded."""
    async with asyncio.timeout(15):
        while not reached():  # noqa: ASYNC110 - the server has no event for it, and needs none
            await asyncio.sleep(0.01)


async def test_who_says_nothing_counts(folder: Folder) -> None:
    """Connections that never begin a handshake are counted like the others, and cut off after a bounded time."""
    limits = Limits(connections=3, handshake_s=0.5)
    async with serving(local(config_file=str(folder.file)), BACK, limits) as server:
        waiting = [await silent(server) for _ in range(3)]
        await until(lambda: server.connections == 3)
        reader, writer = await silent(server)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        for one, other in waiting:
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(one.read(), 5) == b""
            other.close()
        writer.close()
        await until(lambda: server.connections == 0)
        assert (await get(server, folder.client())).status == 200


@pytest.mark.parametrize("sent", [b"\x16", b"\x16\x03\x01\x02\x00\x01", b"\x80\x2e\x01\x00\x02"])
async def test_half_a_handshake_is_cut_off(folder: Folder, sent: bytes) -> None:
    """A client that begins and does not go on is cut off too."""
    limits = Limits(handshake_s=0.3)
    async with serving(local(config_file=str(folder.file)), BACK, limits) as server:
        reader, writer = await silent(server)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await until(lambda: server.connections == 0)


@pytest.mark.parametrize(
    "sent", [b"\x00" * 64, b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x15\x03\x03\x00\x02\x02\x28"]
)
async def test_what_is_no_tls_ends(folder: Folder, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Noise ends the connection at once and leaves no traceback."""
    async with serving(local(config_file=str(folder.file)), BACK) as server:
        reader, writer = await silent(server)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 3)
        writer.close()
        await until(lambda: server.connections == 0)
    assert "Traceback" not in caplog.text


async def test_noise_within_tls_ends(folder: Folder) -> None:
    """What is broken behind the handshake ends the connection as well."""
    async with (
        serving(local(config_file=str(folder.file)), BACK) as server,
        secured(server, folder.client()) as (reader, writer),
    ):
        writer.get_extra_info("socket")._sock.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with contextlib.suppress(OSError):
            assert await asyncio.wait_for(reader.read(), 3) == b""
        await until(lambda: server.connections == 0)


async def test_who_does_not_read_is_cut_off(folder: Folder) -> None:
    """Answers that nobody takes are counted as such until the kernel has them, and given up after a bounded time."""
    async with serving(local(config_file=str(folder.file)), BACK, Limits(send_s=0.3)) as server:
        at = server.addresses[0]
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (at.host, at.port))
        _, writer = await asyncio.open_connection(
            sock=sock, ssl=folder.client(), server_hostname="localhost", limit=1024
        )
        writer.write(ASKED * 400)
        await until(lambda: server.unsent > 0)
        await until(lambda: server.connections == 0)
        assert server.unsent == 0
        writer.transport.abort()


async def test_a_large_answer_through_a_narrow_reader(folder: Folder) -> None:
    """Who reads slowly, but reads, gets all of many answers."""
    async with (
        serving(local(config_file=str(folder.file)), BACK) as server,
        secured(server, folder.client()) as (reader, writer),
    ):
        writer.write(ASKED * 30 + ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        got = bytearray()
        while piece := await asyncio.wait_for(reader.read(700), 10):
            got += piece
    assert got.count(b"HTTP/1.1 200 OK") == 31
    assert len(got) > 300_000


async def test_close_is_quick(folder: Folder) -> None:
    """Silent, idle and unread connections do not keep the end from coming, and hear of it."""
    server = WebServer(local(config_file=str(folder.file)), BACK)
    await server.start()
    port = server.addresses[0].port
    quiet = await silent(server)
    async with secured(server, folder.client()) as idle, secured(server, folder.client()) as unread:
        unread[1].write(ASKED * 20)
        await until(lambda: server.connections == 3)
        async with asyncio.timeout(1.5):
            await server.close()
        for reader in (quiet[0], idle[0]):
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 2) == b""
        quiet[1].close()
    assert not accepts(port)


async def test_a_bare_end_is_an_end(folder: Folder) -> None:
    """A client that only closes its half, without saying so in TLS, leaves nothing behind."""
    async with (
        serving(local(config_file=str(folder.file)), BACK) as server,
        secured(server, folder.client()) as (_, writer),
    ):
        writer.get_extra_info("socket")._sock.shutdown(socket.SHUT_WR)
        await until(lambda: server.connections == 0)
