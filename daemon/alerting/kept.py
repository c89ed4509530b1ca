"""What survives a restart, as JSON; read back from a file that anybody may have written."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from checks.model import Json
from checks.net.text import MAX_TEXT as MAX_LABEL
from checks.net.text import printable
from daemon.alert import LABELS, Alert, AlertKey
from daemon.alerting.entry import MAX_ROWS
from daemon.alerting.fires import MAX_FIRES
from daemon.alerting.severity import KNOWN, RANK, SEVERITIES
from daemon.alerting.shown import MAX_RESOLVED, MAX_SHOWN, RESOLVED_S
from daemon.alerting.words import limited

SCHEMA = 1
MAX_AGE_S = 366 * 86400.0  # an alert that claims to be older was not written by us


class Kept(NamedTuple):
    """An alert, the rank of its severity (which its key hides in shadow mode), and when it fired (Unix seconds)."""

    alert: Alert
    rank: int
    fires: tuple[float, ...]


def encode(active: Iterable[Kept], ended: Iterable[Kept]) -> Json:
    """Return what `decode` reads."""
    return {"schema": SCHEMA, "active": [_entry(one) for one in active], "resolved": [_entry(one) for one in ended]}


def decode(kept: Json, wall: float) -> tuple[list[Kept], list[Kept]]:
    """Return the active alerts and those that ended lately; `wall` is the Unix time now.

    What is odd is left out, times of the future count as now, and of what there is too much the rest is left out.
    """
    if not isinstance(kept, Mapping) or kept.get("schema") != SCHEMA:
        return [], []
    active: list[Kept] = []
    counted: dict[str, int] = {}
    for one in _entries(kept.get("active"), wall, MAX_SHOWN * len(KNOWN)):
        name = one.alert.key.name
        if one.alert.ends_at is None and counted.get(name, 0) < MAX_SHOWN:
            counted[name] = counted.get(name, 0) + 1
            active.append(one)
    ended = [one for one in _entries(kept.get("resolved"), wall, MAX_RESOLVED) if _lately(one.alert, wall)]
    return active, ended


def _entry(one: Kept) -> Json:
    alert = one.alert
    labels = {name: value for name, value in zip(LABELS, alert.key.labels, strict=True) if value}
    return {
        "name": alert.key.name, "severity": alert.key.severity, "tier": SEVERITIES[one.rank], "labels": labels,
        "starts_at": alert.starts_at, "ends_at": alert.ends_at, "summary": alert.summary,
        "description": alert.description, "action": alert.action, "cause": alert.cause, "rows": list(alert.rows),
        "flapping": alert.flapping, "fires": list(one.fires),
    }  # fmt: skip


def _entries(value: Json, wall: float, limit: int) -> Iterator[Kept]:
    for entry in _some(value, limit):
        found = _kept(entry, wall) if isinstance(entry, Mapping) else None
        if found is not None:
            yield found


def _kept(entry: Mapping[str, Json], wall: float) -> Kept | None:
    """Return one alert; None where its identity or its beginning makes no sense."""
    name, severity, tier = entry.get("name"), entry.get("severity"), entry.get("tier")
    labels, starts_at = _labels(entry.get("labels")), _time(entry.get("starts_at"), wall)
    if not isinstance(name, str) or name not in KNOWN or labels is None or starts_at is None:
        return None
    if not isinstance(tier, str) or tier not in RANK or severity not in (tier, "none"):
        return None
    ends_at = _time(entry.get("ends_at"), wall)
    if ends_at is None and entry.get("ends_at") is not None:
        return None
    texts = limited(_text(entry.get("summary")), _text(entry.get("description")), _text(entry.get("action")))
    fires = (_time(at, wall) for at in _some(entry.get("fires"), MAX_FIRES))
    cause = entry.get("cause")
    alert = Alert(
        key=AlertKey(name, str(severity), labels),
        starts_at=starts_at,
        ends_at=None if ends_at is None else max(ends_at, starts_at),
        summary=texts.summary,
        description=texts.description,
        action=texts.action,
        cause=printable(cause) if isinstance(cause, str) else None,
        rows=tuple(row for row in _some(entry.get("rows"), MAX_ROWS) if isinstance(row, str) and len(row) <= MAX_LABEL),
        flapping=entry.get("flapping") is True,
    )
    return Kept(alert, RANK[tier], tuple(sorted(at for at in fires if at is not None)))


def _labels(value: Json) -> tuple[str, str, str, str, str] | None:
    if not isinstance(value, Mapping) or not set(value) <= set(LABELS):
        return None
    found = [value.get(name, "") for name in LABELS]
    texts = [text for text in found if isinstance(text, str) and printable(text) == text]
    if len(texts) != len(LABELS):
        return None
    resource, address, port, nameserver, endpoint = texts
    return resource, address, port, nameserver, endpoint


def _time(value: Json, wall: float) -> float | None:
    """Return a Unix time, at most now and at least a year ago; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return min(max(seconds, wall - MAX_AGE_S), wall) if math.isfinite(seconds) else None


def _lately(alert: Alert, wall: float) -> bool:
    return alert.ends_at is not None and wall - alert.ends_at < RESOLVED_S


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _some(value: Json, limit: int) -> Sequence[Json]:
    return value[:limit] if isinstance(value, Sequence) and not isinstance(value, str) else ()
