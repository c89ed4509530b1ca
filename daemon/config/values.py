"""Single values of the file: how each is read, how it is written again, and its JSON Schema."""

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from checks.net.text import MAX_TEXT, printable
from daemon.config.problems import BadValueError

Schema = dict[str, Any]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h)")
MAX_DURATION = 30 * 86400.0  # seconds: what happens less than once a month is not watched; a typo is likelier
MIN_DURATION = 0.001  # seconds: shorter is below what any timer here can keep

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_YEARS = range(1970, 9999)  # room on both sides, so that a change of zone never leaves the calendar


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # types that carry one are compared by identity
class Leaf:
    """One kind of scalar.

    - `expected`: what it must be, in words; ends the sentence "expected …".
    - `parse`: from the scalar of the file to the value; raises BadValueError with what is wrong.
    - `show`: from the value to what `config show` writes.
    - `path`, `readable`: a file name, made absolute from the folder of the configuration; must be a readable file.
    """

    expected: str
    parse: Callable[[Any], Any]
    schema: Schema
    show: Callable[[Any], Any] = field(default=lambda value: value)
    path: bool = False
    readable: bool = False


def text_of(value: object) -> str:
    """Return the value if it is text. Raises: BadValueError."""
    if not isinstance(value, str):
        quoting = "" if value is None else "; put it in quotes if it is meant as text"
        raise BadValueError(f"not text{quoting}")
    return value


def plain_text_of(value: object) -> str:
    """Return text without any character that would have to be escaped. Raises: BadValueError."""
    text = text_of(value)
    if not text or text != printable(text):
        raise BadValueError("empty" if not text else "too long, or contains control or invisible characters")
    if text != text.strip():
        raise BadValueError("begins or ends with a space")
    return text


def _any_text(value: object) -> str:
    shown = printable(text_of(value), MAX_TEXT + 1)
    if len(shown) > MAX_TEXT:
        raise BadValueError("too long")
    return shown


def _name(value: object) -> str:
    text = _any_text(value).strip()
    if not text:
        raise BadValueError("empty")
    return text


def parse_duration(value: object) -> float:
    """Read `500ms`, `30s`, `5m`, `1h` or a number of seconds; zero is allowed. Raises: BadValueError."""
    if isinstance(value, str):
        if not (found := _DURATION.fullmatch(value)):
            raise BadValueError("not a duration")
        # Milliseconds are divided, not multiplied by 0.001, so that 500ms is exactly 0.5.
        number = float(found[1])
        seconds = number / 1000 if found[2] == "ms" else number * _UNITS[found[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise BadValueError("not a duration")
    if math.isnan(seconds) or seconds < 0:
        raise BadValueError("not a duration")
    if seconds > MAX_DURATION:
        raise BadValueError("too long", f"at most {MAX_DURATION / 3600:.0f}h")
    return seconds


def _positive_duration(value: object) -> float:
    seconds = parse_duration(value)
    if seconds < MIN_DURATION:
        raise BadValueError("too short", "at least 1ms")
    return seconds


def show_duration(seconds: float) -> str | float | int:
    """Write seconds in the largest unit that holds them exactly, else as a plain number of seconds."""
    if seconds == 0:
        return 0
    for unit in ("h", "m", "s"):
        if seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds / 1000 == seconds else seconds


def parse_moment(value: object) -> dt.datetime:
    """Read a time of RFC 3339 with its zone; seconds may be left out. Raises: BadValueError."""
    text = text_of(value)
    if not (found := _MOMENT.fullmatch(text)):
        raise BadValueError("not a time")
    if not found[3]:
        raise BadValueError("the time zone is missing", f"{text}Z for UTC, or {text}+02:00")
    try:
        moment = dt.datetime.fromisoformat(text.upper())
    except ValueError:
        raise BadValueError("no such time in the calendar") from None
    if moment.year not in _YEARS:
        raise BadValueError("no such time in the calendar")
    return moment.astimezone(dt.UTC)


def _show_moment(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _number(low: float, high: float, *, whole: bool) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise BadValueError("not a whole number" if whole else "not a number")
        if not low <= value <= high:
            raise BadValueError("out of range")
        return value if whole else float(value)

    return parse


def whole(low: int, high: int) -> Leaf:
    """Make the leaf of a whole number from `low` to `high`."""
    return Leaf(
        expected=f"a whole number from {low} to {high}",
        parse=_number(low, high, whole=True),
        schema={"type": "integer", "minimum": low, "maximum": high},
    )


def number(low: float, high: float) -> Leaf:
    """Make the leaf of a number from `low` to `high`."""
    return Leaf(
        expected=f"a number from {low:g} to {high:g}",
        parse=_number(low, high, whole=False),
        schema={"type": "number", "minimum": low, "maximum": high},
        show=lambda value: int(value) if value == int(value) else value,
    )


def file_name(*, readable: bool) -> Leaf:
    """Make the leaf of a file name; `readable`: it must be there when the configuration is loaded."""
    expected = "the name of a readable file" if readable else "the name of a file"
    schema = {"type": "string", "minLength": 1}
    return Leaf(expected=expected, parse=plain_text_of, schema=schema, path=True, readable=readable)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValueError("not true or false")
    return value


_DURATION_SCHEMA: Schema = {
    "oneOf": [
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,12})?(ms|s|m|h)$"},
        {"type": "number", "minimum": MIN_DURATION, "maximum": MAX_DURATION},
    ]
}
_DELAY_SCHEMA: Schema = {
    "oneOf": [_DURATION_SCHEMA["oneOf"][0], {"type": "number", "minimum": 0, "maximum": MAX_DURATION}]
}
_DURATION_WORDS = "a duration such as 500ms, 30s, 5m, 1h, or seconds"

DURATION = Leaf(expected=_DURATION_WORDS, parse=_positive_duration, schema=_DURATION_SCHEMA, show=show_duration)
DELAY = Leaf(expected=f"0 or {_DURATION_WORDS}", parse=parse_duration, schema=_DELAY_SCHEMA, show=show_duration)
MOMENT = Leaf(
    expected="a time such as 2026-02-01T22:00Z",
    parse=parse_moment,
    schema={"type": "string", "pattern": f"^{_MOMENT.pattern.removesuffix('?')}$"},
    show=_show_moment,
)
TEXT = Leaf(expected="text", parse=_any_text, schema={"type": "string", "maxLength": MAX_TEXT})
NAME = Leaf(expected="a name", parse=_name, schema={"type": "string", "minLength": 1, "maxLength": MAX_TEXT})
WORD = Leaf(expected="a name", parse=plain_text_of, schema={"type": "string", "minLength": 1, "maxLength": MAX_TEXT})
SWITCH = Leaf(expected="true or false", parse=_switch, schema={"type": "boolean"})
