"""How the push to each Alertmanager goes."""

from daemon.metrics.exposition import Family
from daemon.view import View


def notification_families(view: View) -> list[Family]:
    """Return these families."""
    del view
    return []
