"""Arithmetic of clock offsets: intervals that contain the truth, what most of them share, and drift."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MIN_DRIFT_SAMPLES = 4  # three points fit many lines; the fourth makes an outlier visible


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed range of offsets, in seconds, that contains the true one if its source is right."""

    low: float
    high: float

    @property
    def midpoint(self) -> float:
        """The best single guess, in seconds."""
        return (self.low + self.high) / 2

    @property
    def half_width(self) -> float:
        """How far, in seconds, the truth may be from the midpoint."""
        return (self.high - self.low) / 2

    def meet(self, other: "Interval") -> "Interval | None":
        """Return what both contain, or None."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else None

    def moved(self, seconds: float) -> "Interval":
        """Return the interval shifted by `seconds`."""
        return Interval(self.low + seconds, self.high + seconds)


def around(midpoint: float, half_width: float) -> Interval:
    """Return the interval `midpoint` ± `half_width`, in seconds."""
    return Interval(midpoint - half_width, midpoint + half_width)


def majority(intervals: Sequence[Interval]) -> Interval | None:
    """Return the offsets that more than half of the intervals share, or None.

    It is the intersection algorithm of RFC 5905 §11.2.1: assume as few wrong sources as possible, and take the range
    from the lowest to the highest point that all others have in common. Two sources are never a majority of one.
    Left out is the RFC's condition on midpoints. It serves sources of like quality; here a `Date` good to 0.2 s stands
    beside servers good to 1 ms, and its midpoint says nothing: only its ends are promises.
    """
    total = len(intervals)
    lows = sorted(i.low for i in intervals)
    highs = sorted((i.high for i in intervals), reverse=True)
    for wrong in range((total + 1) // 2):
        needed = total - wrong
        low = next((x for x in lows if _covering(intervals, x) >= needed), None)
        high = next((x for x in highs if _covering(intervals, x) >= needed), None)
        if low is not None and high is not None:
            return Interval(low, high)
    return None


def _covering(intervals: Iterable[Interval], point: float) -> int:
    return sum(i.low <= point <= i.high for i in intervals)


@dataclass(frozen=True, slots=True)
class Measured:
    """An offset as it was measured: when (elapsed seconds), how much, and how wrong it may be (seconds)."""

    elapsed: float
    offset: float
    bound: float


def drift(samples: Sequence[Measured]) -> float | None:
    """Return how fast the offset changes, in seconds per second, or None while that can't be told from zero.

    The least-squares slope is a weighted sum of the offsets, so errors of at most `bound` each can bend it by at most
    the same sum over the bounds. A slope within that limit could come from the errors alone.
    """
    if len(samples) < MIN_DRIFT_SAMPLES:
        return None
    mean_time = sum(s.elapsed for s in samples) / len(samples)
    mean_offset = sum(s.offset for s in samples) / len(samples)
    spread = sum((s.elapsed - mean_time) ** 2 for s in samples)
    if spread <= 0:
        return None
    slope = sum((s.elapsed - mean_time) * (s.offset - mean_offset) for s in samples) / spread
    doubt = sum(abs(s.elapsed - mean_time) * s.bound for s in samples) / spread
    return slope if abs(slope) > doubt else None


def seconds_until(limit: float, offset: float, slope: float) -> float | None:
    """Return in how many seconds an offset inside ± `limit` leaves it at this slope; None: it is not on its way."""
    if abs(offset) >= limit or slope == 0 or recovering(offset, slope):
        return None
    target = limit if slope > 0 else -limit
    return (target - offset) / slope


def recovering(offset: float, slope: float | None) -> bool:
    """Tell whether the offset is getting smaller."""
    return slope is not None and slope * offset < 0
