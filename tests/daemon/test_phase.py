from collections import Counter

import pytest

from daemon.phase import phase, slot_from


def test_phases_are_uniform() -> None:
    """Ten thousand jobs spread evenly over the whole interval: no twentieth of it holds 15 % more than its share."""
    counts = Counter(int(phase(f"tcp:10.0.{n // 256}.{n % 256}:443", 60.0) // 3.0) for n in range(10_000))
    assert set(counts) == set(range(20))
    assert all(425 <= count <= 575 for count in counts.values())


def test_phase_is_stable_over_restarts() -> None:
    """A job's phase depends on its id alone, so it is the same in each process."""
    assert phase("tcp:orders-db.corp.internal:5432", 30.0) == pytest.approx(25.416542, abs=1e-6)


@pytest.mark.parametrize("earliest", [0.0, 1.0, 29.999, 1e6], ids=["boot", "early", "late", "days-later"])
def test_slots_lie_on_the_phase(earliest: float) -> None:
    """The next slot is at the job's phase of an interval, and less than an interval away."""
    slot = slot_from("tcp:a", 30.0, earliest)
    assert earliest <= slot < earliest + 30.0
    assert slot % 30.0 == pytest.approx(phase("tcp:a", 30.0))
    assert slot_from("tcp:a", 30.0, slot) == slot
