"""The Prometheus rules of the alerts that this daemon decides, written from the alerts' own data.

`make rules` (`python -m daemon.explain.prometheus_rules FILE`) writes `deploy/prometheus/connector-health.rules.yml`;
a test says when the file is not what this makes. What only Prometheus can see is written by hand beside it.
"""

import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.alert import LABELS
from daemon.explain.alerts import ALERTS, Alert

KEEP_FIRING_FOR = "2m"  # a scrape that fails, a daemon that restarts: neither is the end of what it was telling
RECORD = "connector:connector_health_alert_active:max"
RESOURCE_SEVERITIES = ("critical", "warning", "info")
SHADOW = "none"
WIDTH = 116

_HEADER = f"""\
# What the daemons have decided, as alerts. Made by `make rules` from daemon/explain/alerts.py: do not edit.
#
# The daemon decides: it confirms, waits (`alerting.after`), and keeps silent about what another cause explains. These
# rules add nothing to that, so that an alert is the same whether Prometheus sends it or the daemon pushes it:
# alertname, severity, connector, remote_network, and those of resource, address, port, nameserver, endpoint that apply.
# One rule for each alert and severity: Prometheus takes the name of an alert from its rule, never from a label.
# severity="none" is a daemon in shadow mode: route it to nobody.
# keep_firing_for needs Prometheus 2.42.
groups:
  - name: connector-health
    rules:
      # Whose decision it is. Only these labels stay: neither job nor instance nor what service discovery adds. A host
      # that shows two Connectors under one target (textfiles of `healthctl check`) must not break the join for all.
      - record: {RECORD}
        expr: |
          max by (alert, severity, connector, remote_network, {", ".join(LABELS)}) (
            connector_health_alert_active
            * on (job, instance) group_left (connector, remote_network)
            topk by (job, instance) (1, connector_health_info)
          )
"""
# The dead man is the one rule here that is not a decision of a daemon.
_DEAD_MAN = """\
  - name: connector-health-dead-man
    rules:
      # When each daemon was last seen: kept for three days, so that one that fails, or is lost by service discovery, on
      # Friday evening is still missed on Monday. A target that now shows another name has not died: it was renamed.
      - record: connector:connector_health_info:last_seen_timestamp_seconds
        expr: |
          max by (job, instance, connector, remote_network) (timestamp(connector_health_info))
          or
          (
            last_over_time(connector:connector_health_info:last_seen_timestamp_seconds[1h]) > time() - 3 * 86400
            unless on (job, instance) connector_health_info
          )
      # 1. It was seen, and is not any more. 2. It is a target, but was never seen: its address stands for its name.
      # This alone needs the job to be called connector-health. 3. Nobody ever saw any, and there is not even a target.
      - alert: ConnectorHealthDown
        expr: |
          (
            max by (connector, remote_network) (connector:connector_health_info:last_seen_timestamp_seconds)
            unless on (connector, remote_network) connector_health_info
          )
          or
          max by (connector) (
            label_replace(
              up{{job=~"connector-health.*"}} == 0
              unless on (job, instance) connector:connector_health_info:last_seen_timestamp_seconds,
              "connector", "$1", "instance", "(.+)"
            )
          )
          or
          (
            absent(connector:connector_health_info:last_seen_timestamp_seconds)
            unless on () up{{job=~"connector-health.*"}}
          )
        for: {minutes:.0f}m
        keep_firing_for: {keep}
        labels: {{severity: {severity}}}
        annotations:
"""
_SUBJECT = (
    "{{ $labels.connector }}{{ with $labels.resource }} {{ . }}{{ end }}{{ with $labels.address }} {{ . }}{{ end }}"
    "{{ with $labels.port }}:{{ . }}{{ end }}{{ with $labels.nameserver }} {{ . }}{{ end }}"
    "{{ with $labels.endpoint }} {{ . }}{{ end }}"
)
_ORIGIN = (
    "Connector {{ $labels.connector }}{{ with $labels.remote_network }} of Remote Network {{ . }}{{ end }}: its daemon "
    "has confirmed this, and knows no other cause that explains it. `healthctl status` on its host shows what it saw."
)
_UNSEEN = (
    "Nobody watches this Connector now. This says nothing about the Connector itself: its other alerts are silent "
    "because there is no news of them."
)


def rules() -> str:
    """Return the whole file."""
    decided = [alert for alert in ALERTS.values() if alert.carrier == "both"]
    lines = [line for alert in decided for severity in severities(alert) for line in _rule(alert, severity)]
    (dead_man,) = (alert for alert in ALERTS.values() if alert.name == "ConnectorHealthDown")
    (tier,) = dead_man.tiers
    tail = _DEAD_MAN.format(minutes=tier.after_s / 60, severity=tier.severity, keep=KEEP_FIRING_FOR)
    subject = '{{ or $labels.connector "No daemon at all" }}'
    return _HEADER + "\n".join([*lines, tail]) + "\n".join(_annotations(dead_man, subject, _UNSEEN)) + "\n"


def severities(alert: Alert) -> tuple[str, ...]:
    """Return every severity that an alert can have, that of shadow mode included."""
    found: list[str] = []
    for tier in alert.tiers:
        found += RESOURCE_SEVERITIES if tier.severity == "resource" else (tier.severity,)
    return (*found, SHADOW)


def _rule(alert: Alert, severity: str) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield f'        expr: max without (alert, severity) ({RECORD}{{alert="{alert.name}", severity="{severity}"}})'
    yield f"        keep_firing_for: {KEEP_FIRING_FOR}"
    yield f"        labels: {{severity: {severity}}}"
    yield "        annotations:"
    yield from _annotations(alert, _SUBJECT, _ORIGIN)


def _annotations(alert: Alert, subject: str, description: str) -> Iterable[str]:
    yield from _folded("summary", f"{subject}: {alert.when}")
    yield from _folded("description", description)
    yield from _folded("action", alert.advice)
    yield f"          runbook_url: docs/runbooks/{alert.name}.md"


def _folded(name: str, text: str) -> Iterator[str]:
    yield f"          {name}: >-"
    for line in textwrap.wrap(text, WIDTH - 12, break_long_words=False, break_on_hyphens=False):
        yield f"            {line}"


if __name__ == "__main__":
    (_, path) = sys.argv
    Path(path).write_text(rules(), encoding="utf-8")
