"""The board as one JSON document: what `healthctl check -o json` prints and `/api/v1/status` serves."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from checks.model import CheckName, Json, Reason, Status, worst
from checks.net.text import printable
from daemon import report_observed
from daemon.document import Document, Row
from daemon.moments import rfc3339
from daemon.observed import Observed
from daemon.row_looks import is_second
from daemon.state import State, TargetState
from daemon.summary import summarise
from daemon.version import __version__
from daemon.view import NOTHING_OBSERVED, SECOND_SEAT, View

SCHEMA = 1
NOTES = frozenset({CheckName.DEFINITION, CheckName.PROVIDER})  # contract: their findings never worsen the whole
RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})
SIGNIFICANT_DIGITS = 6  # of a duration: finer than any clock here tells
MICROSECOND_DIGITS = 6  # decimals of a measurement; significant digits would ruin a time stamp

_CHECK_ORDER = {check.value: place for place, check in enumerate(CheckName)}
_NUMBERS = re.compile(r"([0-9]{1,18})")  # bounded: an id may come from a stranger, and int() refuses endless digits
_PLAIN = frozenset({str, int, bool})
_UNSAFE = re.compile(r"[^\x20-\x7e\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the document says of the run itself.

    - `started_at` in Unix seconds, `duration_s` in seconds.
    - `asked`: the checks that are run; `configured`: how many Resources there are to judge.
    - `held`: a daemon holds states over time; False for a single look, whose rows have none.
    - `observed`: what is known of the Connector besides the probes.
    """

    connector: str
    remote_network: str
    vantage: str
    confidence: str
    started_at: float
    duration_s: float
    asked: frozenset[CheckName]
    configured: int
    held: bool = False
    observed: Observed = NOTHING_OBSERVED


class Reporter:
    """Makes the document again and again; rows that have not changed since the last time are not made anew.

    At 20,000 rows a document from nothing costs some 300 ms, longer than the event loop may stand still.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[TargetState, Row]] = {}

    def report(self, view: View, asked: frozenset[CheckName]) -> Document:
        """Return the document of a daemon's view."""
        whole = report(view, asked, self._row)
        if len(self._made) > len(view.board.rows):
            self._made = {row_id: made for row_id, made in self._made.items() if row_id in view.board.rows}
        return whole

    def _row(self, row: TargetState) -> Row:
        made = self._made.get(row.id)
        if made is None or made[0] is not row:
            made = self._made[row.id] = (row, _held_row(row))
        return made[1]


def report(
    view: View, asked: frozenset[CheckName] | None = None, make: Callable[[TargetState], Row] | None = None
) -> Document:
    """Return the document of a view; `asked` are the checks that were asked for, else those that are switched on.

    A view without a duration is a daemon's: only there is anything held over time.
    """
    engine = view.engine
    head = Head(
        connector=engine.connector,
        remote_network=view.config.connector.remote_network,
        vantage=engine.vantage,
        confidence="exact" if engine.vantage == "connector" else "host_view",
        started_at=engine.started_at,
        duration_s=view.now - engine.started_at if engine.duration_s is None else engine.duration_s,
        asked=frozenset(c for c in CheckName if view.config.checks.get(c, True)) if asked is None else asked,
        configured=len(view.plan.resources),
        held=engine.duration_s is None,
        observed=view.observed,
    )
    return document(head, view.board.rows.values(), make)


def document(head: Head, rows: Iterable[TargetState], make: Callable[[TargetState], Row] | None = None) -> Document:
    """Return the document of one board; rows in the order of the checks, then naturally by target."""
    make = make or (_held_row if head.held else _seen_row)
    checks = sorted(map(make, rows), key=lambda row: sort_key(row["id"]))
    return {
        "schema": SCHEMA,
        "version": __version__,
        "connector": head.connector,
        "remote_network": head.remote_network,
        "vantage": head.vantage,
        "confidence": head.confidence,
        "started_at": rfc3339(head.started_at),
        "duration_seconds": _seconds(head.duration_s),
        "status": overall(checks, head.asked, head.configured).value,
        "summary": summarise(checks, head.asked, head.configured),
        "checks": checks,
        "diagnosis": [],
        "connector_log": report_observed.connector_log(head.observed.log),
        "learned": report_observed.learned(head.observed.learned),
        "predictions": report_observed.predictions(head.observed.predictions),
    }


def overall(rows: Iterable[Row], asked: frozenset[CheckName], configured: int) -> Status:
    """Return the verdict on the whole: the worst row, and no better than unknown if no Resource was judged at all.

    A second look decides nothing: it is there to explain the row beside which it stands.
    """
    rows = [row for row in rows if not is_second(row)]
    if not rows:
        return Status.UNKNOWN  # nothing was asked, so nothing is known
    counted = [Status(row["status"]) for row in rows if row["check"] not in NOTES]
    judged = any(row["check"] in RESOURCE_CHECKS and Status(row["status"]).conclusive for row in rows)
    if asked & RESOURCE_CHECKS and configured and not judged:
        counted.append(Status.UNKNOWN)
    return worst(counted)


def encode(whole: Document, *, indent: int | None = 2) -> str:
    r"""Write the document as JSON that no terminal obeys: control and bidi characters only as `\uXXXX`."""
    return harmless(json.dumps(whole, ensure_ascii=False, indent=indent, allow_nan=False))


def harmless(text: str) -> str:
    r"""Write control and bidi characters in a JSON text as `\uXXXX`; it says the same as before."""
    return _UNSAFE.sub(lambda found: _json_escape(found[0]), text)


@lru_cache(maxsize=65536)
def sort_key(row_id: str) -> tuple[bool, int, list[tuple[bool, int, str]], str]:
    """Return where a row stands: the Connector's seat first, then by check, then by target with 2 before 10.

    It needs only the id, so that a page can go on after a row that has gone meanwhile.
    """
    second = row_id.endswith(SECOND_SEAT)
    check, _, target = row_id.removesuffix(SECOND_SEAT).partition(":")
    parts = [(True, int(p), "") if p.isdecimal() else (False, 0, p) for p in _NUMBERS.split(target)]
    return second, _CHECK_ORDER.get(check, len(_CHECK_ORDER)), parts, row_id


def _row(row: TargetState, *, held: bool) -> Row:
    result, outcome = row.result, row.result.outcome
    return {
        "id": row.id,
        "check": result.check.value,
        "target": result.target,
        "resource": result.resources[0] if result.resources else None,
        "resources": list(result.resources),
        "status": outcome.status.value,
        "reason": None if outcome.reason is None else outcome.reason.value,
        "event": None if outcome.event is None else outcome.event.value,
        "summary": outcome.summary,
        "action": outcome.action,
        "started_at": rfc3339(result.started_at),
        "duration_seconds": _seconds(result.duration_s),
        "state": row.state.value if held else None,
        "since": rfc3339(row.since) if held else None,
        "suppressed_by": _suppressed_by(row) if held else None,
        "measurements": {key: _measured(value) for key, value in outcome.measurements.items()},
        "facts": {key: _finite(value) for key, value in outcome.facts.items()},
    }


def _held_row(row: TargetState) -> Row:
    return _row(row, held=True)


def _seen_row(row: TargetState) -> Row:
    return _row(row, held=False)


def _suppressed_by(row: TargetState) -> str | None:
    outcome = row.result.outcome
    parent = outcome.facts.get("parent")
    silenced = row.state is State.SUPPRESSED or outcome.reason is Reason.DEPENDENCY_FAILED
    return parent if silenced and isinstance(parent, str) else None


def _seconds(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _measured(value: float) -> float | None:
    return round(value, MICROSECOND_DIGITS) if math.isfinite(value) else None


def _finite(value: Json) -> Json:
    """Return a JSON value of which JSON's own grammar can say everything: it has no infinity."""
    if value is None or type(value) in _PLAIN:  # asked first: it is nearly always so, and Mapping is slow to ask for
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(inner) for inner in value]
    return value


def _json_escape(char: str) -> str:
    if printable(char) == char:
        return char
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
