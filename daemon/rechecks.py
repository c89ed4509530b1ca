"""What is asked again outside its slot, and when: after a change around us, a failure, or the end of one.

Only `Scheduler.confirm` asks, so that its limits hold: a port with a policy, the clock and the provider's page are
never asked at once, and what is coming already is not asked twice.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from checks.model import CheckName
from daemon.board import Board
from daemon.changes.network import Difference
from daemon.config.schema import Schedule
from daemon.crowd import SAMPLES, Crowds
from daemon.ill import FALLEN, away, healed, is_ill, well
from daemon.jobs import SECOND_SEAT, Job, Result
from daemon.known import CONNECTOR_ROW, HOST_ROW, OUTWARD_CHECKS, RESOURCE_CHECKS
from daemon.plan import Plan
from daemon.reached import Destinations, addresses_of
from daemon.scheduler import TICK_S, Scheduler
from daemon.state import State, Transition

log = logging.getLogger("connector_health.rechecks")

RESOLVER_JOB = "resolver:nameservers"
AGAIN_PER_S = 200.0  # jobs asked again after a change: 800 Resources in 4 s, a fifth of the default `max_rate`
RATE_SHARE = 0.5  # of a smaller `max_rate`: the slots go on meanwhile
REACH = 0.5  # of its interval: a job that would have to wait longer has its slot before, or soon after
AFFECTED_MOST = 200  # rows that are asked only because the way to them changed: a second's worth
EXAMINED_MOST = 5_000  # rows that are looked at for that: 13 ms of the loop
ENDED_S = 0.1  # a container engine takes note of the end of a process a moment after the kernel

_PACED = frozenset({HOST_ROW, CONNECTOR_ROW, RESOLVER_JOB})
_UNSETTLED = frozenset({State.PENDING, State.RECOVERING})
_HOST_AND_CONNECTOR = (HOST_ROW, CONNECTOR_ROW)
_PARENTS: Mapping[CheckName, tuple[str, ...]] = {
    CheckName.RESOLVER: _HOST_AND_CONNECTOR,
    CheckName.CONTROL_PLANE: (RESOLVER_JOB, *_HOST_AND_CONNECTOR),
    CheckName.RELAY: (RESOLVER_JOB, *_HOST_AND_CONNECTOR),
    CheckName.DNS: (RESOLVER_JOB, *_HOST_AND_CONNECTOR),
    CheckName.TCP: _HOST_AND_CONNECTOR,
}
"""What is asked again when a row of a check begins to fail: may be that explains it. A name has its nameservers too."""
_ORDER = (
    CheckName.HOST, CheckName.RESOLVER, CheckName.CONTROL_PLANE, CheckName.RELAY, CheckName.NAT, CheckName.DNS,
    CheckName.TCP,
)  # fmt: skip
"""In which order dependents are asked: first what explains most."""


class Rechecks:
    """Decides what is asked again at once. `clock` is the loop's, in seconds.

    `vouch(ids)` takes failures as confirmed because of others, and returns the transitions; None: each by itself.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        board: Board,
        clock: Callable[[], float],
        vouch: Callable[[Sequence[str]], Iterable[Transition]] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._board = board
        self._clock = clock
        self._jobs: Mapping[str, Job] = {}
        self._rows_of: Mapping[str, tuple[str, ...]] = {}
        self._confirm_s = 0.0
        self._per_s = AGAIN_PER_S
        self._parent_at: dict[str, float] = {}  # the last look at it, or the one that was asked for
        self._again: set[str] = set()  # asked for at once, and not begun yet
        self._unsettled: set[str] = set()  # their second look comes by itself, and no sooner than that
        self._coming: set[str] = set()  # asked for at our pace, and not begun yet
        self._next_at = float("-inf")
        self._vouch = vouch
        self._crowds = Crowds(
            clock=clock, ask=scheduler.confirm, ask_all=self._ask_all, vouch=self._confirmed, host_of=self._host_of
        )

    def load(self, plan: Plan, schedule: Schedule) -> None:
        """Put another plan in force."""
        self._jobs, self._rows_of = plan.by_id, plan.rows_of
        self._confirm_s = self._crowds.confirm_s = schedule.confirm.interval
        self._per_s = min(AGAIN_PER_S, RATE_SHARE * schedule.max_rate)
        for kept in (self._again, self._coming, self._unsettled):
            kept.difference_update(self._gone(kept))
        self._crowds.forget(self._gone(self._crowds.known()))

    def _gone(self, job_ids: Iterable[str]) -> list[str]:
        return [job_id for job_id in job_ids if (job := self._jobs.get(job_id)) is None or job.fixed is not None]

    def began(self, job_id: str) -> None:
        """A run of a job begins: who asked for one has it."""
        self._again.discard(job_id)
        self._coming.discard(job_id)
        self._crowds.began(job_id)

    def ended(self, job: Job, results: Collection[Result], transitions: Collection[Transition]) -> None:
        """A run has ended: confirm what it left open; ask the parents of what fell, the dependents of what rose."""
        self.looked_at(job.id)
        early = job.id in self._again or job.id in self._coming  # something happened while it ran
        quiet = not (transitions or early or job.id in self._unsettled)
        if quiet and not self._crowds.concerns(job.id) and all(map(well, results)):
            return  # nearly always
        if any(self._is_unsettled(result.id) for result in results if not result.second):
            self._unsettled.add(job.id)
            if not self._is_of_a_crowd(job, results):
                self._scheduler.confirm(job.id, self._confirm_s)
        else:
            if self._crowds.concerns(job.id):
                self._is_of_a_crowd(job, results)
            self._unsettled.discard(job.id)
            if early:  # it began too soon to tell, and had to end to be asked again
                self._scheduler.confirm(job.id, TICK_S)
        if job.check is not CheckName.CONNECTOR and any(map(away, results)):
            self._ask_parent(CONNECTOR_ROW)
        if not transitions:
            return
        own = [change for change in transitions if not change.id.endswith(SECOND_SEAT)]
        if any(change.after in FALLEN for change in own):
            for parent in self._parents(job):
                self._ask_parent(parent)
        if any(map(healed, own)):
            self._ask_dependents(job)

    def looked_at(self, row_id: str) -> None:
        """A parent was looked at just now."""
        if row_id in _PACED:
            self._parent_at[row_id] = self._clock()

    def at_once(self, job_id: str, after_s: float = 0.0) -> None:
        """Ask a job now, or when the run has ended that began before; the second look of a verdict is not hurried."""
        self._again.add(job_id)
        if job_id not in self._unsettled:
            self._scheduler.confirm(job_id, after_s)

    def network_changed(self, difference: Difference, *, outward: bool) -> None:
        """Links, addresses or routes changed; an empty `difference`: perhaps what only the host check can see.

        `outward`: nameservers, control plane and Relays are asked too.
        """
        self.at_once(HOST_ROW)
        if outward:
            for job in self._of(CheckName.RESOLVER, *OUTWARD_CHECKS):
                self.at_once(job.id)
        if difference.relevant:
            self._ask_paced((*self._ill(RESOURCE_CHECKS), *self._affected(difference)))

    def connector_ended(self) -> None:
        """The Connector's process has ended."""
        self.at_once(CONNECTOR_ROW, ENDED_S)

    def nameservers_changed(self) -> None:
        """Other nameservers are in use: ask them, and the names, those that fail first."""
        for job in self._of(CheckName.RESOLVER):
            self.at_once(job.id)
        names = {CheckName.DNS}
        self._ask_paced((*self._ill(names | OUTWARD_CHECKS), *(job.id for job in self._of(*names))))

    def _is_of_a_crowd(self, job: Job, results: Iterable[Result]) -> bool:
        """Tell whether the second look at a failure is left to others who fail for the same reason."""
        own = next((result for result in results if result.id == job.id), None)
        row = self._board.rows.get(job.id)
        if self._vouch is None or job.check not in RESOURCE_CHECKS or own is None or row is None:
            return False
        return self._crowds.ended(job, own, pending=row.state is State.PENDING)

    def _confirmed(self, job_ids: Sequence[str]) -> list[str]:
        """Take failures as confirmed; return those that need more looks than two."""
        if self._vouch is None:
            return list(job_ids)
        log.info("%d more failures count as confirmed: %d of their kind were asked again", len(job_ids), SAMPLES)
        for change in self._vouch(job_ids):
            if change.after is State.FAILING:
                self._unsettled.discard(change.id)
        jobs = [self._jobs[job_id] for job_id in job_ids if job_id in self._jobs]
        for parent in {parent for job in jobs for parent in self._parents(job)}:
            self._ask_parent(parent)
        return [job_id for job_id in job_ids if self._is_unsettled(job_id)]

    def _ask_all(self, job_ids: Sequence[str]) -> None:
        """Ask each of a crowd, at a bounded pace for all who are asked again; none sooner than alone."""
        now = self._clock()
        at = max(now, self._next_at)
        for job_id in job_ids:
            self._scheduler.confirm(job_id, max(at - now, self._crowds.due_s(job_id)))
            at += 1.0 / self._per_s
        self._next_at = at

    def _host_of(self, job_id: str) -> str:
        job = self._jobs.get(job_id)
        return job_id if job is None or job.host is None else job.host

    def _parents(self, job: Job) -> tuple[str, ...]:
        parents = _PARENTS.get(job.check, ())
        return (RESOLVER_JOB, *parents) if job.check is CheckName.TCP and job.name is not None else parents

    def _ask_parent(self, job_id: str) -> None:
        """Have a parent's row not lag behind; but each of 800 Resources asks for that in every interval."""
        now, at = self._clock(), self._parent_at.get(job_id, float("-inf"))
        if at <= now:
            at = self._parent_at[job_id] = max(now, at + self._confirm_s)
            self._scheduler.confirm(job_id, at - now)

    def _ask_dependents(self, job: Job) -> None:
        match job.check:
            case CheckName.DNS if job.name is None:
                self._ask_paced(row for row in self._ports(job.id) if self._is_ill(row))
            case CheckName.RESOLVER:
                named = (CheckName.CONTROL_PLANE, CheckName.RELAY, CheckName.DNS)
                self._ask_paced(self._ill(frozenset(named)))
            case CheckName.HOST | CheckName.CONNECTOR:
                self._ask_paced(self._ill(frozenset(_ORDER)))
            case _:
                pass

    def _ask_paced(self, job_ids: Iterable[str]) -> None:
        """Ask jobs one after the other, at a bounded pace for all who are asked again."""
        now = self._clock()
        at = max(now, self._next_at)
        for job_id in job_ids:
            job = self._jobs.get(job_id)
            if job is None or not job.confirmable or job_id in self._coming or job_id in self._unsettled:
                continue
            if at - now > REACH * job.interval_s:
                continue
            self._coming.add(job_id)
            self._scheduler.confirm(job_id, round(at - now, 3))  # a tick is 50 ms
            at += 1.0 / self._per_s
        self._next_at = at

    def _of(self, *checks: CheckName) -> list[Job]:
        return [job for job in self._jobs.values() if job.check in checks and job.fixed is None]

    def _ports(self, job_id: str) -> list[str]:
        """Return the jobs that probe ports of the name which this job looks up."""
        name = self._jobs.get(job_id)
        behind = (row for resource in name.resources for row in self._rows_of[resource]) if name is not None else ()
        ports = [row for row in dict.fromkeys(behind) if name is not None and self._jobs[row].name == name.target]
        return [row for row in ports if self._jobs[row].fixed is None]

    def _ill(self, checks: AbstractSet[CheckName]) -> list[str]:
        """Return the jobs of these checks that fail, or are not asked, in the order in which they are to be asked.

        A port whose name fails is left to its name: when that heals, its ports are asked.
        """
        found: dict[CheckName, dict[str, None]] = {check: {} for check in _ORDER if check in checks}
        for row in self._board.rows.values():
            if row.result.check in found and is_ill(row) and not row.result.second:
                found[row.result.check][row.result.job] = None
        names = found.get(CheckName.DNS, {})
        ports = found.get(CheckName.TCP, {})
        for name in names:
            for port in self._ports(name):
                ports.pop(port, None)
        return [job_id for ids in found.values() for job_id in ids]

    def _is_ill(self, row_id: str) -> bool:
        row = self._board.rows.get(row_id)
        return row is not None and is_ill(row)

    def _affected(self, difference: Difference) -> list[str]:
        """Return the first jobs to whose destination the way changed, a bounded number."""
        reached = Destinations(difference.networks)
        found: dict[str, None] = {}
        for examined, row in enumerate(self._board.rows.values()):
            if examined >= EXAMINED_MOST or len(found) >= AFFECTED_MOST:
                break
            if row.result.check is not CheckName.TCP or row.result.second:
                continue
            if difference.everything or any(address in reached for address in addresses_of(row.result)):
                found[row.result.job] = None
        return list(found)

    def _is_unsettled(self, row_id: str) -> bool:
        row = self._board.rows.get(row_id)
        return row is not None and row.state in _UNSETTLED
