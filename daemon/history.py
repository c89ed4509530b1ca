"""What each row was like over time, kept as spells: runs in a row with one verdict.

A target that is fine for a day is one spell, not 2,880 results: little memory, and nothing to write while nothing
changes (10,000 targets would otherwise wear out the flash of a small device). A failure is a spell of its own however
short, so nothing that matters is averaged away.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from checks.model import Event, Json, Outcome, Reason, Status
from daemon.jobs import Result
from daemon.moments import rfc3339

MAX_ROWS = 100_000  # rows of which a spell goes on: five times the largest configuration; bounds what churns
MAX_UNSAVED = 50_000  # spells that wait to be written while there is no disk: about 20 MiB at most
SAVE_BAD_S = 60.0  # one that goes on is written again this often: after a crash its end is too early by so much
SAVE_GOOD_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Spell:
    """Runs in a row of one row that ended alike (status, reason, event). Times: Unix seconds, of the start of a run.

    `told` (which has its summary) and `last_s` are the last run's, `most_s` is the longest of all; both are seconds
    that a run took.
    """

    id: str
    status: Status
    reason: Reason | None
    event: Event | None
    began: float
    ended: float
    runs: int
    last_s: float
    most_s: float
    told: Outcome | str
    saved_at: float = field(default=0.0, compare=False)  # the end with which it was last handed over to be written

    @property
    def summary(self) -> str:
        """What the last run observed, in one line."""
        return self.told if isinstance(self.told, str) else self.told.summary

    @property
    def good(self) -> bool:
        """Tell whether the row was ok: such spells are the first to be forgotten."""
        return self.status is Status.OK


class Unsaved:
    """Turns results into spells, and holds those that are not on disk yet. Bounded; `dropped` counts what was lost."""

    def __init__(self) -> None:
        self.dropped = 0
        self._now: dict[str, Spell] = {}  # the spell each row is in
        self._dirty: dict[tuple[str, float], Spell] = {}

    def note(self, result: Result) -> None:
        """Take a result into account."""
        outcome, at = result.outcome, result.started_at
        spell = self._now.get(result.id)
        same = spell is not None and spell.status is outcome.status and spell.reason is outcome.reason
        if spell and same and spell.event is outcome.event:
            spell.ended, spell.runs, spell.told = at, spell.runs + 1, outcome
            spell.last_s, spell.most_s = result.duration_s, max(spell.most_s, result.duration_s)
            # `abs`: a clock set back must not stop the saving.
            if abs(at - spell.saved_at) >= (SAVE_GOOD_S if spell.good else SAVE_BAD_S):
                self._mark(spell)
            return
        if spell:
            self._mark(spell)
            del self._now[result.id]  # so that the new one is the youngest in the order of the dict
        elif len(self._now) >= MAX_ROWS:
            oldest = next(iter(self._now))
            self._mark(self._now.pop(oldest))
        spell = self._now[result.id] = Spell(
            id=result.id, status=outcome.status, reason=outcome.reason, event=outcome.event, began=at, ended=at,
            runs=1, last_s=result.duration_s, most_s=result.duration_s, told=outcome,
        )  # fmt: skip
        self._mark(spell)

    def take(self) -> list[Spell]:
        """Hand over what is to be written."""
        taken, self._dirty = list(self._dirty.values()), {}
        return taken

    def put_back(self, spells: Iterable[Spell]) -> None:
        """Take back what could not be written; it is older than all that came since."""
        since, self._dirty = self._dirty, {(s.id, s.began): s for s in spells}
        self._dirty.update(since)
        self._bound()

    def end(self, row_id: str) -> None:
        """Let the spell of a row that is gone be its last: it is written, and not held any longer."""
        spell = self._now.pop(row_id, None)
        if spell is not None:
            self._mark(spell)

    def mark_all(self) -> None:
        """Have the spells that go on written as far as they got: the daemon stops."""
        for spell in self._now.values():
            if spell.runs > 1:
                self._mark(spell)

    def of(self, row_id: str) -> list[Spell]:
        """Return the spells of a row that are held here, in no order."""
        found = {spell.began: spell for spell in self._dirty.values() if spell.id == row_id}
        if row_id in self._now:
            found[self._now[row_id].began] = self._now[row_id]
        return list(found.values())

    def _mark(self, spell: Spell) -> None:
        spell.saved_at = spell.ended
        self._dirty[spell.id, spell.began] = spell
        self._bound()

    def _bound(self) -> None:
        while len(self._dirty) > MAX_UNSAVED:
            del self._dirty[next(iter(self._dirty))]
            self.dropped += 1


def shown(spell: Spell) -> Json:
    """Return a spell as `/api/v1/history` shows it."""
    return {
        "status": spell.status,
        "reason": spell.reason,
        "event": spell.event,
        "began_at": rfc3339(spell.began),
        "ended_at": rfc3339(spell.ended),
        "runs": spell.runs,
        "last_seconds": spell.last_s,
        "longest_seconds": spell.most_s,
        "summary": spell.summary,
    }
