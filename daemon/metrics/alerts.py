"""Which alerts are active: what the shipped Prometheus rules read.

`alerts_truncated` has a series for each alert of which more are active than shown, and none while all are: rules and
people look for what is there, and 20 series that are always 0 in 400 daemons help nobody.
"""

from daemon.alert import LABELS
from daemon.metrics.exposition import Family, block
from daemon.metrics.families import gauge
from daemon.view import View


def alert_families(view: View) -> list[Family]:
    """Return these families."""
    active = gauge("alert_active", "1 for each alert that the daemon has decided to be active, at most 200 of a name.")
    for alert in view.alerts.active:
        pairs = [("alert", alert.key.name), ("severity", alert.key.severity)]
        pairs += [(name, value) for name, value in zip(LABELS, alert.key.labels, strict=True) if value]
        active.add(1, block(pairs))
    truncated = gauge("alerts_truncated", "Active alerts of a name beyond those shown.")
    for name, count in sorted(view.alerts.truncated.items()):
        truncated.add(count, block([("alert", name)]))
    return [active, truncated]
