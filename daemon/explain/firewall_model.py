"""A way out: who needs it, where it leads, over which protocol to which ports, and what tells when it is closed."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from checks.net.endpoint import Endpoint, is_address, is_loopback
from checks.net.text import printable
from daemon.config.addresses import is_pattern
from daemon.config.ports import PortRange

Who: TypeAlias = Literal["connector", "daemon"]
Kind: TypeAlias = Literal["anywhere", "address", "network", "name", "pattern", "unlisted"]
"""`unlisted`: nobody but the operator can say which addresses it means; `to` describes it."""

MAX_NAMED = 3  # Resources that a line names; behind a shared name there may be hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out.

    - `ports`: none means all of them.
    - `optional`: without it something is slower or not known, and nothing fails.
    - `rows`: the rows of `healthctl check` that are asked by this way.
    - `addresses`: what the name was found to stand for; None: nobody asked.
    """

    who: Who
    protocol: Literal["tcp", "udp"]
    kind: Kind
    to: str
    why: str
    ports: tuple[PortRange, ...] = ()
    optional: bool = False
    rows: tuple[str, ...] = ()
    addresses: tuple[str, ...] | None = None

    @property
    def local(self) -> bool:
        """Tell whether it never leaves this host."""
        return self.kind == "address" and is_loopback(self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What this host itself says where the configuration says `system`, and what is odd about it.

    `time_daemon` is who uses these time servers (chrony …); empty when none was found.
    """

    nameservers: tuple[Endpoint, ...] = ()
    time_servers: tuple[Endpoint, ...] = ()
    time_daemon: str = ""
    problems: tuple[str, ...] = ()


def kind_of(address: str) -> Kind:
    """Return what the address of a Resource, or the host of an endpoint, is."""
    if is_address(address):
        return "address"
    if "/" in address:
        return "network"
    return "pattern" if is_pattern(address) else "name"


def port(number: int) -> tuple[PortRange, ...]:
    """Return one port."""
    return (PortRange(number, number),)


def folded_ports(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """Return ranges in order; what touches or overlaps is one range."""
    made: list[PortRange] = []
    for each in sorted(set(ranges)):
        if made and each.first <= made[-1].last + 1:
            made[-1] = PortRange(made[-1].first, max(made[-1].last, each.last))
        else:
            made.append(each)
    return tuple(made)


def named(resources: Sequence[str]) -> str:
    """Return which Resources a way serves, in a few words that do nothing to a terminal."""
    names = ", ".join(printable(name) for name in resources[:MAX_NAMED])
    more = len(resources) - MAX_NAMED
    return f"{'Resource' if len(resources) == 1 else 'Resources'} {names}" + (f" and {more} more" if more > 0 else "")


def merged(ways: Iterable[Way]) -> list[Way]:
    """Join ways of one party to one destination for one purpose: their ports and rows are put together."""
    groups: dict[tuple[object, ...], list[Way]] = {}
    for way in ways:
        groups.setdefault((way.who, way.protocol, way.kind, way.to, way.why, way.optional, not way.ports), []).append(
            way
        )
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[Way]) -> Way:
    first = group[0]
    return Way(
        who=first.who,
        protocol=first.protocol,
        kind=first.kind,
        to=first.to,
        why=first.why,
        ports=folded_ports(each for way in group for each in way.ports),
        optional=first.optional,
        rows=tuple(dict.fromkeys(row for way in group for row in way.rows)),
    )


def on_the_wire(address: str) -> str:
    """Return a literal address as packets have it: without an interface, and IPv4 that is written as IPv6 as IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(found, "ipv4_mapped", None) or found)
