"""What the table and the plugin output share: which rows are problems, and the words of the Admin Console."""

from collections.abc import Iterable

from checks.model import CheckName, Event, Status
from daemon.document import Row
from daemon.row_looks import is_second

EVENT_WORDS = {Event.DNS_LOOKUP_ERROR.value: "DNS lookup error", Event.UNABLE_TO_CONNECT.value: "Unable to connect"}
"""The events as the Admin Console shows them for a user's connection."""

NOTES = (CheckName.PROVIDER, CheckName.DEFINITION)  # they never change the verdict
_WORST_FIRST = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN)


def is_problem(row: Row) -> bool:
    """Tell whether somebody should read this row; a second look is read beside its first row, not for itself."""
    return row["status"] in _WORST_FIRST and not is_second(row)


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return the problems: those that decide the verdict before mere notes, the worst first, else as they stand."""
    return sorted(
        filter(is_problem, rows), key=lambda row: (row["check"] in NOTES, _WORST_FIRST.index(Status(row["status"])))
    )
