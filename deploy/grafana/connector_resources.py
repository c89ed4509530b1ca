"""The row *Resources* of *Connector*: what users meet, now and over time."""

from deploy.grafana import style
from deploy.grafana.board import Row
from deploy.grafana.panels import Column, Frame, graph, grid, number
from deploy.grafana.promql import best, chosen, increase, largest, share

TARGETS = "connector_health_target_seconds_total"
ITS = 'connector="$connector", remote_network=~"$remote_network"'
BUDGET = "connector_health:error_budget:ratio"


def _burn(window: str) -> str:
    ratio = f"connector:connector_health_target_failing:ratio_rate{window}{{{ITS}}}"
    return f"max({ratio} / on () group_left () {BUDGET})"


_RESOURCES = Row(
    title="Resources",
    panels=(
        grid(
            Frame(
                title="What users meet now",
                about="Names and ports at which the Connector would fail a user at this moment, from the first "
                "failure on, confirmed or not; `healthctl trace` follows one of them link by link.",
                height=9,
                runbook="ConnectorUnableToConnect",
            ),
            {"": best("connector_health_resource_predicted_event", "event", "resource", "address", "port")},
            {
                "event": Column(
                    rename="users meet",
                    texts={
                        "dns_lookup_error": "DNS lookup error",
                        "unable_to_connect": "Unable to connect",
                    },
                ),
                "resource": Column(),
                "address": Column(),
                "port": Column(width=80),
                "": Column(hidden=True),
            },
            empty="no failure is shown (by metrics.detail: none there never is)",
        ),
        graph(
            Frame(
                title="Resources by state",
                about="Each Resource once. `suppressed`: fails, and a cause elsewhere explains it. `unknown`: no "
                "verdict, which is our ignorance and not its fault. `not_probeable`: nothing to ask (patterns, UDP): "
                "never shown as ok.",
                height=9,
            ),
            {"{{state}}": best("connector_health_resources", "state")},
            stacked=True,
            colors=style.STATES,
        ),
        graph(
            Frame(
                title="What users would meet, over time",
                about="Names and ports for which a failure is predicted. A step is one cause; single teeth are "
                "Resources that come and go.",
                height=8,
            ),
            {"{{event}}": f"count by (event) ({chosen('connector_health_resource_predicted_event')})"},
            stacked=True,
            colors=style.EVENTS,
        ),
        graph(
            Frame(
                title="Slowest ports",
                about="The ten that took longest to accept, on average, at their fastest address. Far ones are slow; "
                "one that becomes slow drops packets or runs out of backlog.",
                height=8,
            ),
            {"{{address}}:{{port}}": largest(best("connector_health_resource_tcp_seconds", "address", "port"), 10)},
            unit="s",
        ),
        grid(
            Frame(
                title="Names of which some addresses fail",
                about="One address accepts, another does not: users are served, after a wait. The next one to fail "
                "may be the last.",
                width=8,
                height=8,
            ),
            {
                "down": best('connector_health_resource_addresses{state="down"}', "address", "port"),
                "up": best('connector_health_resource_addresses{state="up"}', "address", "port"),
            },
            {
                "address": Column(),
                "port": Column(width=80),
                "down": Column(steps=style.NONE_IS_FINE_ELSE_LOOK, width=80),
                "up": Column(width=80),
            },
            sort="down",
            empty="none",
        ),
        number(
            Frame(
                title="Served in the time shown",
                about="Share of time, summed over all names and ports, in which they did not fail. Time without a "
                "verdict counts neither way.",
                width=4,
                height=8,
                runbook="ConnectorErrorBudgetBurn",
            ),
            {"": share(increase(f'{TARGETS}{{state="ok"}}'), increase(f'{TARGETS}{{state=~"ok|failing"}}'))},
            unit="percentunit",
            steps=((None, style.RED), (0.99, style.ORANGE), (0.999, style.GREEN)),
            absent="no verdict",
            decimals=3,
        ),
        graph(
            Frame(
                title="Burn rate of the error budget",
                about="1: the budget of 30 days lasts 30 days. 14.4 over an hour: a fiftieth of it is gone in that "
                "hour. The objective stands in the first rule of connector-health-slo.rules.yml.",
                height=8,
                runbook="ConnectorErrorBudgetBurn",
            ),
            {"5 minutes": _burn("5m"), "1 hour": _burn("1h"), "6 hours": _burn("6h")},
            steps=((None, "transparent"), (1, style.ORANGE), (14.4, style.RED)),
        ),
    ),
)

ROWS = (_RESOURCES,)
