"""Link, route and next hop towards an address, as the kernel has them; no packet is sent."""

import socket
from collections.abc import Iterable

from checks.hostnet import read_routes
from checks.neighbours import dead_next_hops
from checks.net.errors import net_error
from checks.net.seat import Seat
from checks.net.tcp import family_of
from checks.nexthop import NextHops
from daemon.trace.facts import RouteSeen

_DISCARD = 9  # any port will do: connecting a UDP socket asks the kernel for the route and sends nothing


def routes_to(seat: Seat, addresses: Iterable[str]) -> tuple[RouteSeen, ...]:
    """Return the way to each literal address from a seat, as far as it can be read."""
    try:
        table = NextHops.of(read_routes(seat.read_net))
    except OSError:
        table = NextHops()
    return tuple(_route_to(seat, address, table) for address in addresses)


def silent_next_hop(seat: Seat, route: RouteSeen) -> bool:
    """Tell whether the next hop of a route (on the link: the address itself) was asked in vain, as of now.

    The kernel asks only when somebody sends: call it after a probe.
    """
    hop = route.gateway or (route.address if route.gateway == "" else None)
    if hop is None or ":" in hop:
        return False
    try:
        return hop in dead_next_hops(seat.read_net, frozenset({hop}))
    except OSError:
        return False


def _route_to(seat: Seat, address: str, table: NextHops) -> RouteSeen:
    family = family_of(address)
    source = None
    try:
        with seat.open_socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, _DISCARD))
            source = sock.getsockname()[0]
    except OSError as error:
        found = net_error(error, family)
        return RouteSeen(address=address, reason=found.reason, evidence=found.evidence)
    route = table.route(address)
    # The kernel's own choice of a source is by all its tables; the main one alone may say otherwise, or nothing.
    if route is None or source == address:
        return RouteSeen(address=address, source=source)
    return RouteSeen(address=address, source=source, interface=route.interface, gateway=route.gateway)
