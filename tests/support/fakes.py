"""Small fakes passed into checks: nothing of our own code is patched."""

from collections.abc import Mapping

from checks.model import Reason
from checks.net.endpoint import is_address
from checks.net.seat import Context, Resolution, Seat, SocketFactory, open_socket


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


def context(names: Mapping[str, tuple[str, ...]] | None = None, sockets: SocketFactory = open_socket) -> Context:
    """Make a context that stands on this host and resolves from a table."""
    return Context(seat=Seat(resolver=FakeResolver(names), open_socket=sockets))
