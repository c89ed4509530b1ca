"""Rules that span several keys. Each says what is wrong, and where, for sections that are right in themselves."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from checks.net.endpoint import is_address
from daemon.config import schema
from daemon.config.addresses import is_pattern, matches
from daemon.config.convert import Converter, Section
from daemon.config.nodes import Mapping, Node, Scalar, Sequence
from daemon.config.problems import Path, path_text
from daemon.config.rate import rate_fault, smallest_rate

Finding = tuple[Path, str]
"""Where, below the section, and what."""

MIN_CLOCK_INTERVAL = 64.0  # seconds: public time servers refuse clients that ask more often (NTP's minpoll 6)


def check_rules(converter: Converter, config: schema.Config | None) -> None:
    """Report what breaks a rule; `config` is None when a section of it is wrong. Raises: TooManyProblemsError."""
    for section in converter.built:
        if rule := _RULES.get(type(section.value)):
            for below, message in rule(section.value):
                _report(converter, section, below, message)
    _check_names(converter)
    if config and not converter.problems:
        root = converter.built[-1]
        if fault := rate_fault(smallest_rate(config), config.schedule.max_rate):
            _report(converter, root, ("schedule", "max_rate"), fault)


def _report(converter: Converter, section: Section, below: Path, message: str) -> None:
    converter.report(node_at(section.node, below), (*section.path, *below), message)


def node_at(node: Node, path: Path) -> Node:
    """Return the node at a path, or the nearest one above where the file leaves it to the default."""
    for step in path:
        child: Node | None = None
        if isinstance(node, Mapping):
            child = next((value for key, value in node.items if isinstance(key, Scalar) and key.value == step), None)
        elif isinstance(node, Sequence) and isinstance(step, int):
            child = node.items[step]
        if child is None:
            return node
        node = child
    return node


def _check_names(converter: Converter) -> None:
    """A duplicate Resource is one with the same name; several may share an address."""
    first: dict[str, Section] = {}
    for section in converter.built:
        if isinstance(section.value, schema.Resource):
            before = first.setdefault(section.value.name, section)
            if before is not section:
                line = node_at(before.node, ("name",)).line
                where = f"{path_text(before.path)}, line {line}" if line else path_text(before.path)
                _report(converter, section, ("name",), f"the name of another Resource too ({where}); rename one")


def _resource(resource: schema.Resource) -> Iterator[Finding]:
    for key, ranges in (("tcp", resource.tcp), ("udp", resource.udp)):
        yield from _overlaps(key, ranges or ())
    yield from _samples(resource)
    for index, port in enumerate(resource.probe_ports):
        if resource.tcp is not None and not any(port in allowed for allowed in resource.tcp):
            yield ("probe_ports", index), f"not allowed by tcp, got {port}, expected a port that tcp lists"


def _overlaps(key: str, ranges: schema.Ports) -> Iterator[Finding]:
    widest: tuple[int, schema.PortRange] | None = None  # of those before, the one that reaches furthest
    for index, ports in sorted(enumerate(ranges), key=lambda item: item[1]):
        if widest and ports.first <= widest[1].last:
            (first, other), (later, given) = sorted([widest, (index, ports)])
            yield (key, later), f"overlaps with {key}[{first}] ({other}), got {given}; list each port once"
        if not widest or ports.last > widest[1].last:
            widest = index, ports


def _samples(resource: schema.Resource) -> Iterator[Finding]:
    address = resource.address
    network = ipaddress.ip_network(address) if "/" in address else None
    if resource.samples and not network and not is_pattern(address):
        yield ("samples",), f'only for a network or a pattern, got address "{address}"; remove samples'
        return
    for index, sample in enumerate(resource.samples):
        if not (_lies_in(network, sample) if network else matches(address, sample)):
            yield ("samples", index), f'outside of the Resource, got "{sample}", expected one within {address}'


def _lies_in(network: schema.Network, sample: str) -> bool:
    return is_address(sample) and ipaddress.ip_address(sample) in network


def _clock(clock: schema.Clock) -> Iterator[Finding]:
    if clock.warn_offset >= clock.max_offset:
        yield (
            ("warn_offset",),
            (f"not below max_offset, got {clock.warn_offset:g}s, expected less than {clock.max_offset:g}s"),
        )


def _intervals(intervals: schema.Intervals) -> Iterator[Finding]:
    if intervals.clock < MIN_CLOCK_INTERVAL:
        yield (
            ("clock",),
            (
                f"too short, got {intervals.clock:g}s, expected at least {MIN_CLOCK_INTERVAL:g}s: time servers refuse"
                " clients that ask more often"
            ),
        )


def _maintenance(window: schema.Maintenance) -> Iterator[Finding]:
    if window.to <= window.start:
        yield ("to",), f"not after from, got {window.to.isoformat()}, expected later than {window.start.isoformat()}"


def _client_tls(tls: schema.ClientTls) -> Iterator[Finding]:
    if (tls.cert_file is None) != (tls.key_file is None):
        yield (), "cert_file and key_file belong together, got only one; write both or none"


def _alertmanager(alertmanager: schema.Alertmanager) -> Iterator[Finding]:
    if alertmanager.bearer_file and alertmanager.basic:
        yield ("basic",), "bearer_file and basic exclude each other, got both; remove one"


def _web(web: schema.Web) -> Iterator[Finding]:
    for index, endpoint in enumerate(web.listen):
        if not endpoint.literal and endpoint.host != "localhost":
            yield ("listen", index), f"a name, got {endpoint.host}, expected an IP address of this host, or localhost"
    # The kernel's limit for the path of a unix socket is 108 bytes with the final NUL (unix(7)).
    if web.socket and len(web.socket.encode()) > 107:
        yield ("socket",), f"too long for a unix socket, got {len(web.socket.encode())} bytes, expected at most 107"


_RULES: dict[type[msgspec.Struct], Callable[[Any], Iterator[Finding]]] = {
    schema.Resource: _resource,
    schema.Clock: _clock,
    schema.Intervals: _intervals,
    schema.Maintenance: _maintenance,
    schema.ClientTls: _client_tls,
    schema.Alertmanager: _alertmanager,
    schema.Web: _web,
}
