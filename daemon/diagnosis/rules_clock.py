"""This host's clock: off, or set a moment ago."""

from collections.abc import Iterator

from checks.model import CheckName, Reason
from daemon.diagnosis.case import Case
from daemon.diagnosis.reading import Reading

_DATES = frozenset({Reason.TLS_EXPIRED, Reason.TLS_NOT_YET_VALID})


def clock(case: Case) -> Iterator[None]:
    """ClockSkewed, ClockStepped; certificates outside their dates by a clock that is off are its doing."""
    yield
    for reading in case.still_open(CheckName.CLOCK):
        observed = {"observed": reading.outcome.summary}
        if reading.reason is Reason.CLOCK_STEPPED:
            case.add("ClockStepped", reading.result.target, observed, evidence=[reading.id]).severity = "warning"
        elif reading.reason is Reason.OFFSET_EXCEEDED:
            found = case.add("ClockSkewed", reading.result.target, observed, evidence=[reading.id])
            found.values["seen"] = _how_far(reading)
            found.severity = "critical" if reading.certain else "warning"
            if reading.certain:
                dated = [r.id for r in case.still_open(CheckName.CONTROL_PLANE) if r.bad and r.reason in _DATES]
                case.explain(found, dated)


def clock_is_off(reading: Reading) -> bool:
    """Tell whether a clock may be beyond the tolerance, so that tokens are refused because of it."""
    measured, tolerance = reading.outcome.measurements, reading.outcome.facts.get("tolerance_seconds")
    offset, bound = measured.get("offset_seconds"), measured.get("error_bound_seconds", 0.0)
    if reading.bad:
        return True
    if offset is None or not isinstance(tolerance, int | float):
        return False
    return abs(offset) + bound >= tolerance


def _how_far(reading: Reading) -> str:
    offset = reading.outcome.measurements.get("offset_seconds")
    if offset is None:
        return "off"
    return f"{abs(offset):.3g} s {'behind' if offset < 0 else 'ahead'}"
