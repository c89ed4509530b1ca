"""How late the event loop is: a loop that stood still makes every time-out a lie about the target."""

import asyncio
from collections import deque
from typing import NoReturn

STEP_S = 0.05  # a standstill is seen up to this much too short; finer steps cost CPU and gain nothing at 250 ms
WINDOW_S = 60.0  # what connector_health_event_loop_lag_seconds looks back on; longer than any probe
NOTED_S = 0.002  # less is the rounding of the poll to milliseconds


class LoopLag:
    """Sleeps in short steps and notes how much too late it wakes. Made on the event loop that it watches."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._due: float | None = None  # when the present step should end
        self._late: deque[tuple[float, float]] = deque()  # (due, woken) of each step that ended late

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        while True:
            due = self._due = self._clock() + STEP_S
            await asyncio.sleep(STEP_S)
            now = self._clock()
            if now - due >= NOTED_S:
                self._late.append((due, now))
            while self._late and self._late[0][1] < now - WINDOW_S:
                self._late.popleft()

    def largest(self) -> float:
        """Return the largest lag of the last 60 seconds, in seconds."""
        now = self._clock()
        return self.between(now - WINDOW_S, now)

    def between(self, start: float, end: float) -> float:
        """Return the largest lag of the loop between two moments of its clock, in seconds; 0 when it kept up.

        A standstill that has just ended counts, though the watcher itself has not been woken from it yet: whoever
        asks was woken first.
        """
        now = self._clock()
        found = 0.0
        if self._due is not None and self._due < min(now, end):
            found = now - self._due
        for due, woken in reversed(self._late):
            if woken < start:
                break
            if due < end:
                found = max(found, woken - due)
        return found
