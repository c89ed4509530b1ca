"""Whether this host can still carry connections: its table of connections (conntrack), and its local ports.

The Connector needs both more than we do. While they run short we ask less often; when they have nearly run out we open
no connection at all, for a connect that fails then says nothing about its target.

What is read is of our own network namespace. Beside a Connector in a container that is the host's, through which the
Connector's connections go as well.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from checks.model import Outcome, Reason, Status
from daemon.entry import is_half_open
from daemon.jobs import Job

log = logging.getLogger("connector_health.headroom")

LOOK_S = 10.0  # a table of 65,536 that fills by 1,000 a second is at 85 % at the look after the one that saw 70 %
TIGHT = 0.70  # of the table, or of the ports, in use: then we use half the rate, at each look anew
EASED = 0.65  # below this we double it again: between the two it stays, so that it does not swing
FLOOR = 1 / 16  # of `max_rate`, the least: some 60 a second by default, each target once in some minutes
SPENT = 0.90  # in use: what is left may be gone within a look, by the Connector's users alone
RECOVERED = 0.85  # and below this we ask again
GROWN = 0.02  # since the rate is at its floor: it helps nothing, somebody else fills what is left
MAX_BYTES = 4096
PROC = Path("/proc")


class Strain(IntEnum):
    """How much of a resource is in use, in steps."""

    NONE = 0
    TIGHT = 1
    SPENT = 2


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one thing is in use: `what`, `used` of `most`, and the sysctl that sets its size."""

    what: str
    sysctl: str
    used: int
    most: int

    @property
    def share(self) -> float:
        """The share in use; 0 when the size makes no sense."""
        return self.used / self.most if self.most > 0 else 0.0

    def __str__(self) -> str:
        return f"{self.used} of {self.most} {self.what} are in use ({self.share:.0%}, {self.sysctl})"


class _Gauge:
    """Follows one thing that may run out."""

    def __init__(self) -> None:
        self.use: Use | None = None
        self.strain = Strain.NONE

    def take(self, use: Use | None) -> None:
        """Take a look into account; None: nothing is known, so nothing is held against anybody."""
        self.use = use
        share = 0.0 if use is None else use.share
        if share >= (RECOVERED if self.strain is Strain.SPENT else SPENT):
            self.strain = Strain.SPENT
        else:
            self.strain = Strain.TIGHT if share > (TIGHT if self.strain is Strain.NONE else EASED) else Strain.NONE


class Headroom:
    """Looks at both each LOOK_S seconds. `throttle` hears which share of `max_rate` is to be used."""

    def __init__(self, throttle: Callable[[float], None], proc: Path = PROC) -> None:
        self._throttle = throttle
        self._proc = proc
        self._entries, self._ports = _Gauge(), _Gauge()
        self._share = 1.0
        self._at_floor: float | None = None  # the use when the rate came to its floor
        self._helpless = False
        self._told = ""

    @property
    def starved(self) -> bool:
        """Tell whether probes are not sent now because this host can't carry them."""
        return self._helpless or Strain.SPENT in (self._entries.strain, self._ports.strain)

    @property
    def share(self) -> float:
        """The share of `max_rate` that is used."""
        return self._share

    @property
    def strain(self) -> str:
        """Say what runs short; empty: nothing does, and the whole rate is used."""
        worst = max(self._entries, self._ports, key=_pressing)
        return str(worst.use or "") if self.starved or self._share < 1.0 else ""

    def refusal(self, job: Job) -> Outcome | None:
        """Return the outcome of a job that must not be sent now; None: send it.

        A half-open probe takes a place in the table of connections, but no local port.
        """
        if not job.connections or not self.starved:
            return None
        gauges = [self._entries] if is_half_open(job) else [self._entries, self._ports]
        worst = max(gauges, key=_pressing)
        if worst.use is None or not (worst.strain is Strain.SPENT or (self._helpless and worst.strain)):
            return None
        return Outcome(
            status=Status.UNKNOWN,
            reason=Reason.PROBER_STARVED,
            summary=f"not asked, because this host can hardly carry another connection: {worst.use}",
            action=f"Find what holds them (conntrack -S; ss -s), or allow more: sysctl {worst.use.sysctl}. It is about "
            "this host, the Connector needs them too.",
        )

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Look once, and act on it: half the rate while it is tight, twice the rate when it has eased."""
        self._entries.take(conntrack_use(self._proc))
        self._ports.take(port_use(self._proc))
        worst = max(self._entries, self._ports, key=_pressing)
        share = self._share
        if worst.strain is Strain.NONE:
            self._at_floor, self._helpless = None, False
            share = min(1.0, 2.0 * share)
        elif _share_of(worst) > TIGHT:
            share = max(FLOOR, share / 2.0)
            if share > FLOOR or self._at_floor is None:
                self._at_floor, self._helpless = (_share_of(worst) if share == FLOOR else None), False
            else:
                self._helpless = self._helpless or _share_of(worst) >= self._at_floor + GROWN
        else:
            self._helpless = False  # it fills no more, and the rate stays as low as it is
        if share != self._share:
            self._share = share
            self._throttle(share)
        self._tell(worst)

    def _tell(self, worst: _Gauge) -> None:
        if self.starved:
            said = "no connections are opened"
        elif self._share < 1.0:
            said = "fewer connections are opened"
        else:
            said = ""
        if said == self._told:
            return
        self._told = said
        if said:
            log.warning("%s: share_of_rate=%g why=%s", said, self._share, worst.use or "not known")
        else:
            log.info("connections are opened at the full rate again")


def conntrack_use(proc: Path = PROC) -> Use | None:
    """Return how full the table of connections is; None: there is none, or it can't be read."""
    used = _number(proc / "sys/net/netfilter/nf_conntrack_count")
    most = _number(proc / "sys/net/netfilter/nf_conntrack_max")
    if used is None or most is None or most == 0:  # 0: no bound
        return None
    return Use("conntrack entries", "net.netfilter.nf_conntrack_max", used, most)


def port_use(proc: Path = PROC) -> Use | None:
    """Return how many local ports for outgoing TCP connections are taken; None: it can't be read.

    Counted are all sockets and those in TIME_WAIT, also listening ones: at least as many as hold such a port.
    """
    bounds = _text(proc / "sys/net/ipv4/ip_local_port_range").split()
    four = _sockstat(proc / "net/sockstat", "TCP:")
    six = _sockstat(proc / "net/sockstat6", "TCP6:")
    if len(bounds) != 2 or not all(map(_is_number, bounds)) or "inuse" not in four:
        return None
    first, last = map(int, bounds)
    if not 0 < first <= last <= 65535:
        return None
    used, most = four["inuse"] + four.get("tw", 0) + six.get("inuse", 0), last - first + 1
    return Use("local ports", "net.ipv4.ip_local_port_range", min(used, most), most)


def _pressing(gauge: _Gauge) -> tuple[Strain, float]:
    return gauge.strain, _share_of(gauge)


def _share_of(gauge: _Gauge) -> float:
    return 0.0 if gauge.use is None else gauge.use.share


def _sockstat(path: Path, label: str) -> dict[str, int]:
    """Return the figures of one line of a sockstat file."""
    for line in _text(path).splitlines():
        found, *words = line.split() or [""]
        if found == label:
            return {key: int(value) for key, value in zip(words[::2], words[1::2], strict=False) if _is_number(value)}
    return {}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if _is_number(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _text(path: Path) -> str:
    """Return the beginning of a small file; empty when it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("ascii", "replace")
    except (OSError, ValueError):
        return ""
