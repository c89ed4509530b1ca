"""What the clock check says to a person."""

import pytest

from checks.clock_text import Findings, action, summary
from checks.clock_verdict import Kind, Source, judge
from checks.timemath import around


def source(offset: float | None, state: str = "usable", kind: Kind = Kind.NTP) -> Source:
    """Make a source."""
    interval = None if offset is None else around(offset, 0.01)
    return Source(source="t.example", address="192.0.2.1", kind=kind, state=state, interval=interval)


@pytest.mark.parametrize(
    ("offsets", "seen"),
    [
        ([-6.02, -6.02, -6.02, 9.0], "clock is 6.02 s behind (± 0.010 s, 3 of 4 sources agree)"),
        ([0.0012, 0.0012], "clock is 0.001 s ahead (± 0.010 s, 2 of 2 sources agree)"),
        ([-31536000.0], "clock is 31536000 s behind (± 0.010 s, one NTP server, nothing to confirm it)"),
    ],
)  # fmt: skip
def test_summary(offsets: list[float], seen: str) -> None:
    """The summary is one line of at most 120 characters with direction, bound, votes and tolerance."""
    sources = [source(o) for o in offsets]
    verdict = judge(sources, max_offset_s=5, warn_offset_s=1)
    line = summary(Findings(verdict=verdict, sources=sources, max_offset_s=5))
    assert line == f"{seen}; the Controller tolerates ± 5 s"
    assert len(line) <= 120


def test_who_was_not_usable() -> None:
    """With several sources the summary counts why they were not usable."""
    sources = [
        source(None, s) for s in ("silent", "silent", "kiss:RATE", "unresolved: nxdomain", "rejected: stratum 16")
    ]
    verdict = judge(sources, max_offset_s=5, warn_offset_s=1)
    found = Findings(verdict=verdict, sources=sources, max_offset_s=5, next_question_s=128)
    assert summary(found) == ("no time source is usable: 2 silent, 1 refused service, 1 not resolved, 1 rejected")


def test_long_reason_is_cut() -> None:
    """A long reason does not make the summary longer than a line."""
    sources = [source(None, "rejected: " + "x" * 500)]
    verdict = judge(sources, max_offset_s=5, warn_offset_s=1)
    assert len(summary(Findings(verdict=verdict, sources=sources, max_offset_s=5))) == 120


def test_own_limit_in_summary() -> None:
    """A limit that the operator set is not called the Controller's."""
    sources = [source(0.0), source(0.0)]
    verdict = judge(sources, max_offset_s=2.5, warn_offset_s=1)
    assert summary(Findings(verdict=verdict, sources=sources, max_offset_s=2.5)).endswith(
        "; the limit set here is ± 2.5 s"
    )


@pytest.mark.parametrize(
    ("daemon", "words"),
    [
        ("chrony", ("chronyc -n sources", "chronyc makestep")),
        ("timesyncd", ("timedatectl timesync-status", "systemctl restart systemd-timesyncd")),
        ("ntpd", ("ntpq -pn",)),
        (None, ("install and start chrony",)),
    ],
)
def test_action_speaks_of_the_daemon_that_runs(daemon: str | None, words: tuple[str, ...]) -> None:
    """What to do is told in the commands of the time daemon in use."""
    sources = [source(-6), source(-6)]
    verdict = judge(sources, max_offset_s=5, warn_offset_s=1)
    found = Findings(
        verdict=verdict, sources=sources, max_offset_s=5, daemon=daemon, controllers=("https://a.example/x y;z",)
    )
    text = action(found)
    assert all(word in text for word in words)
    assert "curl -sI 'https://a.example/x y;z'" in text


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ((Kind.CONTROLLER,), "see its control_plane row"),
        ((Kind.NTP,), "Allow UDP port 123"),
        ((Kind.NTP, Kind.CONTROLLER), "Allow UDP port 123"),
        ((), "Allow UDP port 123"),
    ],
)
def test_action_asks_for_what_was_missing(kinds: tuple[Kind, ...], words: str) -> None:
    """Who asks no time server is not told to let its questions through."""
    sources = [source(None, "rejected: tls_untrusted", kind) for kind in kinds]
    verdict = judge(sources, max_offset_s=5, warn_offset_s=1)
    text = action(Findings(verdict=verdict, sources=sources, max_offset_s=5))
    assert words in text
    assert ("UDP port 123" in text) is ("UDP port 123" in words)
