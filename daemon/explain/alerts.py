"""Every alert as data: when it fires, how severe it is, and how long the condition must last first."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

MINUTE_S = 60.0

Severity: TypeAlias = Literal["critical", "warning", "info", "none", "resource"]
"""`resource`: the severity that the Resource's own definition gives."""

Carrier: TypeAlias = Literal["both", "prometheus", "push"]


@dataclass(frozen=True, slots=True)
class Tier:
    """A severity, and for how many seconds the condition must hold before the alert fires with it."""

    severity: Severity
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. `advice` says where to look first; `reasons` and checks are explained on their own pages."""

    name: str
    when: str
    tiers: tuple[Tier, ...]
    advice: str
    carrier: Carrier = "both"


def _one(severity: Severity, minutes: float) -> tuple[Tier, ...]:
    return (Tier(severity, minutes * MINUTE_S),)


_ALL = (
    Alert(
        name="ConnectorClockSkew",
        when="this host's clock is off: beyond the tolerance (critical), or near it (warning)",
        tiers=(Tier("critical", 2 * MINUTE_S), Tier("warning", 15 * MINUTE_S)),
        advice="Run chrony on the host and see why it does not correct the clock: healthctl explain offset_exceeded",
    ),
    Alert(
        name="ConnectorClockUnverified",
        when="no time source could be asked, so nobody knows whether the clock is right",
        tiers=_one("info", 60),
        advice="Make a time source reachable: healthctl explain no_time_source",
    ),
    Alert(
        name="ConnectorHostNetworkDown",
        when="this host has no default route, or no IPv4 way out",
        tiers=_one("critical", 1),
        advice="Look at interfaces and routes of this host: healthctl explain host",
    ),
    Alert(
        name="ConnectorControlPlaneUnreachable",
        when="no endpoint of the control plane can be reached, TLS included",
        tiers=_one("critical", 2),
        advice="See which phase fails, resolve, connect, TLS or HTTP: healthctl check --only control_plane",
    ),
    Alert(
        name="ConnectorTLSIntercepted",
        when="somebody opens the TLS connections to Twingate on the way",
        tiers=_one("warning", 5),
        advice="Exempt *.twingate.com from TLS inspection: healthctl explain tls_intercepted",
    ),
    Alert(
        name="ConnectorRelaysUnreachable",
        when="every Relay that is configured or was used lately is down",
        tiers=_one("critical", 2),
        advice="Allow outbound TCP 443 and 30000 to 31000: healthctl check --only relay",
    ),
    Alert(
        name="ConnectorRelaysDegraded",
        when="some of these Relays are down, or the default one, which was never seen in use",
        tiers=_one("info", 15),
        advice="Look at one of the Relays that are down: healthctl check --only relay",
    ),
    Alert(
        name="ConnectorDirectPathImpossible",
        when="outbound UDP is blocked, or the NAT in front of this host maps each destination differently",
        tiers=_one("info", 30),
        advice="Users are relayed, slower but served: healthctl explain nat",
    ),
    Alert(
        name="ConnectorNameserverDown",
        when="a nameserver gives no valid reply: critical while none answers, else a warning, never both",
        tiers=(Tier("critical", MINUTE_S), Tier("warning", MINUTE_S)),
        advice="Ask the nameserver by hand, or remove it here: healthctl explain resolver",
    ),
    Alert(
        name="ConnectorNameserversDisagree",
        when="nameservers of this host give different kinds of answers for the same name",
        tiers=_one("warning", 5),
        advice="Make them all serve the same zones: healthctl explain resolvers_disagree",
    ),
    Alert(
        name="ConnectorDNSLookupErrors",
        when="a Resource's name does not resolve, and no nameserver, host or network is to blame for it",
        tiers=_one("resource", 1),
        advice="Look at the reason of the row: healthctl check --only dns",
    ),
    Alert(
        name="ConnectorUnableToConnect",
        when="a Resource's port does not accept connections, and no other cause explains it",
        tiers=_one("resource", 1),
        advice="Look at the reason of the row: healthctl check --only tcp",
    ),
    Alert(
        name="ConnectorDown",
        when="the Connector's container or unit does not run",
        tiers=_one("critical", 2),
        advice="See why it ended and start it: healthctl explain not_running",
    ),
    Alert(
        name="ConnectorRestarting",
        when="the Connector was restarted three times within 15 minutes",
        tiers=_one("warning", 0),
        advice="Read the end of its log before each restart: healthctl explain restarting",
    ),
    Alert(
        name="ConnectorTokenInvalid",
        when="the Connector's log says that the Controller rejects its tokens, or that they are gone",
        tiers=_one("critical", 1),
        advice="Check the clock, then deploy with new tokens: healthctl explain token_invalid",
    ),
    Alert(
        name="ConnectorFileDescriptorsLow",
        when="fewer than 20 % of the Connector's file descriptors are free",
        tiers=_one("warning", 5),
        advice="Raise the limit or add a Connector: healthctl explain fds_low",
    ),
    Alert(
        name="ConnectorHealthDown",
        when="Prometheus can't scrape this daemon, or has lost it from its targets",
        tiers=_one("warning", 5),
        carrier="prometheus",
        advice="Start the daemon, or let Prometheus reach it: systemctl status connector-health",
    ),
    Alert(
        name="ConnectorHealthStarved",
        when="this daemon gets too little CPU to keep its schedule, so its verdicts come late or not at all",
        tiers=_one("warning", 15),
        advice="Give it more CPU, or probe less often: healthctl explain prober_starved",
    ),
    Alert(
        name="ConnectorHealthConfigStale",
        when="the last reload of the configuration failed; the daemon still runs with the one before",
        tiers=_one("warning", 15),
        advice="Correct the file: healthctl config check",
    ),
    Alert(
        name="ConnectorHealthNotificationsFailing",
        when="an Alertmanager does not take this daemon's alerts",
        tiers=_one("warning", 15),
        advice="Check the address and credentials under `alerting.alertmanagers`, and the daemon's log",
    ),
    Alert(
        name="ConnectorInventoryStale",
        when="a source of Resources has not answered for a long time",
        tiers=_one("warning", 15),
        advice="See why the source fails: healthctl explain inventory_stale",
    ),
    Alert(
        name="ConnectorHealthWatchdog",
        when="always, at each resend: a receiver pages when it stops coming",
        tiers=_one("none", 0),
        carrier="push",
        advice="Nothing to do while it comes. When it stops, the daemon or the way to the Alertmanager is down",
    ),
)
ALERTS = {alert.name: alert for alert in _ALL}
