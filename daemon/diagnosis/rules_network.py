"""The network towards Resources: next hops, subnets, and ports that are blocked on the way."""

import heapq
import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from checks.model import CheckName
from checks.nexthop import BITS, SUBNETS, Prefix, number_of
from checks.nexthop import prefix as prefix_of
from daemon.causes import Domain
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.reading import TCP, Reading

# A nameserver that lies may give each name other addresses all over the world.
MOST_PREFIXES = 100_000  # that are looked at: 20,000 addresses have 60,000
MOST_SUBNETS = 500  # that are told, the widest: nobody reads more
DISTINCT = 3  # addresses that have to be silent: two may well be two faults
_TWINGATE = (CheckName.CONTROL_PLANE, CheckName.RELAY)
_BEHIND = (
    "SubnetUnreachable",
    "PortBlocked",
    "ResourceHostDown",
    "ServiceDown",
)  # what a dead next hop looks like until it is proven


def next_hops(case: Case) -> Iterator[None]:
    """NextHopDown: proven by a link address that nobody gives, or because all that lies behind it is silent."""
    _let_go(case)
    behind: dict[str, dict[str, bool]] = {}  # gateway → silent address → whether it is more than Twingate's own
    gateway_of = case.hops.gateway
    for count, reading in enumerate(case.left(case.silent)):
        if count % BREATH == 0:
            yield
        others = reading.check not in _TWINGATE
        for address in reading.downs:
            gateway = gateway_of(address)
            if gateway:
                held = behind.get(gateway)
                if held is None:
                    held = behind[gateway] = {}
                held[address] = others or held.get(address, False)
    if not behind:
        return
    works: set[str] = set()
    yield from _working(case, behind, works)
    for gateway in sorted(behind):
        _next_hop(case, gateway, behind[gateway], works=gateway in works)
    yield from case.claim_covered()


def _working(case: Case, behind: Mapping[str, Iterable[str]], works: set[str]) -> Iterator[None]:
    """Find the gateways behind which something says something, and did so after the rest had become silent."""
    for count, address in enumerate(case.ups):
        if count % BREATH == 0:
            yield
        works.add(case.hops.gateway(address))
    silent_s = {gateway: case.silence.seconds(behind[gateway], DISTINCT) for gateway in behind} if case.rare_ups else {}
    for count, (address, age_s) in enumerate(case.rare_ups.items()):
        if count % BREATH == 0:
            yield
        gateway = case.hops.gateway(address)
        if age_s < silent_s.get(gateway, 0.0):
            works.add(gateway)


def _next_hop(case: Case, gateway: str, silent: dict[str, bool], *, works: bool) -> None:
    proven = gateway in case.scene.dead_next_hops
    if proven:
        seen = f"The kernel asked for the link address of {gateway} and nobody answered."
    else:
        # Twingate's own endpoints alone are rather a firewall that blocks the way out: see EgressBlocked.
        enough = len(silent) >= DISTINCT and any(silent.values()) and _spread(case, gateway, silent)
        if works or not (enough or case.keeps("NextHopDown", gateway)):
            return
        seen = f"All {len(silent)} addresses behind it that were tried are silent, and none answers."
    found = case.add("NextHopDown", gateway, {"seen": seen}, inferred=True)
    if gateway in case.hops.default_gateways:
        found.severity, found.alert = "critical", "ConnectorHostNetworkDown"
    else:
        found.labels = {"address": gateway}
        found.domain = Domain.NETWORK
    case.cover(found, silent)


def _let_go(case: Case) -> None:
    """Let go of what was taken for subnets, ports and hosts before the kernel gave up the next hop before them."""
    dead = case.scene.dead_next_hops
    for code in _BEHIND if dead else ():
        for found in [f for f in case.holds(code) if f.kept]:
            readings = [reading for row_id in found.rows if (reading := case.reading(row_id)) is not None]
            if all(case.hops.gateway(address) in dead for reading in readings for address in reading.downs):
                case.let_go(found)


def _spread(case: Case, gateway: str, silent: Iterable[str]) -> bool:
    """Tell whether what is silent is more than one site: behind the default route lies everything, also that."""
    if gateway not in case.hops.default_gateways:
        return True
    first: Prefix | None = None
    for version, number in filter(None, map(number_of, silent)):
        site = prefix_of(version, SUBNETS[version][0], number)
        first = first or site
        if site != first:
            return True
    return False


def subnets(case: Case) -> Iterator[None]:
    """SubnetUnreachable: the widest prefix with at least DISTINCT silent addresses and none that says anything."""
    silent: dict[Prefix, set[str]] = {}
    yield from _gather(case, silent)
    if not silent:
        return
    yield from _strike_out(case, silent)
    for found in [f for f in case.holds("SubnetUnreachable") if f.kept]:
        network = ipaddress.ip_network(found.target)
        prefix = prefix_of(network.version, network.prefixlen, int(network.network_address))
        case.cover(found, silent.get(prefix, ()))
    covered = case.covered
    several: list[Prefix] = []
    for count, (prefix, inside) in enumerate(silent.items()):
        if count % BREATH == 0:
            yield
        if len(inside) >= DISTINCT:
            several.append(prefix)
    for prefix in heapq.nsmallest(MOST_SUBNETS, several, key=lambda p: (p[1], p)):
        yield
        left = {address for address in silent[prefix] if address not in covered}
        if len(left) >= DISTINCT:
            _subnet(case, prefix, left)
    yield from case.claim_covered()


def _gather(case: Case, silent: dict[Prefix, set[str]]) -> Iterator[None]:
    """Sort the silent addresses of Resources into the prefixes that they may share their fate with."""
    looked_at, prefixes_of = BREATH, case.hops.prefixes
    for reading in case.left(case.silent):
        if looked_at >= BREATH:
            looked_at = 0
            yield
        looked_at += len(reading.downs)
        if reading.check is not TCP:
            continue
        for address in reading.downs:
            for prefix in prefixes_of(address):
                inside = silent.get(prefix)
                if inside is not None:
                    inside.add(address)
                elif len(silent) < MOST_PREFIXES:
                    silent[prefix] = {address}


def _strike_out(case: Case, silent: dict[Prefix, set[str]]) -> Iterator[None]:
    """Leave only prefixes in which nothing says anything."""
    lengths = {(version, length) for version, length, _ in silent}
    for count, address in enumerate(case.ups):
        if count % BREATH == 0:
            yield
        parsed = number_of(address)
        if parsed is not None:
            for version, length in lengths:
                if version == parsed[0]:
                    silent.pop(prefix_of(version, length, parsed[1]), None)
    yield from _strike_out_rare(case, silent, lengths)


def _strike_out_rare(case: Case, silent: dict[Prefix, set[str]], lengths: Iterable[tuple[int, int]]) -> Iterator[None]:
    """Do the same for what is looked at rarely: it counts if it was looked at since the rest is silent."""
    silent_s: dict[Prefix, float] = {}
    for count, (address, age_s) in enumerate(case.rare_ups.items()):
        if count % BREATH == 0:
            yield
        parsed = number_of(address)
        around = [prefix_of(v, length, parsed[1]) for v, length in lengths if v == parsed[0]] if parsed else []
        for prefix in (prefix for prefix in around if prefix in silent):
            if prefix not in silent_s:
                silent_s[prefix] = case.silence.seconds(silent[prefix], DISTINCT)
            if age_s < silent_s[prefix]:
                del silent[prefix]


def _subnet(case: Case, prefix: Prefix, addresses: set[str]) -> None:
    version, length, number = prefix
    first = number << (BITS[version] - length)
    maker = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
    target = str(maker((first, length)))
    sample = min(addresses)
    values = {"count": len(addresses), "observed": f"{sample} is one of them", "sample": sample}
    found = case.add("SubnetUnreachable", target, values, inferred=True)
    found.labels = {"address": target}
    case.cover(found, addresses)


def ports(case: Case) -> Iterator[None]:
    """PortBlocked: one port is silent at several addresses that answer at others, and works at none."""
    silent: dict[str, list[Reading]] = {}
    up_elsewhere = case.ups | case.rare_ups.keys() if case.rare_ups else case.ups
    for count, reading in enumerate(case.left(case.silent)):
        if count % BREATH == 0:
            yield
        if reading.check is TCP and up_elsewhere.issuperset(reading.downs):
            silent.setdefault(reading.result.target.rpartition(":")[2], []).append(reading)
    for port, readings in sorted(silent.items()):
        addresses = {address for reading in readings for address in reading.downs}
        enough = 1 if case.keeps("PortBlocked", port) else DISTINCT
        if port not in case.working and len(addresses) >= enough:
            sample = min(addresses)
            ask = next(r for r in readings if sample in r.downs).asks(sample, port)
            values = {"count": len(addresses), "observed": f"{sample} is one of them", "ask": ask}
            found = case.add("PortBlocked", port, values, rows=[r.id for r in readings], inferred=True)
            found.labels = {"port": port}
        yield
