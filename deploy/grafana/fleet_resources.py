"""Rows of *Fleet*: the worst Resources, and how much of the objective is spent."""

from deploy.grafana import links, style
from deploy.grafana.board import Row
from deploy.grafana.panels import Column, Frame, graph, grid
from deploy.grafana.promql import IN_NETWORKS, NETWORKS, largest, named, share

TARGETS = "connector_health_target_seconds_total"
DOWN = "connector:connector_health_resource_down"
BUDGET = "on () group_left () connector_health:error_budget:ratio"
BY = "remote_network, resource, address, port"
_RESOURCE = {"resource": Column(), "address": Column(), "port": Column(width=80)}
_NETWORK = {"remote_network": Column(rename="Remote Network")}


def _increase(states: str, by: str) -> str:
    grown = f"increase({TARGETS}{{{states}}}[$__range])"
    return f"sum by ({by}) ({named(grown, f'last_over_time({IN_NETWORKS}[$__range])')})"


def _burn(window: str) -> str:
    ratio = f"connector:connector_health_target_failing:ratio_rate{window}{{{NETWORKS}}}"
    return f"max by (connector, remote_network) ({ratio} / {BUDGET})"


_RESOURCES = Row(
    title="Resources",
    panels=(
        grid(
            Frame(
                title="Down for everybody",
                about="Every Connector of the Remote Network that can tell finds it down: look at the Resource.",
                height=8,
                runbook="FleetResourceDown",
            ),
            {"Connectors": f"max by ({BY}) (remote_network:connector_health_resource_down:agreed{{{NETWORKS}}})"},
            _NETWORK | _RESOURCE | {"Connectors": Column(rename="Connectors that see it", width=160)},
            sort="Connectors that see it",
            empty="none",
        ),
        grid(
            Frame(
                title="Down for one Connector only",
                about="Others of its Remote Network could tell and see no fault: look at that Connector's way to it "
                "(`healthctl trace` on its host), not at the Resource.",
                height=8,
                runbook="ConnectorUnableToConnect",
            ),
            {"one": f"max by (connector, {BY}) ({DOWN}:this_connector_only{{{NETWORKS}}})"},
            {"connector": Column(rename="Connector", link=links.CELL_CONNECTOR)}
            | _NETWORK
            | _RESOURCE
            | {"one": Column(hidden=True)},
            empty="none",
        ),
        grid(
            Frame(
                title="Worst Resources of the time shown",
                about="How long each had an alert, summed over the Connectors that saw it; the ten worst.",
                height=8,
            ),
            {
                "failed for": f"topk(10, sum by ({BY}) "
                f"(sum_over_time({DOWN}:max{{{NETWORKS}}}[$__range:$__interval]))) * $__interval_ms / 1000"
            },
            _NETWORK | _RESOURCE | {"failed for": Column(unit="dtdurations", width=160)},
            sort="failed for",
            empty="none failed",
        ),
        graph(
            Frame(
                title="Resources that fail for users, by Remote Network",
                about="Counted at each Connector; suppressed ones fail as well, and a cause elsewhere explains them.",
                height=8,
            ),
            {
                "{{remote_network}} {{state}}": "sum by (remote_network, state) ("
                + named('connector_health_resources{state=~"failing|suppressed"}', IN_NETWORKS)
                + ")"
            },
            stacked=True,
        ),
    ),
)

_OBJECTIVE = Row(
    title="Objective: 99.9 % of the time, unless the first rule of connector-health-slo.rules.yml says otherwise",
    panels=(
        grid(
            Frame(
                title="Served in the time shown, by Remote Network",
                about="Share of time, summed over names and ports, in which they did not fail; time without a "
                "verdict counts neither way. *budget spent*: 100 % is all that the objective allows for a period as "
                "long as the one shown.",
                height=9,
                runbook="ConnectorErrorBudgetBurn",
            ),
            {
                "served": share(
                    _increase('state="ok"', "remote_network"), _increase('state=~"ok|failing"', "remote_network")
                ),
                "spent": share(
                    _increase('state="failing"', "remote_network"), _increase('state=~"ok|failing"', "remote_network")
                )
                + f" / {BUDGET}",
            },
            _NETWORK
            | {
                "served": Column(
                    unit="percentunit",
                    steps=((None, style.RED), (0.99, style.ORANGE), (0.999, style.GREEN)),
                    width=120,
                ),
                "spent": Column(
                    rename="budget spent",
                    unit="percentunit",
                    steps=((None, style.GREEN), (0.5, style.ORANGE), (1, style.RED)),
                    width=120,
                ),
            },
            sort="budget spent",
            empty="no verdict",
        ),
        grid(
            Frame(
                title="Burn rates now, by Connector",
                about="1: the budget of 30 days lasts 30 days. Both windows high: a large loss that goes on.",
                height=9,
                runbook="ConnectorErrorBudgetBurn",
            ),
            {"1 hour": _burn("1h"), "5 minutes": _burn("5m"), "6 hours": _burn("6h")},
            {"connector": Column(rename="Connector", link=links.CELL_CONNECTOR)}
            | _NETWORK
            | {
                "1 hour": Column(steps=((None, style.GREEN), (1, style.ORANGE), (14.4, style.RED)), width=100),
                "5 minutes": Column(steps=((None, style.GREEN), (1, style.ORANGE), (14.4, style.RED)), width=100),
                "6 hours": Column(steps=((None, style.GREEN), (1, style.ORANGE), (6, style.RED)), width=100),
            },
            sort="1 hour",
            empty="no verdict",
        ),
        graph(
            Frame(
                title="Burn rate over an hour: the ten worst Connectors",
                about="The dashed lines are what the alert asks for over six hours (6) and over one hour (14.4).",
                width=24,
                height=8,
                runbook="ConnectorErrorBudgetBurn",
            ),
            {"{{remote_network}} {{connector}}": largest(_burn("1h"), 10)},
            steps=((None, "transparent"), (6, style.ORANGE), (14.4, style.RED)),
        ),
    ),
)

ROWS = (_RESOURCES, _OBJECTIVE)
