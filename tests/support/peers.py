"""Scripted TCP peers: what no real server would do to a client."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.pki import KeyPair

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(script: Script, pair: KeyPair | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Run `script` for each connection, over TLS when `pair` is given; yields the port."""
    context = None
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.chain, pair.key)

    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await _turns()  # what was accepted last gets as far as its script
        server.close()
        await ended(server, tasks)


async def ended(server: asyncio.Server, tasks: set[asyncio.Task[None]]) -> None:
    """Cancel what serves, until no connection is left: one that was accepted last begins to be served only now."""
    for _ in range(200):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks) if tasks else None
        tasks.clear()
        await _turns()  # what was aborted is closed
        if not tasks and getattr(server, "_active_count", 0) == 0:
            return
        await asyncio.sleep(0.001)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Read and never answer."""
    while await reader.read(65536):
        pass


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection as soon as the peer speaks, as a firewall that dislikes a server name does."""
    await reader.read(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection in good order as soon as the peer speaks."""
    await reader.read(65536)
    writer.close()


def says(*parts: bytes, forever: bytes = b"", pause_s: float = 0.0) -> Script:
    """Return a script that reads a request and says `parts`, then `forever` again and again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
        while forever and not writer.is_closing():
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(pause_s)
        await writer.drain()
        await silence(reader, writer)

    return script
