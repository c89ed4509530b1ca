"""Rows seen from a second seat, put beside the row that they are a second look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from daemon.document import Row
from daemon.jobs import SECOND_SEAT
from daemon.slices import Steps, at_once, batches


@dataclass(frozen=True, slots=True)
class Looks:
    """`first`: the rows that decide, in their order; `second`: by the id of a first row, what the host's seat saw.

    A second look whose first row is not listed (a filter took it away) stands among `first`, so that nothing is lost.
    """

    first: tuple[Row, ...]
    second: Mapping[str, Row]


def looks(rows: Iterable[Row]) -> Looks:
    """Take rows apart."""
    return at_once(looks_steps(list(rows)))


def looks_steps(rows: Sequence[Row]) -> Steps[Looks]:
    """Do the same in steps."""
    seconds: list[Row] = []
    for batch in batches(rows):
        seconds += filter(is_second, batch)
        yield
    if not seconds:
        return Looks(tuple(rows), {})
    ids: set[str] = set()
    for batch in batches(rows):
        ids.update(row["id"] for row in batch if not is_second(row))
        yield
    second = {first: row for row in seconds if (first := first_id(row)) in ids}
    first_rows: list[Row] = []
    for batch in batches(rows):
        first_rows += [row for row in batch if not (is_second(row) and first_id(row) in second)]
        yield
    return Looks(tuple(first_rows), second)


def is_second(row: Row) -> bool:
    """Tell whether a row is a second look. It decides nothing: it exists to explain the row beside which it stands."""
    return row["id"].endswith(SECOND_SEAT)


def first_id(row: Row) -> str:
    """Return the id of the row of which this one is a second look."""
    return row["id"].removesuffix(SECOND_SEAT)
