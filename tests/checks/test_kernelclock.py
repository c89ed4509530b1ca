import errno
import os

import pytest

from checks.kernelclock import STA_NANO, STA_UNSYNC, TIME_ERROR, Timex, adjtimex, kernel_facts


def test_the_real_kernel_answers() -> None:
    """Reading adjtimex gives the state of this host, or says that it is forbidden; the structure has the ABI's size."""
    facts = kernel_facts()
    assert ("synchronised" in facts) is not ("error" in facts)
    assert Timex.tai.offset == 160
    if "error" not in facts:
        _, state = adjtimex()
        assert 9_000 <= state.tick <= 11_000
        assert state.tolerance > 0


@pytest.mark.parametrize(
    ("result", "status", "synchronised"),
    [
        (0, 0, True),
        (0, STA_NANO, True),
        (TIME_ERROR, 0, False),
        (0, STA_UNSYNC, False),
        (TIME_ERROR, STA_UNSYNC, False),
    ],
)
def test_synchronised(result: int, status: int, synchronised: bool) -> None:
    """The clock counts as synchronised only when neither the result nor the flags deny it."""
    assert kernel_facts(lambda: (result, Timex(status=status)))["synchronised"] is synchronised


def test_units() -> None:
    """Errors are in microseconds, the remaining correction in nanoseconds with STA_NANO, the frequency in 2^-16 ppm."""
    state = Timex(status=STA_NANO, maxerror=16_000_000, esterror=250, offset=1_500_000, freq=-65536 * 12, tai=37)
    facts = kernel_facts(lambda: (0, state))
    assert facts == {
        "synchronised": True,
        "maxerror_seconds": 16.0,
        "esterror_seconds": 0.00025,
        "remaining_correction_seconds": 0.0015,
        "frequency_ppm": -12.0,
        "tai_offset_seconds": 37,
        "status": ["NANO"],
    }
    state.status = 0
    assert kernel_facts(lambda: (0, state))["remaining_correction_seconds"] == 1.5


def test_forbidden() -> None:
    """A sandbox that forbids adjtimex is a fact, and nothing is said about synchronisation."""

    def forbidden() -> tuple[int, Timex]:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    assert kernel_facts(forbidden) == {"error": "adjtimex: Operation not permitted"}
