"""A Resource is blamed only once what stands before it was asked again, after the trouble began."""

from daemon.jobs import Job
from daemon.known import CONNECTOR_ROW, HOST_ROW
from daemon.view import View

NAMESERVERS_JOB = "resolver:nameservers"
PARENTS = (HOST_ROW, CONNECTOR_ROW, NAMESERVERS_JOB)
MAX_INTERVALS = 3  # of a parent: one that does not answer for so long must not silence its Resources for ever
OF_RESOURCES = frozenset({"ConnectorDNSLookupErrors", "ConnectorUnableToConnect"})


def must_last_s(view: View) -> float:
    """Return how many seconds a condition about a Resource must have lasted for all its parents to be asked since.

    Each parent that is looked at counts from when its last run began, at most MAX_INTERVALS of its intervals.
    """
    jobs = (view.board.jobs.get(job_id) for job_id in PARENTS)
    return max((_needed_s(view, job) for job in jobs if job is not None and job.fixed is None), default=0.0)


def _needed_s(view: View, job: Job) -> float:
    ages = (view.board.age_s(row) + row.result.duration_s for row in view.board.rows_of(job.id))
    return min(min(ages, default=float("inf")), MAX_INTERVALS * job.interval_s)
