"""All metrics of the daemon: families made anew from one view at each scrape. Nobody ever sets a gauge."""

from collections.abc import Callable, Iterable

from daemon.metrics.alerts import alert_families
from daemon.metrics.checks import check_families, last_run
from daemon.metrics.connector import connector_counters, connector_families
from daemon.metrics.diagnosis import diagnosis_steps
from daemon.metrics.engine import engine_families
from daemon.metrics.exposition import Family, pieces
from daemon.metrics.families import moment_steps
from daemon.metrics.identity import identity_families
from daemon.metrics.notifications import notification_families
from daemon.metrics.path import path_families
from daemon.metrics.process import process_families
from daemon.metrics.resources import ResourceMetrics
from daemon.metrics.state import resource_steps
from daemon.slices import Steps, at_once
from daemon.view import View


class Metrics:
    """Renders `/metrics`; lives as long as the daemon, because it keeps the label blocks of the plan."""

    def __init__(self, process: Callable[[], Iterable[Family]] = process_families) -> None:
        self._resources = ResourceMetrics()
        self._process = process

    def family_steps(self, view: View) -> Steps[list[Family]]:
        """Return every family, in the order in which they are shown."""
        moment = yield from moment_steps(view)
        found = [*identity_families(view), *check_families(view), last_run(view)]
        yield
        found += alert_families(view)
        yield
        found += [*path_families(moment), *connector_families(moment), *connector_counters(view)]
        found += yield from diagnosis_steps(view)
        found += [*engine_families(view), *notification_families(view), *self._process()]
        yield
        return (yield from resource_steps(moment, found, self._resources))

    def steps(self, view: View, *, openmetrics: bool) -> Steps[list[bytes]]:
        """Return the exposition, as OpenMetrics 1.0 or as text 0.0.4, in pieces to be sent in turn."""
        families = yield from self.family_steps(view)
        made = []
        for piece in pieces(families, openmetrics=openmetrics):
            made.append(piece)
            yield
        return made

    def families(self, view: View) -> list[Family]:
        """Return every family, without a pause."""
        return at_once(self.family_steps(view))

    def render(self, view: View, *, openmetrics: bool) -> bytes:
        """Return the whole exposition, without a pause."""
        return b"".join(at_once(self.steps(view, openmetrics=openmetrics)))
