"""One request a resend to an address of the operator's choice, for as long as the daemon judges: also in shadow mode.

Whoever hears it pages when it stops. The address is a secret, and so never shown: who knows it can beat for us.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn, Protocol

from checks.blocking import Blocking, BusyError
from checks.net.url import MAX_URL, parse_url
from daemon.push.credentials import CredentialError, read_secret
from daemon.push.http import Reply
from daemon.push.transport import CLOSE_S, READ_S

log = logging.getLogger("connector_health.push")


class Client(Protocol):
    """What asks; daemon.push.http.HttpClient is one."""

    async def ask(self, method: str, url: str) -> Reply:
        """Send one request; never raises for what the network says."""

    async def close(self) -> None:
        """Leave nothing open."""


class Heartbeat:
    """Beats. `file` names the file with the URL now (None: do not), `resend_s` the seconds between beats."""

    def __init__(
        self, file: Callable[[], str | None], resend_s: Callable[[], float], judging: Callable[[], bool], client: Client
    ) -> None:
        self._file = file
        self._resend_s = resend_s
        self._judging = judging
        self._client = client
        self._blocking = Blocking("heartbeat-file")
        self._problem = ""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Beat now: the daemon has begun to judge, or the file is another one."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Beat until cancelled."""
        while True:
            self._woken.clear()
            file = self._file()
            if file is not None and self._judging():
                self._note(await self._beat(file))
            try:
                async with asyncio.timeout(self._resend_s()):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Leave nothing open."""
        await self._client.close()
        await self._blocking.close(CLOSE_S)

    async def _beat(self, file: str) -> str:
        """Return why it was not heard; empty when it was."""
        try:
            text = await self._blocking.call(lambda: read_secret("heartbeat_url_file", file), READ_S)
        except CredentialError as error:
            return str(error)
        except (BusyError, TimeoutError):
            return f"heartbeat_url_file {file} could not be read within {READ_S:g} s"
        try:
            url = parse_url(text)
        except ValueError:  # its text quotes the URL
            return f"heartbeat_url_file {file} does not hold an http:// or https:// URL of at most {MAX_URL} characters"
        reply = await self._client.ask("GET", str(url))
        if reply.status is None:
            return reply.problem.replace(url.endpoint.host, "<host>")
        return "" if 200 <= reply.status < 300 else f"it is answered with {reply.status}"

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("the heartbeat was not heard: %s", problem)
        elif self._problem and not problem:
            log.info("the heartbeat is heard again")
        self._problem = problem
