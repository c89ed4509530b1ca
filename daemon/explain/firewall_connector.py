"""What the Connector itself must be let out to: what Twingate publishes of it, and the Resources as they are defined.

The published part is of Twingate's pages "Connector best practices", "Endpoint requirements" and "Firewall failures";
NOTES says what none of them tells.
"""

from collections.abc import Iterator

from checks.net.endpoint import Endpoint
from checks.net.url import parse_url
from daemon.config.ports import PortRange
from daemon.config.schema import Config, Relays, Resource
from daemon.explain.firewall_model import Kind, Local, Way, kind_of, named, port
from daemon.targets_static import controller_urls

HTTPS = 443
RELAY_PORTS = (PortRange(HTTPS, HTTPS), PortRange(30000, 31000))
STATIC_RELAYS = "167.254.176.0/21"
PUSH_CHANNEL = ("h2.pubnubapi.com", "pubsub.pubnub.com", "ps.pndsn.com")

LONG_ANSWERS = "nameserver: answers that are too long for UDP"
DIRECT_PATHS = "direct paths to users (QUIC), and STUN on port 3478 to find them"

NOTES = (
    "Nothing needs to be let in for the Connector: it opens every connection itself.",
    "Twingate says that its list of names may change at any time, and advises to allow *.twingate.com as a whole.",
    (
        "Relays have changing addresses of a public cloud, so their ports are open to anywhere. An Enterprise account "
        f"may have Twingate's own block {STATIC_RELAYS} instead: then allow the Relays' ports to that block only."
    ),
    "Relays are reached over IPv4 only. UNKNOWN: whether Resources with IPv6 addresses work.",
    "No inspection of TLS on the way to *.twingate.com: the certificates are pinned. UNKNOWN: which ones.",
    "UNKNOWN: whether the Connector can go through an HTTP proxy; no document and no option of it says so.",
    "UDP is for direct paths to users, from any port to any port: without it all goes through Relays, slower.",
    "Resources that allow ICMP also need ICMP echo to their addresses; this configuration does not say which do.",
)


def connector_ways(config: Config, local: Local) -> Iterator[Way]:
    """Yield them: nameservers, Twingate's own services, then each Resource with all the ports that it allows."""
    servers = local.nameservers if isinstance(config.dns.nameservers, str) else config.dns.nameservers
    for server in servers:
        yield _to("udp", server, "nameserver (unless TWINGATE_DNS names others)")
        yield _to("tcp", server, LONG_ANSWERS)
    yield _way("tcp", "pattern", "*.twingate.com", "Controller, Relays, upload of logs", port(HTTPS))
    for url in controller_urls(config):
        endpoint = parse_url(url).endpoint
        if not endpoint.host.endswith(".twingate.com"):
            yield _to("tcp", endpoint, "Controller, by control_plane.urls")
    for host in PUSH_CHANNEL:
        yield _way("tcp", "name", host, "push channel: changes of policy reach the Connector at once", port(HTTPS))
    yield _way("tcp", "anywhere", "", "Relays", RELAY_PORTS)
    for endpoint in config.relays.endpoints:
        if endpoint not in Relays().endpoints and all(endpoint.port not in ports for ports in RELAY_PORTS):
            yield _to("tcp", endpoint, "Relay, by relays.endpoints")
    yield _way("udp", "anywhere", "", DIRECT_PATHS, (), optional=True)
    by_rule: dict[tuple[str, object, object], list[Resource]] = {}
    for resource in config.resources:
        by_rule.setdefault((resource.address, resource.tcp, resource.udp), []).append(resource)
    for resources in by_rule.values():
        yield from _resource(resources[0], named([resource.name for resource in resources]))


def _resource(resource: Resource, why: str) -> Iterator[Way]:
    """Yield what Twingate lets users reach there: None means every port, an empty list none."""
    kind = kind_of(resource.address)
    if resource.tcp is None or resource.tcp:
        yield _way("tcp", kind, resource.address, why, resource.tcp or ())
    if resource.udp is None or resource.udp:
        yield _way("udp", kind, resource.address, why, resource.udp or ())


def _to(protocol: str, endpoint: Endpoint, why: str) -> Way:
    return _way(protocol, kind_of(endpoint.host), endpoint.host, why, port(endpoint.port))


def _way(protocol: str, kind: Kind, to: str, why: str, ports: tuple[PortRange, ...], *, optional: bool = False) -> Way:
    return Way(
        who="connector",
        protocol="udp" if protocol == "udp" else "tcp",
        kind=kind,
        to=to,
        why=why,
        ports=ports,
        optional=optional,
    )
