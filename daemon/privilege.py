"""The one right that this process may have, and does not keep: CAP_NET_RAW, for the raw sockets of half-open probes.

They are opened while the process starts, and the right is given up at once: in every set, the bounding set too where
we have a say in it, so that nothing this process ever starts can have it either. Other capabilities stay as they are.
Source: capabilities(7), capset(2), prctl(2), proc(5).
"""

import contextlib
import ctypes
import logging
from pathlib import Path

from checks.half_open import HalfOpen
from checks.net.rawtcp import open_reserved
from checks.net.seat import open_socket

log = logging.getLogger("connector_health.privilege")

_CAP_NET_RAW = 13
_BIT = 1 << _CAP_NET_RAW
_SETS = ("Eff", "Prm", "Inh", "Amb", "Bnd")
_VERSION_3 = 0x20080522  # of struct __user_cap_header_struct
_CAPBSET_DROP, _NO_NEW_PRIVS, _CAP_AMBIENT, _AMBIENT_LOWER = 24, 38, 47, 3  # prctl


def open_half_open() -> HalfOpen | None:
    """Open this process's half-open prober, if it has the right to; None: it has not."""
    if "Eff" not in sets_with_net_raw():
        return None
    prober = HalfOpen(open_reserved, open_socket)
    for family, error in prober.open().items():
        log.warning("no half-open probes over %s: %s", family, error.evidence)
    return prober


def drop_net_raw(*, for_children: bool = True) -> None:
    """Give CAP_NET_RAW up and say so, as the kernel tells it. To be called before any thread is started.

    `for_children`: no program that this process starts may have it either.
    """
    if not sets_with_net_raw().intersection(_SETS[:4]):
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_CAP_AMBIENT, _AMBIENT_LOWER, _CAP_NET_RAW, 0, 0)
    if for_children and library.prctl(_CAPBSET_DROP, _CAP_NET_RAW, 0, 0, 0):
        # It takes CAP_SETPCAP. A container's root may be without it, and starting any program, this one too, would
        # give such a root back all that its bounding set holds. This keeps it from that, and takes no right.
        library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    held = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the same for the numbers from 32
    if library.capget(header, held) == 0:
        for index in range(3):
            held[index] &= ~_BIT
        library.capset(header, held)
    left = sets_with_net_raw().intersection(_SETS[:4])
    if left:
        log.warning("CAP_NET_RAW could not be dropped: it is still in %s", ", ".join(sorted(left)))
    else:
        log.info("the right to raw sockets was for half-open probes alone; CAP_NET_RAW is dropped: %s", _as_read_back())


def sets_with_net_raw() -> frozenset[str]:
    """Return in which of this process's capability sets (Eff, Prm, Inh, Amb, Bnd) CAP_NET_RAW is."""
    return frozenset(name for name, held in _capabilities().items() if held & _BIT)


def _as_read_back() -> str:
    return " ".join(f"Cap{name}={held:016x}" for name, held in _capabilities().items())


def _capabilities() -> dict[str, int]:
    found = {}
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/thread-self/status").read_text().splitlines():
            if line.startswith("Cap") and line[3:6] in _SETS:
                found[line[3:6]] = int(line.partition(":")[2], 16)
    return found
