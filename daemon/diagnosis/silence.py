"""Since when addresses have been silent: what was seen to be up before that proves nothing."""

import heapq
import math
from collections.abc import Iterable

from daemon.diagnosis.reading import Reading


class Silence:
    """The silence of these readings, of which there may be more by the time somebody asks; `now` in Unix seconds."""

    def __init__(self, readings: list[Reading], now: float) -> None:
        self._readings = readings
        self._now = now
        self._seconds: dict[str, float] = {}

    def seconds(self, addresses: Iterable[str], number: int = 1) -> float:
        """Return for how many seconds at least so many of these addresses have been silent.

        Infinity where a clock that was set back does not let us tell. What said something within that time works.
        """
        if not self._seconds:
            for reading in self._readings:
                age_s = self._now - reading.since
                for address in reading.downs:
                    known = self._seconds.get(address, math.inf)
                    self._seconds[address] = min(known, age_s if age_s >= 0.0 else math.inf)
        ages = heapq.nsmallest(number, (self._seconds.get(address, math.inf) for address in addresses))
        return ages[-1] if ages else math.inf
