"""What a watch for changes looks at, set by hand, and who is told."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from checks.net.endpoint import Endpoint
from checks.net.seat import Seat, SocketFactory
from checks.runtime.model import Sighting
from daemon.changes.network import Difference
from daemon.vantage.seats import Seats
from tests.support.fakes import FakeResolver

EMPTY: Mapping[str, str] = {"route": "", "ipv6_route": "", "if_inet6": "", "dev": "", "arp": ""}


class SetResolver(FakeResolver):
    """A resolver whose nameservers are set by hand."""

    def __init__(self, *nameservers: str) -> None:
        super().__init__()
        self.set(*nameservers)

    def set(self, *nameservers: str) -> None:
        """Use these from now on."""
        self._nameservers = tuple(Endpoint(host, 53) for host in nameservers)

    @property
    def nameservers(self) -> tuple[Endpoint, ...]:
        """Those that were set."""
        return self._nameservers


@dataclass
class Place:
    """A seat whose tables are set by hand; without tables nothing can be read there.

    `sockets` stand in a network of the test's own: this machine's has addresses that come and go.
    """

    sockets: SocketFactory
    tables: Mapping[str, str] | None = field(default_factory=lambda: dict(EMPTY))
    resolver: SetResolver = field(default_factory=lambda: SetResolver("10.0.0.2"))
    reads: int = 0

    def read_net(self, name: str) -> str:
        """Return a table."""
        self.reads += 1
        if self.tables is None:
            raise PermissionError(errno.EACCES, "scripted")
        return self.tables[name]

    def seat(self, name: str = "host") -> Seat:
        """Stand here."""
        whose: Literal["connector", "host"] = "connector" if name == "connector" else "host"
        return Seat(name=whose, resolver=self.resolver, open_socket=self.sockets, read_net=self.read_net)


class Standing:
    """Where we look from and what was last seen, as ConnectorWatch has it."""

    def __init__(self, first: Seat, host: Seat | None = None, sighting: Sighting | None = None) -> None:
        self.seats = Seats(first, host)
        self.sighting = sighting


class Told:
    """Writes down what is told at once."""

    def __init__(self) -> None:
        self.networks: list[Difference] = []
        self.outward = 0
        self.ends = 0
        self.nameservers = 0

    def network_changed(self, difference: Difference, *, outward: bool) -> None:
        """Note it."""
        self.networks.append(difference)
        self.outward += outward

    def connector_ended(self) -> None:
        """Note it."""
        self.ends += 1

    def nameservers_changed(self) -> None:
        """Note it."""
        self.nameservers += 1


def route(destination: str, mask: str, gateway: str = "0100000A", interface: str = "eth0") -> str:
    """Write a line of /proc/net/route; the numbers as the kernel of a small-endian machine does."""
    return f"{interface}\t{destination}\t{gateway}\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n"


DEFAULT = route("00000000", "00000000")
