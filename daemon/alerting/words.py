"""What an alert says: one line, then all there is to know for whoever is woken by it, then what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from checks.net.text import printable
from daemon.causes import Cause
from daemon.moments import clock
from daemon.words import count, listed

MAX_SUMMARY, MAX_TEXT = 300, 2000  # characters: a page is read on a telephone, and receivers cut longer ones
OF_ONE_ROW = frozenset({"NameFails", "PortFails"})
MAX_TOLD = 5  # changes or possibilities in one text: the nearest ones, more is not read at night


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of an alert. None of them has a value that changes by itself: they are sent again and again."""

    summary: str
    description: str
    action: str


def words_of(causes: Sequence[Cause], flap: float | None = None) -> Words:
    """Say what these causes, which share one alert, are about; `flap` is the flap value (percent) of what flaps."""
    first, *more = causes
    summary, lines = first.title, [first.text]
    if flap is not None:
        summary += f"; it comes and goes (flap value {flap:.0f} %)"
        lines.append("It comes and goes: this alert stays until it has been quiet for a while.")
    lines += [f"Also: {cause.title}. {cause.text}" for cause in more[:MAX_TOLD]]
    lines += [line for line in (_blast(causes), _changed(causes), _possible(causes)) if line]
    actions = dict.fromkeys(cause.action for cause in causes[: MAX_TOLD + 1] if cause.action)
    return limited(summary, " ".join(line.strip() for line in lines if line.strip()), " ".join(actions))


def limited(summary: str, description: str, action: str) -> Words:
    """Make texts harmless and bounded: names in them come from outside."""
    return Words(
        summary=printable(summary, MAX_SUMMARY),
        description=printable(description, MAX_TEXT),
        action=printable(action, MAX_TEXT),
    )


def _blast(causes: Sequence[Cause]) -> str:
    """Say what follows from causes of a single row: their text is the row's own; that of the others says it itself."""
    single = [cause for cause in causes if cause.code in OF_ONE_ROW]
    resources = max((cause.resources for cause in single), default=0)
    rows = len({row for cause in single for row in cause.explains})
    told = []
    if resources > 1:
        told.append(f"affects {count(resources, 'Resource')}")
    if rows:
        told.append(f"explains {count(rows, 'other check')}")
    return f"It {listed(told)}." if told else ""


def _changed(causes: Sequence[Cause]) -> str:
    changes = list(dict.fromkeys(change for cause in causes for change in cause.changed))[:MAX_TOLD]
    if not changes:
        return ""
    return "Shortly before: " + "; ".join(f"{change.text} ({clock(change.at)})" for change in changes) + "."


def _possible(causes: Sequence[Cause]) -> str:
    lines = list(dict.fromkeys(line for cause in causes for line in cause.possible))[:MAX_TOLD]
    told = "; ".join(line.rstrip(".") for line in lines)
    return f"Possible, and not to be told apart from here: {told}." if lines else ""
