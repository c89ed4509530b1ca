"""The state gauges and time stamps: what one look (`healthctl check -o prometheus`) can say as well as the daemon."""

from collections.abc import Iterable

from daemon.exposition import Family
from daemon.metrics_checks import last_run
from daemon.metrics_families import gauge
from daemon.metrics_identity import identity_families
from daemon.metrics_path import path_families
from daemon.metrics_resources import ResourceMetrics, summary_family
from daemon.view import View

OWN_SERIES = 2  # the two that tell how many there are


def state_families(view: View) -> list[Family]:
    """Return the state gauges and time stamps of one look: no counters, no histograms, nothing of the process."""
    return with_resources(view, [*identity_families(view), last_run(view), *path_families(view)], ResourceMetrics())


def with_resources(view: View, families: Iterable[Family], resources: ResourceMetrics) -> list[Family]:
    """Add the Resources, as many series as `metrics.max_series` leaves room for, and how many series that makes."""
    fixed = [*families, summary_family(view)]
    budget = view.config.metrics.max_series - OWN_SERIES - _count(fixed)
    found, left_out = resources.families(view, max(0, budget))
    series = gauge("series", "Series in this answer.")
    dropped = gauge("series_dropped", "Series of Resources left out because of metrics.max_series.")
    series.add(_count(fixed) + _count(found) + OWN_SERIES)
    dropped.add(left_out)
    return [*fixed, *found, series, dropped]


def _count(families: Iterable[Family]) -> int:
    return sum(len(family.lines) for family in families)
