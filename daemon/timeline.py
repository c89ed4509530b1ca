"""What one row said when, in few words: spells during which it said the same again and again."""

from typing import TypeAlias

from checks.model import CheckName, Event, Status
from daemon.jobs import Result

FAILURES = frozenset({Event.DNS_LOOKUP_ERROR, Event.UNABLE_TO_CONNECT})
MAX_SPELLS = 16  # of a row that changes its mind at each run, seconds apart, this is still half a minute

_Spell: TypeAlias = tuple[float, float, Event, float]  # first and last time that it said so, what, how long it holds


def known_at(result: Result) -> float:
    """Return the Unix time at which a result was known: when its run ended."""
    return result.started_at + result.duration_s


def word(result: Result) -> Event | None:
    """Return what a result predicts for a user; None when it predicts nothing.

    A failure is predicted by its event alone. Success is predicted only by a probe that got through: `expect: any`
    is ok, and a failure that is only shown as a warning has no event, without anybody having got through.
    """
    outcome = result.outcome
    if outcome.event in FAILURES:
        return outcome.event
    if outcome.event is not Event.NONE:
        return None
    if result.check is CheckName.DNS and outcome.status is Status.OK:
        return Event.NONE
    return Event.NONE if outcome.reached else None


class Timeline:
    """The predictions of one row. Moments are Unix seconds.

    Each word holds for as long as it takes until the next is due (`reach_s`). Nearly every row says the same for days:
    that one spell takes no list.
    """

    __slots__ = ("_earlier", "_first", "_last", "_reach_s", "_said")

    def __init__(self) -> None:
        self._said: Event | None = None  # None: nothing yet
        self._first = self._last = 0.0  # when it began to say so, and when it last did
        self._reach_s = 0.0  # how long that holds
        self._earlier: list[_Spell] | None = None

    def note(self, at: float, said: Event, reach_s: float) -> None:
        """Take one word; words come in the order of time (after a step back of the clock all begins anew)."""
        before = self._said
        if before is said and 0.0 <= at - self._last <= self._reach_s:
            self._last, self._reach_s = at, reach_s
            return
        if at < self._last:
            self._earlier = None
        elif before is not None:
            if self._earlier is None:
                self._earlier = []
            self._earlier.append((self._first, self._last, before, self._reach_s))
            if len(self._earlier) >= MAX_SPELLS:
                del self._earlier[0]
        self._first = self._last = at
        self._said, self._reach_s = said, reach_s

    def at(self, moment: float) -> Event | None:
        """Return the last word at a moment; None when there was none within reach."""
        for first, last, said, reach_s in reversed(self._spells()):
            if first <= moment:
                # Within a spell the words are never further apart than they reach.
                return said if moment - last <= reach_s else None
        return None

    def begins(self, after: float, until: float) -> list[float]:
        """Return when other words than the one before were first heard, after a moment and until another."""
        return [first for first, *_ in self._spells() if after < first <= until]

    def _spells(self) -> list[_Spell]:
        if self._said is None:
            return []
        return [*(self._earlier or ()), (self._first, self._last, self._said, self._reach_s)]
