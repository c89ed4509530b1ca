"""The state gauges and time stamps: what one look (`healthctl check -o prometheus`) can say as well as the daemon."""

from collections.abc import Iterable

from daemon.metrics.checks import last_run
from daemon.metrics.connector import connector_families
from daemon.metrics.diagnosis import diagnosis_steps
from daemon.metrics.exposition import Family
from daemon.metrics.families import Moment, gauge, moment_steps
from daemon.metrics.identity import identity_families
from daemon.metrics.path import path_families
from daemon.metrics.resources import ResourceMetrics, summary_steps
from daemon.slices import Steps, at_once
from daemon.view import View

OWN_SERIES = 2  # the two that tell how many there are


def state_families(view: View) -> list[Family]:
    """Return the state gauges and time stamps of one look: no counters, no histograms, nothing of the process."""
    return at_once(_state_steps(view))


def _state_steps(view: View) -> Steps[list[Family]]:
    moment = yield from moment_steps(view)
    fixed = [*identity_families(view), last_run(view), *path_families(moment), *connector_families(moment)]
    fixed += yield from diagnosis_steps(view)
    return (yield from resource_steps(moment, fixed, ResourceMetrics()))


def resource_steps(moment: Moment, families: Iterable[Family], resources: ResourceMetrics) -> Steps[list[Family]]:
    """Add the Resources, as many series as `metrics.max_series` leaves room for, and how many series that makes."""
    fixed = [*families]
    fixed.append((yield from summary_steps(moment)))
    others = sum(family.size for family in fixed) + OWN_SERIES
    found, written, left_out = yield from resources.steps(
        moment, max(0, moment.view.config.metrics.max_series - others)
    )
    series = gauge("series", "Series in this answer.")
    dropped = gauge("series_dropped", "Series of Resources left out because of metrics.max_series.")
    series.add(others + written)
    dropped.add(left_out)
    return [*fixed, *found, series, dropped]
