import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.timemath import Interval, Measured, around, drift, majority, recovering, seconds_until

OFFSETS = st.floats(-1e6, 1e6)
INTERVALS = st.builds(around, OFFSETS, st.floats(1e-6, 10))


@pytest.mark.parametrize(
    ("intervals", "shared"),
    [
        ([], None),
        ([(0, 1)], (0, 1)),
        ([(0, 2), (1, 3)], (1, 2)),
        ([(0, 1), (5, 6)], None),
        ([(0, 2), (1, 3), (50, 51)], (1, 2)),
        ([(0, 1), (5, 6), (50, 51)], None),
        ([(0, 2), (1, 3), (50, 52), (51, 53)], None),
        ([(0, 2), (1, 3), (1, 4), (50, 51)], (1, 2)),
        ([(-1, 1), (0.9, 0.95)], (0.9, 0.95)),
        ([(0, 1), (1, 2)], (1, 1)),
        ([(0, 10), (1, 2), (1, 2), (8, 9), (8, 9)], (1, 9)),
    ],
)
def test_shared_by_more_than_half(intervals: list[tuple[float, float]], shared: tuple[float, float] | None) -> None:
    """The result is what more than half of the intervals share; half of them is not enough, midpoints play no part."""
    assert majority([Interval(*i) for i in intervals]) == (Interval(*shared) if shared else None)


@given(st.lists(INTERVALS, max_size=9), st.integers(0, 4), OFFSETS)
def test_truth_survives_a_lying_minority(liars: list[Interval], extra: int, truth: float) -> None:
    """Whatever fewer than half of the sources say, what all right ones share and what is certain never part."""
    honest = [around(truth + (0.1 if n % 2 else -0.1), 0.5) for n in range(len(liars) + 1 + extra)]
    shared = majority([*liars, *honest])
    assert shared is not None
    assert shared.low <= truth + 0.4 + 1e-6
    assert shared.high >= truth - 0.4 - 1e-6


def line(slope: float, bound: float, runs: int = 10) -> list[Measured]:
    """Make runs 64 s apart of a clock that drifts."""
    return [Measured(1000 + 64 * n, 0.1 + slope * 64 * n, bound) for n in range(runs)]


def test_drift_of_a_steady_clock() -> None:
    """A drift far above the bounds is measured exactly."""
    assert drift(line(1e-4, 0.001)) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    "samples", [line(1e-4, 0.5), line(0, 0.001), line(1e-3, 0.0001, runs=3), [Measured(1, n, 0.1) for n in range(9)]]
)
def test_drift_that_can_not_be_told_from_zero(samples: list[Measured]) -> None:
    """A slope that the error bounds alone could make, too few runs, and runs at one moment give no drift."""
    assert drift(samples) is None


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 1)), min_size=4, max_size=20))
def test_drift_is_never_invented(errors: list[tuple[float, float]]) -> None:
    """A clock that stands still has no drift, whatever errors within their bounds the samples have."""
    samples = [Measured(64.0 * n, error * bound, bound * (1 + 1e-9)) for n, (error, bound) in enumerate(errors)]
    assert drift(samples) is None


@pytest.mark.parametrize(
    ("offset", "slope", "seconds"),
    [(1.0, 0.5, 8.0), (-1.0, -0.5, 8.0), (1.0, -0.5, None), (0.0, 0.5, 10.0), (6.0, 0.5, None), (1.0, 0.0, None)],
)
def test_time_to_the_limit(offset: float, slope: float, seconds: float | None) -> None:
    """The time to ± 5 s is told for an offset on its way out, not for one that recovers or is out already."""
    assert seconds_until(5.0, offset, slope) == seconds


def test_recovering() -> None:
    """An offset recovers while its drift has the other sign."""
    assert recovering(1.0, -0.1)
    assert recovering(-1.0, 0.1)
    assert not recovering(1.0, 0.1)
    assert not recovering(1.0, None)
