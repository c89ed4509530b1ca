"""This host: a way out, its own firewall, addresses that collide with the Clients' range."""

import ipaddress
from collections.abc import Iterator, Mapping

from checks.model import CheckName, Reason
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.found import Found
from daemon.diagnosis.reading import Reading, nameserver_host, texts
from daemon.known import CONNECTOR_ROW

CLIENT_RANGE = ipaddress.ip_network("100.96.0.0/12")  # Twingate: what Clients give to Resources
_CUT_OFF = frozenset({Reason.NO_ROUTE, Reason.UNREACHABLE, Reason.ADDRESS_FAMILY_UNAVAILABLE})
TOLD = 3  # rows named in a sentence


def host_network(case: Case) -> Iterator[None]:
    """HostNetworkDown, NoIPv4: the host's own row fails, and so does all that lies beyond its links."""
    for reading in case.still_open(CheckName.HOST):
        if not reading.bad or reading.good:
            continue
        code = "NoIPv4" if reading.reason is Reason.NO_IPV4 else "HostNetworkDown"
        seen = reading.outcome.summary
        seen = seen[:1].upper() + seen[1:]
        found = case.add(code, reading.result.target, {"seen": seen}, evidence=[reading.id])
        found.severity = "critical"
        isolated = reading.outcome.facts.get("loopback_only") is True
        yield from _beyond(case, found, isolated=isolated)


def _beyond(case: Case, found: Found, *, isolated: bool) -> Iterator[None]:
    """Explain what lies off the links: by its reason, and by mere silence where nothing out there says anything."""
    quiet = not any(_off_link(case, address) for ups in (case.ups, case.rare_ups) for address in ups)
    for count, reading in enumerate(case.left(case.silent)):
        if count % BREATH == 0:
            yield
        cut_off = quiet or reading.reason in _CUT_OFF
        if isolated or (cut_off and all(_off_link(case, address) for address in reading.downs)):
            case.explain(found, (reading.id,))


def _off_link(case: Case, address: str) -> bool:
    route = case.hops.route(address)
    return route is None or bool(route.gateway)


def local_firewall(case: Case) -> Iterator[None]:
    """LocalFirewall: the kernel refused to send, wherever to."""
    blocked = [r for r in case.left(case.blocked) if r.bad or r.warns]
    yield
    if not blocked:
        return
    values = {"seen": some([r.result.target for r in blocked])}
    found = case.add("LocalFirewall", "local", values, rows=[r.id for r in blocked], inferred=True)
    if any(r.check in (CheckName.CONTROL_PLANE, CheckName.RELAY) and r.bad for r in blocked):
        found.severity = "critical"


def client_range(case: Case) -> Iterator[None]:
    """ClientRangeOverlap: an address of this host, or of a nameserver, that Clients may give to a Resource."""
    yield
    for reading in case.of(CheckName.HOST):
        for interface, address in _interfaces(reading):
            _overlap(case, reading, address, f"This host's interface {interface} has the address {address}")
    for reading in case.of(CheckName.RESOLVER):
        host = nameserver_host(reading.result.target)
        if host is not None:
            _overlap(case, reading, host, f"A nameserver of this host has the address {host}")


def _interfaces(reading: Reading) -> Iterator[tuple[str, str]]:
    listed = reading.outcome.facts.get("interfaces")
    for entry in listed if isinstance(listed, tuple | list) else ():
        if isinstance(entry, Mapping):
            for address in texts(entry.get("addresses")):
                yield str(entry.get("name")), address


def _overlap(case: Case, reading: Reading, address: str, seen: str) -> None:
    try:
        literal = ipaddress.ip_address(address.partition("/")[0])
    except ValueError:
        return
    if literal in CLIENT_RANGE:
        found = case.add("ClientRangeOverlap", address, {"seen": seen})
        found.evidence[reading.id] = None  # it may well be good otherwise, and then is no other's either
        found.severity = "info"


def ping_group(case: Case) -> Iterator[None]:
    """PingNotPermitted: only where the range was seen, and admits nobody."""
    yield
    sighting = case.scene.sighting
    reach = sighting.ping_group_range if sighting is not None else None
    if reach is not None and reach[0] > reach[1]:
        found = case.add("PingNotPermitted", f"{reach[0]} {reach[1]}", {})
        found.severity = "info"
        if case.reading(CONNECTOR_ROW) is not None:
            found.evidence[CONNECTOR_ROW] = None


def some(names: list[str]) -> str:
    """Name the first few of a list, and how many more there are; each once, in order."""
    unique = list(dict.fromkeys(names))
    rest = len(unique) - TOLD
    return ", ".join(unique[:TOLD]) + (f" and {rest:,} more" if rest > 0 else "")
