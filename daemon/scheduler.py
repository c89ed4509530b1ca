"""When jobs run: each in its own slot of its interval, never twice at once, never more than the limits allow.

One heap of alarms and one timer; a job that waits for its slot costs no task, and neither does a run that `begin` can
send off. A slot that comes while the job still runs, or for which there was no room until the next one, is skipped and
counted in `missed`: what is late is not made up for, or a slow network would be asked ever more.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeAlias

from checks.net.seat import Flight
from daemon.admission import LONG_S, TICK_S, Admission, Limits
from daemon.counters import Histogram
from daemon.entry import Ended, Entry, Place, Rest, RunKind, difference
from daemon.jobs import Job
from daemon.phase import fraction, slot_after, slot_at

__all__ = ["START_SPREAD_S", "TICK_S", "Begin", "Ended", "Limits", "RunKind", "Scheduler"]

START_SPREAD_S = 10.0  # first runs come within this: soon enough for who waits after a start, no burst for the network
START_HEADROOM = 1.25  # first runs use less than all of `max_rate`: with all of it, chance makes ever longer queues
STALE_SHARE = 0.1  # of the alarms: so many may be void before they are thrown out
EARLY_S = time.get_clock_info("monotonic").resolution  # a timer may come this much before its time

Begin: TypeAlias = Callable[[Job, RunKind, Ended], Flight | None]
"""Begins a run that needs no task, or returns None. Its `Ended` is called once, never before `Begin` returned."""

_Alarm = tuple[float, int, Entry]  # when, the entry's number, whose; void unless a slot or a confirmation comes then


class Scheduler:
    """Starts `run(job, kind)` when a job is due. Made on the event loop on which it runs.

    `begin` sends off what needs no task. `pace` tells how many seconds a job's slots are to be apart now, never less
    than its interval; it is asked at each slot.

    - `missed` counts the slots that were skipped.
    - `lag` observes, for each start, the seconds between the moment at which it was due and the start.
    """

    def __init__(
        self,
        run: Callable[[Job, RunKind], Rest],
        limits: Limits,
        *,
        begin: Begin | None = None,
        pace: Callable[[Job], float] | None = None,
    ) -> None:
        self.missed = 0
        self.lag = Histogram()
        self._probe = run
        self._begin = begin
        self._pace = pace
        self._admission = Admission(limits)
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, Entry] = {}
        self._alarms: list[_Alarm] = []
        self._numbers = 0
        self._void = 0  # alarms, about
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None  # while it runs

    @property
    def in_flight(self) -> int:
        """How many jobs run now."""
        return self._admission.in_flight

    def throttle(self, share: float) -> None:
        """Use only this share of `max_rate` from now on, above 0 and at most 1."""
        self._admission.share = share

    def update(self, jobs: Iterable[Job], limits: Limits | None = None) -> None:
        """Replace the jobs (and the limits). Equal jobs go on undisturbed, others are cancelled, new ones scheduled.

        New and changed jobs run first within START_SPREAD_S (or their interval, if shorter; longer when `max_rate`
        allows no faster), in the order of their phases, then in the first slot at least an interval later.
        A changed job that must not be asked too often (not confirmable) keeps its distance to its last start.
        """
        wanted, gone = difference(self._entries, jobs)
        self.change(wanted, gone, limits)

    def change(
        self,
        jobs: Iterable[Job],
        gone: Iterable[str] = (),
        limits: Limits | None = None,
        *,
        connections: int | None = None,
    ) -> None:
        """Take in jobs that are new or may have changed, and let go of others by their ids; see `update`.

        `connections` is how many the first runs make, where these jobs are only a part of what is taken in now.
        """
        now = self._loop.time()
        if limits is not None:
            self._admission.limit(limits)
        for job_id in gone:
            if job_id in self._entries:
                self._withdraw(self._entries[job_id])
        fresh = [entry for entry in map(self._taken_in, jobs) if entry is not None]
        if connections is None:
            connections = sum(entry.job.connections for entry in fresh)
        rate = self._admission.limits.max_rate * self._admission.share
        spread = max(START_SPREAD_S, START_HEADROOM * connections / rate)
        for entry in fresh:
            entry.next_at = entry.first_slot(now, spread)
            self._alarm(entry.next_at, entry)
        if self._void > STALE_SHARE * len(self._alarms):
            self._alarms = [a for a in self._alarms if a[0] == a[2].next_at or a[0] == a[2].confirm_at]
            heapq.heapify(self._alarms)
            self._void = 0
        self._wake.set()

    def confirm(self, job_id: str, after_s: float) -> None:
        """Run a job once more in `after_s` seconds, outside its slots.

        Nothing happens when the job is gone or not confirmable, when one is already coming by then, or when by then
        the job runs or has run anyway. One that was to come later comes now. The limits hold for it too.
        """
        entry, when = self._entries.get(job_id), self._loop.time() + after_s
        if entry is None or not entry.wanted or not entry.job.confirmable:
            return
        if entry.confirm_at is not None:
            if entry.confirm_at <= when:
                return
            self._void += 1
        entry.confirm_at = when
        self._alarm(when, entry)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Start jobs as they become due, until cancelled; then all that is in flight is cancelled too."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    await self._until_needed()
                    self._tick()
                    await asyncio.sleep(TICK_S)  # what becomes due meanwhile makes the next batch
            finally:
                self._tasks = None
                for entry in [entry for entry in self._entries.values() if entry.flight is not None]:
                    self._call_off(entry)

    def landed(self, entry: Entry, rest: Rest | None) -> None:
        """A flight ended, and leaves perhaps something to do: that is for who began it to tell, through `Ended`."""
        entry.flight = None
        if rest is None:
            self.over(entry)
        elif self._tasks is not None:
            self._go_on(entry, rest, self._tasks)

    def over(self, entry: Entry) -> None:
        """A run ended."""
        admission = self._admission
        admission.release(entry)
        entry.task = None
        if entry.started_at is not None:
            entry.long = self._loop.time() - entry.started_at >= LONG_S
        if not entry.wanted:
            self._entries.pop(entry.job.id, None)
        elif entry.next_at is not None and self._pace is not None and entry.interval_s > entry.job.interval_s:
            self._hasten(entry, self._pace(entry.job))
        if admission.ready:
            self._wake.set()

    async def _until_needed(self) -> None:
        while True:
            self._wake.clear()
            due = self._alarms[0][0] if self._alarms else None
            if self._admission.ready or (due is not None and due <= self._loop.time() + EARLY_S):
                return
            timer = self._loop.call_at(due, self._wake.set) if due is not None else None
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        alarms, horizon = self._alarms, now + EARLY_S
        while alarms and alarms[0][0] <= horizon:
            due, number, entry = alarms[0]
            if entry.next_at == due:
                entry.next_at = self._slot_came(entry, due, now)
                heapq.heapreplace(alarms, (entry.next_at, number, entry))
                continue
            heapq.heappop(alarms)
            if entry.confirm_at == due:
                entry.confirm_at = None
                if entry.held is None and entry.waiting is None:
                    self._admission.add(entry, RunKind.CONFIRM, due)
            else:
                self._void -= 1
        for entry, kind in self._admission.admit(now):
            self._start(entry, kind, now)

    def _slot_came(self, entry: Entry, due: float, now: float) -> float:
        """Let a job wait for its start, and return when its next slot is."""
        if now - due >= entry.interval_s:  # this process stood still for whole intervals
            skipped = int((now - due) // entry.interval_s)
            self.missed += skipped
            due += skipped * entry.interval_s
        if entry.held is not None:
            self.missed += 1
        elif entry.waiting is None:
            self._admission.add(entry, RunKind.SCHEDULED, due)
        else:  # it never found room: the new slot takes the old one's place in the queue
            self.missed += entry.waiting is RunKind.SCHEDULED
            entry.waiting, entry.due = RunKind.SCHEDULED, due
        own_s = entry.job.interval_s
        entry.interval_s = own_s if self._pace is None else max(own_s, self._pace(entry.job))
        return slot_after(entry.phase, entry.interval_s, own_s, due)

    def _start(self, entry: Entry, kind: RunKind, now: float) -> None:
        self.lag.observe(max(0.0, now - entry.due))
        if entry.confirm_at is not None:  # this run is a second look already
            entry.confirm_at = None
            self._void += 1
        entry.started_at = now
        if self._begin is not None:
            entry.flight = self._begin(entry.job, kind, entry.landed)
            if entry.flight is not None:
                return
        if self._tasks is not None:
            self._go_on(entry, self._probe(entry.job, kind), self._tasks)

    def _go_on(self, entry: Entry, run: Rest, tasks: asyncio.TaskGroup) -> None:
        try:
            entry.task = tasks.create_task(run, name=entry.job.id)
        except RuntimeError:  # the group is being taken down, because another task failed
            run.close()
            self.over(entry)
            return
        # Not a `finally` in the task: one that is cancelled before its first step never gets there.
        entry.task.add_done_callback(entry.over)

    def _hasten(self, entry: Entry, interval_s: float) -> None:
        """Go back to a faster pace at once: the job was slowed, and is well again."""
        own_s = entry.job.interval_s
        if interval_s >= entry.interval_s or entry.started_at is None:
            return
        entry.interval_s = max(own_s, interval_s)
        slot = slot_at(entry.phase, entry.interval_s, entry.started_at + own_s)
        if entry.next_at is not None and slot < entry.next_at:
            self._void += 1
            entry.next_at = slot
            self._alarm(slot, entry)

    def _taken_in(self, job: Job) -> Entry | None:
        """Take in a job; return its entry when it is to be scheduled anew."""
        entry = self._entries.get(job.id)
        if entry is not None and entry.wanted:
            if entry.job == job:
                entry.job = job  # the next comparison is by identity
                return None
            self._withdraw(entry)
        if job.fixed is not None:
            return None
        if entry is None:
            self._numbers += 1
            entry = Entry(self, job, self._numbers, fraction(job.id), Place(job), job.interval_s)
        else:
            entry.job, entry.place, entry.interval_s, entry.long = job, Place(job), job.interval_s, False
            entry.wanted = True
        self._entries[job.id] = entry
        return entry

    def _withdraw(self, entry: Entry) -> None:
        """Take a job out: what waits, waits no more; what runs is cancelled, and stays known until it has ended."""
        self._void += (entry.next_at is not None) + (entry.confirm_at is not None)
        self._admission.withdraw(entry)
        entry.wanted, entry.next_at, entry.confirm_at = False, None, None
        if entry.flight is not None:
            self._call_off(entry)
        if entry.task is None:
            self._entries.pop(entry.job.id, None)
        elif not entry.task.cancelling():  # a second cancel would break into its tidying up
            entry.task.cancel()

    def _call_off(self, entry: Entry) -> None:
        """Hear nothing more of a flight; its place is free at once."""
        if entry.flight is not None:
            entry.flight.cancel()
            entry.flight = None
            self._admission.release(entry)

    def _alarm(self, when: float, entry: Entry) -> None:
        heapq.heappush(self._alarms, (when, entry.number, entry))
