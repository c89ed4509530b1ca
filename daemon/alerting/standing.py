"""Whether an alert is over whose condition is not seen any more: only what is known to be good ends it."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum, auto

from checks.model import CheckName, Reason, Status
from daemon.alert import LABELS
from daemon.alerting.conditions import Condition
from daemon.alerting.ending import COLLECTIVE
from daemon.alerting.excused import Excused
from daemon.alerting.fires import MAX_QUIET_S
from daemon.alerting.own import NOTIFICATIONS_FAILING
from daemon.state import State, TargetState
from daemon.view import View

_EXCUSES = frozenset({Reason.EXPECTED_DOWN, Reason.NEVER_UP})
"""Skipped by a verdict, not for want of one: it was looked at, and nothing is asked of it (any more)."""
_ALONE = frozenset({CheckName.DNS, CheckName.TCP})  # their jobs have one row each, of their own id
_ENDPOINT = LABELS.index("endpoint")


class Standing(Enum):
    """What is known of a condition that is not seen.

    `over`, or not known (`unsure`), or only resting (`flapping`), or another cause `explains` what showed it.
    """

    OVER = auto()
    EXPLAINED = auto()
    UNSURE = auto()
    FLAPPING = auto()


class _Row(Enum):
    EXPLAINED = auto()
    GOOD = auto()
    BAD = auto()
    GONE = auto()
    UNSURE = auto()
    FLAPPING = auto()


_SURE = frozenset({_Row.GOOD, _Row.BAD, _Row.FLAPPING})  # good: a warning is held to be ok


class Standings:
    """Judges by one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._excused = Excused(view)

    def of(self, name: str, labels: tuple[str, ...], rows: Iterable[str], cause: str | None) -> tuple[Standing, float]:
        """Judge an alert by its rows; return also the largest flap value (percent) of those that flap.

        - A row is good when it is held to be ok, and gone when nobody looks at it any more. What is unknown, skipped,
          old, not yet confirmed, not yet seen since the start, or explained by another cause, says nothing.
        - A row that is failing and unexplained is known too: it fails, but no longer in this way.
        """
        rows = tuple(rows)
        if not rows:
            return (Standing.UNSURE if self._untold(name, labels) else Standing.OVER), 0.0
        if self._excused.possible and self._excused.covers(rows):
            return Standing.OVER, 0.0
        looks = Counter(self._look(row, cause) for row in rows)
        collective = (cause or "").partition(":")[0] in COLLECTIVE
        if collective and looks[_Row.GOOD] > looks[_Row.FLAPPING]:  # where most of it comes and goes, all of it does
            return Standing.OVER, 0.0
        if _Row.FLAPPING in looks:
            held = self._view.board.rows
            return Standing.FLAPPING, max(held[row].held.flap for row in rows if row in held and held[row].flapping)
        if _Row.EXPLAINED in looks:
            return Standing.EXPLAINED, 0.0
        return (Standing.UNSURE if _Row.UNSURE in looks else Standing.OVER), 0.0

    def sure(self, condition: Condition) -> bool:
        """Tell whether what shows a condition was looked at just now, and confirmed: else it must not fire.

        A cause is held on to while its rows can't be looked at, and is named while they are not yet confirmed.
        """
        if not condition.causes or not condition.rows:
            return True
        return any(self._look(row, condition.cause) in _SURE for row in condition.rows)

    def _look(self, row_id: str, cause: str | None) -> _Row:
        board = self._view.board
        row = board.rows.get(row_id)
        if row is None:
            return _Row.UNSURE if self._awaited(row_id) else _Row.GONE
        job = board.jobs.get(row.result.job)
        if job is None or job.fixed is not None:
            return _Row.GONE
        return self._held(row, cause)

    def _held(self, row: TargetState, cause: str | None) -> _Row:
        if row.result.outcome.reason in _EXCUSES:
            return _Row.GOOD
        if not self._view.board.present(row):
            return _Row.UNSURE
        if row.result.outcome.status is not Status.OK and self._view.diagnosis.explained.get(row.id, cause) != cause:
            return _Row.EXPLAINED
        if row.state is State.FAILING:
            return _Row.BAD
        if row.flapping and not (row.state is State.OK and self._view.now - row.since >= MAX_QUIET_S):
            return _Row.FLAPPING
        return _Row.GOOD if row.state is State.OK else _Row.UNSURE

    def _awaited(self, row_id: str) -> bool:
        """Tell whether a row that is not there may yet come: its job is in the plan and has reached no verdict."""
        board = self._view.board
        job = board.jobs.get(row_id)
        if job is not None:
            return job.fixed is None
        check = row_id.partition(":")[0]
        if check in _ALONE:
            return False
        several = (job for job in board.jobs.values() if job.check == check and job.fixed is None)
        return any(not any(map(board.present, board.rows_of(job.id))) for job in several)

    def _untold(self, name: str, labels: tuple[str, ...]) -> bool:
        """Tell whether nobody knows if an Alertmanager takes alerts: nothing was sent to it since the start."""
        if name != NOTIFICATIONS_FAILING:
            return False
        if not self._view.deliveries:
            alerting = self._view.config.alerting
            return alerting.mode == "live" and bool(alerting.alertmanagers)
        return any(d.name == labels[_ENDPOINT] and d.sent == 0 for d in self._view.deliveries)
