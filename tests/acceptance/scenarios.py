"""The planted faults, as data: what is broken, what must be paged about it, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NAMESERVER, CONTROLLER, RELAY, SERVICES = "10.77.1.53", "10.77.2.1", "10.77.3.1", "10.77.4.1"
CLOCKS = ("10.77.5.1", "10.77.5.2", "10.77.5.3")
GATEWAY, HOST = "10.77.0.1", "10.77.0.2"
CONTROLLER_NAME, RELAY_NAME, ZONE = "acme.twingate.test", "relay.twingate.test", "corp.test"
FIRST_PORT = 8000
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault and the one alert that it is.

    - `fault` names what is done, in `faults.FAULTS`.
    - `page`: the labels of the alert, besides those of the Connector.
    - `resources`: how many Resources are watched, each a name of its own; `ports`: on how many ports they are served.
    - `down_s`, `up_s`: it comes and goes, down for so many seconds and up for so many, instead of staying.
    - `docker`: a Connector runs in Docker, and is watched. `date`: the Controller's clock is a source of time.
    """

    name: str
    fault: str
    page: Labels
    resources: int = 3
    ports: int = 3
    down_s: float | None = None
    up_s: float = 0.0
    docker: bool = False
    date: bool = True

    def resource(self, number: int) -> tuple[str, str, int]:
        """Return name, address and port of one of the Resources."""
        return f"Service {number}", f"s{number:03}.{ZONE}", FIRST_PORT + number % self.ports


FIRST_RESOURCE: Labels = {"resource": "Service 0", "address": f"s000.{ZONE}", "port": str(FIRST_PORT)}

SCENARIOS = (
    Scenario(
        name="nameserver", fault="nameserver", resources=500,
        page={"alertname": "ConnectorNameserverDown", "severity": "critical", "nameserver": NAMESERVER},
    ),
    Scenario(name="gateway", fault="gateway", page={"alertname": "ConnectorHostNetworkDown", "severity": "critical"}),
    Scenario(
        name="connector", fault="connector", docker=True, page={"alertname": "ConnectorDown", "severity": "critical"},
    ),
    Scenario(
        name="clock", fault="clock", date=False, page={"alertname": "ConnectorClockSkew", "severity": "critical"},
    ),
    Scenario(
        name="control-plane", fault="control_plane",
        page={"alertname": "ConnectorControlPlaneUnreachable", "severity": "critical"},
    ),
    Scenario(
        name="interception", fault="interception",
        page={
            "alertname": "ConnectorTLSIntercepted", "severity": "warning", "endpoint": CONTROLLER_NAME,
        },
    ),
    Scenario(
        name="resource", fault="resource",
        page={"alertname": "ConnectorUnableToConnect", "severity": "warning", **FIRST_RESOURCE},
    ),
    Scenario(
        name="flapping", fault="resource", down_s=100, up_s=50,
        page={"alertname": "ConnectorUnableToConnect", "severity": "warning", **FIRST_RESOURCE},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """How alerts come to Alertmanager. `external` are Prometheus' labels, and the daemon's own where it pushes."""

    name: str
    scraped: bool
    pushes: bool
    external: Labels = field(default_factory=lambda: MappingProxyType({"site": "acceptance"}))


CARRIERS = (
    Carrier(name="rules", scraped=True, pushes=False),
    Carrier(name="push", scraped=False, pushes=True),
    Carrier(name="both", scraped=True, pushes=True),
)
