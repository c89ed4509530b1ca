"""What was decided to alert on, in lines that the page and `healthctl status` share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from daemon.document import AlertmanagerTaking, AlertsDecided, MaintenanceOpen
from daemon.moments import ago, clock, unix_time
from daemon.words import count, lasting

MAX_ACTIVE = 10  # on a screen; one cause makes one alert, so more are as many faults at once
MAX_PENDING = 5
_SHADOW = "shadow mode: shown here, sent to nobody"
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """`word` is a severity, `pending`, `failing` (an Alertmanager that takes nothing), or empty."""

    word: str = ""
    text: str


def alert_lines(alerts: AlertsDecided | None, now: float, *, everything: bool = False) -> list[AlertLine]:
    """Return what fires, what is about to, and who does not take it; nothing while all is quiet. `now`: Unix seconds.

    `everything`: all alerts, however many.
    """
    if alerts is None:
        return []
    lines = [AlertLine(text=_SHADOW)] if alerts["mode"] == "shadow" else []
    active, left = _cut(alerts["active"], MAX_ACTIVE, everything=everything)
    for one in active:
        flaps = "; flapping: it comes and goes" if one["flapping"] else ""
        if one["ends_after"] is not None:
            soon = _soon(one["ends_after"], now)
            flaps += f"; over, but it has fired often of late: ends {soon} unless it comes back"
        text = f"{one['name']}{_labels(one['labels'])} fires {lasting(one['starts_at'], now)}{flaps}"
        lines.append(AlertLine(word=one["severity"], text=text))
    left += sum(alerts["truncated"].values())
    if left:
        lines.append(AlertLine(text=f"and {count(left, 'more alert')}"))
    pending, left = _cut(alerts["pending"], MAX_PENDING, everything=everything)
    for wait in pending:
        text = f"{wait['name']}{_labels(wait['labels'])}, {wait['severity']}, fires {_soon(wait['fires_at'], now)}"
        lines.append(AlertLine(word="pending", text=text))
    left += alerts["pending_left"]
    if left:
        lines.append(AlertLine(text=f"and {left:,} more pending"))
    lines += [AlertLine(text=_excused(one)) for one in alerts["maintenance"]]
    return lines + [AlertLine(word="failing", text=_refused(one, now)) for one in refusing(alerts["alertmanagers"])]


def _excused(one: MaintenanceOpen) -> str:
    why = f" ({one['reason']})" if one["reason"] else ""
    until = clock(unix_time(one["until"]))
    return f"maintenance until {until}{why}: {one['match']}, {count(one['resources'], 'Resource')}; they raise no alert"


def refusing(taking: Iterable[AlertmanagerTaking]) -> list[AlertmanagerTaking]:
    """Return the Alertmanagers that do not take alerts now."""
    return [one for one in taking if one["failing_since"] is not None]


def _refused(one: AlertmanagerTaking, now: float) -> str:
    why = f": {one['problem']}" if one["problem"] else ""
    since = lasting(one["failing_since"], now) if one["failing_since"] else ""
    counts = f"{one['queue_length']:,} queued, {one['dropped']:,} dropped, {one['sent']:,} sent"
    return f"Alertmanager {one['alertmanager']} has taken no alert {since}{why} ({counts})"


def _soon(at: str, now: float) -> str:
    left = unix_time(at) - now
    return f"in {ago(left)}" if left >= 1 else "now"


def _labels(labels: Mapping[str, str]) -> str:
    written = " ".join(f'{name}="{value}"' for name, value in labels.items())
    return f" {written}" if written else ""


def _cut(many: list[_One], most: int, *, everything: bool) -> tuple[list[_One], int]:
    few = many if everything else many[:most]
    return few, len(many) - len(few)
