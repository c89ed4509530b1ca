"""Small fakes passed into checks: nothing of our own code is patched."""

from collections.abc import Mapping

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.endpoint import Endpoint, is_address
from checks.net.seat import Context, Resolution, Seat, SocketFactory, open_socket

FAKE_NAMESERVER = Endpoint("192.0.2.53", 53)


class FakeResolver:
    """Answers from a table; any other name does not exist."""

    def __init__(self, names: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.names = dict(names or {})

    async def resolve(self, name: str) -> Resolution:
        """Resolve from the table."""
        if is_address(name):
            return Resolution(name=name, addresses=(name,))
        if name in self.names:
            return Resolution(name=name, addresses=self.names[name])
        return Resolution(name=name, reason=Reason.NXDOMAIN, evidence="the name does not exist")

    @property
    def nameservers(self) -> tuple[Endpoint, ...]:
        """The one nameserver there is."""
        return (FAKE_NAMESERVER,)

    async def lookup(self, name: str, *, thorough: bool, first: int, timeout_s: float | None = None) -> Lookup:
        """Look up in the table."""
        del thorough, first
        if is_address(name):
            return Lookup(name=name, local=(name,), nameservers=self.nameservers)
        answer = await self.ask(FAKE_NAMESERVER, name, "A", timeout_s)
        return Lookup(name=name, answers=(answer,), nameservers=self.nameservers)

    async def ask(self, nameserver: Endpoint, name: str, kind: str, timeout_s: float | None = None) -> Answer:
        """Ask the table."""
        del timeout_s
        found = self.names.get(name.rstrip("."), ())
        return Answer(
            nameserver=nameserver,
            name=name,
            kind=kind,
            klass=AnswerClass.ADDRESS if found else AnswerClass.NXDOMAIN,
            reason=None if found else Reason.NXDOMAIN,
            addresses=found,
            rcode="NOERROR" if found else "NXDOMAIN",
            evidence=", ".join(found) or "it does not exist (NXDOMAIN)",
        )


def context(names: Mapping[str, tuple[str, ...]] | None = None, sockets: SocketFactory = open_socket) -> Context:
    """Make a context that stands on this host and resolves from a table."""
    return Context(seat=Seat(resolver=FakeResolver(names), open_socket=sockets))
