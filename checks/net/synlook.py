"""What is under way of the half-open prober: who waits, for which SYN, and when something is due.

Mutable and slotted: thousands of these are made and thrown away in a second.
"""

import errno
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from checks.model import Reason
from checks.net.errors import NetError, net_error
from checks.net.synport import Way
from checks.net.tcp import STARVED_LAG_S, Attempt

RETRANSMIT_S = 1.0  # RFC 6298 section 2.1; as the kernel, again after 2 s more, 4 s more, and so on

_NONE_YET = Attempt("", 0.0)

Done: TypeAlias = Callable[[list[Attempt]], None]


class Look:
    """One look at some addresses: `done` is called once with a try for each, in their order, unless cancelled."""

    __slots__ = ("addresses", "attempts", "began", "deadline", "done", "missing")

    def __init__(self, addresses: tuple[str, ...], began: float, deadline: float, done: Done) -> None:
        self.addresses = addresses
        self.began = began
        self.deadline = deadline
        self.done: Done | None = done
        self.missing = missing = len(addresses)
        self.attempts: list[Attempt] = [_NONE_YET] * missing

    def cancel(self) -> None:
        """Hear nothing more of it."""
        self.done = None

    def tell(self, index: int, now: float, error: NetError | None) -> bool:
        """Note what came of one address; tell whether that was the last that was missing."""
        self.attempts[index] = Attempt(self.addresses[index], now - self.began, error)
        self.missing -= 1
        return not self.missing

    def land(self) -> None:
        """Call `done`, unless that was done or nobody wants to hear it."""
        done, self.done = self.done, None
        if done is not None:
            done(self.attempts)


class Syn:
    """One SYN at one endpoint, sent again until it is answered, and who waits for the answer.

    - `key` is the endpoint's, its last 16 bits are the port.
    - `look` and `index` are the first who waits; `due` is when something is to be done for the first time.
    - `life` is all that a SYN needs which is not answered at once; None until then.
    """

    __slots__ = ("due", "index", "key", "life", "look", "sequence", "way")

    def __init__(self, key: int, way: Way, sequence: int, look: Look, index: int) -> None:
        self.key = key
        self.way = way
        self.sequence = sequence
        self.look: Look | None = look
        self.index = index
        due = look.began + RETRANSMIT_S
        self.due = due if due < look.deadline else look.deadline  # noqa: FURB136 - a call costs more
        self.life: Life | None = None

    @property
    def waited_for(self) -> bool:
        """Tell whether anybody waits for it."""
        return self.look is not None or (self.life is not None and bool(self.life.more))

    def living(self, sent_at: float) -> "Life":
        """Return what it needs to go on; `sent_at` is when it was sent, if that was only once."""
        if self.life is None:
            self.life = Life(sent_at)
        return self.life

    def take_all(self) -> list[tuple[Look, int]]:
        """Return who waits; nobody does afterwards."""
        waiting = [] if self.look is None else [(self.look, self.index)]
        self.look = None
        if self.life is not None:
            waiting += self.life.more
            self.life.more = []
        return waiting

    def take_late(self, now: float) -> list[tuple[Look, int]]:
        """Return who has waited long enough at `now`: they wait no more, and neither does who cancelled."""
        waiting = self.take_all()
        late = [each for each in waiting if each[0].done is None or each[0].deadline <= now]
        self.living(now).more = [each for each in waiting if each not in late]
        return late

    def next_due(self) -> float | None:
        """Return when something is to be done next; None when nobody waits."""
        life = self.life
        times = [look.deadline for look, _ in life.more] if life is not None else []
        if self.look is not None:
            times.append(self.look.deadline)
        if not times or life is None:
            return min(times, default=None)
        return min(*times, life.again_at, life.trouble_at)


class Life:
    """A SYN's later life.

    - `more`: others who wait for the same answer.
    - `sent_at`: when it last went out; `again_at`: when it is to go out again; `gap`: seconds between the two.
    - `trouble`: what keeps it from going out on this host; it becomes the verdict at `trouble_at`.
    """

    __slots__ = ("again_at", "gap", "more", "sent_at", "trouble", "trouble_at")

    def __init__(self, sent_at: float) -> None:
        self.more: list[tuple[Look, int]] = []
        self.sent_at = sent_at
        self.gap = RETRANSMIT_S
        self.again_at = sent_at + RETRANSMIT_S
        self.trouble: NetError | None = None
        self.trouble_at = float("inf")


class Agenda:
    """When which SYN is due. What was answered meanwhile stays until then, and costs nothing more than its place.

    Nearly all are answered before they are due for the first time, and that comes in the order in which they were
    sent: a queue does. What was not needs a heap.
    """

    def __init__(self) -> None:
        self._first: deque[Syn] = deque()
        self._later: list[tuple[float, int, Syn]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    def add(self, syn: Syn) -> None:
        """Put in a SYN that was just sent."""
        if not self._first or self._first[-1].due <= syn.due:
            self._first.append(syn)
        else:
            self.add_at(syn, syn.due)

    def add_at(self, syn: Syn, due: float) -> None:
        """Put in a SYN as of a time; it may be in already as of another."""
        self._count += 1  # SYNs themselves have no order
        heapq.heappush(self._later, (due, self._count, syn))

    def head(self) -> float | None:
        """Return when something that somebody still waits for is due; what nobody waits for is thrown away."""
        first, later = self._first, self._later
        while first and not first[0].waited_for:
            first.popleft()
        while later and not later[0][2].waited_for:
            heapq.heappop(later)
        if first and (not later or first[0].due <= later[0][0]):
            return first[0].due
        return later[0][0] if later else None

    def pop(self, now: float) -> Iterator[Syn]:
        """Yield, and forget, what is due at `now`."""
        while self._first and self._first[0].due <= now:
            yield self._first.popleft()
        while self._later and self._later[0][0] <= now:
            yield heapq.heappop(self._later)[2]

    def clear(self) -> None:
        """Forget everything."""
        self._first.clear()
        self._later.clear()


def refused() -> NetError:
    """Return what a reset says."""
    return net_error(ConnectionRefusedError(errno.ECONNREFUSED, ""))


def silence(late_s: float) -> NetError:
    """Return what it says that nothing came, which was noticed `late_s` seconds after the time was up."""
    if late_s > STARVED_LAG_S:
        return NetError(Reason.PROBER_STARVED, f"our own event loop was {late_s * 1000:.0f} ms late")
    return NetError(Reason.TIMEOUT, "no answer within the time-out")
