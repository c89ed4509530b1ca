"""What changed in a network between two looks at the kernel's tables: links, addresses and routes, in words.

A host may have thousands of routes and a thousand links of containers: only what differs is parsed, and what is said
about it is bounded. Source: proc(5), Linux include/uapi/linux/ipv6_route.h.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from checks.hostnet import Interface, Route, default_route, parse_ipv6_routes, parse_routes, read_interfaces
from checks.net.seat import NetReader, Seat
from daemon.changes.wording import Said, say_addresses, say_default, say_links, say_routes

MAX_PARSED = 256  # changed routes of a version that are looked at: 2 ms; to say more than "and N more" needs no more
_LOCAL, _ANYCAST = 0x80000000, 0x00100000  # RTF_LOCAL, RTF_ANYCAST: our own addresses once more
_LINK_LOCAL = ("169.254.", "fe8", "fe9", "fea", "feb")
_NOT_OURS = ("fe80", "ff0")  # link-local and multicast: each link has them
_DEFAULT_4 = frozenset({"00000000", "00000080"})  # 0.0.0.0 and 128.0.0.0, the halves that VPNs install
_DEFAULT_6 = tuple(f"{first}{'0' * 31} {length}" for first, length in (("0", "00"), ("0", "01"), ("8", "01")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A network at one moment: the lines of its route tables (IPv4, IPv6), and its interfaces by name."""

    ipv4: frozenset[str]
    ipv6: frozenset[str]
    interfaces: Mapping[str, Interface]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changed: clauses for people; the networks (text, a bounded number) that are reached otherwise than before.

    `way_out`: the default route, or what it leads through, is another. `beyond`: more changed than was looked at.
    """

    said: tuple[Said, ...] = ()
    networks: frozenset[str] = frozenset()
    way_out: bool = False
    beyond: bool = False

    @property
    def everything(self) -> bool:
        """Tell whether any destination at all may be reached otherwise."""
        return self.way_out or self.beyond

    @property
    def relevant(self) -> bool:
        """Tell whether any destination may be reached otherwise: links of containers come and go, and reach none."""
        return self.everything or bool(self.networks)

    def also(self, other: "Difference") -> "Difference":
        """Return both together, without their words."""
        networks = self.networks | other.networks
        return Difference(
            networks=networks if len(networks) <= MAX_PARSED else frozenset(),
            way_out=self.way_out or other.way_out,
            beyond=self.beyond or other.beyond or len(networks) > MAX_PARSED,
        )


NO_DIFFERENCE = Difference()


def take(seat: Seat) -> Snapshot:
    """Read the tables of a seat. Raises: OSError."""
    with seat.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        interfaces = read_interfaces(sock, seat.read_net)
    return Snapshot(
        ipv4=frozenset(_lines(seat.read_net("route"))),
        ipv6=frozenset(map(_steady, filter(_ours, _lines(_read_ipv6(seat.read_net))))),
        interfaces={interface.name: _lasting(interface) for interface in interfaces},
    )


def compare(before: Snapshot, after: Snapshot) -> Difference:
    """Return what changed between two moments."""
    links = _changed_links(before.interfaces, after.interfaces)
    if before.ipv4 == after.ipv4 and before.ipv6 == after.ipv6 and not links:
        return NO_DIFFERENCE
    removed, removed_beyond = _parsed(before.ipv4 - after.ipv4, before.ipv6 - after.ipv6)
    added, added_beyond = _parsed(after.ipv4 - before.ipv4, after.ipv6 - before.ipv6)
    defaults = [(version, _default(before, version), _default(after, version)) for version in (4, 6)]
    leading = {route.interface for _, *both in defaults for route in both if route is not None}
    way_out = any(_way(old) != _way(new) for _, old, new in defaults) or bool(leading & links)
    networks = {str(route.network) for route in (*removed, *added) if route.network.prefixlen > 1}
    if links and not way_out:
        networks |= _reached_through(after, frozenset(links))
    said = (
        *say_links(before.interfaces, after.interfaces, links),
        *say_addresses(before.interfaces, after.interfaces, links),
        *say_default(defaults),
        *say_routes(_inner(removed), _inner(added), removed_beyond, added_beyond),
    )
    beyond = removed_beyond + added_beyond > 0
    return Difference(said=said, networks=frozenset(networks), way_out=way_out, beyond=beyond)


def _lasting(interface: Interface) -> Interface:
    """Leave out link-local addresses: each link has one, which comes and goes with it."""
    return replace(interface, addresses=tuple(a for a in interface.addresses if not a.startswith(_LINK_LOCAL)))


def _lines(text: str) -> Iterable[str]:
    """Return the whole lines of a table: one that was cut off at the bound is none."""
    return text[: text.rfind("\n") + 1].splitlines()


def _read_ipv6(read_net: NetReader) -> str:
    try:
        return read_net("ipv6_route")
    except FileNotFoundError:
        return ""


def _ours(line: str) -> bool:
    """Tell whether this IPv6 route leads anywhere but to ourselves."""
    if line.startswith(_NOT_OURS):
        return False
    fields = line.split()
    try:
        return len(fields) >= 10 and not int(fields[8], 16) & (_LOCAL | _ANYCAST)
    except ValueError:
        return False


def _steady(line: str) -> str:
    """Return an IPv6 route without its counters of references and uses, which change all the time."""
    fields = line.split()
    fields[6] = fields[7] = "0"
    return " ".join(fields)


def _parsed(ipv4: frozenset[str], ipv6: frozenset[str]) -> tuple[tuple[Route, ...], int]:
    """Parse changed lines, the same ones first each time; return how many were left out as well."""
    first4, first6 = sorted(ipv4)[:MAX_PARSED], sorted(ipv6)[:MAX_PARSED]
    beyond = len(ipv4) - len(first4) + len(ipv6) - len(first6)
    return (*parse_routes("\n".join(("", *first4))), *parse_ipv6_routes("\n".join(first6))), beyond


def _default(snapshot: Snapshot, version: int) -> Route | None:
    if version == 4:
        lines = [line for line in snapshot.ipv4 if line.split("\t", 2)[1:2] and line.split("\t", 2)[1] in _DEFAULT_4]
        return default_route(parse_routes("\n".join(("", *lines))), 4)
    return default_route(parse_ipv6_routes("\n".join(x for x in snapshot.ipv6 if x.startswith(_DEFAULT_6))), 6)


def _way(route: Route | None) -> tuple[str, str] | None:
    return None if route is None else (route.interface, route.gateway)


def _inner(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Leave out what belongs to the default route: that is told by itself."""
    return tuple(route for route in routes if route.network.prefixlen > 1)


def _changed_links(before: Mapping[str, Interface], after: Mapping[str, Interface]) -> frozenset[str]:
    """Return the names of the interfaces that are not as they were, in what matters here."""
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _reached_through(snapshot: Snapshot, links: frozenset[str]) -> set[str]:
    """Return the networks with a route through one of these links, a bounded number."""
    lines = [line for line in snapshot.ipv4 if line.partition("\t")[0] in links]
    routes, _ = _parsed(frozenset(lines), frozenset(x for x in snapshot.ipv6 if x.rpartition(" ")[2] in links))
    return {str(route.network) for route in _inner(routes)}
