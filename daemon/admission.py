"""Which of the jobs that are due may start now: room in the pool, at the host, and in the rate of new connections.

A job that finds no room waits at most until its next slot (the scheduler sees to that). One that waits for its host
waits in that host's own queue: a host that answers nobody holds up only what is asked of it.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from daemon.jobs import Job

TICK_S = 0.05
"""Due jobs start in batches, this often: at 1,000 connects a second each costs 105 µs of CPU in batches of 50 ms and
198 µs in batches of 1 ms (measured), and no verdict needs a finer start."""
MAX_BATCH = 200  # 200 starts cost about 20 ms: the loop stays free for answers that are already there
BURST_TICKS = 2  # tokens saved up at most: a tick that comes late loses none, and a second has 10 % too many at most


class RunKind(StrEnum):
    """Why a job runs: its slot came, or a critical result is to be looked at again at once."""

    SCHEDULED = "scheduled"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many jobs are in flight at most, how many of them to one host, and how many new TCP connections a second."""

    concurrency: int
    per_host: int
    max_rate: float


@dataclass(slots=True, eq=False)
class Entry:
    """What the scheduler holds of a job.

    - `waiting`: due, and not yet started; since `due` (seconds of the loop's clock).
    - `confirm_at`: when a confirmation is to come; None: none was asked for since the last start.
    - `version` goes up when the job changes: alarms set before are void.
    """

    job: Job
    wanted: bool = True
    waiting: RunKind | None = None
    due: float = 0.0
    confirm_at: float | None = None
    started_at: float | None = None
    task: asyncio.Task[None] | None = None
    version: int = 0


class Admission:
    """Holds the jobs that are due, in the order in which they came, and lets them start as the limits allow."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.in_flight = 0
        self._hosts: dict[str, int] = {}  # in flight to each host
        self._held: dict[str, deque[Entry]] = {}  # waiting for room at their host
        self._paced: deque[Entry] = deque()  # open connections: wait for tokens
        self._free: deque[Entry] = deque()  # open none
        self._tokens = 0.0
        self._filled_at = float("-inf")

    @property
    def ready(self) -> bool:
        """Tell whether a job waits that only time (or the next batch) holds up."""
        return self.in_flight < self.limits.concurrency and bool(self._paced or self._free)

    @property
    def waiting(self) -> bool:
        """Tell whether a job may wait for the end of another."""
        return bool(self._paced or self._free or self._held)

    def add(self, entry: Entry, kind: RunKind, due: float) -> None:
        """Let a job wait for its start; it was due at `due`."""
        entry.waiting, entry.due = kind, due
        (self._paced if entry.job.connections else self._free).append(entry)

    def admit(self, now: float) -> Iterator[tuple[Entry, RunKind]]:
        """Yield the jobs that start now, at most a batch; each holds its place until `release`."""
        self._refill(now)
        for _ in range(MAX_BATCH):
            queue = self._next_queue()
            if queue is None or self.in_flight >= self.limits.concurrency:
                return
            entry = queue.popleft()
            host, kind = entry.job.host, entry.waiting
            if kind is None:
                continue
            if host is not None and self._hosts.get(host, 0) >= self.limits.per_host:
                self._held.setdefault(host, deque()).append(entry)
                continue
            self._tokens -= entry.job.connections
            self.in_flight += 1
            if host is not None:
                self._hosts[host] = self._hosts.get(host, 0) + 1
            entry.waiting = None
            yield entry, kind

    def release(self, job: Job) -> None:
        """Give back the place of a job that ended, and let the longest waiting one of its host be next."""
        self.in_flight -= 1
        if job.host is None:
            return
        left = self._hosts[job.host] - 1
        if left:
            self._hosts[job.host] = left
        else:
            del self._hosts[job.host]
        held = self._held.get(job.host)
        while held:
            entry = held.popleft()
            if entry.waiting is not None:
                (self._paced if entry.job.connections else self._free).appendleft(entry)
                break
        if held is not None and not held:
            del self._held[job.host]

    def _refill(self, now: float) -> None:
        most = self._most_tokens()
        self._tokens = min(most, self._tokens + (now - self._filled_at) * self.limits.max_rate)
        self._filled_at = now

    def _most_tokens(self) -> float:
        return 1.0 + self.limits.max_rate * TICK_S * BURST_TICKS

    def _next_queue(self) -> deque[Entry] | None:
        """Return the queue whose head was due first and may start.

        One token is enough, the rest is debt: who saved up for many connections would lose what overflows meanwhile.
        """
        for queue in (self._paced, self._free):
            while queue and queue[0].waiting is None:  # withdrawn
                queue.popleft()
        if self._paced and self._tokens < 1.0:
            return self._free or None
        if self._paced and self._free:
            return min(self._paced, self._free, key=lambda queue: queue[0].due)
        return self._paced or self._free or None
