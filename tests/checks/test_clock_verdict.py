import pytest

from checks.clock_verdict import Kind, Source, Verdict, final_state, judge
from checks.model import Reason, Status
from checks.timemath import Interval, around

OK = (Status.OK, None)
OFF = (Status.CRITICAL, Reason.OFFSET_EXCEEDED)
DOUBT = (Status.WARNING, Reason.OFFSET_EXCEEDED)
STEPPED = (Status.WARNING, Reason.CLOCK_STEPPED)
DISAGREE = (Status.UNKNOWN, Reason.SOURCES_DISAGREE)
NO_SOURCE = (Status.UNKNOWN, Reason.NO_TIME_SOURCE)


def ntp(offset: float, bound: float = 0.01) -> Source:
    """Make a usable NTP server."""
    return Source(
        source="t.example", address="192.0.2.1", kind=Kind.NTP, state="usable", interval=around(offset, bound)
    )


def controller(offset: float, bound: float = 0.2) -> Source:
    """Make a usable Controller."""
    return Source(
        source="acme.example",
        address="192.0.2.2",
        kind=Kind.CONTROLLER,
        state="usable",
        interval=around(offset, bound),
    )


SILENT = Source(source="s.example", address="192.0.2.3", kind=Kind.NTP, state="silent")
KISS = Source(source="k.example", address="192.0.2.4", kind=Kind.NTP, state="kiss:RATE")


@pytest.mark.parametrize(
    ("promise", "sources", "step", "expected"),
    [
        ("in time by two servers", [ntp(0.001), ntp(-0.002)], 0, OK),
        ("the Controller alone is enough", [controller(0)], 0, OK),
        ("one NTP server alone is enough to be ok", [ntp(0)], 0, OK),
        ("behind, certainly out of tolerance", [ntp(-6), ntp(-6)], 0, OFF),
        ("ahead, certainly out of tolerance", [ntp(6), ntp(6)], 0, OFF),
        ("offset less bound at the tolerance exactly", [ntp(6, 1), ntp(6, 1)], 0, OFF),
        ("offset less bound just inside it", [ntp(5.99, 1), ntp(5.99, 1)], 0, DOUBT),
        ("one NTP server and nothing else never makes it critical", [ntp(-3600)], 0, DOUBT),
        ("one NTP server beside silent ones is nothing else", [ntp(-3600), SILENT, KISS], 0, DOUBT),
        ("the Controller alone makes it critical", [controller(-6)], 0, OFF),
        ("one NTP server and the Controller make it critical", [ntp(-6), controller(-6.1)], 0, OFF),
        ("offset plus bound reaches the tolerance", [ntp(0.9, 4.1), ntp(0.9, 4.1)], 0, DOUBT),
        ("offset plus bound just short of it", [ntp(0.9, 4.0), ntp(0.9, 4.0)], 0, OK),
        ("offset less bound reaches the warning", [ntp(-1.5, 0.5), ntp(-1.5, 0.5)], 0, DOUBT),
        ("offset less bound just short of it", [ntp(-1.4, 0.5), ntp(-1.4, 0.5)], 0, OK),
        ("nobody usable", [SILENT, KISS], 0, NO_SOURCE),
        ("nobody at all", [], 0, NO_SOURCE),
        ("bound as wide as the tolerance", [controller(0, 5)], 0, NO_SOURCE),
        ("bound as wide as the tolerance, yet certainly out of it", [controller(10, 5)], 0, OFF),
        ("two sources contradict each other", [ntp(0), ntp(-6)], 0, DISAGREE),
        ("a server contradicts the Controller", [ntp(-6), controller(0)], 0, DISAGREE),
        ("three against each other", [ntp(0), ntp(-6), ntp(6)], 0, DISAGREE),
        ("two against two", [ntp(0), ntp(0), ntp(6), ntp(6)], 0, DISAGREE),
        ("two of three outvote a liar", [ntp(0), ntp(0.001), ntp(-6)], 0, OK),
        ("two of three outvote one who says that all is well", [ntp(-6), ntp(-6.001), ntp(0)], 0, OFF),
        ("a silent one is no vote", [ntp(0), ntp(0.001), SILENT, SILENT, SILENT], 0, OK),
        ("the clock was set forward", [ntp(0), ntp(0)], 1.0, STEPPED),
        ("the clock was set back", [ntp(0), ntp(0)], -1.0, STEPPED),
        ("a step of less than a second is none", [ntp(0), ntp(0)], 0.999, OK),
        ("critical is worse than a step", [ntp(6), ntp(6)], 6.0, OFF),
        ("an offset says more than a step", [ntp(2), ntp(2)], 2.0, DOUBT),
        ("a step is seen even without sources", [SILENT], 3.0, STEPPED),
    ],
)
def test_rule(promise: str, sources: list[Source], step: float, expected: tuple[Status, Reason | None]) -> None:
    """Each sentence of the rules for the clock holds."""
    verdict = judge(sources, max_offset_s=5.0, warn_offset_s=1.0, step_s=step)
    assert (verdict.status, verdict.reason) == expected, promise


def test_offset_is_the_middle_of_what_is_shared() -> None:
    """The offset is the middle of what the majority shares, the bound half of its width; the liar does not count."""
    verdict = judge([ntp(-0.3, 0.2), ntp(-0.1, 0.2), ntp(7)], max_offset_s=5, warn_offset_s=1)
    assert verdict.offset is not None
    assert verdict.offset.low == pytest.approx(-0.3)
    assert verdict.offset.high == pytest.approx(-0.1)
    assert verdict == Verdict(status=Status.OK, reason=None, offset=verdict.offset, usable=3, agreeing=2)


def test_final_states() -> None:
    """A source that was heard ends as used or as falseticker, any other keeps its state."""
    shared = Interval(-0.1, 0.1)
    assert [final_state(s, shared) for s in (ntp(0), ntp(5), KISS)] == ["used", "falseticker", "kiss:RATE"]
    assert final_state(ntp(0), None) == "usable"
