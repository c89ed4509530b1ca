"""The one place that holds what is known now: metrics, page, API and alerts are views of it."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from checks.model import CheckName, Outcome, Reason, Status
from checks.registry import CHECKS
from daemon.jobs import Job, Result
from daemon.state import Policy, State, TargetState, Transition, advance

BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)
STALE_AFTER_INTERVALS = 3  # a verdict older than this is no longer shown: nobody knows any more
TIMED_CHECKS = (CheckName.DNS, CheckName.TCP)  # the rows whose time counts towards the SLO of a Resource


@dataclass(slots=True)
class Histogram:
    """Counts per upper bound (not cumulative; the last one is +Inf), and the sum of what was observed."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in seconds."""
        self.counts[bisect_left(BUCKETS_S, value)] += 1
        self.total += value


@dataclass(slots=True)
class Counters:
    """What only ever grows, since this process started.

    - `conclusive`, `failures` and `inconclusive` count rows: a run that looks at two nameservers counts two, so that
      failures never exceed the conclusive. Each of them is present, at 0, from the moment its check has a job.
    - `duration` has one observation for each run of a job, not one for each of its rows (they were looked at together),
      and none for a run of which all was skipped: nothing was done, and 0 s would only flatter the distribution.
    - `last_run` is the Unix time at which the last run of the check began, skipped or not.
    - `target_seconds` by ok, failing, unknown: see `Board.record`.
    """

    conclusive: dict[CheckName, int] = field(default_factory=dict)
    failures: dict[tuple[CheckName, Reason], int] = field(default_factory=dict)
    inconclusive: dict[tuple[CheckName, Reason], int] = field(default_factory=dict)
    duration: dict[CheckName, Histogram] = field(default_factory=dict)
    last_run: dict[CheckName, float] = field(default_factory=dict)
    target_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("ok", "failing", "unknown"), 0.0))


def declared_reasons(check: CheckName) -> frozenset[Reason]:
    """Return every reason with which a check can be critical; this imports its module."""
    found = CHECKS.get(check)
    return found.reasons if found else frozenset()


class Board:
    """Holds every row's state and the counters. Not thread-safe: it lives on the event loop.

    `ever_up` has the ids of all rows that were ok at least once, restored from the store at start. `wall_clock` stamps
    fixed outcomes; ages are measured on `clock` (the loop's, which no step of this host's clock moves), or on the wall
    clock when there is none.
    """

    def __init__(
        self,
        policy: Policy,
        wall_clock: Callable[[], float],
        *,
        clock: Callable[[], float] | None = None,
        reasons: Callable[[CheckName], Iterable[Reason]] = declared_reasons,
    ) -> None:
        self.policy = policy
        self.wall_clock = wall_clock
        self.counters = Counters()
        self.jobs: Mapping[str, Job] = {}
        self.rows: dict[str, TargetState] = {}
        self.ever_up: set[str] = set()
        self.version = 0
        self._clock = clock or wall_clock
        self._reasons = reasons
        self._seen: dict[str, float] = {}  # when each row was last recorded, on `clock`
        self._several: dict[str, tuple[str, ...]] = {}  # rows of the jobs that have others than the one of their own id

    def load(self, jobs: Iterable[Job]) -> None:
        """Replace the jobs: rows of jobs that are gone vanish at once; fixed outcomes are recorded.

        A job that was probed and no longer is (or the other way round) starts afresh: what was held of it says nothing
        about what it is now, and a failure that is no longer looked at must not stay.
        """
        before, self.jobs = self.jobs, {job.id: job for job in jobs}
        for row in list(self.rows.values()):
            job, old = self.jobs.get(row.result.job), before.get(row.result.job)
            if job is None or old is None or (job.fixed is None) is not (old.fixed is None):
                self._forget(row.id)
            elif job.resources != row.result.resources:
                self.rows[row.id] = replace(row, result=replace(row.result, resources=job.resources))
        self._several = {job_id: ids for job_id, ids in self._several.items() if job_id in self.jobs}
        for check in dict.fromkeys(job.check for job in self.jobs.values() if job.fixed is None):
            self._begin_counters(check)
        for job in self.jobs.values():
            if job.fixed is not None:
                self._record_fixed(job, job.fixed)

    def record(self, results: Iterable[Result]) -> list[Transition]:
        """Take the results of one run into account; return the rows whose state changed.

        Rows of that job which it no longer reports vanish (a nameserver that left resolv.conf). A run that reached no
        verdict at all says nothing about which targets exist: then the job's other rows stay and share its outcome.
        Results of jobs that are not loaded (their run outlived a reload) are ignored.

        Time: the time between two successive results of a dns or tcp row behind a Resource, at most
        STALE_AFTER_INTERVALS of its intervals (the rest counts nowhere, as if the daemon had not run), is added to what
        was held in between: `failing` when failing or recovering, `ok` when ok or pending, `unknown` when unknown or
        suppressed. Rows that are never probed are not counted.
        """
        by_job: dict[str, list[Result]] = {}
        for result in results:
            if result.job in self.jobs:
                by_job.setdefault(result.job, []).append(result)
        transitions: list[Transition] = []
        for job_id, run in by_job.items():
            rows = self._complete(job_id, run)
            self._count_run(rows)
            for result in rows:
                self._count_time(result, self.jobs[job_id].interval_s)
                transition = self._advance(result)
                if transition:
                    transitions.append(transition)
        return transitions

    def present(self, row: TargetState) -> bool:
        """Tell whether this row's verdict may be shown as a gauge: it was conclusive, within 3 intervals."""
        job = self.jobs.get(row.result.job)
        if job is None or not row.result.outcome.status.conclusive:
            return False
        age = self._clock() - self._seen.get(row.id, float("-inf"))
        return job.fixed is not None or age <= STALE_AFTER_INTERVALS * job.interval_s

    def rows_of(self, job_id: str) -> tuple[TargetState, ...]:
        """Return the rows that the last run of a job reported; none before its first."""
        ids = self._several.get(job_id, (job_id,))
        return tuple(self.rows[row_id] for row_id in ids if row_id in self.rows)

    def age_s(self, row: TargetState) -> float:
        """Return how many seconds ago a row was last recorded, on the clock that no step of the host's moves."""
        return self._clock() - self._seen.get(row.id, float("-inf"))

    def _record_fixed(self, job: Job, outcome: Outcome) -> None:
        held = self.rows.get(job.id)
        if held is None or held.result.outcome != outcome:  # the same again is not a second look
            self._advance(
                Result(
                    id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome,
                    started_at=self.wall_clock(), duration_s=0.0, resources=job.resources,
                )
            )  # fmt: skip

    def _complete(self, job_id: str, run: list[Result]) -> list[Result]:
        """Drop the job's rows that this run no longer reports, or return it with them when it knew nothing."""
        reported = tuple(result.id for result in run)
        earlier = (self.rows[i] for i in self._several.get(job_id, (job_id,)) if i in self.rows)
        gone = [row for row in earlier if row.id not in reported and row.result.job == job_id]
        for row in [row for row in gone if row.result.second]:  # evidence of one moment
            self._forget(row.id)
            gone.remove(row)
        if any(result.outcome.status.conclusive for result in run):
            for row in gone:
                self._forget(row.id)
        else:
            shared = run[0]
            run = run + [
                replace(row.result, outcome=shared.outcome, started_at=shared.started_at, duration_s=shared.duration_s)
                for row in gone
            ]
        if len(run) == 1 and run[0].id == job_id:
            self._several.pop(job_id, None)
        else:
            self._several[job_id] = tuple(result.id for result in run)
        return run

    def _forget(self, row_id: str) -> None:
        self.rows.pop(row_id, None)
        self._seen.pop(row_id, None)
        self.version += 1

    def _advance(self, result: Result) -> Transition | None:
        held = self.rows.get(result.id)
        state, transition = advance(held, result, self.policy)
        self.rows[result.id] = state
        if transition is not None or held is None or not _fine(held) or not _fine(state):
            self.version += 1
        self._seen[result.id] = self._clock()
        if result.accepted and not result.second:
            self.ever_up.add(result.id)
        return transition

    def _begin_counters(self, check: CheckName) -> None:
        if check in self.counters.conclusive:
            return
        self.counters.conclusive[check] = 0
        self.counters.duration[check] = Histogram()
        for reason in self._reasons(check):
            self.counters.failures.setdefault((check, reason), 0)

    def _count_run(self, run: list[Result]) -> None:
        counters, check = self.counters, run[0].check
        run = [result for result in run if not result.second]
        for result in run:
            status, reason = result.outcome.status, result.outcome.reason
            if status.conclusive:
                counters.conclusive[check] = counters.conclusive.get(check, 0) + 1
            if reason is None or status is Status.WARNING:
                continue
            kind = counters.failures if status is Status.CRITICAL else counters.inconclusive
            kind[check, reason] = kind.get((check, reason), 0) + 1
        counters.last_run[check] = max(result.started_at for result in run)
        if any(result.outcome.status is not Status.SKIPPED for result in run):
            histogram = counters.duration.setdefault(check, Histogram())
            histogram.observe(max(result.duration_s for result in run))

    def _count_time(self, result: Result, interval_s: float) -> None:
        held = self.rows.get(result.id)
        if held is None or result.check not in TIMED_CHECKS or not result.resources or result.second:
            return
        # Never probed: nothing was ever learned, and what it says is that nothing will be.
        if held.judged is None and held.result.outcome.reason in (Reason.NOT_PROBEABLE, Reason.NOT_ALLOWED):
            return
        elapsed = self._clock() - self._seen[result.id]
        state = "failing" if held.failing else "ok"
        if held.state in (State.UNKNOWN, State.SUPPRESSED):
            state = "unknown"
        self.counters.target_seconds[state] += min(max(elapsed, 0.0), STALE_AFTER_INTERVALS * interval_s)


def _fine(row: TargetState) -> bool:
    """Tell whether a row is ok and nothing else: what such rows measure changes no diagnosis."""
    return row.result.outcome.status is Status.OK and row.state is State.OK and not row.flapping
