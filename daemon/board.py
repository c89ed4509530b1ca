"""The one place that holds what is known now: metrics, page, API and alerts are views of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from checks.model import CheckName, Outcome, Reason, Status
from daemon.counters import Counters, declared_reasons
from daemon.jobs import Job, Result
from daemon.pace import pace_s
from daemon.plan import PlanChange, change_between
from daemon.slices import Steps, at_once, batches
from daemon.state import Policy, State, TargetState, Transition, advance

STALE_AFTER_INTERVALS = 3  # a verdict older than this is no longer shown: nobody knows any more
_COUNTED_AS = {State.UNKNOWN: "unknown", State.SUPPRESSED: "unknown"}
TIMED_CHECKS = (CheckName.DNS, CheckName.TCP)  # the rows whose time counts towards the SLO of a Resource


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
        self.statuses: dict[Status, int] = {}
        self.pending = 0
        self._clock = clock or wall_clock
        self._reasons = reasons
        self._seen: dict[str, float] = {}  # when each row was last recorded, on `clock`
        self._several: dict[str, tuple[str, ...]] = {}  # rows of the jobs that have others than the one of their own id

    def load(self, jobs: Iterable[Job]) -> None:
        """Replace the jobs: rows of jobs that are gone vanish at once; fixed outcomes are recorded.

        A job that was probed and no longer is (or the other way round) starts afresh: what was held of it says nothing
        about what it is now, and a failure that is no longer looked at must not stay.
        """
        after = {job.id: job for job in jobs}
        change = at_once(change_between(self.jobs, after))
        at_once(self.take_out(change))
        self.jobs = after
        at_once(self.put_in(change))

    def take_out(self, change: PlanChange) -> Steps[None]:
        """Let all vanish, in steps, that is held of the jobs that a change of the plan removes; then set `jobs`."""
        for batch in batches(change.removed):
            for job in batch:
                for row in self.rows_of(job.id):
                    self._forget(row.id)
                self._several.pop(job.id, None)
            yield

    def put_in(self, change: PlanChange) -> Steps[None]:
        """Take up, in steps, the jobs that a change of the plan adds or changes; `jobs` are the new ones already."""
        for changed in batches(change.changed):
            for old, job in changed:
                for row in self.rows_of(job.id):
                    if (job.fixed is None) is not (old.fixed is None):
                        self._forget(row.id)
                    elif job.resources != row.result.resources:
                        self.rows[row.id] = replace(row, result=replace(row.result, resources=job.resources))
            yield
        begun: set[CheckName] = set()
        for fresh in batches((*change.added, *(job for _, job in change.changed))):
            for job in fresh:
                if job.fixed is not None:
                    self._record_fixed(job, job.fixed)
                elif job.check not in begun:
                    begun.add(job.check)
                    self.counters.begin(job.check, self._reasons(job.check))
            yield

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
        results = tuple(results)
        if len(results) == 1 and results[0].id == results[0].job and results[0].job not in self._several:
            return self._record_only(results[0])
        by_job: dict[str, list[Result]] = {}
        for result in results:
            if result.job in self.jobs:
                by_job.setdefault(result.job, []).append(result)
        transitions: list[Transition] = []
        for job_id, run in by_job.items():
            rows = self._complete(job_id, run)
            self.counters.count(rows)
            for result in rows:
                transition = self._take(result, self.jobs[job_id])
                if transition:
                    transitions.append(transition)
        return transitions

    def _record_only(self, result: Result) -> list[Transition]:
        """Record a run that reports the one row that its job always had: nearly all of them."""
        job = self.jobs.get(result.job)
        if job is None:
            return []
        self.counters.count((result,))
        transition = self._take(result, job)
        return [] if transition is None else [transition]

    def present(self, row: TargetState) -> bool:
        """Tell whether this row's verdict may be shown as a gauge: it was conclusive, within 3 intervals."""
        return self._present_at(self._clock(), row)

    def presence(self) -> Callable[[TargetState], bool]:
        """Return what tells that of a row as of now: for who asks about thousands of them."""
        return partial(self._present_at, self._clock())

    def _present_at(self, now: float, row: TargetState) -> bool:
        result = row.result
        status, job = result.outcome.status, self.jobs.get(result.job)
        if job is None or status is Status.UNKNOWN or status is Status.SKIPPED:
            return False
        age = now - self._seen.get(result.id, float("-inf"))
        if job.fixed is not None or age <= STALE_AFTER_INTERVALS * job.interval_s:
            return True
        return row.failing and age <= STALE_AFTER_INTERVALS * self._pace_s(job, row)

    def slowed_s(self, row: TargetState) -> float | None:
        """Return how many seconds lie between two looks at a row that is asked less often because it fails for long."""
        job = self.jobs.get(row.result.job)
        pace = 0.0 if job is None or not row.failing else self._pace_s(job, row)
        return pace if job is not None and pace > job.interval_s else None

    def vouch(self, row_ids: Iterable[str]) -> list[Transition]:
        """Take pending failures as seen once more, because others like them were; return the rows that changed.

        What was observed of them stays as it is, and no run is counted.
        """
        transitions: list[Transition] = []
        for row_id in row_ids:
            row = self.rows.get(row_id)
            if row is not None and row.state is State.PENDING:
                self._census(row, -1)
                self.rows[row_id], transition = advance(row, row.result, self.policy)
                self._census(self.rows[row_id], 1)
                if transition is not None:
                    transitions.append(transition)
        self.version += bool(transitions)
        return transitions

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
            self._take(
                Result(
                    id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome,
                    started_at=self.wall_clock(), duration_s=0.0, resources=job.resources,
                ),
                job,
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
        row = self.rows.pop(row_id, None)
        if row is not None:
            self._census(row, -1)
        self._seen.pop(row_id, None)
        self.version += 1

    def _census(self, row: TargetState, by: int) -> None:
        """Count a row in or out: who asks how many are well must not have to look at 30,000."""
        if row.result.second:
            return
        status = row.result.outcome.status
        self.statuses[status] = self.statuses.get(status, 0) + by
        self.pending += by * (row.state is State.PENDING)

    def _take(self, result: Result, job: Job) -> Transition | None:
        """Take one row's result into account."""
        row_id, now = result.id, self._clock()
        held = self.rows.get(row_id)
        if held is not None:
            self._count_time(held, result, job, now - self._seen[row_id])
        state, transition = advance(held, result, self.policy)
        self.rows[row_id] = state
        if transition is not None or held is None or not _fine(held) or not _fine(state):
            self.version += 1
            if held is not None:
                self._census(held, -1)
            self._census(state, 1)
        self._seen[row_id] = now
        if row_id not in self.ever_up and result.accepted and not result.second:
            self.ever_up.add(row_id)
        return transition

    def _pace_s(self, job: Job, row: TargetState) -> float:
        return pace_s(job, row, self.wall_clock()) if row.failing else job.interval_s

    def _count_time(self, held: TargetState, result: Result, job: Job, elapsed: float) -> None:
        """Count the seconds since a row was last looked at towards what was held of it in between."""
        if job.fixed is not None or result.check not in TIMED_CHECKS or not result.resources or result.second:
            return
        # Never probed: nothing was ever learned, and what it says is that nothing will be.
        if held.judged is None and held.result.outcome.reason in (Reason.NOT_PROBEABLE, Reason.NOT_ALLOWED):
            return
        state = _COUNTED_AS.get(held.state, "failing" if held.failing else "ok")
        most = STALE_AFTER_INTERVALS * self._pace_s(job, held)
        self.counters.target_seconds[state] += min(max(elapsed, 0.0), most)


def _fine(row: TargetState) -> bool:
    """Tell whether a row is ok and nothing else: what such rows measure changes no diagnosis."""
    return row.result.outcome.status is Status.OK and row.state is State.OK and not row.flapping
