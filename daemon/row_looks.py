"""Rows seen from a second seat, put beside the row that they are a second look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daemon.document import Row
from daemon.jobs import SECOND_SEAT


@dataclass(frozen=True, slots=True)
class Looks:
    """`first`: the rows that decide, in their order; `second`: by the id of a first row, what the host's seat saw.

    A second look whose first row is not listed (a filter took it away) stands among `first`, so that nothing is lost.
    """

    first: tuple[Row, ...]
    second: Mapping[str, Row]


def looks(rows: Iterable[Row]) -> Looks:
    """Take rows apart."""
    rows = tuple(rows)
    deciding = {row["id"] for row in rows if not is_second(row)}
    second = {first: row for row in rows if is_second(row) and (first := first_id(row)) in deciding}
    return Looks(tuple(row for row in rows if not (is_second(row) and first_id(row) in second)), second)


def is_second(row: Row) -> bool:
    """Tell whether a row is a second look. It decides nothing: it exists to explain the row beside which it stands."""
    return row["id"].endswith(SECOND_SEAT)


def first_id(row: Row) -> str:
    """Return the id of the row of which this one is a second look."""
    return row["id"].removesuffix(SECOND_SEAT)
