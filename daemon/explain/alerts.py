"""Every alert as data: when it fires, how severe it is, and how long the condition must last first."""

from collections.abc import Mapping

from daemon.explain.fleet import FLEET
from daemon.explain.page import MINUTE_S, Alert, Carrier, Severity, Tier, one_tier

__all__ = ["ALERTS", "DECIDED", "MINUTE_S", "Alert", "Carrier", "Severity", "Tier"]

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
        tiers=one_tier("info", 60),
        advice="Make a time source reachable: healthctl explain no_time_source",
    ),
    Alert(
        name="ConnectorHostNetworkDown",
        when="this host has no default route, no IPv4 way out, or a gateway that forwards nothing",
        tiers=one_tier("critical", 1),
        advice="Look at interfaces and routes of this host: healthctl explain host",
    ),
    Alert(
        name="ConnectorControlPlaneUnreachable",
        when="no endpoint of the control plane can be reached, TLS included",
        tiers=one_tier("critical", 2),
        advice="See which phase fails, resolve, connect, TLS or HTTP: healthctl check --only control_plane",
    ),
    Alert(
        name="ConnectorTLSIntercepted",
        when="somebody opens the TLS connections to Twingate on the way",
        tiers=one_tier("warning", 5),
        advice="Exempt *.twingate.com from TLS inspection: healthctl explain tls_intercepted",
    ),
    Alert(
        name="ConnectorRelaysUnreachable",
        when="every Relay that is configured or was used lately is down",
        tiers=one_tier("critical", 2),
        advice="Allow outbound TCP 443 and 30000 to 31000: healthctl check --only relay",
    ),
    Alert(
        name="ConnectorRelaysDegraded",
        when="some of these Relays are down, or the default one, which was never seen in use",
        tiers=one_tier("info", 15),
        advice="Look at one of the Relays that are down: healthctl check --only relay",
    ),
    Alert(
        name="ConnectorDirectPathImpossible",
        when="outbound UDP is blocked, or the NAT in front of this host maps each destination differently",
        tiers=one_tier("info", 30),
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
        tiers=one_tier("warning", 5),
        advice="Make them all serve the same zones: healthctl explain resolvers_disagree",
    ),
    Alert(
        name="ConnectorDNSLookupErrors",
        when="a Resource's name, or the names of a zone, do not resolve, and no nameserver that is down, host or "
        "network is to blame for it",
        tiers=one_tier("resource", 1),
        advice="Look at the reason of the row: healthctl check --only dns",
    ),
    Alert(
        name="ConnectorUnableToConnect",
        when="a port, a host or a subnet of Resources does not accept connections, and no other cause explains it",
        tiers=one_tier("resource", 1),
        advice="Look at the reason of the row: healthctl check --only tcp",
    ),
    Alert(
        name="ConnectorDown",
        when="the Connector's container or unit does not run",
        tiers=one_tier("critical", 2),
        advice="See why it ended and start it: healthctl explain not_running",
    ),
    Alert(
        name="ConnectorRestarting",
        when="the Connector was restarted three times within 15 minutes",
        tiers=one_tier("warning", 0),
        advice="Read the end of its log before each restart: healthctl explain restarting",
        ends="once fewer than three of its restarts lie within the last 15 minutes",
    ),
    Alert(
        name="ConnectorTokenInvalid",
        when="the Connector's log says that the Controller rejects its tokens, or that they are gone",
        tiers=one_tier("critical", 1),
        advice="Check the clock, then deploy with new tokens: healthctl explain token_invalid",
        ends="when its log says that it is online, or it is started anew and its log no longer complains; where the "
        "log's level hides states, a rejected token counts for 15 minutes",
    ),
    Alert(
        name="ConnectorFileDescriptorsLow",
        when="fewer than 20 % of the Connector's file descriptors are free",
        tiers=one_tier("warning", 5),
        advice="Raise the limit or add a Connector: healthctl explain fds_low",
    ),
    Alert(
        name="ConnectorHealthDown",
        when="Prometheus can't scrape this daemon, or has lost it from its targets",
        tiers=one_tier("warning", 5),
        carrier="prometheus",
        advice="Start the daemon, or let Prometheus reach it: systemctl status connector-health",
        ends="with the first scrape that succeeds",
    ),
    Alert(
        name="ConnectorHealthStarved",
        when="this daemon lacks CPU, or its host room for connections, so its verdicts come late or not at all",
        tiers=one_tier("warning", 15),
        advice="Give it what it lacks, or probe less often: healthctl explain prober_starved",
    ),
    Alert(
        name="ConnectorHealthConfigStale",
        when="the last reload of the configuration failed; the daemon still runs with the one before",
        tiers=one_tier("warning", 15),
        advice="Correct the file: healthctl config check",
        ends="with the first reload that succeeds",
    ),
    Alert(
        name="ConnectorHealthNotificationsFailing",
        when="an Alertmanager does not take this daemon's alerts",
        tiers=one_tier("warning", 15),
        advice="Check the address and credentials under `alerting.alertmanagers`, and the daemon's log",
        ends="with the first push that this Alertmanager takes",
    ),
    Alert(
        name="ConnectorInventoryStale",
        when="a source of Resources has not answered for a long time",
        tiers=one_tier("warning", 15),
        advice="See why the source fails: healthctl explain inventory_stale",
    ),
    Alert(
        name="ConnectorHealthWatchdog",
        when="always, at each resend: a receiver pages when it stops coming",
        tiers=one_tier("none", 0),
        carrier="push",
        advice="Nothing to do while it comes. When it stops, the daemon or the way to the Alertmanager is down",
        ends="never, while the daemon runs: its end is the alarm",
    ),
    *FLEET,
)
ALERTS: Mapping[str, Alert] = {alert.name: alert for alert in _ALL}
DECIDED = frozenset(alert.name for alert in _ALL if alert.carrier != "prometheus")
"""The alerts that the daemon decides: what `alerting.after` may name."""
