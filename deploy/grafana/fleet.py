"""The dashboard *Fleet*: Remote Networks and their Connectors, what is left of redundancy, Resources, objectives."""

from deploy.grafana import fleet_resources, links, style
from deploy.grafana.board import Board, Mark, Row, chosen_by, runbooks, source
from deploy.grafana.panels import Column, Frame, graph, grid, number, timeline
from deploy.grafana.promql import CRITICAL, IN_NETWORKS, NETWORKS, UNSEEN, largest, named, verdict

KNOWN = f"remote_network:connector_health_connectors:known{{{NETWORKS}}}"
SERVING = f"remote_network:connector_health_connectors:serving{{{NETWORKS}}}"
ALL_KNOWN = f"max by (remote_network) ({KNOWN})"
LAST_SEEN = f"connector:connector_health_info:last_seen_timestamp_seconds{{{NETWORKS}}}"
OUT = "connector:connector_health_out_of_service:max"
# Nothing to count is a 0 only where there is something that could be counted: without it Prometheus lacks the rules.
NONE = f"0 * max({KNOWN})"
ACTIVE = "connector:connector_health_alert_active:max"
ALERTED = f'{ACTIVE}{{severity="critical", remote_network!="", {NETWORKS}}}'
FAILING = 'connector_health_resources{state=~"failing|suppressed"}'
VERDICTS = verdict(IN_NETWORKS)
# Those that were seen within three days and are not now must not vanish from a list of what is wrong.
ALL_VERDICTS = f"{VERDICTS} or {UNSEEN} + 0 * max by (connector, remote_network) ({LAST_SEEN})"


def _by_connector(expression: str) -> str:
    return f"max by (connector, remote_network) ({named(expression, IN_NETWORKS)})"


_NOW = Row(
    title="Now: who is served, and who is one fault away from not being served",
    panels=(
        number(
            Frame(
                title="Remote Networks without service",
                about="Several Connectors are known, none of them is known to serve users, and one at least is known "
                "not to. Where no daemon is seen nobody knows: look at *Daemons not seen*.",
                width=5,
                height=4,
                runbook="RemoteNetworkDown",
            ),
            {"": f"count({SERVING} == 0 and {KNOWN} > 1 and on (remote_network) {OUT}) or {NONE}"},
            steps=style.NONE_IS_FINE,
            absent="none recorded",
        ),
        number(
            Frame(
                title="Remote Networks on their last Connector",
                about="Several are known, and one only is known to serve: nobody takes over from it.",
                width=5,
                height=4,
                runbook="RemoteNetworkRedundancyLost",
            ),
            {"": f"count({SERVING} == 1 and {KNOWN} > 1) or {NONE}"},
            steps=style.NONE_IS_FINE_ELSE_LOOK,
            absent="none recorded",
        ),
        number(
            Frame(
                title="Critical Connectors",
                about="Connectors with a critical alert, a Resource's included; of all that are seen now.",
                width=4,
                height=4,
            ),
            {"critical": f"count({VERDICTS} == {CRITICAL}) or vector(0)", "seen": f"count({VERDICTS}) or vector(0)"},
            steps=((None, style.BLUE),),
        ),
        number(
            Frame(
                title="Daemons not seen",
                about="Seen within three days, and not now. Nobody watches these Connectors; this says nothing about "
                "the Connectors themselves.",
                width=5,
                height=4,
                runbook="ConnectorHealthDown",
            ),
            {
                "": f"count(max by (connector, remote_network) ({LAST_SEEN})"
                f" unless on (connector, remote_network) {IN_NETWORKS}) or 0 * max({LAST_SEEN})"
            },
            absent="none recorded",
            steps=style.NONE_IS_FINE_ELSE_LOOK,
        ),
        number(
            Frame(
                title="Resources down for everybody",
                about="Every Connector of the Remote Network that can tell finds them down, and there are several: "
                "the Resource is at fault.",
                width=5,
                height=4,
                runbook="FleetResourceDown",
            ),
            {"": f"count(remote_network:connector_health_resource_down:agreed{{{NETWORKS}}}) or {NONE}"},
            steps=style.NONE_IS_FINE,
            absent="none recorded",
        ),
        grid(
            Frame(
                title="Remote Networks",
                about="Least redundancy on top. Connectors without `connector.remote_network` belong to none and are "
                "in the table beside. `serve` counts those of which it is known that nothing keeps them from "
                "serving; without a critical alert a spare of -1 means that no daemon is seen, and nobody knows.",
                width=10,
                height=10,
                runbook="RemoteNetworkRedundancyLost",
            ),
            {
                "spare": f"max by (remote_network) ({SERVING}) - 1",
                "serve": f"max by (remote_network) ({SERVING})",
                "known": ALL_KNOWN,
                "critical": f"count by (remote_network) ({ALERTED}) or 0 * {ALL_KNOWN}",
            },
            {
                "remote_network": Column(rename="Remote Network", link=links.CELL_NETWORK),
                "serve": Column(width=70),
                "known": Column(width=70),
                "spare": Column(
                    rename="spare ones",
                    steps=((None, style.RED), (0, style.ORANGE), (1, style.GREEN)),
                    width=100,
                ),
                "critical": Column(rename="critical alerts", steps=style.NONE_IS_FINE, width=120),
            },
            empty="no Remote Network",
        ),
        grid(
            Frame(
                title="Connectors",
                about="Worst on top; a click leads to its own dashboard. `clock`: share of the tolerance that is "
                "used up for certain.",
                width=14,
                height=10,
            ),
            {
                "how bad": ALL_VERDICTS,
                "failing": f"sum by (connector, remote_network) ({named(FAILING, IN_NETWORKS)})",
                "clock": _by_connector(
                    "clamp_min(abs(connector_health_clock_offset_seconds)"
                    " - connector_health_clock_error_bound_seconds, 0) / connector_health_clock_tolerance_seconds"
                ),
                "seen": f"time() - max by (connector, remote_network) ({LAST_SEEN})",
            },
            {
                "how bad": Column(words=style.LEVELS, width=110),
                "connector": Column(rename="Connector", link=links.CELL_CONNECTOR),
                "remote_network": Column(rename="Remote Network"),
                "failing": Column(rename="Resources failing", steps=style.NONE_IS_FINE, width=130),
                "clock": Column(unit="percentunit", steps=style.CLOCK_FOR_CERTAIN, width=80),
                "seen": Column(rename="last seen, ago", unit="dtdurations", width=120),
            },
            sort="how bad",
            empty="no daemon is seen",
        ),
        timeline(
            Frame(
                title="Connectors over time",
                about="The twenty worst of the time shown. One change at many Connectors at the same moment is one "
                "cause outside of them.",
                width=24,
                height=10,
            ),
            {"{{remote_network}} {{connector}}": largest(ALL_VERDICTS)},
            style.LEVELS,
        ),
        graph(
            Frame(
                title="What is blamed, and at how many Connectors",
                about="`control_plane` or `relay` at many, in several Remote Networks: Twingate, or a way out that "
                "they share. `resource`: the Resources themselves.",
                width=12,
                runbook="FleetControlPlaneUnreachable",
            ),
            {
                "{{fault_domain}}": "count by (fault_domain) (max by (job, instance, fault_domain) "
                f"(connector_health_diagnosis and on (job, instance) {IN_NETWORKS}))"
            },
            stacked=True,
        ),
        graph(
            Frame(
                title="Alerts by severity",
                about="What the daemons have decided; `none` is shadow mode. Alertmanager folds these into fewer "
                "pages.",
                width=12,
            ),
            {"{{severity}}": f"count by (severity) ({ACTIVE}{{{NETWORKS}}})"},
            stacked=True,
            colors={"critical": style.RED, "warning": style.ORANGE, "info": style.BLUE, "none": style.PURPLE},
        ),
    ),
)

FLEET = Board(
    uid=links.FLEET,
    file="fleet.json",
    title="Connector Health / Fleet",
    about="Remote Networks and their Connectors: who is served, what is left of redundancy, the worst Resources, SLO.",
    variables=(
        source(),
        chosen_by("remote_network", "Remote Network", "connector_health_info", several=True),
        runbooks(),
    ),
    marks=(
        Mark(
            name="Connector restarted",
            expr=_by_connector("increase(connector_health_connector_restarts_total[2m]) > 0"),
            color=style.RED,
            text="{{remote_network}} {{connector}}",
        ),
        Mark(
            name="Configuration loaded",
            expr=f"1000 * {_by_connector('connector_health_config_last_reload_success_timestamp_seconds')}",
            color=style.BLUE,
            text="{{remote_network}} {{connector}}: Resources may be others now",
            is_moment=True,
        ),
    ),
    rows=(_NOW, *fleet_resources.ROWS),
    links={"One Connector": links.TO_CONNECTOR, "The daemons": links.TO_PROBER},
)
