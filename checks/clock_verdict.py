"""From what the time sources said to a verdict: pure, so that each sentence of the rules is a row of a test."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checks.model import Reason, Status
from checks.timemath import Interval, majority

STEP_S = 1.0  # a fifth of the tolerance: large enough that no time daemon slews it, and worth a person's notice


class Kind(StrEnum):
    """What a source is."""

    NTP = "ntp"
    CONTROLLER = "controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One time source and what it said.

    `source` is the server as configured (the Controller: its host), `address` who answered; `interval` is where this
    host's offset lies by it, in seconds, negative when this host is behind, None when it is not usable; `state` says
    why: usable, silent, `kiss:CODE`, `backing_off: CODE`, `unresolved: …`, `rejected: …`.
    """

    source: str
    address: str
    kind: Kind
    state: str
    interval: Interval | None = None
    stratum: int | None = None
    round_trip_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement; `offset` is None when there is none to tell."""

    status: Status
    reason: Reason | None
    offset: Interval | None = None
    usable: int = 0
    agreeing: int = 0
    capped: bool = False


def judge(sources: Sequence[Source], *, max_offset_s: float, warn_offset_s: float, step_s: float = 0.0) -> Verdict:
    """Judge an offset against the tolerance, in seconds; `step_s` is how far the clock was set since the last run.

    What is certainly out of tolerance is critical even when the bound is wide; what is neither certainly in nor
    certainly out is a warning while the bound is smaller than the tolerance, else our ignorance.
    """
    usable = [s for s in sources if s.interval is not None]
    shared = majority([s.interval for s in usable if s.interval is not None])
    stepped = abs(step_s) >= STEP_S
    if shared is None:
        unknown = Reason.SOURCES_DISAGREE if usable else Reason.NO_TIME_SOURCE
        return _or_stepped(Verdict(status=Status.UNKNOWN, reason=unknown, usable=len(usable)), stepped=stepped)
    agreeing = sum(s.interval is not None and s.interval.meet(shared) is not None for s in usable)
    least = abs(shared.midpoint) - shared.half_width
    most = abs(shared.midpoint) + shared.half_width
    # One NTP server may be wrong or spoofed with nobody to contradict it. The Controller is what the tolerance is
    # against, over verified TLS: it alone is enough.
    alone = len(usable) == 1 and usable[0].kind is Kind.NTP
    status, reason = Status.OK, None
    if least >= max_offset_s:
        status, reason = (Status.WARNING if alone else Status.CRITICAL), Reason.OFFSET_EXCEEDED
    elif shared.half_width >= max_offset_s:
        status, reason = Status.UNKNOWN, Reason.NO_TIME_SOURCE
    elif most >= max_offset_s or least >= warn_offset_s:
        status, reason = Status.WARNING, Reason.OFFSET_EXCEEDED
    verdict = Verdict(
        status=status,
        reason=reason,
        offset=shared,
        usable=len(usable),
        agreeing=agreeing,
        capped=alone and least >= max_offset_s,
    )
    return _or_stepped(verdict, stepped=stepped)


def final_state(source: Source, shared: Interval | None) -> str:
    """Return a source's state in the end: whether what it said was used, or is contradicted by most others."""
    if source.interval is None or shared is None:
        return source.state
    return "used" if source.interval.meet(shared) else "falseticker"


def _or_stepped(verdict: Verdict, *, stepped: bool) -> Verdict:
    """Return the verdict, or `clock_stepped` when the clock was set and nothing as bad is known."""
    if not stepped or verdict.status in (Status.WARNING, Status.CRITICAL):
        return verdict
    return Verdict(
        status=Status.WARNING,
        reason=Reason.CLOCK_STEPPED,
        offset=verdict.offset,
        usable=verdict.usable,
        agreeing=verdict.agreeing,
    )
