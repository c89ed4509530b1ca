"""The clocks of this host, read together: a wall clock that may jump, and elapsed time that never does."""

import time
from collections.abc import Callable
from dataclasses import dataclass

READS = 3  # between two reads the process may be interrupted: the closest of three pairs is kept


def boot_seconds() -> float:
    """Return the seconds since boot, time asleep included (CLOCK_BOOTTIME).

    CLOCK_MONOTONIC stops while the host is suspended: after a resume the wall clock would seem to have stepped.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment on both clocks: `wall` in Unix seconds, `elapsed` in seconds since boot."""

    wall: float
    elapsed: float

    def step_since(self, earlier: "Reading") -> float:
        """Return by how many seconds the wall clock was set forward (negative: back) since an `earlier` reading.

        Slewing does not show here: the kernel steers both clocks alike, only setting the time moves one alone.
        """
        return (self.wall - earlier.wall) - (self.elapsed - earlier.elapsed)


def read_clocks(wall: Callable[[], float], elapsed: Callable[[], float]) -> Reading:
    """Read both clocks as nearly at one moment as can be."""
    best: tuple[float, Reading] | None = None
    for _ in range(READS):
        before = elapsed()
        now = wall()
        after = elapsed()
        if best is None or after - before < best[0]:
            best = (after - before, Reading(now, (before + after) / 2))
        if best[0] <= 0:
            break
    if best is None:
        raise ValueError("READS must be positive")
    return best[1]


class Timescale:
    """The wall clock as it would go on from one reading if nobody set it.

    All moments of a run are taken on this scale, so setting the clock in the middle of an exchange can't bend the
    exchange's round trip or offset; how far the clock was set in the meantime is added once, at the end of the run.
    """

    def __init__(self, base: Reading, elapsed: Callable[[], float]) -> None:
        self.base = base
        self._elapsed = elapsed

    def now(self) -> float:
        """Return this moment in Unix seconds on the scale."""
        return self.base.wall + (self._elapsed() - self.base.elapsed)
