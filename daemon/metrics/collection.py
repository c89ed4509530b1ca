"""All metrics of the daemon: families made anew from one view at each scrape. Nobody ever sets a gauge."""

from collections.abc import Callable, Iterable

from daemon.metrics.alerts import alert_families
from daemon.metrics.checks import check_families, last_run
from daemon.metrics.connector import connector_counters, connector_families
from daemon.metrics.diagnosis import diagnosis_families
from daemon.metrics.engine import engine_families
from daemon.metrics.exposition import Family, render
from daemon.metrics.families import moment_of
from daemon.metrics.identity import identity_families
from daemon.metrics.notifications import notification_families
from daemon.metrics.path import path_families
from daemon.metrics.process import process_families
from daemon.metrics.resources import ResourceMetrics
from daemon.metrics.state import with_resources
from daemon.view import View


class Metrics:
    """Renders `/metrics`; lives as long as the daemon, because it keeps the label blocks of the plan."""

    def __init__(self, process: Callable[[], Iterable[Family]] = process_families) -> None:
        self._resources = ResourceMetrics()
        self._process = process

    def families(self, view: View) -> list[Family]:
        """Return every family, in the order in which they are shown."""
        moment = moment_of(view)
        fixed = [
            *identity_families(view),
            *check_families(view),
            last_run(view),
            *alert_families(view),
            *path_families(moment),
            *connector_families(moment),
            *connector_counters(view),
            *diagnosis_families(view),
            *engine_families(view),
            *notification_families(view),
            *self._process(),
        ]
        return with_resources(moment, fixed, self._resources)

    def render(self, view: View, *, openmetrics: bool) -> bytes:
        """Return the exposition, as OpenMetrics 1.0 or as text 0.0.4."""
        return render(self.families(view), openmetrics=openmetrics).encode()
