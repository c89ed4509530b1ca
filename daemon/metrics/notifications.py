"""How the push to each Alertmanager goes."""

from daemon.metrics.exposition import Family, block
from daemon.metrics.families import counter, gauge
from daemon.view import View


def notification_families(view: View) -> list[Family]:
    """Return these families; the counters count alerts, and mean what Prometheus' own of the same name mean."""
    sent = counter("notifications_sent", "Alerts sent to this Alertmanager, whether it took them or not.")
    errors = counter("notifications_errors", "Alerts that it did not take, or of which it refused some.")
    dropped = counter("notifications_dropped", "Alerts not sent to it because there were too many at once.")
    queue = gauge("notifications_queue_length", "Alerts that wait to be sent to it.")
    for delivery in view.deliveries:
        labels = block((("alertmanager", delivery.name),))
        sent.add(delivery.sent, labels)
        errors.add(delivery.errors, labels)
        dropped.add(delivery.dropped, labels)
        queue.add(delivery.queue_length, labels)
    return [sent, errors, dropped, queue]
