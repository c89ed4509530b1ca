"""What flows through the engine: a job (what to run, when), and the result of one row of a run."""

from dataclasses import dataclass

from checks.model import CheckName, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One probe: run every `interval_s` seconds, judged unfinished after `timeout_s` seconds.

    `id` is stable over restarts and unique. A job yields one row (id `check:target` = the job's id) or, for checks that
    look at several targets in one run (resolver, control_plane after a redirect), several. `resources` are the names of
    the Resources that stand behind it, by precedence. `name` is the DNS name whose `dns` job is this one's parent.
    `connections` is how many TCP connections a run may open at most (paced by schedule.max_rate); `hosts` are the
    destinations that count against `per_host`. `confirmable` False: the fast confirmation must leave it alone.
    """

    id: str
    check: CheckName
    target: str
    spec: object
    interval_s: float
    timeout_s: float
    resources: tuple[str, ...] = ()
    name: str | None = None
    host: str | None = None
    connections: int = 0
    confirmable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one row, stamped: `started_at` Unix seconds, `duration_s` seconds, `job` the id of the job run."""

    id: str
    job: str
    check: CheckName
    target: str
    outcome: Outcome
    started_at: float
    duration_s: float
    resources: tuple[str, ...] = ()
