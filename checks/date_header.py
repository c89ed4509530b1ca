"""The `Date` of an HTTP reply. No I/O."""

import datetime as dt
import re

_IMF_FIXDATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4})"
    r" (\d\d):(\d\d):(\d\d) GMT",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def read_date(headers: tuple[tuple[str, str], ...]) -> tuple[int | None, str]:
    """Return the `Date` of a reply in Unix seconds, or None and why it must not be used.

    `Age` means that a cache answered: its `Date` is when the Controller was last asked.
    Source: RFC 9110 §5.6.7, §6.6.1; RFC 9111 §5.1.
    """
    if any(name == "age" for name, _ in headers):
        return None, "the reply comes from a cache (Age)"
    dates = [value for name, value in headers if name == "date"]
    if len(dates) != 1:
        return None, "no Date" if not dates else "more than one Date"
    match = _IMF_FIXDATE.fullmatch(dates[0].strip())
    if not match:
        return None, "a Date that is none"
    day, month, year, hour, minute, second = match.groups()
    try:
        moment = dt.datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=dt.UTC
        )
    except ValueError:
        return None, "a Date that is none"
    return int(moment.timestamp()), ""
