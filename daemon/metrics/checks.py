"""How often each check ran, how it ended and how long it took: counted by the board since the process started."""

from daemon.counters import BUCKETS_S
from daemon.metrics.exposition import Family, block
from daemon.metrics.families import counter, gauge, histogram
from daemon.view import View


def check_families(view: View) -> list[Family]:
    """Return the board's counters; it holds each at 0 from the start, since `increase()` needs a first value."""
    counters = view.board.counters
    runs = counter("checks", "Rows that ended ok, warning or critical, by check.")
    failures = counter("check_failures", "Rows that ended critical, by check and reason.")
    inconclusive = counter("checks_inconclusive", "Rows that ended unknown or skipped, by check and reason.")
    duration = histogram("check_duration_seconds", "How long the runs of a check took.")
    held = counter(
        "target_seconds", "Time that Resource targets (names and ports) spent in each state, summed over all of them."
    )
    for check in sorted(counters.conclusive):
        runs.add(counters.conclusive[check], block((("check", check),)))
    for family, counted in ((failures, counters.failures), (inconclusive, counters.inconclusive)):
        for check, reason in sorted(counted):
            family.add(counted[check, reason], block((("check", check), ("reason", reason))))
    for check, found in sorted(counters.duration.items()):
        duration.add_histogram(BUCKETS_S, found.counts, found.total, (("check", check),))
    for state, seconds in counters.target_seconds.items():
        held.add(seconds, block((("state", state),)))
    return [runs, failures, inconclusive, duration, held]


def last_run(view: View) -> Family:
    """Return when each check last began a run; a check that never did has no series."""
    family = gauge("check_last_run_timestamp_seconds", "When the last run of this check began, in Unix time.")
    for check, at in sorted(view.board.counters.last_run.items()):
        family.add(at, block((("check", check),)))
    return family
