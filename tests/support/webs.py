"""A real WebServer over a view made by hand, and requests written by hand, byte for byte."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from checks.model import CheckName, Json
from checks.net.endpoint import Endpoint
from checks.net.seat import SocketFactory, open_socket
from daemon.config.schema import Web
from daemon.document import Document
from daemon.report import Reporter
from daemon.slices import Steps
from daemon.view import View
from daemon.web.server import Backend, Limits, WebServer


class Reply:
    """One answer, taken apart."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def backend(
    view: Callable[[], View],
    *,
    reload: Sequence[str | None] = (None,),
    history: Sequence[Json] | None = None,
) -> Backend:
    """Make a backend; each reload takes the next answer of `reload`, the last one for ever."""
    answers = list(reload)

    async def reload_once() -> str | None:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def history_of(row_id: str, limit: int) -> Sequence[Json] | None:
        return None if history is None or row_id not in view().board.rows else history[:limit]

    def report(view: View) -> Steps[Document]:
        return Reporter().steps(view, frozenset(CheckName))

    return Backend(view=view, report=report, history=history_of, reload=reload_once)


@contextlib.asynccontextmanager
async def serving(config: Web, back: Backend, limits: Limits | None = None) -> AsyncIterator[WebServer]:
    """Serve until the block ends."""
    server = WebServer(config, back, limits)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def local(**changes: object) -> Web:
    """Make a configuration that listens on a free port of 127.0.0.1."""
    return Web(**{"listen": (Endpoint("127.0.0.1", 0),), **changes})  # type: ignore[arg-type]


async def ask(
    server: WebServer | Endpoint | Path,
    target: str,
    *,
    method: str = "GET",
    headers: Sequence[str] = (),
    body: bytes = b"",
    sockets: SocketFactory = open_socket,
) -> Reply:
    """Send one request and read the answer to its end; `Host` is sent unless the headers have one."""
    at = server.addresses[0] if isinstance(server, WebServer) else server
    if isinstance(at, Path):
        reader, writer = await asyncio.open_unix_connection(at)
    else:
        sock = sockets(socket.AF_INET6 if ":" in at.host else socket.AF_INET, socket.SOCK_STREAM)
        await asyncio.get_running_loop().sock_connect(sock, (at.host, at.port))
        reader, writer = await asyncio.open_connection(sock=sock)
    given = {line.partition(":")[0].lower() for line in headers}
    lines = [f"{method} {target} HTTP/1.1", *([] if "host" in given else ["Host: 127.0.0.1"]), "Connection: close"]
    writer.write("\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body)
    try:
        return Reply(await asyncio.wait_for(reader.read(), 10))
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
