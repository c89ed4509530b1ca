"""Ways to scripted Alertmanagers: one request, and what they heard of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from daemon.config.schema import Alertmanager
from daemon.push.transport import Answer, HttpTransport
from tests.support.fakes import FakeResolver

BODY = b'[{"labels": {"alertname": "ConnectorDown"}}]'


@contextlib.asynccontextmanager
async def way(alertmanager: Alertmanager, timeout_s: float = 5.0) -> AsyncIterator[HttpTransport]:
    """Open a way until the block ends."""
    transport = HttpTransport(alertmanager, FakeResolver({"am.example.com": ("127.0.0.1",)}), timeout_s)
    try:
        yield transport
    finally:
        await transport.close()


async def post(alertmanager: Alertmanager, timeout_s: float = 5.0) -> Answer:
    """Send one batch."""
    async with way(alertmanager, timeout_s) as transport:
        return await transport.post(BODY)


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Heard:
    """A scripted Alertmanager that notes the requests it gets."""

    requests: list[str] = field(default_factory=list)

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer 200."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or "0")
        self.requests.append(head + (await reader.readexactly(length)).decode())
        writer.write(http("200 OK", b"", "Date: Fri, 02 Jan 2026 03:04:05 GMT", "Set-Cookie: a=b; Path=/"))
        await writer.drain()
