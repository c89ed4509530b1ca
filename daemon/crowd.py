"""Many failures behind one subnet or one nameserver: a few of them are asked again, for all.

When a firewall or a nameserver fails, thousands of targets do. Each of them was seen to fail by itself; what its second
look is to tell, whether that lasts, can be told by three of them. So of up to 20 at once each is confirmed by itself.
Of more, rounds of three are asked; when all three fail again, and for the same reason, the others that failed before
the round began are taken as confirmed. When one of them does not, every one is asked by itself after all.

What is promised of a single target holds for each: a round begins GATHER_S after the time at which the first of those
for whom it speaks would have been confirmed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from checks.model import CheckName, Reason, Status
from daemon.admission import TICK_S
from daemon.jobs import Job, Result
from daemon.neighbours import subnet_of

ALONE_MOST = 20  # at once, of one cause: so many are confirmed one by one
SAMPLES = 3
GATHER_S = 0.5  # how long a round waits for more to speak for: half of the second that is promised beside the time-outs
REMEMBERED = 8  # who failed twice already, as samples where too few wait for their second look

Cause: TypeAlias = tuple[CheckName, Reason, tuple[str, ...]]
"""What makes failures a crowd: the same reason, behind the same subnets (`tcp`) or nameservers (`dns`)."""


def cause_of(result: Result) -> Cause | None:
    """Return behind what a critical result lies; None: it stands for itself."""
    outcome = result.outcome
    if outcome.status is not Status.CRITICAL or outcome.reason is None:
        return None
    if result.check is CheckName.TCP:
        failed = outcome.facts.get("failed")
        subnets = {subnet_of(address) for address in failed} if isinstance(failed, Mapping) else set()
        behind = tuple(sorted(subnet for subnet in subnets if subnet is not None))
    elif result.check is CheckName.DNS:
        matrix = outcome.facts.get("matrix")
        behind = tuple(sorted(matrix)) if isinstance(matrix, Mapping) else ()
    else:
        behind = ()
    return (result.check, outcome.reason, behind) if behind else None


@dataclass(slots=True, eq=False)
class _Round:
    """One question to three for all who wait: `waits` are whom it speaks for, `samples` who has not answered yet."""

    began: float
    waits: list[str]
    samples: set[str]
    agreed: int = 0


@dataclass(slots=True, eq=False)
class _Group:
    """Pending failures of one cause. `members`: when each was seen to fail; `fresh`: those of whom no round speaks yet.

    `pilot` is who begins the next round. `alone`: a sample was well, so each is asked by itself.
    """

    cause: Cause
    members: dict[str, float] = field(default_factory=dict)
    fresh: dict[str, None] = field(default_factory=dict)
    pilot: str | None = None
    rounds: list[_Round] = field(default_factory=list)
    failed_twice: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    crowded: bool = False
    alone: bool = False


class Crowds:
    """Decides who is asked again. All times are seconds of the loop's clock.

    - `ask(id, after_s)` has a job run once more; `ask_all(ids)` has many, at a bounded pace.
    - `vouch(ids)` takes failures as confirmed, and returns those that need yet another look.
    - `host_of(id)` tells which host a job asks: three ports of one host do not speak for a subnet if there are others.
    - `confirm_s`: how long after its first failure a target is asked again.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        ask: Callable[[str, float], None],
        ask_all: Callable[[Sequence[str]], None],
        vouch: Callable[[Sequence[str]], Iterable[str]],
        host_of: Callable[[str], str],
    ) -> None:
        self.confirm_s = 0.0
        self._clock = clock
        self._ask = ask
        self._ask_all = ask_all
        self._vouch = vouch
        self._host_of = host_of
        self._groups: dict[Cause, _Group] = {}
        self._group_of: dict[str, _Group] = {}
        self._rounds: dict[str, tuple[_Group, _Round]] = {}  # by their samples

    def known(self) -> list[str]:
        """Return the jobs that are waited for here, or may yet be asked."""
        again = (job_id for group in self._groups.values() for job_id in group.failed_twice)
        return [*self._group_of, *self._rounds, *again]

    def concerns(self, job_id: str) -> bool:
        """Tell whether a job is waited for here."""
        return job_id in self._group_of or job_id in self._rounds

    def due_s(self, job_id: str) -> float:
        """Return in how many seconds a job would be asked again if it were alone; 0 when it is not waited for."""
        group = self._group_of.get(job_id)
        return 0.0 if group is None else self._due_s(group, job_id)

    def began(self, job_id: str) -> None:
        """A run of a job begins: if it is the one that was waited for, so does a round."""
        group = self._group_of.get(job_id)
        if group is not None and group.pilot == job_id:
            self._open(group, job_id)

    def ended(self, job: Job, result: Result, *, pending: bool) -> bool:
        """Take a result into account; return whether its confirmation, if it needs one, is taken care of here.

        `pending`: it failed, and is not yet confirmed.
        """
        asked = self._rounds.get(job.id)
        cause = cause_of(result) if pending or asked is not None else None
        if asked is not None:
            group, held = asked
            if self._clock() - result.duration_s < held.began - TICK_S:  # that tells nothing of what came since
                self._ask(job.id, TICK_S)
                return True
            self._answered(job.id, group, held, result, cause)
        before = self._group_of.get(job.id)
        if before is not None:
            self._leave(before, job.id)
            if result.outcome.status in (Status.OK, Status.WARNING):
                self._trust_nobody(before)
            elif not pending and result.outcome.status is Status.CRITICAL:
                before.failed_twice.append(job.id)
        if asked is not None:
            self._tidy(asked[0])
        if not pending or cause is None or not job.confirmable:
            return False
        return self._join(job.id, cause)

    def forget(self, job_ids: Iterable[str]) -> None:
        """Let go of jobs that are gone."""
        gone = dict.fromkeys(job_ids)
        for kept in self._groups.values():
            for job_id in [i for i in kept.failed_twice if i in gone]:
                kept.failed_twice.remove(job_id)
        for job_id in gone:
            group = self._group_of.get(job_id)
            if group is not None:
                self._leave(group, job_id)
            if job_id in self._rounds:
                group, held = self._rounds[job_id]
                self._void(group, held)
                self._tidy(group)

    def _join(self, job_id: str, cause: Cause) -> bool:
        group = self._groups.get(cause)
        if group is None:
            group = self._groups[cause] = _Group(cause)
        group.members[job_id] = self._clock()
        self._group_of[job_id] = group
        group.crowded = group.crowded or len(group.members) > ALONE_MOST
        if group.alone or not group.crowded:
            return False
        group.fresh[job_id] = None
        if group.pilot is None:
            self._send(group)
        return True

    def _send(self, group: _Group) -> None:
        """Have the one who waits longest begin a round."""
        group.pilot = next(iter(group.fresh))
        self._ask(group.pilot, self._due_s(group, group.pilot) + GATHER_S)

    def _due_s(self, group: _Group, job_id: str) -> float:
        """Return in how many seconds a member would be asked if it were alone."""
        return max(0.0, group.members[job_id] + self.confirm_s - self._clock())

    def _leave(self, group: _Group, job_id: str) -> None:
        group.members.pop(job_id, None)
        group.fresh.pop(job_id, None)
        self._group_of.pop(job_id, None)
        if group.pilot == job_id:
            group.pilot = None
            if group.fresh:
                self._send(group)
        self._tidy(group)

    def _tidy(self, group: _Group) -> None:
        if not group.members and not group.rounds and self._groups.get(group.cause) is group:
            del self._groups[group.cause]

    def _open(self, group: _Group, pilot: str) -> None:
        """Ask for all who have failed until now."""
        group.pilot = None
        group.fresh.pop(pilot, None)
        samples = [pilot, *self._others(group, pilot)]
        waits = [job_id for job_id in group.fresh if job_id not in samples]
        fresh, group.fresh = group.fresh, {}
        if not waits or len(samples) < SAMPLES:  # nobody else is concerned, or there are too few to tell
            for job_id in fresh:
                self._ask(job_id, self._due_s(group, job_id))
            return
        held = _Round(self._clock(), waits, set(samples))
        group.rounds.append(held)
        for job_id in samples:
            self._rounds[job_id] = (group, held)
            if job_id != pilot:
                self._ask(job_id, 0.0)

    def _others(self, group: _Group, pilot: str) -> list[str]:
        """Choose two more: of other hosts, of the whole crowd, and none whose own second look would come too soon."""
        due = [i for i in group.fresh if self._due_s(group, i) <= TICK_S]
        again = [i for i in dict.fromkeys(group.failed_twice) if i not in self._rounds and i not in group.members]
        found: list[str] = []
        hosts = {self._host_of(pilot)}
        for known in (due, again):
            each = {self._host_of(i): i for i in known}
            others = [i for host, i in each.items() if host not in hosts]
            found += dict.fromkeys((*others[-1:], *others[len(others) // 2 :], *others))
            hosts.update(map(self._host_of, found))
        found += due + again
        return list(dict.fromkeys(found))[: SAMPLES - 1]

    def _answered(self, job_id: str, group: _Group, held: _Round, result: Result, cause: Cause | None) -> None:
        """Take the answer of a sample into account."""
        del self._rounds[job_id]
        held.samples.discard(job_id)
        if not result.outcome.status.conclusive:
            self._void(group, held)
        elif cause != group.cause:
            self._trust_nobody(group)
        else:
            held.agreed += 1
            if held.agreed == SAMPLES:
                self._confirm(group, held)

    def _confirm(self, group: _Group, held: _Round) -> None:
        group.rounds.remove(held)
        sure = [job_id for job_id in held.waits if self._group_of.get(job_id) is group]
        unsure = set(self._vouch(sure)) if sure else set()
        for job_id in sure:
            if job_id not in unsure:
                self._leave(group, job_id)
        if unsure:
            self._ask_all([job_id for job_id in sure if job_id in unsure])

    def _void(self, group: _Group, held: _Round) -> None:
        """Give up a round that can tell nothing: those who waited for it wait for the next."""
        self._close(group, held)
        group.fresh = dict.fromkeys((*(i for i in held.waits if i in group.members), *group.fresh))
        if group.pilot is None and group.fresh:
            self._send(group)

    def _trust_nobody(self, group: _Group) -> None:
        """Have everybody asked who waits: somebody of the group is well, so it does not fail as a whole."""
        if group.alone or not group.crowded:
            return
        waiting = [job_id for held in group.rounds for job_id in held.waits]
        for held in list(group.rounds):
            self._close(group, held)
        waiting += group.fresh
        group.alone, group.pilot = True, None
        group.fresh.clear()
        self._ask_all([job_id for job_id in dict.fromkeys(waiting) if job_id in group.members])

    def _close(self, group: _Group, held: _Round) -> None:
        if held in group.rounds:
            group.rounds.remove(held)
        for job_id in held.samples:
            self._rounds.pop(job_id, None)
