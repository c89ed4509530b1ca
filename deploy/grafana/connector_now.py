"""The first row of *Connector*: is it this Connector, which link, since when."""

from daemon.causes import Domain
from daemon.diagnosis.catalogue import KINDS
from deploy.grafana import style
from deploy.grafana.board import Row
from deploy.grafana.panels import Column, Frame, grid, number, timeline
from deploy.grafana.promql import ALERT_LABELS, CHOSEN, best, chosen, link, ranked, verdict

OF_IT = 'connector="$connector", remote_network=~"$remote_network"'
LOUD = f'{OF_IT}, severity=~"critical|warning"'
FIRING = 'alertstate="firing"'
ITS_NETWORK = f"on (remote_network) {CHOSEN}"
# What only Prometheus can see. The daemon's own alerts are read from the daemon: they show before the rules have run.
BY_PROMETHEUS = 'alertname=~"ConnectorHealthDown|ConnectorErrorBudgetBurn"'
LINKS = {
    Domain.HOST: "Host",
    Domain.NETWORK: "Network to Resources",
    Domain.CLOCK: "Clock",
    Domain.RESOLVER: "Nameservers",
    Domain.CONTROL_PLANE: "Control plane",
    Domain.RELAY: "Relays, direct paths",
    Domain.CONNECTOR: "Connector itself",
    Domain.RESOURCE: "Resources themselves",
}
RUNBOOK_OF = {kind.code: kind.alert or "README" for kind in KINDS.values()}


def _by_alert(expression: str) -> str:
    return f"max by ({', '.join(ALERT_LABELS)}) ({expression})"


def _alert_label(series: str) -> str:
    return f'label_replace({series}, "alert", "$1", "alertname", "(.+)")'


def _began(matchers: str) -> str:
    # One that has not lasted long enough has a begin as well, and does not fire.
    return f"ALERTS_FOR_STATE{{{matchers}}} and ignoring (alertstate) ALERTS{{{FIRING}, {matchers}}}"


_RANK = _by_alert(
    f"({chosen(ranked('connector_health_alert_active'))}) or "
    + _alert_label(f"({ranked('ALERTS', FIRING, BY_PROMETHEUS, OF_IT)})")
)
_SINCE = f"1000 * {_by_alert(_alert_label(f'({_began(OF_IT)})'))}"
_OLDEST = f"time() - min({_began(LOUD)})"
_ONLY_HERE = f"count(connector:connector_health_resource_down:this_connector_only{{{OF_IT}}}) or 0 * max({CHOSEN})"
_EXPLAINS = best("connector_health_diagnosis_explains", "code", "fault_domain", "target")
_RUNBOOK = "${runbooks:raw}/${__value.text}.md"

_VERDICT = number(
    Frame(
        title="This Connector",
        about="The worst alert that its daemon raises. *fault, no alert*: a cause is known, and harms nobody or has "
        "not lasted long enough, or the daemon is starved and decides nothing. *shadow alert*: `alerting.mode: "
        "shadow`. *daemon not seen*: nobody knows how the Connector is; start with the daemon (`systemctl status "
        "connector-health`). Two values: Connectors of this name in two Remote Networks, mixed in all that follows; "
        "choose one network at the top.",
        width=5,
        height=4,
        runbook="ConnectorHealthDown",
    ),
    {"{{connector}} {{remote_network}}": verdict(CHOSEN)},
    words=style.LEVELS,
)
_FOR = number(
    Frame(
        title="Oldest alert fires for",
        about="How long the oldest critical alert or warning of this Connector has been known to Prometheus: longer "
        "than it fires by `for` and by the daemon's `after`; counted anew when Prometheus was restarted.",
        width=4,
        height=4,
    ),
    {"": _OLDEST},
    unit="dtdurations",
    absent="no alert",
    decimals=1,
)
_FAILING = number(
    Frame(
        title="Resources that fail for users",
        about="Failing now; suppressed ones fail as well, and a cause elsewhere explains them. `unknown`: nobody "
        "knows whether they fail; a 0 beside it is no comfort then.",
        width=5,
        height=4,
        runbook="ConnectorUnableToConnect",
    ),
    {"{{state}}": best('connector_health_resources{state=~"failing|suppressed|unknown"}', "state")},
    steps={
        "failing": style.NONE_IS_FINE,
        "suppressed": style.NONE_IS_FINE,
        "unknown": style.NONE_IS_FINE_ELSE_LOOK,
    },
)
_HERE = number(
    Frame(
        title="Resources down here only",
        about="Other Connectors of this Remote Network could tell, and see no fault: then it is this Connector, or "
        "its way. 0 while Resources fail: the Resource itself is down, or no other Connector could tell.",
        width=5,
        height=4,
        runbook="FleetResourceDown",
    ),
    {"": _ONLY_HERE},
    steps=style.NONE_IS_FINE,
)
_SERVING = number(
    Frame(
        title="Connectors of its Remote Network",
        about="How many were seen within three days, and of how many it is known that nothing keeps them from "
        "serving users. One left: nobody takes over from it. Without `connector.remote_network` there is nothing to "
        "compare.",
        width=5,
        height=4,
        runbook="RemoteNetworkRedundancyLost",
    ),
    {
        "serve": f"max(remote_network:connector_health_connectors:serving and {ITS_NETWORK})",
        "known": f"max(remote_network:connector_health_connectors:known and {ITS_NETWORK})",
    },
    steps=((None, style.RED), (1, style.ORANGE), (2, style.GREEN)),
    absent="in none",
)
_CAUSES = grid(
    Frame(
        title="What is to blame",
        about="Every cause that is known now, and how many checks fail, or are not asked, because of it: start at "
        "the top. 0: it stands alone. `healthctl status` on the host has what was seen and what changed just before.",
        height=8,
    ),
    {"explains": f'label_join({_EXPLAINS}, "runbook", "", "code")'},
    {
        "code": Column(rename="cause"),
        "target": Column(),
        "fault_domain": Column(rename="link"),
        "runbook": Column(texts=RUNBOOK_OF, link=_RUNBOOK),
        "explains": Column(rename="checks it explains", steps=style.NONE_IS_FINE_ELSE_LOOK, width=140),
    },
    sort="checks it explains",
    empty="no cause of any fault is known",
)
_ALERTS = grid(
    Frame(
        title="Alerts, and since when",
        about="What fires now, worst first; *since* is from Prometheus, and begins anew when Prometheus was "
        "restarted. The daemon holds an alert back for as long as `alerting.after` says: the fault is that much "
        "older.",
        height=8,
    ),
    {"how bad": _RANK, "since": _SINCE},
    {
        "how bad": Column(words=style.LEVELS, width=100),
        "alert": Column(link="${runbooks:raw}/${__value.raw}.md"),
        "since": Column(unit="dateTimeFromNow", width=120),
        "resource": Column(),
        "address": Column(),
        "port": Column(width=70),
        "nameserver": Column(),
        "endpoint": Column(),
        "severity": Column(hidden=True),
    },
    sort="how bad",
    empty="no alert fires",
)
_LINKS = timeline(
    Frame(
        title="Which link, since when",
        about="The chain from this host outwards. BLAMED: a cause lies here; where the colour begins is since when. "
        "Yellow: a fault that harms nobody by itself. A gap: the daemon was not seen.",
        width=24,
        height=9,
    ),
    {"VERDICT": f"max({verdict(CHOSEN)})"} | {title: link(domain) for domain, title in LINKS.items()},
    style.LEVELS,
)

ROWS = (
    Row(
        title="Now: is it this Connector, which link, since when",
        panels=(_VERDICT, _FOR, _FAILING, _HERE, _SERVING, _CAUSES, _ALERTS, _LINKS),
    ),
)
