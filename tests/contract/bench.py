"""What the rows of the contract's table stand on: real servers on loopback, and the product's own entry points."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import TypeAlias

import pytest

from checks.model import CheckName, Outcome, Rows
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Context, Seat, SocketFactory, open_socket
from checks.net.stub import StubResolver
from checks.registry import CHECKS
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.oneshot import check_once
from daemon.view import View
from tests.support import nameservers, ntp_server, peers
from tests.support.nameservers import OnTcp, OnUdp, Scripted
from tests.support.pki import Authority, KeyPair

TIMEOUT_S = 0.3
HASTE = "schedule: {timeout: 300ms, confirm: {interval: 10ms}}\n"
QUIET = "clock: {servers: [], controller_date: false}\nprovider: {enabled: never}\n"
"""Nobody is asked who is not named in the row."""

wall = time.time  # noqa: TID251 - the true clock of the test


Scenario: TypeAlias = "Callable[[Bench], Awaitable[object]]"
"""What is done to see a promise kept; it returns what was seen."""


@dataclass(frozen=True, slots=True)
class Row:
    """One promise: the words of the contract, what is done to see it kept, and what must be seen.

    `waits`: for the ticks of a clock that shows whole seconds. Such rows are looked at side by side.
    """

    quote: str
    scenario: Scenario
    expected: object
    waits: bool = False


def verdict(outcome: Outcome) -> str:
    """Write a verdict as the table does: `status`, `/reason` unless ok, and the event (`-` for null)."""
    reason = "" if outcome.reason is None else f"/{outcome.reason}"
    return f"{outcome.status}{reason} {outcome.event or '-'}"


def verdicts(outcomes: Rows) -> dict[str, str]:
    """Write the verdict of each row."""
    return {name: verdict(outcome) for name, outcome in outcomes.items()}


class Bench:
    """Starts what a row needs; all of it ends with the row."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.stack = stack
        self.monkeypatch = monkeypatch

    async def rows(self, check: CheckName, spec: object, context: Context) -> Rows:
        """Run a check as the runner does."""
        return await CHECKS[check].probe(spec, context)

    async def look(self, check: CheckName, spec: object, context: Context) -> Outcome:
        """Run a check that has one row."""
        (outcome,) = (await self.rows(check, spec, context)).values()
        return outcome

    def config(self, text: str) -> Config:
        """Load a configuration that keeps its state in the row's own folder."""
        return parse_config(f"{text}\nstate: {{path: {self.folder}/state.db}}\n".encode(), "contract.yaml").config

    async def view(self, text: str, *checks: CheckName) -> View:
        """Do what `healthctl check` does, with these checks only (none: all)."""
        return await check_once(self.config(text), only=frozenset(checks) or None)

    async def check(self, text: str, *checks: CheckName) -> dict[str, Outcome]:
        """Do what `healthctl check` does; return the outcomes by row id."""
        view = await self.view(text, *checks)
        return {row.id: row.result.outcome for row in view.board.rows.values()}

    async def time_server(self, script: ntp_server.Script) -> tuple[int, list[bytes]]:
        """Start an NTP server; return its port and the questions that it is asked."""
        return await self.stack.enter_async_context(ntp_server.scripted(script))

    async def nameserver(self, on_udp: OnUdp, on_tcp: OnTcp | None = None) -> Scripted:
        """Start a nameserver."""
        return await self.stack.enter_async_context(nameservers.scripted(on_udp, on_tcp))

    def resolving(
        self, *servers: Endpoint, search: tuple[str, ...] = (), hosts: str = "", sockets: SocketFactory = open_socket
    ) -> Context:
        """Stand on this host with these nameservers and this hosts file."""
        (self.folder / "hosts").write_text(hosts)
        settings = SystemSettings(hosts=str(self.folder / "hosts"), nameservers=servers, search=search)
        return Context(seat=Seat(resolver=StubResolver(settings, sockets, TIMEOUT_S), open_socket=sockets))

    async def controller(
        self, pair: KeyPair | None, *, ahead: float = 0.0, reply: str = "200 OK", more: str = ""
    ) -> int:
        """Start a Controller whose clock is `ahead`; return its port. What it is asked is in `requests`."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head.decode().partition("\r\n")[0])
                date = formatdate(wall() + ahead, usegmt=True)
                writer.write(f"HTTP/1.1 {reply}\r\nDate: {date}\r\nContent-Length: 0\r\n{more}\r\n".encode())

        self.requests: list[str] = []
        return await self.stack.enter_async_context(peers.scripted(script, pair))

    def authority(self, organization: str = "Public Roots Inc") -> Authority:
        """Make a certificate authority."""
        return Authority(self.folder, organization)


def at(context: Context, **changes: object) -> Context:
    """Return the context with what else is known."""
    return replace(context, **changes)  # type: ignore[arg-type]
