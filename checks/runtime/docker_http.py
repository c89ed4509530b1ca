"""An endless answer of Docker's, read on the event loop.

The SDK would hold a thread for as long as a log is followed, that is for ever, and a thread can't be cancelled. So what
is followed is read here, with h11 over Docker's socket; what is asked once goes through the SDK (`docker_api`).
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import h11

from checks.connlog.model import LogUnreadableError
from checks.model import Reason
from checks.net.endpoint import parse_endpoint
from checks.net.errors import NetError

HEAD_S = 10.0  # to connect, and for the head of an answer: Docker sends it before it opens the log
READ_BYTES = 32768  # some 5 ms of work on short lines: then the loop, and with it the probes, has its turn
MAX_HEAD_BYTES = 16384
KEEPALIVE_S = 60  # after which a silent engine on another machine is asked whether it still lives
_PORT = 2375  # Docker's own for plain TCP
_MAX_SMALL = 4096  # bytes of the answer to /_ping: it is "OK"


class DockerConnection:
    """HTTP/1.1 over a connected socket, which it takes over: one request after another, bodies as they come."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._ended = True  # whether the body was read to its end

    async def get(self, path: str) -> h11.Response:
        """Ask for a path and return the head of the answer, within `HEAD_S`. Raises: NetError, OSError."""
        try:
            async with asyncio.timeout(HEAD_S):
                return await self._get(path)
        except TimeoutError as error:
            raise NetError(Reason.TIMEOUT, f"Docker did not answer within {HEAD_S:g} s") from error

    async def small(self) -> bytes:
        """Return a short body, within `HEAD_S`. Raises: NetError, OSError."""
        body = b""
        try:
            async with asyncio.timeout(HEAD_S):
                while data := await self.receive():
                    body += data
                    if len(body) > _MAX_SMALL:
                        raise NetError(Reason.HTTP_STATUS, f"Docker sent more than {_MAX_SMALL} bytes")
        except TimeoutError as error:
            raise NetError(Reason.TIMEOUT, f"Docker did not answer within {HEAD_S:g} s") from error
        return body

    async def receive(self) -> bytes:
        """Return what has come of the body, empty at its end. Waits without a bound: a log may be silent for days.

        Raises: NetError, OSError. `reset`: the connection broke before the body was complete.
        """
        while not self._ended:
            parts = []
            while isinstance(event := self._event(), h11.Data):
                parts.append(bytes(event.data))
            self._ended = isinstance(event, h11.EndOfMessage)
            if parts:
                return b"".join(parts)
            if not self._ended:
                await self._fill(event)
        return b""

    def close(self) -> None:
        """Close the socket; closing again does nothing."""
        self._sock.close()

    async def _get(self, path: str) -> h11.Response:
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        if self._h11.our_state is not h11.IDLE:
            raise NetError(Reason.RESET, "Docker wants the connection closed after its answer")
        request = h11.Request(
            method="GET", target=path, headers=[("Host", "docker"), ("User-Agent", "connector-health")]
        )
        question = (self._h11.send(request) or b"") + (self._h11.send(h11.EndOfMessage()) or b"")
        await asyncio.get_running_loop().sock_sendall(self._sock, question)
        while True:
            event = self._event()
            if isinstance(event, h11.Response):
                self._ended = False
                return event
            if not isinstance(event, h11.InformationalResponse):
                await self._fill(event)

    def _event(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            if self._h11.trailing_data[1]:
                raise NetError(Reason.RESET, "Docker closed the connection in the middle of its answer") from error
            # Not the library's words: they quote what it stumbled over, which may be a line of the Connector's log.
            raise NetError(Reason.HTTP_STATUS, "not an HTTP answer") from None

    async def _fill(self, event: object) -> None:
        if event is not h11.NEED_DATA:
            raise NetError(Reason.HTTP_STATUS, "not an HTTP answer to what was asked")
        await asyncio.sleep(0)  # sock_recv does not suspend while bytes are waiting
        self._h11.receive_data(await asyncio.get_running_loop().sock_recv(self._sock, READ_BYTES))


@contextlib.asynccontextmanager
async def docker_connection(docker_host: str) -> AsyncIterator[DockerConnection]:
    """Connect to Docker for the block.

    Raises: LogUnreadableError when that can't ever succeed from here; NetError, OSError when it does not now.
    """
    family, address = _address(docker_host)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        if family != socket.AF_UNIX:
            _keep_alive(sock)
        await _connect(sock, address, docker_host)
        yield DockerConnection(sock)
    finally:
        sock.close()


async def _connect(sock: socket.socket, address: str | tuple[str, int], docker_host: str) -> None:
    try:
        async with asyncio.timeout(HEAD_S):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except PermissionError as error:
        raise LogUnreadableError(f"this account may not open Docker's socket {docker_host}", permission=True) from error


def _address(docker_host: str) -> tuple[int, str | tuple[str, int]]:
    """Return the socket family and address. Raises: LogUnreadableError."""
    scheme, _, rest = docker_host.partition("://")
    if scheme == "unix":
        return socket.AF_UNIX, rest
    endpoint = None
    if scheme in {"tcp", "http"}:
        with contextlib.suppress(ValueError):
            endpoint = parse_endpoint(rest.rstrip("/"), _PORT)
    if endpoint is None or not (endpoint.literal or endpoint.host == "localhost"):
        raise LogUnreadableError(
            f"the log can't be read over {docker_host}: a unix socket can, and tcp:// with a literal address"
        )
    host = endpoint.host if endpoint.literal else "127.0.0.1"
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, endpoint.port)


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
