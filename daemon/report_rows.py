"""Rows of the document: what one target showed, what is held of it, and who explains it."""

import math
from collections.abc import Mapping
from functools import partial

from checks.model import Json, Reason
from daemon.document import Row
from daemon.moments import rfc3339
from daemon.sketch import sketched
from daemon.state import State, TargetState
from daemon.view import View

SIGNIFICANT_DIGITS = 6  # of a duration: finer than any clock here tells
MICROSECOND_DIGITS = 6  # decimals of a measurement; significant digits would ruin a time stamp
FLAP_DIGITS = 1  # of per cents: one result of twenty is some five of them

_PLAIN = frozenset({str, int, bool})


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
        "duration_seconds": seconds(result.duration_s),
        "state": row.state.value if held else None,
        "since": rfc3339(row.since) if held else None,
        "suppressed_by": _suppressed_by(row) if held else None,
        "measurements": {key: _measured(value) for key, value in outcome.measurements.items()},
        "facts": {key: _finite(value) for key, value in outcome.facts.items()},
        "flap": round(row.held.flap, FLAP_DIGITS) if held else None,
        "flapping": row.flapping if held else None,
        "slowed_to_seconds": None,
    }


def held_row(view: View, row: TargetState) -> Row:
    """Return a row of a daemon, explained where a cause explains it."""
    made = own_row(row)
    made["slowed_to_seconds"] = view.board.slowed_s(row)
    return explained_row(view, row, made) if row.id in view.diagnosis.explained else made


def sketched_row(view: View, row: TargetState) -> Row:
    """Return the same as `held_row`, of which at first only what is asked of all rows is made."""
    result, outcome = row.result, row.result.outcome
    part = {
        "id": row.id,
        "check": result.check.value,
        "status": outcome.status.value,
        "reason": None if outcome.reason is None else outcome.reason.value,
        "resources": list(result.resources),
        "state": view.state_of(row).value,
    }
    return sketched(part, partial(held_row, view, row))


def explained_row(view: View, row: TargetState, made: Row) -> Row:
    """Return a made row with the state that it is shown in, and who silences it: its parent before any cause."""
    by = _suppressed_by(row) or view.diagnosis.explained.get(row.id)
    return {**made, "state": view.state_of(row).value, "suppressed_by": by}


def own_row(row: TargetState) -> Row:
    """Return a row of a daemon with the state that it has by itself."""
    return _row(row, held=True)


def seen_row(row: TargetState) -> Row:
    """Return a row of a single look, which holds nothing."""
    return _row(row, held=False)


def seconds(value: float) -> float:
    """Return a duration with as many digits as mean something."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _suppressed_by(row: TargetState) -> str | None:
    outcome = row.result.outcome
    parent = outcome.facts.get("parent")
    silenced = row.state is State.SUPPRESSED or outcome.reason is Reason.DEPENDENCY_FAILED
    return parent if silenced and isinstance(parent, str) else None


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
