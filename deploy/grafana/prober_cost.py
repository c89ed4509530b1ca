"""Rows of *Prober*: what the daemons cost their hosts and Prometheus, and whether what they push arrives."""

from deploy.grafana import style
from deploy.grafana.board import Row
from deploy.grafana.panels import Frame, graph
from deploy.grafana.promql import OURS, each, each_rate, largest, named

NAME = "{{remote_network}} {{connector}}"
AT = NAME + " to {{alertmanager}}"
_CHECKS = named("rate(connector_health_checks_total[$__rate_interval])")

_COST = Row(
    title="What it costs: of many daemons the twenty at the top",
    panels=(
        graph(
            Frame(
                title="CPU",
                about="Share of one core. docs/performance.md says what to expect for how many Resources.",
                width=8,
            ),
            {NAME: largest(each_rate(f"process_cpu_seconds_total{{{OURS}}}"))},
            unit="percentunit",
        ),
        graph(
            Frame(
                title="Memory",
                about="Resident: some 50 MiB for 50 Resources, three times that for 10,000. Steady growth is a "
                "fault: report it.",
                width=8,
            ),
            {NAME: largest(each(f"process_resident_memory_bytes{{{OURS}}}"))},
            unit="bytes",
        ),
        graph(
            Frame(
                title="Open files, of those allowed",
                about="Each connect that is under way holds one. At 100 % verdicts become `prober_starved`.",
                width=8,
            ),
            {NAME: largest(each(f"process_open_fds{{{OURS}}} / process_max_fds{{{OURS}}}"))},
            unit="percentunit",
        ),
        graph(
            Frame(title="Rows judged, by check", about="Rows that ended ok, warning or critical, a second.", width=8),
            {"{{check}}": f"sum by (check) ({_CHECKS})"},
            unit="cps",
            stacked=True,
        ),
        graph(
            Frame(
                title="Series exported",
                about="By each daemon. More than 2,000 names and ports: `metrics.detail: auto` shows failing ones "
                "only.",
                width=8,
            ),
            {NAME: largest(each("connector_health_series"))},
        ),
        graph(
            Frame(
                title="How long a scrape takes",
                about="Measured by Prometheus. Beyond a second of it the daemon is busy, or the way is slow.",
                width=8,
            ),
            {NAME: largest(each(f"scrape_duration_seconds{{{OURS}}}"))},
            unit="s",
        ),
        graph(
            Frame(
                title="Garbage collections",
                about="Of Python, by generation, a second: many of generation 2 mean growth of memory.",
                width=12,
            ),
            {
                "{{generation}}": "sum by (generation) ("
                + named(f"rate(python_gc_collections_total{{{OURS}}}[$__rate_interval])")
                + ")"
            },
            unit="cps",
        ),
        graph(
            Frame(
                title="Time watched, by state of names and ports",
                about="Seconds of all names and ports together, a second: how many of them are ok, failing, or "
                "without verdict.",
                width=12,
            ),
            {
                "{{state}}": "sum by (state) ("
                + named("rate(connector_health_target_seconds_total[$__rate_interval])")
                + ")"
            },
            stacked=True,
            colors={"ok": style.GREEN, "failing": style.RED, "unknown": style.GREY},
        ),
    ),
)

_PUSH = Row(
    title="What it pushes to Alertmanager (nothing, unless `alerting.alertmanagers` is set)",
    panels=(
        graph(
            Frame(
                title="Alerts sent",
                about="A second, whether the Alertmanager took them or not. Each is sent again every "
                "`alerting.resend`.",
                width=8,
            ),
            {AT: largest(each_rate("connector_health_notifications_sent_total", "alertmanager"))},
            unit="cps",
        ),
        graph(
            Frame(
                title="Alerts not taken, or dropped",
                about="Not taken: it refused them or was not there. Dropped: there were too many at once.",
                width=8,
                runbook="ConnectorHealthNotificationsFailing",
            ),
            {
                f"{AT}: not taken": largest(each_rate("connector_health_notifications_errors_total", "alertmanager")),
                f"{AT}: dropped": largest(each_rate("connector_health_notifications_dropped_total", "alertmanager")),
            },
            unit="cps",
        ),
        graph(
            Frame(
                title="Alerts that wait",
                about="For an Alertmanager that takes them. It grows while that one is down.",
                width=8,
                runbook="ConnectorHealthNotificationsFailing",
            ),
            {AT: largest(each("connector_health_notifications_queue_length", "alertmanager"))},
        ),
    ),
)

ROWS = (_COST, _PUSH)
