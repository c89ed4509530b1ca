"""Routes and dead next hops of a seat for who asks every second: read again when they are old or may have changed.

A table of 8,000 routes takes 8 ms to read and 60 ms to parse: a line that was there before is not parsed again.
"""

from collections.abc import Callable

from checks.hostnet import Route, parse_ipv6_routes, parse_routes
from checks.neighbours import dead_next_hops
from checks.net.seat import NetReader, Seat

FRESH_S = 5.0  # how long what was read counts, unless the kernel's bell rang; a neighbour is given up in 3 s or more
READ_REST = 50  # times what reading took, until it is read again: the loop has better things to do

NetworkFacts = tuple[tuple[Route, ...], frozenset[str]]
"""The usable routes of the main table, and those of their IPv4 gateways that do not answer."""

NOTHING_KNOWN: NetworkFacts = ((), frozenset())


class FactReader:
    """Keeps what was read of one seat at a time. `clock` is the loop's, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of: Seat | None = None
        self._known: dict[str, Route | None] = {}  # by line of the table
        self._facts = NOTHING_KNOWN
        self._read_at = self._rests_until = float("-inf")

    def network_facts(self, seat: Seat) -> NetworkFacts:
        """Return the seat's routes and dead next hops; both empty where they can't be read. Never raises."""
        now = self._clock()
        if seat is not self._of:
            self._of, self._read_at = seat, float("-inf")
        elif now < self._read_at + FRESH_S or now < self._rests_until:
            return self._facts
        self._read_at = now
        try:
            self._facts = self._read(seat)
        except OSError:
            self._facts = NOTHING_KNOWN
        self._rests_until = now + READ_REST * (self._clock() - now)
        return self._facts

    def forget(self) -> None:
        """Have it read again when next asked: something has changed."""
        self._read_at = float("-inf")

    def _read(self, seat: Seat) -> NetworkFacts:
        known: dict[str, Route | None] = {}
        self._learn(known, seat.read_net("route").splitlines()[1:], _parse_ipv4)
        self._learn(known, _read_ipv6(seat.read_net).splitlines(), _parse_ipv6)
        self._known = known
        routes = tuple(route for route in known.values() if route is not None)
        gateways = frozenset(route.gateway for route in routes if route.gateway and route.network.version == 4)
        return routes, dead_next_hops(seat.read_net, gateways)

    def _learn(
        self, known: dict[str, Route | None], lines: list[str], parse: Callable[[str], tuple[Route, ...]]
    ) -> None:
        for line in lines:
            known[line] = self._known[line] if line in self._known else next(iter(parse(line)), None)


def _parse_ipv4(line: str) -> tuple[Route, ...]:
    return parse_routes(f"\n{line}")


def _parse_ipv6(line: str) -> tuple[Route, ...]:
    return parse_ipv6_routes(line)


def _read_ipv6(read_net: NetReader) -> str:
    try:
        return read_net("ipv6_route")
    except FileNotFoundError:
        return ""
