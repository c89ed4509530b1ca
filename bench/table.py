"""What the benchmark prints: rows of figures and, where one was promised, the target and whether it was met."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `limit` is the most that was promised, in the same unit; `rounds` are the single values.

    `value` is None when it was not measured; then `note` says why.
    """

    bench: str
    what: str
    unit: str
    value: float | None
    limit: float | None = None
    rounds: tuple[float, ...] = ()
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept; None without a promise or a figure."""
        return None if self.limit is None or self.value is None else self.value <= self.limit


def median_row(bench: str, what: str, unit: str, rounds: Sequence[float], limit: float | None = None) -> Row:
    """Return a row of the median of rounds."""
    return Row(bench=bench, what=what, unit=unit, value=statistics.median(rounds), limit=limit, rounds=tuple(rounds))


def ratio_row(bench: str, what: str, ours: Sequence[float], theirs: Sequence[float], limit: float) -> Row:
    """Return a row of the median of the ratios, each of two values of the same round: a slow round slows both."""
    return median_row(bench, what, "x", [a / b for a, b in zip(ours, theirs, strict=True)], limit)


def missing_row(bench: str, what: str, why: object) -> Row:
    """Return a row without a figure."""
    return Row(bench=bench, what=what, unit="", value=None, note=f"not measured: {why}")


def figure(value: float, unit: str) -> str:
    """Write a value with three significant digits and its unit."""
    digits = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def cells(row: Row) -> tuple[str, str, str, str]:
    """Return a row as it is printed: what, figure with its range, target, verdict."""
    if row.value is None:
        return row.what, MISSING, "", row.note
    spread = f" ({figure(min(row.rounds), '')} to {figure(max(row.rounds), '')})" if len(row.rounds) > 1 else ""
    target = "" if row.limit is None else f"<= {figure(row.limit, row.unit)}"
    verdict = {True: "met", False: "missed", None: ""}[row.met]
    return row.what, figure(row.value, row.unit) + spread, target, " ".join(filter(None, (verdict, row.note)))


HEAD = ("what", "figure (least to most)", "target", "")


def as_text(rows: Iterable[Row]) -> str:
    """Return the rows in columns."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3])).rstrip()
        for line in lines
    )


def as_markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a table for docs/performance.md."""
    lines = [HEAD, ("---",) * 4, *map(cells, rows)]
    return "\n".join("| " + " | ".join(line).replace("<=", "≤") + " |" for line in lines)


def into(page: str, name: str, text: str) -> str:
    """Return a page with the text between its lines `<!-- bench: NAME -->` and `<!-- end -->` replaced.

    Raises: ValueError when the page has no such lines.
    """
    begin, end = f"<!-- bench: {name} -->\n", "<!-- end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no place for {name}: {begin.strip()} ... {end}")
    return f"{before}{begin}{text}\n{end}{after}"


def as_json(machine: Mapping[str, str | int], rows: Iterable[Row]) -> str:
    """Return all that is known, the single rounds included."""
    return json.dumps({"machine": dict(machine), "rows": [asdict(row) | {"met": row.met} for row in rows]}, indent=1)


def in_words(machine: Mapping[str, str | int]) -> str:
    """Describe the machine in a line."""
    return ", ".join(f"{key} {value}" for key, value in machine.items())
