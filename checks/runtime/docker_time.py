"""Docker's times: RFC 3339, in UTC or not, with up to nine digits of a second, of which none may get lost."""

import re
from datetime import datetime
from typing import Final

NS = 1_000_000_000
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def parse_time(text: str) -> int | None:
    """Return nanoseconds since the epoch; None when `text` is no time, or Docker's word for never (year 1)."""
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        seconds = datetime.fromisoformat(match[1] + match[3]).timestamp()
    except (ValueError, OverflowError):
        return None
    if seconds < 0:
        return None
    return int(seconds) * NS + int((match[2] or "").ljust(9, "0"))


def parse_seconds(text: str) -> float | None:
    """Return Unix seconds; None as `parse_time`."""
    time = parse_time(text)
    return None if time is None else time / NS
