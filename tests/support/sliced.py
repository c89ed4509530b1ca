"""Work in steps, driven by hand: what happens between two of them, and how much is done in one."""

from collections.abc import Callable
from typing import TypeVar

from checks.model import CheckName
from daemon.report import Reporter
from daemon.report_text import text_steps
from daemon.slices import Steps, at_once
from daemon.view import View

T = TypeVar("T")


def stepped(steps: Steps[T], between: Callable[[int], object] = lambda _: None) -> tuple[T, int]:
    """Drive steps to their end, calling `between` with the number of each pause; return what was made, and how many."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made, count
        count += 1
        between(count)


def text_of(reporter: Reporter, view: View, asked: frozenset[CheckName]) -> str:
    """Return the JSON text of the daemon's document, as it is sent."""
    return b"".join(at_once(text_steps(at_once(reporter.steps(view, asked))))).decode()
