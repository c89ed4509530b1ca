"""The lab's TCP servers: Resources, a Relay and the Controller's front door."""

import asyncio
import contextlib
import datetime as dt
import email.utils
import socket
import ssl
from collections.abc import Callable

LAST_REQUEST = b"\r\n\r\n"
MAX_HEAD = 16384


class TcpServer:
    """Accepts on a free port of 127.0.0.1; `stop` makes the port refuse, `start` takes it back."""

    def __init__(
        self, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None, http: "Http | None" = None
    ) -> None:
        self.host = host
        self.port = 0
        self.tls = tls
        self._http = http
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listen, and return the port."""
        self._release()
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, ssl=self.tls, reuse_address=True, limit=MAX_HEAD
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Refuse connections, but keep the port so that nobody else answers there."""
        self.close()
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((self.host, self.port))
        self.port = self._reserved.getsockname()[1]

    def close(self) -> None:
        """Give the port up."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()
        self._release()

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while True:
                    head = await reader.readuntil(LAST_REQUEST)
                    if self._http is not None:
                        writer.write(self._http.answer(head))
                        await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


class Http:
    """Answers every request with one status and body, and the Date that `now` tells."""

    def __init__(self, now: Callable[[], float], body: bytes = b"") -> None:
        self.status = "200 OK"
        self._now = now
        self._body = body

    def answer(self, head: bytes) -> bytes:
        """Return the whole response to one request."""
        date = email.utils.format_datetime(dt.datetime.fromtimestamp(self._now(), dt.UTC), usegmt=True)
        body = b"" if head.startswith(b"HEAD ") else self._body
        lines = (
            f"HTTP/1.1 {self.status}",
            f"Date: {date}",
            "Content-Type: application/json",
            f"Content-Length: {len(self._body)}",
            "",
            "",
        )
        return "\r\n".join(lines).encode() + body
