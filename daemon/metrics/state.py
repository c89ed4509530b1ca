"""The state gauges and time stamps: what one look (`healthctl check -o prometheus`) can say as well as the daemon."""

from collections.abc import Iterable

from daemon.metrics.checks import last_run
from daemon.metrics.connector import connector_families
from daemon.metrics.diagnosis import diagnosis_families
from daemon.metrics.exposition import Family
from daemon.metrics.families import Moment, gauge, moment_of
from daemon.metrics.identity import identity_families
from daemon.metrics.path import path_families
from daemon.metrics.resources import ResourceMetrics, summary_family
from daemon.view import View

OWN_SERIES = 2  # the two that tell how many there are


def state_families(view: View) -> list[Family]:
    """Return the state gauges and time stamps of one look: no counters, no histograms, nothing of the process."""
    moment = moment_of(view)
    fixed = [*identity_families(view), last_run(view), *path_families(moment), *connector_families(moment)]
    return with_resources(moment, [*fixed, *diagnosis_families(view)], ResourceMetrics())


def with_resources(moment: Moment, families: Iterable[Family], resources: ResourceMetrics) -> list[Family]:
    """Add the Resources, as many series as `metrics.max_series` leaves room for, and how many series that makes."""
    fixed = [*families, summary_family(moment)]
    budget = moment.view.config.metrics.max_series - OWN_SERIES - _count(fixed)
    found, left_out = resources.families(moment, max(0, budget))
    series = gauge("series", "Series in this answer.")
    dropped = gauge("series_dropped", "Series of Resources left out because of metrics.max_series.")
    series.add(_count(fixed) + _count(found) + OWN_SERIES)
    dropped.add(left_out)
    return [*fixed, *found, series, dropped]


def _count(families: Iterable[Family]) -> int:
    return sum(family.size for family in families)
