"""What the kernel says of its own clock: read by adjtimex(2), never set.

None of it is a verdict: the kernel only knows what a time daemon told it. chrony without `rtcsync` never reports
itself synchronised, and a daemon that follows a wrong server reports a wrong clock as synchronised.
"""

import ctypes
import os
from collections.abc import Callable, Mapping

from checks.model import Json

STA_NANO = 0x2000
STA_UNSYNC = 0x0040
TIME_ERROR = 5  # adjtimex returns it while the clock is not synchronised
MICRO = 1e-6
PPM_SCALE = 65536.0  # frequencies are in units of 2^-16 ppm
_FLAGS = {
    0x0001: "PLL", 0x0002: "PPSFREQ", 0x0004: "PPSTIME", 0x0008: "FLL", 0x0010: "INS", 0x0020: "DEL", 0x0040: "UNSYNC",
    0x0080: "FREQHOLD", 0x0100: "PPSSIGNAL", 0x0200: "PPSJITTER", 0x0400: "PPSWANDER", 0x0800: "PPSERROR",
    0x1000: "CLOCKERR", 0x2000: "NANO", 0x4000: "MODE", 0x8000: "CLK",
}  # fmt: skip


class Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_seconds", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


def adjtimex() -> tuple[int, Timex]:
    """Ask the kernel, changing nothing (`modes` = 0 needs no privilege). Raises: OSError where a sandbox forbids it."""
    state = Timex(modes=0)
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.adjtimex(ctypes.byref(state))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, state


def kernel_facts(read: Callable[[], tuple[int, Timex]] = adjtimex) -> Mapping[str, Json]:
    """Return the kernel's state as facts: `synchronised` when it could be read, else why not.

    `remaining_correction_seconds` is what the daemon has still to slew, not this host's offset from true time; it is in
    nanoseconds with STA_NANO, else microseconds.
    """
    try:
        result, state = read()
    except OSError as error:
        return {"error": f"adjtimex: {error.strerror}"}
    unit = 1e-9 if state.status & STA_NANO else MICRO
    return {
        "synchronised": result != TIME_ERROR and not state.status & STA_UNSYNC,
        "maxerror_seconds": round(state.maxerror * MICRO, 9),
        "esterror_seconds": round(state.esterror * MICRO, 9),
        "remaining_correction_seconds": round(state.offset * unit, 9),
        "frequency_ppm": round(state.freq / PPM_SCALE, 6),
        "tai_offset_seconds": state.tai,
        "status": [name for bit, name in _FLAGS.items() if state.status & bit],
    }
