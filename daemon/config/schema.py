"""The configuration as types: every key, its default and what it accepts. Durations are seconds."""

import datetime as dt
import ipaddress
from typing import Annotated, Literal, TypeAlias

import msgspec

from checks.net.endpoint import Endpoint

Duration: TypeAlias = Annotated[float, msgspec.Meta(title="duration", description="500ms, 30s, 5m, 1h or seconds")]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
System: TypeAlias = Literal["system"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the file: unknown keys are errors."""


class Connector(Section, frozen=True, kw_only=True):
    """Which Connector this is, and how it runs."""

    name: str | None = None
    remote_network: str = ""
    network: str | None = None
    runtime: Literal["auto", "docker", "systemd", "kubernetes", "none"] = "auto"
    container: str | None = None
    unit: str = "twingate-connector.service"
    docker_host: str = "unix:///var/run/docker.sock"
    vantage: Literal["auto", "connector", "host"] = "auto"
    metrics_url: str | None = None


class Clock(Section, frozen=True, kw_only=True):
    """Time sources and tolerance."""

    servers: System | tuple[Endpoint, ...] = "system"  # default port 123
    controller_date: bool = True
    max_offset: Duration = 5.0
    warn_offset: Duration = 1.0


class ControlPlane(Section, frozen=True, kw_only=True):
    """The Controller."""

    urls: tuple[str, ...] = ()
    ca_file: str | None = None
    expected_issuers: tuple[str, ...] = ()


class Relays(Section, frozen=True, kw_only=True):
    """The Relays and STUN servers."""

    endpoints: tuple[Endpoint, ...] = (Endpoint("relays.twingate.com", 443),)  # a port is required
    learn: bool = True
    stun: tuple[Endpoint, ...] = ()  # default port 3478


class Dns(Section, frozen=True, kw_only=True):
    """Name resolution."""

    nameservers: System | tuple[Endpoint, ...] = "system"  # literal addresses, default port 53
    search: System | tuple[str, ...] = "system"
    timeout: Duration = 5.0


class Provider(Section, frozen=True, kw_only=True):
    """Twingate's status page."""

    status_url: str = "https://status.twingate.com/api/v2/summary.json"
    enabled: Literal["never", "on_failure", "always"] = "on_failure"


class PortRange(msgspec.Struct, frozen=True, order=True):
    """Ports `first` to `last`, both included; `single` tells that it was written as one number."""

    first: int
    last: int

    @property
    def single(self) -> bool:
        """Tell whether it is one port."""
        return self.first == self.last


class Resource(Section, frozen=True, kw_only=True):
    """A Resource as Twingate defines it, and how to probe it."""

    name: str
    address: str
    tcp: tuple[PortRange, ...] | None = None  # None: all ports are allowed
    udp: tuple[PortRange, ...] | None = None
    samples: tuple[str, ...] = ()
    probe_ports: tuple[int, ...] = ()
    probe: Literal["auto", "connect", "half_open", "dns", "never"] = "auto"
    expect: Literal["auto", "up", "any", "down"] = "auto"
    addresses: Literal["any", "all"] = "any"
    interval: Duration | None = None
    severity: Literal["info", "warning", "critical"] = "warning"
    alias: str | None = None
    labels: dict[str, str] = {}


class ResourceSource(Section, frozen=True, kw_only=True):
    """Where more Resources come from."""

    type: Literal["twingate_api", "file", "url"]


class Maintenance(Section, frozen=True, kw_only=True):
    """A time during which matching Resources are shown and never alerted."""

    match: str
    start: dt.datetime = msgspec.field(name="from")
    to: dt.datetime
    reason: str = ""


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
    ports: dict[int, PortPolicy] = msgspec.field(default_factory=_PORT_POLICIES.copy)
    deny: tuple[Network, ...] = _DENIED
    allow: tuple[Network, ...] = ()
    max_ports_per_resource: int = 16
    max_addresses_per_name: int = 8


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

    failures: int = 2
    successes: int = 2
    interval: Duration = 2.0


class Schedule(Section, frozen=True, kw_only=True):
    """When probes run."""

    interval: Duration = 30.0
    intervals: Intervals = Intervals()
    timeout: Duration = 5.0
    concurrency: Literal["auto"] | int = "auto"
    per_host: int = 16
    max_rate: float = 1000.0
    confirm: Confirm = Confirm()


class BasicAuth(Section, frozen=True, kw_only=True):
    """User and password of an Alertmanager."""

    username: str
    password_file: str


class ClientTls(Section, frozen=True, kw_only=True):
    """TLS towards an Alertmanager."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Alertmanager(Section, frozen=True, kw_only=True):
    """One Alertmanager; in the file also a bare URL."""

    url: str
    bearer_file: str | None = None
    basic: BasicAuth | None = None
    tls: ClientTls | None = None


class Alerting(Section, frozen=True, kw_only=True):
    """Where alerts go."""

    mode: Literal["live", "shadow"] = "live"
    alertmanagers: tuple[Alertmanager, ...] = ()
    external_labels: dict[str, str] = {}
    resend: Duration = 60.0
    heartbeat_url_file: str | None = None
    after: dict[str, Duration] = {}


class Metrics(Section, frozen=True, kw_only=True):
    """How much of each Resource is exported."""

    detail: Literal["auto", "all", "failing", "none"] = "auto"
    max_series: int = 50000


class Web(Section, frozen=True, kw_only=True):
    """The HTTP server."""

    listen: tuple[Endpoint, ...] = (Endpoint("127.0.0.1", 19440),)
    socket: str | None = None
    config_file: str | None = None
    external_url: str | None = None


class State(Section, frozen=True, kw_only=True):
    """What survives a restart."""

    path: str = "/var/lib/connector-health/state.db"


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
    checks: dict[str, bool] = {}
