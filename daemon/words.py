"""Phrases that the page and `healthctl status` share: counts, lists, how long ago; and the lines made of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.model import Status
from daemon.moments import ago, clock, unix_time

MOST_TOLD = 5  # entries of a list in one line: who wants all of them reads the JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line on the Connector: `label` (empty where it goes on with the one before), `text`, and how bad it is.

    Text from outside is in it as it came.
    """

    label: str = ""
    text: str
    status: Status = Status.OK


def count(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: "1 line", "2 lines"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def some(things: Iterable[str], *, of: int | None = None) -> str:
    """Join the first few of a list, and say how many more there are; `of`: in all, where that is more than listed."""
    told = list(things)
    rest = (len(told) if of is None else of) - min(len(told), MOST_TOLD)
    return ", ".join(told[:MOST_TOLD]) + (f" and {rest} more" if rest > 0 else "")


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def past(moment: str | None, now: float) -> str:
    """Write how long ago a moment of the document was; `now` in Unix seconds."""
    return "at an unknown time" if moment is None else f"{ago(now - unix_time(moment))} ago"


def lasting(since: str, now: float) -> str:
    """Write for how long something has been there, and since when; `now` in Unix seconds."""
    begin = unix_time(since)
    return f"for {ago(now - begin)} (since {clock(begin)})"
