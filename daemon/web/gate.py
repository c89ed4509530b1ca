"""What a request must bring when it comes in on a TCP address: its turn, and a password where users are configured."""

import asyncio
import logging
from dataclasses import dataclass

from aiohttp.web_request import BaseRequest

from checks.blocking import BusyError
from daemon.web.access import OPEN, Access
from daemon.web.answer import Response, closing, plain
from daemon.web.passwords import Passwords
from daemon.web.seldom import Seldom

log = logging.getLogger("connector_health.web")

POLICY = "Content-Security-Policy"
WANTS_PASSWORD = {"WWW-Authenticate": 'Basic realm="connector-health", charset="UTF-8"'}
RETRY = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A refusal, or None and whether we know who asks: a right password, or a certificate that was verified."""

    refusal: Response | None
    known: bool = False


class Gate:
    """Judges requests by what `access` says at this moment; it is replaced when the file changes."""

    def __init__(self) -> None:
        self.access = OPEN
        self._passwords = Passwords()
        self._bucket = _Bucket()
        self._denied = Seldom(log, "a request came with a wrong user name or password%s")

    async def judge(self, request: BaseRequest) -> Verdict:
        """Decide about one request from a TCP address; the unix socket is guarded by its mode, and never asked here."""
        access = self.access
        if access.interval and not self._bucket.take(access):
            return Verdict(plain(429, "too many requests (rate_limit of web.config_file)", RETRY))
        transport = request.transport
        context = transport.get_extra_info("sslcontext") if transport else None
        if transport is None or context is not access.tls:
            return Verdict(_outdated(context))
        if not access.users:
            return Verdict(None, known=bool(transport.get_extra_info("peercert")))
        given = request.headers.getall("Authorization", [])
        try:
            if await self._passwords.right(access.users, given):
                return Verdict(None, known=True)
        except (BusyError, TimeoutError):
            busy = "too many passwords are being verified: try again"
            return Verdict(plain(503, busy, RETRY))
        if given:
            self._denied.note("")
        words = "a user name and its password are needed here; on the host itself ask the unix socket (web.socket)"
        return Verdict(plain(401, words, WANTS_PASSWORD))

    def dress(self, response: Response) -> None:
        """Add the operator's headers. A content policy is added to ours, and a browser keeps to both."""
        for name, value in self.access.headers.items():
            ours = response.headers.get(name, "") if name == POLICY else ""
            response.headers[name] = f"{ours}, {value}" if ours else value

    async def close(self) -> None:
        """End the thread that verifies passwords."""
        await self._passwords.close()


def _outdated(context: object) -> Response:
    """Refuse a request by what held when it came in, be it a moment ago, in the middle of a handshake."""
    if context is None:
        return closing(plain(400, "this address speaks TLS now: ask with https://"))
    return closing(plain(503, "web.config_file or a certificate has changed: connect again", RETRY))


class _Bucket:
    """A token bucket: full at first, one token more in each interval, never more than `burst`."""

    def __init__(self) -> None:
        self._tokens: float | None = None
        self._at = 0.0

    def take(self, access: Access) -> bool:
        """Take a token if there is one."""
        now = asyncio.get_running_loop().time()
        tokens = access.burst if self._tokens is None else self._tokens + (now - self._at) / access.interval
        self._at, self._tokens = now, min(tokens, float(access.burst))
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
