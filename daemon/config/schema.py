"""The configuration as types: every key, its default and what it accepts. Durations are seconds.

The second half of each `Annotated` says how the value is written in the file; loading, `config show` and
`config schema` all read these types.
"""

import datetime as dt
import ipaddress
from typing import Annotated, Literal, TypeAlias

import msgspec

from checks.net.endpoint import Endpoint
from daemon.config import addresses, names, ports, values
from daemon.config.shapes import AtMost, Short

Duration: TypeAlias = Annotated[float, values.DURATION]
Delay: TypeAlias = Annotated[float, values.DELAY]
Text: TypeAlias = Annotated[str, values.TEXT]
Name: TypeAlias = Annotated[str, values.NAME]
Word: TypeAlias = Annotated[str, values.WORD]
Url: TypeAlias = Annotated[str, addresses.url()]
QueryUrl: TypeAlias = Annotated[str, addresses.url(query=True)]
DockerHost: TypeAlias = Annotated[str, addresses.DOCKER_HOST]
File: TypeAlias = Annotated[str, values.file_name(readable=True)]
Place: TypeAlias = Annotated[str, values.file_name(readable=False)]
Host: TypeAlias = Annotated[str, addresses.HOST]
Domain: TypeAlias = Annotated[str, addresses.DOMAIN]
Slug: TypeAlias = Annotated[str, names.NETWORK]
Label: TypeAlias = Annotated[str, names.LABEL]
AlertLabel: TypeAlias = Annotated[str, names.ALERT_LABEL]
Alert: TypeAlias = Annotated[str, names.ALERT]
Check: TypeAlias = Annotated[str, names.CHECK]
Network: TypeAlias = Annotated[addresses.Network, addresses.NETWORK]
Moment: TypeAlias = Annotated[dt.datetime, values.MOMENT]
Count: TypeAlias = Annotated[int, values.whole(1, 1_000_000)]
Port: TypeAlias = Annotated[int, ports.PORT]
PortRange: TypeAlias = ports.PortRange
Ports: TypeAlias = tuple[Annotated[PortRange, ports.PORTS], ...]
TimeServer: TypeAlias = Annotated[Endpoint, addresses.endpoint(123)]
Relay: TypeAlias = Annotated[Endpoint, addresses.endpoint(443)]
StunServer: TypeAlias = Annotated[Endpoint, addresses.endpoint(3478)]
Nameserver: TypeAlias = Annotated[Endpoint, addresses.endpoint(53, literal=True)]
Listen: TypeAlias = Annotated[Endpoint, addresses.endpoint(None)]
System: TypeAlias = Literal["system"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the file: unknown keys are errors."""


class Connector(Section, frozen=True, kw_only=True):
    """Which Connector this is, and how it runs."""

    name: Name | None = None
    remote_network: Text = ""
    network: Slug | None = None
    runtime: Literal["auto", "docker", "systemd", "kubernetes", "none"] = "auto"
    container: Word | None = None
    unit: Word = "twingate-connector.service"
    docker_host: DockerHost = "unix:///var/run/docker.sock"
    vantage: Literal["auto", "connector", "host"] = "auto"
    metrics_url: Url | None = None
    helper: Place = "/run/connector-health/netns.sock"


class Clock(Section, frozen=True, kw_only=True):
    """Time sources and tolerance."""

    servers: System | tuple[TimeServer, ...] = "system"
    controller_date: bool = True
    max_offset: Duration = 5.0
    warn_offset: Duration = 1.0


class ControlPlane(Section, frozen=True, kw_only=True):
    """The Controller."""

    urls: tuple[Url, ...] = ()
    ca_file: File | None = None
    expected_issuers: tuple[Name, ...] = ()


class Relays(Section, frozen=True, kw_only=True):
    """The Relays and STUN servers."""

    endpoints: tuple[Relay, ...] = (Endpoint("relays.twingate.com", 443),)
    learn: bool = True
    stun: tuple[StunServer, ...] = ()


class Dns(Section, frozen=True, kw_only=True):
    """Name resolution."""

    nameservers: System | tuple[Nameserver, ...] = "system"
    search: System | tuple[Domain, ...] = "system"
    timeout: Duration = 5.0


class Provider(Section, frozen=True, kw_only=True):
    """Twingate's status page."""

    status_url: QueryUrl = "https://status.twingate.com/api/v2/summary.json"
    enabled: Literal["never", "on_failure", "always"] = "on_failure"


_NO_LABELS: dict[str, str] = {}  # one for all: nothing changes a configuration, and there are thousands


class Resource(Section, frozen=True, kw_only=True):
    """A Resource as Twingate defines it, and how to probe it."""

    name: Name
    address: Annotated[str, addresses.RESOURCE_ADDRESS]
    tcp: Ports | None = None  # None: all ports are allowed
    udp: Ports | None = ()
    samples: tuple[Host, ...] = ()
    probe_ports: tuple[Port, ...] = ()
    probe: Literal["auto", "connect", "half_open", "dns", "never"] = "auto"
    expect: Literal["auto", "up", "any", "down"] = "auto"
    addresses: Literal["any", "all"] = "any"
    interval: Duration | None = None
    severity: Literal["info", "warning", "critical"] = "warning"
    alias: Name | None = None
    labels: Annotated[dict[Label, Text], AtMost(8)] = msgspec.field(default_factory=lambda: _NO_LABELS)


class ResourceSource(Section, frozen=True, kw_only=True):
    """Where more Resources come from."""

    type: Literal["twingate_api", "file", "url"]


class Maintenance(Section, frozen=True, kw_only=True):
    """A time during which matching Resources are shown and never alerted."""

    match: Name
    start: Moment = msgspec.field(name="from")
    to: Moment
    reason: Text = ""


PortPolicy: TypeAlias = Literal["half_open"] | Duration
"""`half_open`: never by connect. A duration: by connect, no more often than that."""


_DENIED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128",
    )
)  # fmt: skip


_PORT_POLICIES: dict[int, PortPolicy] = {
    3306: "half_open", 33060: "half_open", 9100: "half_open", 102: "half_open", 502: "half_open",
    22: 300.0, 25: 300.0, 465: 300.0, 587: 300.0, 1521: 300.0, 3389: 300.0,
}  # fmt: skip


class Probing(Section, frozen=True, kw_only=True):
    """How probes are made, and what they must not touch."""

    method: Literal["auto", "connect", "half_open"] = "auto"
    ports: dict[Port, PortPolicy] = msgspec.field(default_factory=_PORT_POLICIES.copy)
    deny: tuple[Network, ...] = _DENIED
    allow: tuple[Network, ...] = ()
    max_ports_per_resource: Count = 16
    max_addresses_per_name: Count = 8


class Intervals(Section, frozen=True, kw_only=True):
    """Seconds between two runs of a check."""

    control_plane: Duration = 60.0
    relay: Duration = 60.0
    nat: Duration = 600.0
    clock: Duration = 64.0
    provider: Duration = 300.0
    connector: Duration = 15.0
    host: Duration = 15.0
    definition: Duration = 3600.0
    dns_matrix: Duration = 300.0


class Confirm(Section, frozen=True, kw_only=True):
    """How many results in a row change a verdict, and how soon a failure is looked at again."""

    failures: Count = 2
    successes: Count = 2
    interval: Duration = 2.0


class Schedule(Section, frozen=True, kw_only=True):
    """When probes run."""

    interval: Duration = 30.0
    intervals: Intervals = Intervals()
    timeout: Duration = 5.0
    concurrency: Literal["auto"] | Count = "auto"
    per_host: Count = 16
    max_rate: Annotated[float, values.number(0.1, 100_000)] = 1000.0
    confirm: Confirm = Confirm()


class BasicAuth(Section, frozen=True, kw_only=True):
    """User and password of an Alertmanager."""

    username: Name
    password_file: File


class ClientTls(Section, frozen=True, kw_only=True):
    """TLS towards an Alertmanager."""

    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None


class Alertmanager(Section, frozen=True, kw_only=True):
    """One Alertmanager; in the file also a bare URL."""

    url: Url
    bearer_file: File | None = None
    basic: BasicAuth | None = None
    tls: ClientTls | None = None


class Alerting(Section, frozen=True, kw_only=True):
    """Where alerts go."""

    mode: Literal["live", "shadow"] = "live"
    alertmanagers: tuple[Annotated[Alertmanager, Short("url")], ...] = ()
    external_labels: dict[AlertLabel, Text] = {}
    resend: Duration = 60.0
    heartbeat_url_file: File | None = None
    runbooks: Text = "docs/runbooks"
    after: dict[Alert, Delay] = {}


class Metrics(Section, frozen=True, kw_only=True):
    """How much of each Resource is exported."""

    detail: Literal["auto", "all", "failing", "none"] = "auto"
    max_series: Count = 50000


class Web(Section, frozen=True, kw_only=True):
    """The HTTP server."""

    listen: tuple[Listen, ...] = (Endpoint("127.0.0.1", 19440),)
    socket: Place | None = None
    config_file: File | None = None
    external_url: Url | None = None


class State(Section, frozen=True, kw_only=True):
    """What survives a restart."""

    path: Place = "/var/lib/connector-health/state.db"


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    connector: Connector = Connector()
    clock: Clock = Clock()
    control_plane: ControlPlane = ControlPlane()
    relays: Relays = Relays()
    dns: Dns = Dns()
    provider: Provider = Provider()
    resources: tuple[Resource, ...] = ()
    resource_sources: tuple[ResourceSource, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    probing: Probing = Probing()
    schedule: Schedule = Schedule()
    alerting: Alerting = Alerting()
    metrics: Metrics = Metrics()
    web: Web = Web()
    state: State = State()
    checks: dict[Check, bool] = {}
