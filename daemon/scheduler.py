"""When jobs run: each in its own slot of its interval, never twice at once, never more than the limits allow.

One heap of alarms and one timer; a job that waits for its slot costs no task. A slot that comes while the job still
runs, or for which there was no room until the next one, is skipped and counted in `missed`: what is late is not made
up for, or a slow network would be asked ever more.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, NoReturn

from daemon.admission import TICK_S, Admission, Entry, Limits, RunKind
from daemon.board import Histogram
from daemon.jobs import Job
from daemon.phase import first_slot, slot_from

__all__ = ["START_SPREAD_S", "TICK_S", "Limits", "RunKind", "Scheduler"]

START_SPREAD_S = 10.0  # first runs come within this: soon enough for who waits after a start, no burst for the network
START_HEADROOM = 1.25  # first runs use less than all of `max_rate`: with all of it, chance makes ever longer queues

_Alarm = tuple[float, int, Entry, RunKind, int]  # when, order of asking, whose, why, for which version of it


class Scheduler:
    """Starts `run(job, kind)` when a job is due. Made on the event loop on which it runs.

    - `missed` counts the slots that were skipped.
    - `lag` observes, for each start, the seconds between the moment at which it was due and the start.
    """

    def __init__(self, run: Callable[[Job, RunKind], Coroutine[Any, Any, None]], limits: Limits) -> None:
        self.missed = 0
        self.lag = Histogram()
        self._probe = run
        self._admission = Admission(limits)
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, Entry] = {}
        self._alarms: list[_Alarm] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many jobs run now."""
        return self._admission.in_flight

    def update(self, jobs: Iterable[Job], limits: Limits | None = None) -> None:
        """Replace the jobs (and the limits). Equal jobs go on undisturbed, others are cancelled, new ones scheduled.

        New and changed jobs run first within START_SPREAD_S (or their interval, if shorter; longer when `max_rate`
        allows no faster), in the order of their phases, then in the first slot at least an interval later.
        A changed job that must not be asked too often (not confirmable) keeps its distance to its last start.
        """
        now = self._loop.time()
        if limits is not None:
            self._admission.limits = limits
        wanted = {job.id: job for job in jobs if job.fixed is None}
        fresh: list[Entry] = []
        for job_id, entry in list(self._entries.items()):
            job = wanted.pop(job_id, None)
            if entry.wanted and job == entry.job:
                continue
            self._withdraw(entry)
            if job is not None:
                entry.job, entry.wanted = job, True
                self._entries[job_id] = entry
                fresh.append(entry)
        for job in wanted.values():
            entry = self._entries[job.id] = Entry(job)
            fresh.append(entry)
        connections = sum(entry.job.connections for entry in fresh)
        spread = max(START_SPREAD_S, START_HEADROOM * connections / self._admission.limits.max_rate)
        for entry in fresh:
            self._alarm(self._first(entry, now, spread), entry, RunKind.SCHEDULED)
        self._alarms = [alarm for alarm in self._alarms if alarm[4] == alarm[2].version]
        heapq.heapify(self._alarms)
        self._wake.set()

    def confirm(self, job_id: str, after_s: float) -> None:
        """Run a job once more in `after_s` seconds, outside its slots.

        Nothing happens when the job is gone or not confirmable, when one is already coming by then, or when by then
        the job runs or has run anyway. One that was to come later comes now. The limits hold for it too.
        """
        entry, when = self._entries.get(job_id), self._loop.time() + after_s
        if entry is None or not entry.wanted or not entry.job.confirmable:
            return
        if entry.confirm_at is not None and entry.confirm_at <= when:
            return
        entry.confirm_at = when
        self._alarm(when, entry, RunKind.CONFIRM)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Start jobs as they become due, until cancelled; then all that is in flight is cancelled too."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._until_needed()
                self._tick(tasks)
                await asyncio.sleep(TICK_S)  # what becomes due meanwhile makes the next batch

    async def _until_needed(self) -> None:
        while True:
            self._wake.clear()
            due = self._alarms[0][0] if self._alarms else None
            if self._admission.ready or (due is not None and due <= self._loop.time()):
                return
            timer = self._loop.call_at(due, self._wake.set) if due is not None else None
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _tick(self, tasks: asyncio.TaskGroup) -> None:
        now = self._loop.time()
        while self._alarms and self._alarms[0][0] <= now:
            due, _, entry, kind, _ = heapq.heappop(self._alarms)
            if kind is RunKind.SCHEDULED:
                self._slot_came(entry, due, now)
            elif entry.confirm_at == due:
                entry.confirm_at = None
                if entry.task is None and entry.waiting is None:
                    self._admission.add(entry, kind, due)
        for entry, kind in self._admission.admit(now):
            self._start(entry, kind, tasks, now)

    def _slot_came(self, entry: Entry, due: float, now: float) -> None:
        job = entry.job
        skipped = int((now - due) // job.interval_s)  # this process stood still for whole intervals
        self.missed += skipped
        due += skipped * job.interval_s
        self._alarm(slot_from(job.id, job.interval_s, due + job.interval_s), entry, RunKind.SCHEDULED)
        if entry.task is not None:
            self.missed += 1
        elif entry.waiting is None:
            self._admission.add(entry, RunKind.SCHEDULED, due)
        else:  # it never found room: the new slot takes the old one's place in the queue
            self.missed += entry.waiting is RunKind.SCHEDULED
            entry.waiting, entry.due = RunKind.SCHEDULED, due

    def _start(self, entry: Entry, kind: RunKind, tasks: asyncio.TaskGroup, now: float) -> None:
        self.lag.observe(max(0.0, now - entry.due))
        entry.confirm_at = None  # this run is a second look already
        entry.started_at = now
        entry.task = tasks.create_task(self._probe(entry.job, kind), name=entry.job.id)
        # Not a `finally` in the task: one that is cancelled before its first step never gets there.
        entry.task.add_done_callback(partial(self._ended, entry, entry.job))

    def _ended(self, entry: Entry, job: Job, _: asyncio.Task[None]) -> None:
        self._admission.release(job)
        entry.task = None
        if not entry.wanted:
            self._entries.pop(job.id, None)
        if self._admission.waiting:
            self._wake.set()

    def _withdraw(self, entry: Entry) -> None:
        """Take a job out: what waits, waits no more; what runs is cancelled, and stays known until it has ended."""
        entry.version += 1
        entry.wanted, entry.waiting, entry.confirm_at = False, None, None
        if entry.task is None:
            self._entries.pop(entry.job.id, None)
        elif not entry.task.cancelling():  # a second cancel would break into its tidying up
            entry.task.cancel()

    def _first(self, entry: Entry, now: float, spread_s: float) -> float:
        job = entry.job
        first = first_slot(job.id, job.interval_s, now, spread_s)
        if job.confirmable or entry.started_at is None or first >= entry.started_at + job.interval_s:
            return first
        return slot_from(job.id, job.interval_s, entry.started_at + job.interval_s)

    def _alarm(self, when: float, entry: Entry, kind: RunKind) -> None:
        heapq.heappush(self._alarms, (when, next(self._order), entry, kind, entry.version))
