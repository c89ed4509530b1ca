"""What the makers of metric families share: names with our prefix, and typed reading of an outcome's facts."""

from collections.abc import Mapping, Sequence

from checks.model import CheckName, Json, Outcome, Status
from daemon.exposition import Family, Kind
from daemon.state import TargetState
from daemon.view import View

PREFIX = "connector_health_"
SECOND_SEAT = "@host"  # the end of the id of a row seen from a second seat: the same labels would name two truths


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


def present_rows(view: View, check: CheckName) -> list[TargetState]:
    """Return the rows of a check whose verdict may be shown, seen from the first seat, in the order of their ids."""
    rows = (row for row in view.board.rows.values() if row.result.check is check and not row.id.endswith(SECOND_SEAT))
    return sorted((row for row in rows if view.board.present(row)), key=lambda row: row.id)


def succeeded(outcome: Outcome) -> bool:
    """Tell whether the target did what was asked of it: only then its durations are shown."""
    return outcome.status in (Status.OK, Status.WARNING)


def flag(outcome: Outcome, key: str) -> bool | None:
    """Return a fact that is true or false; None when it was not found out."""
    value = outcome.facts.get(key)
    return value if isinstance(value, bool) else None


def size(outcome: Outcome, key: str) -> int | None:
    """Return how many a fact lists (or counts); None when it is not there."""
    value = outcome.facts.get(key)
    if isinstance(value, Sequence | Mapping) and not isinstance(value, str):
        return len(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def entries(outcome: Outcome, key: str, limit: int) -> list[Mapping[str, Json]]:
    """Return a fact that lists mappings, the first `limit` of them: facts may be learned from outside."""
    value = outcome.facts.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [entry for entry in value[:limit] if isinstance(entry, Mapping)]


def real(value: Json) -> float | None:
    """Return a number as it is; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
