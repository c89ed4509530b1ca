"""Moments and spans as people and programs read them."""

import datetime as dt
from functools import lru_cache


def rfc3339(unix_seconds: float) -> str:
    """Write a Unix time as RFC 3339 in UTC with milliseconds."""
    millis = int(unix_seconds * 1000)  # cut, not rounded: nothing may seem to have happened later than it did
    return f"{_second(millis // 1000)}.{millis % 1000:03d}Z"


def unix_time(text: str) -> float:
    """Return the Unix time of what `rfc3339` wrote. Raises: ValueError."""
    return dt.datetime.fromisoformat(text).timestamp()


def clock(unix_seconds: float) -> str:
    """Write a Unix time for a person, in UTC and to the second."""
    return dt.datetime.fromtimestamp(unix_seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """Write a duration as a person says it: the largest unit that fits."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(0, int(seconds))} s"


@lru_cache(maxsize=4096)  # thousands of rows share the few seconds in which they were looked at
def _second(unix_second: int) -> str:
    return dt.datetime.fromtimestamp(unix_second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
