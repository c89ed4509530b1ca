"""What one row said when, in few words: spells during which it said the same again and again."""

from checks.model import CheckName, Event, Status
from daemon.jobs import Result

FAILURES = frozenset({Event.DNS_LOOKUP_ERROR, Event.UNABLE_TO_CONNECT})
MAX_SPELLS = 16  # of a row that changes its mind at each run, seconds apart, this is still half a minute


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
    through = outcome.facts.get("accepted" if result.check is CheckName.TCP else "addresses")
    if result.check is CheckName.DNS and outcome.status is Status.OK:
        return Event.NONE
    return Event.NONE if through else None


class Timeline:
    """The predictions of one row. Moments are Unix seconds; `reach_s` is how long a word holds after it was known."""

    __slots__ = ("_reach_s", "_spells")

    def __init__(self, reach_s: float) -> None:
        self._reach_s = reach_s
        self._spells: list[tuple[float, float, Event]] = []  # first and last time that it said so, and what

    def note(self, at: float, said: Event) -> None:
        """Take one word; words come in the order of time (after a step back of the clock all begins anew)."""
        spells = self._spells
        if spells:
            first, last, before = spells[-1]
            if at < last:
                spells.clear()
            elif before is said and at - last <= self._reach_s:
                spells[-1] = (first, at, said)
                return
        spells.append((at, at, said))
        if len(spells) > MAX_SPELLS:
            del spells[0]

    def at(self, moment: float) -> Event | None:
        """Return the last word at a moment; None when there was none within reach."""
        for first, last, said in reversed(self._spells):
            if first <= moment:
                # Within a spell the words are never further apart than they reach.
                return said if moment - last <= self._reach_s else None
        return None

    def begins(self, after: float, until: float) -> list[float]:
        """Return when other words than the one before were first heard, after a moment and until another."""
        return [first for first, _, _ in self._spells if after < first <= until]
