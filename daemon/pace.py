"""How often a target is asked now: one that has failed for long is asked less often, until it answers again.

A target that failed for ten minutes has been told of; asking it every 30 s for days only fills tables of firewalls.
"""

from daemon.jobs import Job
from daemon.known import RESOURCE_CHECKS
from daemon.state import TargetState

SLOW_AFTER_S = 600.0
SLOWER = 4.0  # times its interval
SLOWEST_S = 120.0  # who mends a target sees that after two minutes at most; an interval that is longer stays


def pace_s(job: Job, held: TargetState | None, now: float) -> float:
    """Return how many seconds lie between two looks at a job's target; `now` in Unix seconds, as the times of `held`.

    Slower than the job's interval only for the `dns` or `tcp` of a Resource that has been failing for SLOW_AFTER_S and
    has shown no success since. A freeze (unknown, suppressed) changes nothing.
    """
    if held is None or not held.failing or held.held.streak or held.held.held_since is None:
        return job.interval_s
    if now - held.held.held_since < SLOW_AFTER_S:
        return job.interval_s
    return slowest_s(job)


def slowest_s(job: Job) -> float:
    """Return how many seconds lie between two looks at a job's target at most."""
    if job.interval_s >= SLOWEST_S or job.check not in RESOURCE_CHECKS or not job.resources:
        return job.interval_s
    return min(SLOWER * job.interval_s, SLOWEST_S)
