"""HTTP/1.1 as a client that only looks: one request at a time, everything bounded, nothing followed, nothing kept.

No cookies, no redirects, no compression, no proxy. A peer that answers with something that is not HTTP, or with more
than we are willing to read, is `http_status`: it was reached, and what it said is no usable answer.
Source: RFC 9112; h11 0.16.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import h11

from checks.model import Reason
from checks.net.errors import NetError
from checks.net.seat import Context
from checks.net.stream import READ_BYTES, PlainStream, Stream, timed_out
from checks.net.tcp import connect
from checks.net.tls import start_tls
from checks.net.url import parse_url

USER_AGENT = "connector-health"
MAX_HEAD_BYTES = 16384  # what common servers send at most; a longer head is not meant to be read
MAX_INTERIM_ANSWERS = 8  # 1xx answers before the real one; a proxy sends one or two


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """One answer. Header names are lower-case. `sent_at` (just before the request was sent) and `received_at` (its
    head was complete) are loop times in seconds.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    sent_at: float
    received_at: float

    def header(self, name: str) -> str | None:
        """Return the only value of a header (lower-case name); None when it is missing or there are several."""
        values = [value for key, value in self.headers if key == name]
        return values[0] if len(values) == 1 else None


class HttpConnection:
    """HTTP/1.1 over a connected stream, which it takes over."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        # h11 judges a head only when it is incomplete: one read less than the bound keeps the bound exact.
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES - READ_BYTES)
        self._heard = False  # whether the peer said anything since the last request

    async def request(
        self, method: str, target: str, *, host: str, timeout_s: float, max_body: int = 0
    ) -> HttpResponse:
        """Ask for `target` (path and query) and return the answer within `timeout_s` seconds.

        `host` is the Host header. A body is read when `max_body` (bytes) is not 0; when it is 0 and the answer has a
        body, the connection can't be used again. Failure closes the connection.
        Raises: NetError: `timeout`, `reset` (closed before the answer was complete), `tls_failed`, `http_status`.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                return await self._request(method, target, host, max_body)
        except TimeoutError as error:
            self.close()
            raise timed_out(deadline, "no complete HTTP answer within the time-out") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection with FIN, at once; closing again does nothing."""
        self._stream.close()

    async def _request(self, method: str, target: str, host: str, max_body: int) -> HttpResponse:
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        if self._h11.our_state is not h11.IDLE:
            raise NetError(Reason.RESET, "the connection can't be used for another request")
        request = h11.Request(
            method=method,
            target=target,
            headers=[("Host", host), ("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity")],
        )
        loop = asyncio.get_running_loop()
        question = (self._h11.send(request) or b"") + (self._h11.send(h11.EndOfMessage()) or b"")
        self._heard = False
        sent_at = loop.time()
        await self._stream.send(question)
        head = await self._head()
        received_at = loop.time()
        if max_body:
            body = await self._body(max_body)
        else:
            body = b""
            with contextlib.suppress(h11.RemoteProtocolError):
                self._h11.next_event()  # ends an answer without a body; any other stays unread, and so the last one
        return HttpResponse(
            status=head.status_code,
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers),
            body=body,
            sent_at=sent_at,
            received_at=received_at,
        )

    async def _head(self) -> h11.Response:
        for _ in range(MAX_INTERIM_ANSWERS + 1):
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
        raise NetError(Reason.HTTP_STATUS, f"more than {MAX_INTERIM_ANSWERS} interim answers (1xx)")

    async def _body(self, max_body: int) -> bytes:
        parts = bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                parts += event.data
            if len(parts) > max_body:
                raise NetError(Reason.HTTP_STATUS, f"the body is longer than {max_body} bytes")
        return bytes(parts)

    async def _event(self) -> h11.Event:
        """Return the next thing the peer said. Raises: NetError."""
        ended = False
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                if ended:
                    what = "in the middle of its answer" if self._heard else "without an answer"
                    raise NetError(Reason.RESET, f"the peer closed the connection {what}") from error
                raise NetError(Reason.HTTP_STATUS, f"not an HTTP answer: {error}") from error
            if isinstance(event, h11.Event):
                return event
            data = await self._stream.receive()
            ended = not data
            self._heard = self._heard or bool(data)
            self._h11.receive_data(data)


async def open_http(
    context: Context, url: str, address: str, *, ca_file: str | None, timeout_s: float
) -> HttpConnection:
    """Connect to a literal address for `url` (http or https), with TLS as `start_tls` does it, within `timeout_s`.

    The caller closes it. Raises: NetError; ValueError when `url` is no http or https URL.
    """
    parsed = parse_url(url)
    deadline = asyncio.get_running_loop().time() + timeout_s
    sock = await connect(context.seat, address, parsed.endpoint.port, timeout_s)
    if not parsed.tls:
        return HttpConnection(PlainStream(sock))
    left = deadline - asyncio.get_running_loop().time()
    return HttpConnection(await start_tls(sock, parsed.endpoint.host, ca_file=ca_file, timeout_s=left))
