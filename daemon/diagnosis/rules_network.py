"""The network towards Resources: next hops, subnets, and ports that are blocked on the way."""

import ipaddress
from collections.abc import Iterable, Iterator

from checks.model import CheckName
from checks.nexthop import BITS, SUBNETS, Prefix, number_of
from checks.nexthop import prefix as prefix_of
from daemon.causes import Domain
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.reading import Reading

DISTINCT = 3  # addresses that have to be silent: two may well be two faults
_TWINGATE = (CheckName.CONTROL_PLANE, CheckName.RELAY)


def next_hops(case: Case) -> Iterator[None]:
    """NextHopDown: proven by a link address that nobody gives, or because all that lies behind it is silent."""
    behind: dict[str, dict[str, bool]] = {}  # gateway → silent address → whether it is more than Twingate's own
    for count, reading in enumerate(case.left(case.silent)):
        if count % BREATH == 0:
            yield
        others = reading.check not in _TWINGATE
        for address in reading.downs:
            gateway = case.hops.gateway(address)
            if gateway:
                held = behind.get(gateway)
                if held is None:
                    held = behind[gateway] = {}
                held[address] = others or held.get(address, False)
    if not behind:
        return
    works: set[str] = set()
    for count, address in enumerate(case.ups):
        if count % BREATH == 0:
            yield
        works.add(case.hops.gateway(address))
    for gateway in sorted(behind):
        _next_hop(case, gateway, behind[gateway], works=gateway in works)
    yield from case.claim_covered()


def _next_hop(case: Case, gateway: str, silent: dict[str, bool], *, works: bool) -> None:
    proven = gateway in case.scene.dead_next_hops
    if proven:
        seen = f"The kernel asked for the link address of {gateway} and nobody answered."
    else:
        # Twingate's own endpoints alone are rather a firewall that blocks the way out: see EgressBlocked.
        enough = len(silent) >= (1 if case.keeps("NextHopDown", gateway) else DISTINCT)
        if works or not enough or not any(silent.values()) or not _spread(case, gateway, silent):
            return
        seen = f"All {len(silent)} addresses behind it that were tried are silent, and none answers."
    found = case.add("NextHopDown", gateway, {"seen": seen}, inferred=True)
    if gateway in case.hops.default_gateways:
        found.severity, found.alert = "critical", "ConnectorHostNetworkDown"
    else:
        found.labels = {"address": gateway}
        found.domain = Domain.NETWORK
    case.cover(found, silent)


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
    for count, reading in enumerate(case.left(case.silent)):
        if count % BREATH == 0:
            yield
        if reading.check is not CheckName.TCP:
            continue
        for address in reading.downs:
            for prefix in case.hops.prefixes(address):
                inside = silent.get(prefix)
                if inside is None:
                    inside = silent[prefix] = set()
                inside.add(address)
    if not silent:
        return
    yield from _strike_out(case, silent)
    for found in [f for f in case.holds("SubnetUnreachable") if f.kept]:
        network = ipaddress.ip_network(found.target)
        prefix = prefix_of(network.version, network.prefixlen, int(network.network_address))
        case.cover(found, silent.get(prefix, ()))
    for prefix in sorted(silent, key=lambda p: (p[1], p)):
        yield
        left = {address for address in silent[prefix] if address not in case.covered}
        if len(left) >= DISTINCT:
            _subnet(case, prefix, left)
    yield from case.claim_covered()


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
    for count, reading in enumerate(case.left(case.silent)):
        if count % BREATH == 0:
            yield
        if reading.check is CheckName.TCP and all(a in case.ups for a in reading.downs):
            silent.setdefault(reading.result.target.rpartition(":")[2], []).append(reading)
    for port, readings in sorted(silent.items()):
        addresses = {address for reading in readings for address in reading.downs}
        enough = 1 if case.keeps("PortBlocked", port) else DISTINCT
        if port not in case.working and len(addresses) >= enough:
            sample = min(addresses)
            values = {"count": len(addresses), "observed": f"{sample} is one of them", "sample": sample}
            found = case.add("PortBlocked", port, values, rows=[r.id for r in readings], inferred=True)
            found.labels = {"port": port}
        yield
