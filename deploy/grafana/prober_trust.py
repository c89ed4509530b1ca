"""Rows of *Prober*: whether the daemons' verdicts can be trusted, and how late they are."""

from deploy.grafana import links, style
from deploy.grafana.board import Row
from deploy.grafana.panels import Column, Frame, graph, grid, number
from deploy.grafana.promql import SHOWN, each, each_rate, largest, named

NAME = "{{remote_network}} {{connector}}"


def _quantile(share: float, histogram: str, *by: str) -> str:
    return f"histogram_quantile({share}, {each_rate(f'{histogram}_bucket', 'le', *by)})"


_TRUST = Row(
    title="Can its verdicts be trusted?",
    panels=(
        number(
            Frame(
                title="Daemons seen",
                about="Whose `/metrics` Prometheus could read at its last scrape.",
                width=4,
                height=4,
                runbook="ConnectorHealthDown",
            ),
            {"": f"count({SHOWN}) or vector(0)"},
            steps=((None, style.RED), (1, style.GREEN)),
        ),
        number(
            Frame(
                title="Starved",
                about="Daemons that lack CPU, or whose host's table of connections or local ports are nearly used "
                "up. Verdicts about time are unknown then, and no alert is decided.",
                width=4,
                height=4,
                runbook="ConnectorHealthStarved",
            ),
            {"": f"count({each('connector_health_starved')} == 1) or 0 * max({SHOWN})"},
            steps=style.NONE_IS_FINE_ELSE_LOOK,
        ),
        number(
            Frame(
                title="With an old configuration",
                about="Daemons whose last reload failed; they go on with the configuration before: `healthctl config "
                "check`.",
                width=5,
                height=4,
                runbook="ConnectorHealthConfigStale",
            ),
            {"": f"count({each('connector_health_config_last_reload_successful')} == 0) or 0 * max({SHOWN})"},
            steps=style.NONE_IS_FINE_ELSE_LOOK,
        ),
        number(
            Frame(
                title="Series left out",
                about="Beyond `metrics.max_series`. Alerts and counts of Resources are complete all the same.",
                width=5,
                height=4,
            ),
            {"": f"sum({named('connector_health_series_dropped')}) or 0 * max({SHOWN})"},
            steps=style.NONE_IS_FINE_ELSE_LOOK,
        ),
        number(
            Frame(
                title="Alerts left out of the metric",
                about="More than 200 of one alert at a Connector: the longest firing are shown, the others counted "
                "here.",
                width=6,
                height=4,
            ),
            {"": f"sum({named('connector_health_alerts_truncated')}) or 0 * max({SHOWN})"},
            steps=style.NONE_IS_FINE_ELSE_LOOK,
        ),
        grid(
            Frame(
                title="Daemons",
                about="Where its probes stand (`vantage`), how its Connector runs (`runtime`), its version.",
                height=8,
            ),
            {
                "": "max by (connector, remote_network, version, vantage, runtime) ("
                + named(
                    "connector_health_build_info * on (job, instance) group_left (vantage)"
                    " (connector_health_vantage == 1) * on (job, instance) group_left (runtime)"
                    " (connector_health_runtime == 1)"
                )
                + ")"
            },
            {
                "connector": Column(rename="Connector", link=links.CELL_CONNECTOR),
                "remote_network": Column(rename="Remote Network"),
                "version": Column(),
                "vantage": Column(),
                "runtime": Column(),
                "": Column(hidden=True),
            },
            empty="no daemon is seen",
        ),
        graph(
            Frame(
                title="How long ago each check last ran",
                about="The oldest of all Connectors shown. It rises to the check's interval and falls again; one "
                "that only rises has stopped.",
                height=8,
            ),
            {"{{check}}": f"max by (check) (time() - ({named('connector_health_check_last_run_timestamp_seconds')}))"},
            unit="s",
        ),
        graph(
            Frame(
                title="Runs without a verdict, by reason",
                about="Unknown or skipped: what we could not find out. `permission_denied` and `prober_starved` are "
                "ours to mend; `dependency_failed` has its cause elsewhere.",
                height=8,
            ),
            {
                "{{check}} {{reason}}": "sum by (check, reason) ("
                + named("rate(connector_health_checks_inconclusive_total[$__rate_interval])")
                + ")"
            },
            unit="cps",
        ),
        graph(
            Frame(
                title="Failures found, by reason",
                about="Rows that ended critical, a second.",
                height=8,
            ),
            {
                "{{check}} {{reason}}": "sum by (check, reason) ("
                + named("rate(connector_health_check_failures_total[$__rate_interval])")
                + ") > 0"
            },
            unit="cps",
        ),
    ),
)

_LAG = Row(
    title="How late it is: of many daemons the twenty at the top",
    panels=(
        graph(
            Frame(
                title="Scheduler lag, 99 % of jobs",
                about="How late jobs start after their due time. Above some 100 ms this process lacks CPU.",
                height=8,
                runbook="ConnectorHealthStarved",
            ),
            {NAME: largest(_quantile(0.99, "connector_health_scheduler_lag_seconds"))},
            unit="s",
        ),
        graph(
            Frame(
                title="Largest delay of the event loop",
                about="In the last 60 s. Beyond 250 ms a time measured is no verdict any more.",
                height=8,
                runbook="ConnectorHealthStarved",
            ),
            {NAME: largest(each("connector_health_event_loop_lag_seconds"))},
            unit="s",
            steps=((None, "transparent"), (0.25, style.RED)),
        ),
        graph(
            Frame(
                title="Duration of a run, 95 %",
                about="By check, over all Connectors shown. At the time-out: something is silent.",
                height=8,
            ),
            {
                "{{check}}": "histogram_quantile(0.95, sum by (le, check) ("
                + named("rate(connector_health_check_duration_seconds_bucket[$__rate_interval])")
                + "))"
            },
            unit="s",
        ),
        graph(
            Frame(
                title="Probes in flight, due times missed",
                about="A due time is missed when the run before has not ended: probe less often, or find out why it "
                "takes so long.",
                height=8,
            ),
            {
                f"{NAME} in flight": largest(each("connector_health_scheduler_in_flight")),
                f"{NAME} missed a second": largest(each_rate("connector_health_scheduler_missed_total")),
            },
        ),
    ),
)

ROWS = (_TRUST, _LAG)
