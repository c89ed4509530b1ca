"""The rules that hold for every request, whatever it asks for: name, size, path, method, and where it came in."""

import ipaddress
from enum import Enum, auto

from aiohttp import HttpVersion11
from aiohttp.web_request import BaseRequest

from checks.net.text import printable
from daemon.web.answer import Response, closing, plain
from daemon.web.gate import Gate
from daemon.web.hostguard import HostGuard

MAX_BODY_BYTES = 4096  # nothing here takes a body; some clients send a small one with POST
RELOAD = "/-/reload"
OPEN_TO_ALL = frozenset({"/metrics", "/-/healthy", "/-/ready"})


class Listener(Enum):
    """Where a request came in: what it may ask depends on it."""

    SOCKET = auto()
    LOOPBACK = auto()
    PUBLIC = auto()


class Rules:
    """Refuses what must not be answered."""

    def __init__(self, guard: HostGuard, gate: Gate, readable: tuple[str, ...]) -> None:
        self._guard = guard
        self._gate = gate
        self._readable = readable

    async def refusal(self, request: BaseRequest) -> Response | None:
        """Return the answer to a request that is refused; None when it may be answered.

        Who is not let in learns nothing of what there is: the password comes before the path.
        """
        at = listener_of(request)
        if refused := self._of_message(request, at):
            return refused
        known = False
        if at is not Listener.SOCKET:
            verdict = await self._gate.judge(request)
            if verdict.refusal is not None:
                return verdict.refusal
            known = verdict.known
        return self._of_path(request) or self._of_origin(request, may_all=known or at is not Listener.PUBLIC)

    def _of_message(self, request: BaseRequest, at: Listener) -> Response | None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) > 1 or (not hosts and request.version >= HttpVersion11):
            return closing(plain(400, "the request has no Host header, or several"))
        # No page can make a browser speak to a unix socket, and without the header it is no browser.
        if at is not Listener.SOCKET and hosts and not self._guard.allows(hosts[0]):
            return closing(
                plain(
                    421,
                    f"this server does not answer to the host '{printable(hosts[0], 100)}': use its IP address, or "
                    "make that name known as web.external_url",
                )
            )
        if "Transfer-Encoding" in request.headers or (request.content_length or 0) > MAX_BODY_BYTES:
            return closing(plain(413, f"no path here takes a body of more than {MAX_BODY_BYTES} bytes"))
        return None

    def _of_path(self, request: BaseRequest) -> Response | None:
        path = request.path
        if path == RELOAD:
            allowed: tuple[str, ...] = ("POST",)
        elif path in self._readable:
            allowed = ("GET", "HEAD")
        else:
            return plain(404, f"there is nothing here; there is: {' '.join((*self._readable, RELOAD))}")
        if request.method in allowed:
            return None
        return plain(405, f"{path} takes {' and '.join(allowed)} only", {"Allow": ", ".join(allowed)})

    def _of_origin(self, request: BaseRequest, *, may_all: bool) -> Response | None:
        if not may_all and request.path not in OPEN_TO_ALL:
            return plain(
                403,
                "without authentication this is served on loopback addresses and the unix socket only: ask on the host "
                f"itself, or through an SSH tunnel, or configure users in web.config_file. Open to all: "
                f"{' '.join(sorted(OPEN_TO_ALL))}",
            )
        origin, asked = request.headers.get("Origin"), request.headers.get("Host", "")
        if request.path == RELOAD and not self._guard.allows_origin(origin, asked):
            return plain(403, "this request comes from a web page of another host")
        return None


def listener_of(request: BaseRequest) -> Listener:
    """Tell by the local address of the connection: only this host itself can reach a loopback one."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    if isinstance(name, str | bytes):
        return Listener.SOCKET
    if not name:
        return Listener.PUBLIC
    address = ipaddress.ip_address(name[0].partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return Listener.LOOPBACK if (mapped or address).is_loopback else Listener.PUBLIC
