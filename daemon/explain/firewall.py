"""`healthctl explain firewall`: every way out that the configuration asks for, for the daemon and for the Connector.

The daemon's ways are read off the very jobs that it would run: what is switched off, denied or never probed needs none.
"""

from collections.abc import Iterable, Iterator

import msgspec

from checks.clock import ClockSpec
from checks.control_plane import ControlPlaneSpec
from checks.model import CheckName
from checks.nat import NatSpec
from checks.net.answers import DNS_PORT
from checks.net.endpoint import Endpoint, is_loopback, parse_endpoint
from checks.net.resolvconf import SystemSettings
from checks.net.url import parse_url
from checks.provider import ProviderSpec
from checks.relay import RelaySpec
from checks.tcp_spec import TcpSpec
from checks.timesources import discover
from daemon.config.schema import Config
from daemon.explain.firewall_connector import LONG_ANSWERS, NOTES, RELAY_PORTS, connector_ways
from daemon.explain.firewall_model import Local, Way, kind_of, merged, named, port
from daemon.jobs import Job
from daemon.targets import enabled_checks, make_plan
from daemon.targets_static import controller_urls

TWINGATE = ".twingate.com"
_DOCKER_ENDPOINT = "tcp://"


def read_local() -> Local:
    """Return what this host's files say of nameservers and time servers; sends nothing."""
    settings = SystemSettings().current()
    sources = discover()
    return Local(
        nameservers=settings.nameservers,
        time_servers=sources.servers,
        time_daemon=sources.daemon or "",
        problems=(*settings.problems, *sources.problems),
    )


def ways_out(config: Config, local: Local) -> list[Way]:
    """Return every way out, the Connector's first, each destination and purpose once."""
    return merged((*connector_ways(config, local), *_daemon_ways(config, local)))


def ways_in(config: Config) -> tuple[str, ...]:
    """Return where others must reach the daemon: the addresses on which it listens beyond this host."""
    return tuple(str(endpoint) for endpoint in config.web.listen if not is_loopback(endpoint.host))


def notes_on(ways: Iterable[Way]) -> tuple[str, ...]:
    """Return what a reader must know besides: what nobody has published, and what these ways can't show."""
    stubs = dict.fromkeys(way.to for way in ways if way.local and way.why == LONG_ANSWERS)
    return NOTES + tuple(
        f"{stub} is a nameserver on this host itself: it must be let out to those that it asks in turn "
        "(systemd-resolved: `resolvectl dns`; Docker's 127.0.0.11: those of the host)."
        for stub in stubs
    )


def _daemon_ways(config: Config, local: Local) -> Iterator[Way]:
    servers = local.nameservers if isinstance(config.dns.nameservers, str) else config.dns.nameservers
    for server in servers:
        yield _way("udp", server, "nameserver", f"resolver:{server.short(DNS_PORT)}")
        yield _way("tcp", server, LONG_ANSWERS, optional=True)
    for job in make_plan(config, enabled_checks(config), half_open=True).jobs:
        if job.fixed is None:
            yield from _ways_of(local, job)
    yield from _others(config)


def _ways_of(local: Local, job: Job) -> Iterator[Way]:
    match job.spec:
        case ClockSpec(servers=servers, controllers=controllers):
            whose = f"time server of {local.time_daemon or 'this host'}" if servers is None else "time server"
            for server in local.time_servers if servers is None else servers:
                yield _way("udp", server, f"{whose} (this host's own time daemon needs it too)", job.id)
            for url in controllers:
                yield _way("tcp", parse_url(url).endpoint, "Controller", job.id)
        case ControlPlaneSpec(url=url):
            yield from _controller(url, job.id)
        case RelaySpec(endpoint=endpoint):
            yield _way("tcp", endpoint, "Relay", job.id)
        case NatSpec(servers=servers):
            for server in servers:
                yield _way("udp", server, "STUN: does UDP get out, is a direct path possible", job.id, optional=True)
        case ProviderSpec(status_url=url, enabled=enabled):
            when = "" if enabled == "always" else ", asked while something fails"
            yield _way("tcp", parse_url(url).endpoint, f"Twingate's status page{when}", job.id, optional=True)
        case TcpSpec(address=address, port=number):
            yield _way("tcp", Endpoint(address, number), named(job.resources), job.id)
        case _:
            return  # the host's own tables, its Connector, and names, which the nameservers are asked for


def _controller(url: str, row: str) -> Iterator[Way]:
    endpoint = parse_url(url).endpoint
    yield _way("tcp", endpoint, "Controller", row)
    network, dot, domain = endpoint.host.partition(".")
    if f"{dot}{domain}" == TWINGATE:
        yield Way(
            who="daemon", protocol="tcp", kind="pattern", to=f"{network}.*{TWINGATE}", ports=port(endpoint.port),
            why="Controller: the regional host that the API redirects to",
        )  # fmt: skip


def _others(config: Config) -> Iterator[Way]:
    """Yield what is no check: learned Relays, the Connector's own metrics, Docker over TCP, and whom alerts go to."""
    connector, alerting = config.connector, config.alerting
    checks = enabled_checks(config)
    if config.relays.learn and connector.runtime != "none" and {CheckName.RELAY, CheckName.CONNECTOR} <= checks:
        yield Way(
            who="daemon", protocol="tcp", kind="unlisted", to="Relays in use", ports=RELAY_PORTS, optional=True,
            why="Relays that the Connector's log shows (`healthctl status` lists them)",
        )  # fmt: skip
    if connector.metrics_url and connector.runtime != "none" and CheckName.CONNECTOR in checks:
        yield _way("tcp", parse_url(connector.metrics_url).endpoint, "the Connector's own metrics", "connector:process")
    if connector.runtime in ("auto", "docker") and not connector.docker_host.startswith("unix:"):
        yield _way("tcp", _docker(connector.docker_host), "Docker", "connector:process")
    for alertmanager in alerting.alertmanagers:
        later = ", once alerting.mode is live" if alerting.mode == "shadow" else ""
        endpoint = parse_url(alertmanager.url).endpoint
        yield _way("tcp", endpoint, f"Alertmanager{later}", optional=alerting.mode == "shadow")
    if alerting.heartbeat_url_file:
        # The URL is a secret: whoever knows it can keep the dead man's switch quiet. So not even its host is shown.
        yield Way(
            who="daemon", protocol="tcp", kind="unlisted", to="heartbeat", ports=port(443),
            why="the host and port of the URL in alerting.heartbeat_url_file (a secret, not shown)",
        )  # fmt: skip


def _docker(host: str) -> Endpoint:
    if host.startswith(_DOCKER_ENDPOINT):
        return parse_endpoint(host.removeprefix(_DOCKER_ENDPOINT), None)
    return parse_url(host).endpoint


def _way(protocol: str, endpoint: Endpoint, why: str, row: str = "", *, optional: bool = False) -> Way:
    return Way(
        who="daemon",
        protocol="udp" if protocol == "udp" else "tcp",
        kind=kind_of(endpoint.host),
        to=endpoint.host,
        ports=port(endpoint.port),
        why=why,
        optional=optional,
        rows=(row,) if row else (),
    )


def document(config: Config, file: str, local: Local, ways: list[Way]) -> str:
    """Return everything as JSON: for a generator of other firewalls' rules."""
    whole = {
        "schema": 1,
        "connector": config.connector.name,
        "configuration": file,
        "ways_out": [_item(way) for way in ways],
        "ways_in": list(ways_in(config)),
        "controllers": list(controller_urls(config)),
        "problems": list(local.problems),
        "notes": list(notes_on(ways)),
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n"


def _item(way: Way) -> dict[str, object]:
    return {
        "who": way.who,
        "protocol": way.protocol,
        "ports": [str(each) for each in way.ports] or ["1-65535"],
        "kind": way.kind,
        "to": way.to or None,
        "addresses": [way.to] if way.kind in ("address", "network") else way.addresses,
        "required": not way.optional,
        "why": way.why,
        "rows": way.rows,
    }
