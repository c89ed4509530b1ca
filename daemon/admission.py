"""Which of the jobs that are due may start now: room in the pool, at the host, and in the rate of new connections.

A job that finds no room waits at most until its next slot (the scheduler sees to that). One that waits for its host
waits in that host's own queue: a host that answers nobody holds up only what is asked of it.

The last places of the pool are for jobs that take them for a moment only: neither one whose last run was long nor one
of a subnet that holds its fair share of the pool already gets there. So what is black-holed, however much of it there
is, starves nobody else. Of targets by name the subnet is not known here: they are told apart from their second slot on.

Half-open looks hold no descriptor, so they need no place in the pool: the rate alone bounds them. They do count at
their host: each is an entry in the tables of the host and of the firewalls before it until it is answered, and many of
them at once are what these take for a scan or a flood.
"""

from collections import deque
from dataclasses import dataclass

from daemon.entry import Entry, RunKind

TICK_S = 0.05
"""Due jobs start in batches, this often: at 1,000 connects a second each costs 105 µs of CPU in batches of 50 ms and
198 µs in batches of 1 ms (measured), and no verdict needs a finer start."""
MAX_BATCH = 200  # 200 starts cost about 20 ms: the loop stays free for answers that are already there
BURST_TICKS = 2  # tokens saved up at most: a tick that comes late loses none, and a second has 10 % too many at most
LONG_S = 1.0  # such a run waits for somebody who does not answer; one that is answered takes milliseconds
RESERVE = 1 / 8  # of the pool: 255 places of 2,040 carry 5,000 answers a second, of 50 ms each
RESERVE_FROM = 64  # places: a pool smaller than that has none to spare


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many jobs are in flight at most, how many of them to one host, and how many new TCP connections a second."""

    concurrency: int
    per_host: int
    max_rate: float


class Admission:
    """Holds the jobs that are due, in the order in which they came, and lets them start as the limits allow."""

    def __init__(self, limits: Limits) -> None:
        self.in_flight = 0
        self.share = 1.0  # of `max_rate`, that is used now
        self._pooled = 0  # in flight, in the pool
        self._hosts: dict[str, int] = {}  # in flight to each host
        self._subnets: dict[str, int] = {}  # in the pool, for each subnet
        self._held: dict[str, deque[Entry]] = {}  # waiting for room at their host
        self._long: deque[Entry] = deque()  # waiting for room outside of the reserve, because they take long
        self._many: deque[Entry] = deque()  # and those whose subnet has its share
        self._paced: deque[Entry] = deque()  # open connections: wait for tokens and for the pool
        self._light: deque[Entry] = deque()  # half-open: wait for tokens
        self._free: deque[Entry] = deque()  # open none: wait for the pool
        self._tokens = 0.0
        self._filled_at = float("-inf")
        self.limit(limits)

    def limit(self, limits: Limits) -> None:
        """Take other limits."""
        self.limits = limits
        most = limits.concurrency
        self._unreserved = most - int(most * RESERVE) if most >= RESERVE_FROM else most

    @property
    def ready(self) -> bool:
        """Tell whether a job waits that only time (or the next batch) holds up."""
        if self._light:
            return True
        if self._pooled >= self.limits.concurrency:
            return False
        return bool(self._paced or self._free or self._many or (self._long and self._pooled < self._unreserved))

    def add(self, entry: Entry, kind: RunKind, due: float) -> None:
        """Let a job wait for its start; it was due at `due`."""
        entry.waiting, entry.due = kind, due
        self._queue_of(entry).append(entry)

    def admit(self, now: float) -> list[tuple[Entry, RunKind]]:
        """Return the jobs that start now, at most a batch; each holds its place until `release`."""
        self._refill(now)
        self._call_back()
        found: list[tuple[Entry, RunKind]] = []
        per_host, hosts = self.limits.per_host, self._hosts
        for _ in range(MAX_BATCH):
            queue = self._next_queue()
            if queue is None:
                break
            entry = queue.popleft()
            place, kind = entry.place, entry.waiting
            if kind is None:  # withdrawn
                continue
            host, there = place.host, 0
            if host is not None:
                there = hosts.get(host, 0)
                if there >= per_host:
                    self._held.setdefault(host, deque()).append(entry)
                    continue
            if place.pooled:
                if self._pooled >= self._unreserved and self._stood_aside(entry):
                    continue
                self._pooled += 1
                if place.subnet is not None:
                    self._subnets[place.subnet] = self._subnets.get(place.subnet, 0) + 1
            if host is not None:
                hosts[host] = there + 1
            self._tokens -= place.connections
            self.in_flight += 1
            entry.waiting, entry.held = None, place
            found.append((entry, kind))
        return found

    def release(self, entry: Entry) -> None:
        """Give back the place of a job that ended, and let the longest waiting one of its host be next."""
        place, entry.held = entry.held, None
        if place is None:
            return
        self.in_flight -= 1
        if place.pooled:
            self._pooled -= 1
            if place.subnet is not None:
                _take_one(self._subnets, place.subnet)
        if place.host is not None:
            _take_one(self._hosts, place.host)
            self._next_of(place.host)

    def withdraw(self, entry: Entry) -> None:
        """Let a job wait no more. It may have been the next of its host: then another is."""
        if entry.waiting is not None:
            entry.waiting = None
            if entry.place.host is not None:
                self._next_of(entry.place.host)

    def _next_of(self, host: str) -> None:
        """Let the longest waiting job of a host be next."""
        held = self._held.get(host) if self._held else None
        while held:
            waits = held.popleft()
            if waits.waiting is not None:
                self._queue_of(waits).appendleft(waits)
                break
        if held is not None and not held:
            del self._held[host]

    def _stood_aside(self, entry: Entry) -> bool:
        """Put a job aside if it is not one for the reserve."""
        if entry.long:
            self._long.append(entry)
        elif self._has_its_share(entry.place.subnet):
            self._many.append(entry)
        else:
            return False
        return True

    def _has_its_share(self, subnet: str | None) -> bool:
        here = self._subnets.get(subnet, 0) if subnet is not None else 0
        return here > 0 and here >= self._unreserved // len(self._subnets)

    def _call_back(self) -> None:
        """Let those be next who stand aside and for whom there is room now."""
        room = self._unreserved - self._pooled
        for _ in range(min(len(self._many), MAX_BATCH)):
            entry = self._many.popleft()
            if entry.waiting is None:
                continue
            if room <= 0 and self._has_its_share(entry.place.subnet):
                self._many.append(entry)
                continue
            self._queue_of(entry).appendleft(entry)
            room -= 1
        while self._long and room > 0:
            entry = self._long.popleft()
            if entry.waiting is not None:
                self._queue_of(entry).appendleft(entry)
                room -= 1

    def _queue_of(self, entry: Entry) -> deque[Entry]:
        place = entry.place
        if not place.pooled:
            return self._light
        return self._paced if place.connections else self._free

    def _refill(self, now: float) -> None:
        rate = self.limits.max_rate * self.share
        most = 1.0 + rate * TICK_S * BURST_TICKS
        self._tokens = min(most, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now

    def _next_queue(self) -> deque[Entry] | None:
        """Return the queue whose head was due first and may start.

        One token is enough, the rest is debt: who saved up for many connections would lose what overflows meanwhile.
        """
        first: deque[Entry] | None = None
        if self._tokens >= 1.0 and self._light:
            first = self._light
        if self._pooled < self.limits.concurrency:
            if self._tokens >= 1.0 and self._paced and (first is None or self._paced[0].due < first[0].due):
                first = self._paced
            if self._free and (first is None or self._free[0].due < first[0].due):
                first = self._free
        return first


def _take_one(counts: dict[str, int], key: str) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
