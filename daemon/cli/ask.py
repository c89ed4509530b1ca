"""Asking the running daemon: one HTTP request over a plain socket, bounded in size and time whoever answers.

The whole answer is taken before any of it is read: so one deadline holds for a server that sends a byte now and then.
"""

import errno
import http.client
import io
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from daemon.cli.nearest import safe
from daemon.cli.places import Place

_CHUNK = 256 * 1024
_HEADERS = 64 * 1024  # http.client refuses a single header line longer than this
_FIRST_LINE = 120  # characters of a refusal that are shown


class AskError(Exception):
    """The daemon could not be asked, or did not answer as it should; the text is one clear line."""


class UnreachableError(AskError):
    """Nobody listens there, or nobody that this user may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an answer may cost. A daemon that lives answers at once; 20,000 rows are some 20 MiB and take it a second.

    `silence_s`: how long nothing may come. `whole_s`: how long the whole may take. `max_bytes`: of the body.
    """

    silence_s: float = 5.0
    whole_s: float = 15.0
    max_bytes: int = 64 * 1024 * 1024


USUAL = Bounds()


@dataclass(frozen=True, slots=True)
class Reply:
    """Who answered, and what."""

    place: Place
    body: bytes


def ask(places: Iterable[Place], path: str, bounds: Bounds = USUAL) -> Reply:
    """Ask the first place at which somebody listens. Raises: AskError, UnreachableError."""
    failed = []
    for place in places:
        try:
            sock = _connected(place, bounds)
        except OSError as error:
            failed.append(f"{safe(str(place))} ({_why(place, error, bounds)})")
            continue
        with sock:
            return Reply(place, _get(sock, place, path, bounds))
    raise UnreachableError(f"the daemon is not reachable at {' nor at '.join(failed)}")


def _connected(place: Place, bounds: Bounds) -> socket.socket:
    """Return a connected socket. Raises: OSError."""
    at = place.at
    if not isinstance(at, str) and not at.literal:
        raise OSError(errno.EADDRNOTAVAIL, "a daemon listens on IP addresses only, and this is a name")
    family = socket.AF_UNIX if isinstance(at, str) else socket.AF_INET6 if ":" in at.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(bounds.silence_s)
        sock.connect(at if isinstance(at, str) else (at.host, at.port))
    except OSError:
        sock.close()
        raise
    return sock


def _get(sock: socket.socket, place: Place, path: str, bounds: Bounds) -> bytes:
    """Return the body of an answer with status 200. Raises: AskError."""
    host = "localhost" if isinstance(place.at, str) else str(place)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    raw = _exchange(sock, request.encode("ascii"), place, bounds)
    try:
        response = http.client.HTTPResponse(cast("socket.socket", _Received(raw)), method="GET")
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ValueError) as error:
        raise AskError(f"what answers at {safe(str(place))} does not speak HTTP: it is not connector-health") from error
    if response.status != http.client.OK:
        line = safe(body[:_FIRST_LINE].decode("utf-8", "replace").partition("\n")[0])
        raise AskError(f"{safe(str(place))} answered HTTP {response.status}: {line}")
    return body


def _exchange(sock: socket.socket, request: bytes, place: Place, bounds: Bounds) -> bytes:
    """Send the request, and return all that comes until the other end closes. Raises: AskError."""
    deadline = time.monotonic() + bounds.whole_s
    received = bytearray()
    at = safe(str(place))
    left = bounds.whole_s
    try:
        sock.sendall(request)
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(min(bounds.silence_s, left))
            chunk = sock.recv(_CHUNK)
            if not chunk:
                return bytes(received)
            received += chunk
            if len(received) > bounds.max_bytes + _HEADERS:
                raise AskError(f"{at} answered more than {bounds.max_bytes >> 20} MiB: it is not connector-health")
    except TimeoutError as error:
        if left > bounds.silence_s:
            raise AskError(
                f"{at} accepted the connection and then fell silent for {bounds.silence_s:g} s: the daemon hangs "
                "(restart it), or something else listens there"
            ) from error
    except OSError as error:
        raise AskError(f"{at} broke the connection off: {error.strerror or error}") from error
    raise AskError(f"{at} did not finish its answer within {bounds.whole_s:g} s")


def _why(place: Place, error: OSError, bounds: Bounds) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {bounds.silence_s:g} s"
    if isinstance(error, PermissionError) and isinstance(place.at, str):
        return "permission denied: this user is not in the group of the socket"
    return (error.strerror or str(error)).lower()


class _Received:
    """What was received, in the one way in which `HTTPResponse` wants a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _: str) -> io.BytesIO:
        """Return a file to read it from."""
        return io.BytesIO(self._raw)
