"""Which seat a check looks from, and which one has a second look at what fails."""

from dataclasses import dataclass

from checks.model import CheckName
from checks.net.seat import Seat

SEATED = frozenset(
    {
        CheckName.HOST, CheckName.CONTROL_PLANE, CheckName.RELAY, CheckName.NAT, CheckName.RESOLVER, CheckName.DNS,
        CheckName.TCP,
    }
)  # fmt: skip
"""The checks of what the Connector itself does. The clock and its servers are the host's, and so is everything else."""

COMPARED = frozenset({CheckName.CONTROL_PLANE, CheckName.RELAY, CheckName.DNS, CheckName.TCP})
"""The checks whose failure at the Connector's seat means something else when it does not occur at the host's."""


@dataclass(frozen=True, slots=True)
class Seats:
    """Where the Connector's connections begin, and this host's own seat where that is another place (else None)."""

    first: Seat
    host: Seat | None = None

    @property
    def all(self) -> tuple[Seat, ...]:
        """Every seat that is looked from."""
        return (self.first,) if self.host is None else (self.first, self.host)

    def of(self, check: CheckName) -> Seat:
        """Return the seat that a check looks from."""
        return self.first if self.host is None or check in SEATED else self.host

    def second(self, check: CheckName) -> Seat | None:
        """Return the seat from which a failure of this check is looked at again; None: there is no other."""
        return self.host if self.host is not None and check in COMPARED else None

    def network_changed(self) -> None:
        """Links, addresses or routes changed: forget from which address packets left, sockets to nameservers do too."""
        for seat in self.all:
            seat.close()
            if seat.half_open is not None:
                seat.half_open.network_changed()
