"""An event loop whose clock jumps to its next timer, to the last digit: hours of many timers in a second."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

virtual_time = pytest.mark.looptime(noop_cycles=0)
"""Marks a test that waits for timers alone: no pause for input that might come, 2 turns of the loop instead of 43."""


class _Jumping(selectors.DefaultSelector):
    """Waits for nobody: it moves the clock on by what it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("nothing is ever going to happen")
            self.now += max(timeout, 0.0)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def in_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end what begins at loop time 0."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(main)
