"""Through which route, and over which next hop, this host reaches an address: the longest prefix, then the metric.

What the kernel would do with its main table alone; policy routing (ip-rule(8)) is not known here.
Source: RFC 1812 section 5.2.4.3; Linux takes the route with the least metric of the longest match.
"""

import socket
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from checks.hostnet import Route

BITS = {4: 32, 6: 128}
BREATH = 500  # routes sorted in one go: about 1 ms, so that a table of 10,000 holds no loop
SUBNETS = {4: (16, 24), 6: (48, 64)}  # what a site and a segment usually have
MAX_KNOWN = 65536  # addresses of which the way is kept: a nameserver may give others each time, and for days
HALF = 1  # the pair of half-sized routes that VPNs install instead of a default route


Prefix: TypeAlias = tuple[int, int, int]
"""IP version, length, and the number of the network's first address shifted right: quick to make and to compare."""


@lru_cache(maxsize=65536)
def number_of(address: str) -> tuple[int, int] | None:
    """Return the IP version and the number of a literal address; None when it is not one."""
    version, family = (6, socket.AF_INET6) if ":" in address else (4, socket.AF_INET)
    try:
        return version, int.from_bytes(socket.inet_pton(family, address), "big")
    except (OSError, ValueError):  # a name; an IPv6 address with a scope
        return None


def prefix(version: int, length: int, number: int) -> Prefix:
    """Return the prefix of a length that holds the address of this number."""
    return version, length, number >> (BITS[version] - length)


def is_default(route: Route) -> bool:
    """Tell whether a route leads everywhere."""
    return route.network.prefixlen <= HALF


class NextHops:
    """A table of routes by prefix length, for many look-ups. `sorted_in` has to run to its end before the first one."""

    def __init__(self) -> None:
        self._tables: dict[int, dict[int, dict[int, Route]]] = {4: {}, 6: {}}
        self._levels: dict[int, list[tuple[int, dict[int, Route]]]] = {
            4: [],
            6: [],
        }  # by shift, the longest prefix first
        self._known: dict[str, Route | None] = {}
        self._prefixes: dict[str, tuple[Prefix, ...]] = {}

    @classmethod
    def of(cls, routes: Iterable[Route]) -> "NextHops":
        """Return the table of these routes, made in one go."""
        table = cls()
        for _ in table.sorted_in(routes):
            pass
        return table

    def sorted_in(self, routes: Iterable[Route]) -> Iterator[None]:
        """Take the routes in, and pause after each BREATH of them."""
        for count, route in enumerate(routes, 1):
            network = route.network
            by_number = self._tables[network.version].setdefault(network.prefixlen, {})
            number = int(network.network_address)
            held = by_number.get(number)
            if held is None or route.metric < held.metric:
                by_number[number] = route
            if count % BREATH == 0:
                yield
        self._levels = {
            version: [(BITS[version] - length, tables[length]) for length in sorted(tables, reverse=True)]
            for version, tables in self._tables.items()
        }
        self._known.clear()
        self._prefixes.clear()

    def route(self, address: str) -> Route | None:
        """Return the route to a literal address; None when there is none."""
        if address in self._known:
            return self._known[address]
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        found = self._known[address] = self._look_up(address)
        return found

    def gateway(self, address: str) -> str:
        """Return the gateway on the way to an address; empty when it is on the link, or has no route."""
        route = self._known[address] if address in self._known else self.route(address)
        return route.gateway if route is not None else ""

    def prefixes(self, address: str) -> tuple[Prefix, ...]:
        """Return what an address may share its fate with, the widest first.

        That is the prefix of its route, unless the route leads everywhere, and the usual SUBNETS within it.
        """
        found = self._prefixes.get(address)
        if found is None:
            if len(self._prefixes) >= MAX_KNOWN:
                self._prefixes.clear()
            found = self._prefixes[address] = self._make_prefixes(address)
        return found

    @property
    def default_gateways(self) -> frozenset[str]:
        """The gateways of routes that lead everywhere."""
        ends = (table.get(n, {}) for table in self._tables.values() for n in (0, HALF))
        return frozenset(r.gateway for routes in ends for r in routes.values() if r.gateway)

    def _make_prefixes(self, address: str) -> tuple[Prefix, ...]:
        parsed = number_of(address)
        if parsed is None:
            return ()
        version, number = parsed
        route = self.route(address)
        lengths: tuple[int, ...] = SUBNETS[version]
        if route is not None and not is_default(route):
            least = route.network.prefixlen
            lengths = (least, *(length for length in lengths if length > least))
        bits = BITS[version]
        return tuple([(version, length, number >> (bits - length)) for length in lengths])

    def _look_up(self, address: str) -> Route | None:
        parsed = number_of(address)
        if parsed is None:
            return None
        version, number = parsed
        for shift, table in self._levels[version]:
            found = table.get(number >> shift << shift)
            if found is not None:
                return found
        return None
