"""Stub resolvers with settings of the test's own, and nameservers that answer from a table."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import dns.message
import dns.rcode

from checks.net.answers import Answer
from checks.net.dnswire import Asker
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import Settings
from checks.net.seat import SocketFactory, open_socket
from checks.net.stub import StubResolver
from tests.support.nameservers import OnUdp, Scripted, Send, reply, scripted


class FixedSettings:
    """Settings that a test changes by hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def current(self) -> Settings:
        """Return them."""
        return self.settings


async def ask(open_socket: SocketFactory, nameserver: Endpoint, name: str, kind: str, timeout_s: float) -> Answer:
    """Ask one question over sockets that nobody else uses."""
    asker = Asker(open_socket)
    try:
        return await asker.ask(nameserver, name, kind, timeout_s)
    finally:
        asker.renew()


def stub(*nameservers: Endpoint, timeout_s: float = 5.0, **more: object) -> StubResolver:
    """Make a resolver that asks these nameservers; `more` are further settings."""
    settings = replace(Settings(nameservers=nameservers), **more)  # type: ignore[arg-type]
    return StubResolver(FixedSettings(settings), open_socket, timeout_s)


def zone(records: dict[str, str]) -> OnUdp:
    """Answer from "NAME TYPE" → data; another type of a known name is empty, another name does not exist."""
    known = {key.split()[0] for key in records}

    def on_udp(query: dns.message.Message, send: Send) -> None:
        question = query.question[0]
        name, kind = question.name.to_text(), question.rdtype.name
        data = records.get(f"{name} {kind}")
        if data:
            send(reply(query, f"{name} 60 IN {kind} {data}"))
        else:
            send(reply(query, rcode=dns.rcode.NOERROR if name in known else dns.rcode.NXDOMAIN))

    return on_udp


@contextlib.asynccontextmanager
async def serving(*scripts: OnUdp) -> AsyncIterator[list[Scripted]]:
    """Run one scripted nameserver for each script."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(scripted(script)) for script in scripts]
