"""An engine that says what the test wants, on a unix socket in this loop: for lies that dockerd does not tell."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from tests.support.peers import ended

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[bool]]
"""Answers the request for a path; returns whether the connection stays open."""

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"


def answer(body: object, status: int = 200) -> bytes:
    """Return an HTTP answer with a JSON body."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(text),
        text,
    )


def fixed(answers: dict[str, bytes], ping: bytes = PING) -> Handler:
    """Answer each path (without version and query) from a table, else 404."""

    async def handle(path: str, writer: asyncio.StreamWriter) -> bool:
        plain = path.partition("?")[0].removeprefix("/v1.41")
        writer.write(ping if plain == "/_ping" else answers.get(plain, answer({"message": "No such thing"}, 404)))
        await writer.drain()
        return True

    return handle


@contextlib.asynccontextmanager
async def engine(folder: Path, handler: Handler) -> AsyncIterator[str]:
    """Run the engine for the block; yield its `docker_host`."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    if not await handler(head.split(b" ")[1].decode(), writer):
                        writer.close()
                        await writer.wait_closed()
                        break
        finally:
            writer.transport.abort()

    path = folder / "docker.sock"
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield f"unix://{path}"
    finally:
        server.close()
        await ended(server, tasks)
        path.unlink(missing_ok=True)
