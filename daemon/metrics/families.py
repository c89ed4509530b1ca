"""What the makers of metric families share: names with our prefix, and typed reading of an outcome's facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checks.model import CheckName, Json, Outcome, Status
from daemon.metrics.exposition import Family, Kind
from daemon.state import TargetState
from daemon.view import SECOND_SEAT, View

PREFIX = "connector_health_"


def gauge(name: str, text: str) -> Family:
    """Make a gauge."""
    return Family(PREFIX + name, Kind.GAUGE, text)


def counter(name: str, text: str) -> Family:
    """Make a counter; its samples end in `_total`."""
    return Family(PREFIX + name, Kind.COUNTER, text)


def histogram(name: str, text: str) -> Family:
    """Make a histogram."""
    return Family(PREFIX + name, Kind.HISTOGRAM, text)


def info(name: str, text: str) -> Family:
    """Make an info family; its samples end in `_info` and are always 1."""
    return Family((PREFIX + name).rstrip("_"), Kind.INFO, text)


@dataclass(frozen=True, slots=True)
class Moment:
    """A view, and its rows whose verdict may be shown: found in one pass, because there may be tens of thousands."""

    view: View
    rows: Mapping[CheckName, dict[str, TargetState]]

    def of(self, check: CheckName) -> list[TargetState]:
        """Return the rows of a check from the first seat (another would put two truths under one name), in order."""
        return [row for row_id, row in sorted(self.rows[check].items()) if not row_id.endswith(SECOND_SEAT)]


def moment_of(view: View) -> Moment:
    """Look once at every row of a view."""
    rows: dict[CheckName, dict[str, TargetState]] = {check: {} for check in CheckName}
    present = view.board.present
    for row_id, row in view.board.rows.items():
        if present(row):
            rows[row.result.check][row_id] = row
    return Moment(view, rows)


def succeeded(outcome: Outcome) -> bool:
    """Tell whether the target did what was asked of it: only then its durations are shown."""
    return outcome.status in (Status.OK, Status.WARNING)


def flag(outcome: Outcome, key: str) -> bool | None:
    """Return a fact that is true or false; None when it was not found out."""
    value = outcome.facts.get(key)
    return value if isinstance(value, bool) else None


def size(value: Json) -> int:
    """Return how many a fact lists; 0 when it is not there."""
    return len(value) if isinstance(value, (tuple, list, dict)) else 0


def entries(outcome: Outcome, key: str, limit: int) -> list[Mapping[str, Json]]:
    """Return a fact that lists mappings, the first `limit` of them: facts may be learned from outside."""
    value = outcome.facts.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [entry for entry in value[:limit] if isinstance(entry, Mapping)]


def real(value: Json) -> float | None:
    """Return a number as it is; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
