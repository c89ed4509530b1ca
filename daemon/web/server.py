"""The HTTP server: listeners, limits and an orderly end. What is served is in `routes`. The only user of aiohttp.

aiohttp's low-level server is used, not its Application: eight fixed paths need no router, and this way every answer,
even to what is no HTTP at all, is ours. Limits keep a client from taking what the probes need, file descriptors above
all: they apply on every address, because /metrics is often reachable from the whole network.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, cast

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

from checks.net.endpoint import Endpoint
from daemon.config.schema import Web
from daemon.web.access import OPEN, Access
from daemon.web.answer import plain
from daemon.web.gate import Gate
from daemon.web.hostguard import HostGuard, configured_hosts, own_names
from daemon.web.keeper import Keeper
from daemon.web.routes import Backend, Routes
from daemon.web.seldom import Seldom
from daemon.web.sockets import WebError, bind_tcp, bind_unix, remove_own_socket
from daemon.web.tls_connection import Handshakes, TlsConnection

__all__ = ["Backend", "Limits", "WebError", "WebServer"]

log = logging.getLogger("connector_health.web")

BACKLOG = 128
MAX_LINE_BYTES = 8190  # the request line: ids and names of Resources in a query are long
MAX_FIELD_BYTES = 8190
MAX_HEADERS = 64
LINGER_S = 1.0  # for the body of a request that was answered already
CLOSE_S = 0.4  # for handlers under way at the end; the server waits for it at most twice
"""Seconds and bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take.

    - `connections`: to TCP addresses. Prometheus holds one, the rest is people; each costs a file descriptor. When
      they are all taken, who comes takes the place of the oldest one that is idle.
    - `own`: to the unix socket, apart: who is in its group must be heard whatever strangers do elsewhere.
    - `idle_s`: seconds without a request, and for sending one: above Prometheus' usual 60 s between scrapes.
    - `handshake_s`: seconds for the TLS handshake: two round trips and some milliseconds.
    - `send_s`: seconds for taking an answer: who does not read would keep it in memory for ever.
    """

    connections: int = 200
    own: int = 32
    idle_s: float = 75.0
    handshake_s: float = 5.0
    send_s: float = 30.0


class WebServer:
    """Serves one configuration's `web` section. `start` and `close` are symmetric; it can be started once."""

    def __init__(self, config: Web, backend: Backend, limits: Limits | None = None) -> None:
        self._config = config
        self._limits = limits or Limits()
        guard = HostGuard(configured_hosts(config) | own_names())
        self._gate = Gate()
        self._keeper = Keeper(config.config_file, self._adopt)
        self._routes = Routes(backend, guard, self._gate, self._limits.send_s)
        self._not_in_yet: dict[TlsConnection, None] = {}  # the oldest first
        self._busy: set[RequestHandler] = set()
        self._handshakes = Handshakes(
            patience_s=self._limits.handshake_s,
            began=self._not_in_yet.setdefault,
            ended=lambda client: self._not_in_yet.pop(client, None),
            refused=Seldom(log, "a TLS handshake was refused: %s").note,
        )
        self._server: Server | None = None
        self._listeners: list[asyncio.Server] = []
        self._socket_inode: int | None = None

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """The TCP addresses that are listened on, with the port that was given for port 0."""
        names = [sock.getsockname() for server in self._listeners for sock in server.sockets]
        return tuple(Endpoint(name[0], name[1]) for name in names if isinstance(name, tuple))

    @property
    def connections(self) -> int:
        """How many connections are open, those included that have not ended their TLS handshake."""
        return len(self._server.connections) + len(self._not_in_yet) if self._server else 0

    @property
    def unsent(self) -> int:
        """How many bytes of answers wait to be taken."""
        return self._routes.unsent

    async def start(self) -> None:
        """Listen on every configured address, or on none.

        Raises: WebError with the address and what to do; ConfigError with what is wrong with web.config_file.
        """
        await self._keeper.begin()
        loop = asyncio.get_running_loop()
        self._server = Server(self._handle)
        sockets: list[socket.socket] = []
        try:
            # One by one: when the second fails, the first must be closed.
            sockets.extend(bind_tcp(endpoint, self._config.listen) for endpoint in dict.fromkeys(self._config.listen))
            if self._config.socket is not None:
                sock, self._socket_inode = bind_unix(self._config.socket)
                sockets.append(sock)
            for sock in sockets:
                made = partial(self._connection, tcp=sock.family != socket.AF_UNIX)
                self._listeners.append(await loop.create_server(made, sock=sock, backlog=BACKLOG))
        except BaseException:
            for sock in sockets:
                sock.close()
            await self.close()
            raise
        for sock in sockets:
            log.info("listening on %s", _address(sock, "http" if self._gate.access.tls is None else "https"))

    async def run(self) -> NoReturn:
        """Keep what `web.config_file` says in force."""
        await self._keeper.run()

    async def close(self) -> None:
        """Stop listening, give answers under way a moment, then close every connection: within a second in all."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._config.socket is not None and self._socket_inode is not None:
            remove_own_socket(self._config.socket, self._socket_inode)
            self._socket_inode = None
        for client in tuple(self._not_in_yet):
            client.abort()
        await self._keeper.close()
        if self._server is not None:
            server, self._server = self._server, None
            server.pre_shutdown()
            await server.shutdown(CLOSE_S)
        await self._routes.close()
        await self._gate.close()

    def _adopt(self, access: Access) -> None:
        """Take a new state. Connections from before end with the request under way: a certificate may be revoked."""
        renewed = self._gate.access is not OPEN
        self._gate.access = access
        if renewed and self._server is not None:
            for connection in self._server.connections:
                if connection in self._busy:
                    connection.close()  # behind the answer under way
                else:
                    connection.force_close()

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        self._busy.add(request.protocol)
        try:
            return await self._routes.handle(request)
        finally:
            self._busy.discard(request.protocol)

    def _has_room(self, server: Server, *, tcp: bool) -> bool:
        """Tell whether one more may come in, after making room for it where somebody is idle.

        Else a stranger who connects often enough and says nothing would have the kubelet take us for dead.
        """
        there = [one for one in cast("list[_Connection]", server.connections) if one.tcp is tcp and one.connected]
        taken = len(there) + (len(self._not_in_yet) if tcp else 0)
        if taken < (self._limits.connections if tcp else self._limits.own):
            return True
        if idle := next((one for one in there if one not in self._busy), None):
            idle.force_close()
        elif tcp and self._not_in_yet:
            client = next(iter(self._not_in_yet))
            del self._not_in_yet[client]
            client.abort()
        else:
            return False
        return True

    def _connection(self, *, tcp: bool) -> asyncio.Protocol:
        server = self._server
        if server is None or not self._has_room(server, tcp=tcp):
            return _Refused()
        access = self._gate.access
        inner = _Connection(
            server,
            tcp=tcp,
            send_s=self._limits.send_s,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._limits.idle_s,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=MAX_HEADERS,
            access_log=cast("logging.Logger", None),  # its way to say that there is none
        )
        return TlsConnection(inner, access, self._handshakes) if tcp and access.tls is not None else inner


class _Refused(asyncio.Protocol):
    """One connection too many: closed at once, so that it holds no file descriptor."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _Connection(RequestHandler):
    """A connection whose answers to broken requests neither name the library nor fill the log."""

    __slots__ = ("_cut_off", "_send_s", "tcp")

    def __init__(self, server: Server, *, tcp: bool, send_s: float, **settings: Any) -> None:  # noqa: ANN401 - of the library
        super().__init__(server, **settings)
        self.tcp = tcp
        self._send_s = send_s
        self._cut_off: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count an answer as sent only once the kernel has all of it: what waits here is our memory."""
        super().connection_made(transport)
        if isinstance(transport, asyncio.WriteTransport):
            transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait for nothing any more."""
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the library's words; ours follow
    ) -> StreamResponse:
        """Answer in one plain sentence; only what is our own fault is worth a traceback in the log."""
        # The library sends this answer, and would wait for ever for a client that does not take it.
        if self._cut_off is None and request.transport is not None:
            self._cut_off = asyncio.get_running_loop().call_later(self._send_s, request.transport.abort)
        if status >= 500:
            log.error("request for %s failed", request.path, exc_info=exc)
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("the answer had begun: it can't become an error any more")
        text = "this request failed: see the log of connector-health" if status >= 500 else "this is no valid request"
        response = plain(status, text)
        response.force_close()
        return response


def _address(sock: socket.socket, scheme: str) -> str:
    """Return where a socket listens, as a person would ask there."""
    name = sock.getsockname()
    return f"unix:{name}" if isinstance(name, str) else f"{scheme}://{Endpoint(name[0], name[1])}/"
