"""How a batch of alerts gets to one Alertmanager."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from checks.blocking import Blocking, BusyError
from checks.net.seat import Resolver
from daemon.config.schema import Alertmanager
from daemon.push.answer import Verdict, judge
from daemon.push.credentials import NOTHING_NEEDED, CredentialError, CredentialFiles, Credentials
from daemon.push.http import TIMEOUT_S, HttpClient, Reply

PATH = "/api/v2/alerts"
READ_S = 5.0  # for the files of credentials: longer means that their disk hangs
CLOSE_S = 0.2  # for the thread that reads them: it is idle, or hangs and is left behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, and what it means."""

    verdict: Verdict
    reply: Reply


class Transport(Protocol):
    """A way to one Alertmanager."""

    async def post(self, body: bytes) -> Answer:
        """Send one batch; bounded in time; never raises for what the network or a file says."""

    async def close(self) -> None:
        """Leave nothing open."""


MakeTransport = Callable[[Alertmanager], Transport]


class HttpTransport:
    """Speaks API v2 over HTTP, with credentials that are read anew for each request."""

    def __init__(self, alertmanager: Alertmanager, resolver: Resolver, timeout_s: float = TIMEOUT_S) -> None:
        self._url = alertmanager.url.rstrip("/") + PATH
        self._files = CredentialFiles(alertmanager)
        self._client = HttpClient(resolver, timeout_s)
        self._blocking = Blocking("push-files")

    async def post(self, body: bytes) -> Answer:
        """Send one batch."""
        try:
            needed = self._files.needed
            credentials = await self._blocking.call(self._files.read, READ_S) if needed else NOTHING_NEEDED
        except CredentialError as error:
            return _unsent(str(error))
        except (BusyError, TimeoutError):
            return _unsent(f"the files with its credentials could not be read within {READ_S:g} s")
        return await self._send(body, credentials)

    async def close(self) -> None:
        """Close the connections and end the thread."""
        await self._client.close()
        await self._blocking.close(CLOSE_S)

    async def _send(self, body: bytes, credentials: Credentials) -> Answer:
        headers = {"Content-Type": "application/json", **credentials.headers}
        reply = await self._client.ask("POST", self._url, body=body, headers=headers, tls=credentials.tls)
        return Answer(verdict=judge(reply, credentials.secrets), reply=reply)


def _unsent(problem: str) -> Answer:
    reply = Reply(problem=problem)
    return Answer(verdict=judge(reply), reply=reply)
