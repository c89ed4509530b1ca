import re

import pytest

from checks.model import CheckName, Event, Reason, Status
from daemon.cli.render_nagios import MAX_BYTES, render
from daemon.report import document
from daemon.state import TargetState
from tests.support.reports import head, office, row, sound_host

PERFDATA = re.compile(r"'[a-z_]+'=-?[0-9.]+s?(;[-0-9.:]*){2,4}")


def _lines(rows: list[TargetState], configured: int = 0) -> list[str]:
    text = render(document(head(configured=configured), rows), warn_offset_s=1.0, max_offset_s=5.0)
    assert text.endswith("\n")
    assert len(text.encode()) <= MAX_BYTES
    return text.splitlines()


def _failing(number: int, summary: str = "refused") -> TargetState:
    return row(f"tcp:h:{number}", Status.CRITICAL, Reason.REFUSED, summary=summary, event=Event.UNABLE_TO_CONNECT,
               resources=(f"R{number}",))  # fmt: skip


def test_first_line_is_the_contracts() -> None:
    """Status word, one line, and the performance data with the configured thresholds."""
    text = render(office(), warn_offset_s=1.0, max_offset_s=5.0)
    first, _, rest = text.partition("\n")
    assert first == (
        "CONNECTOR CRITICAL: 3 of 40 Resources would fail now: 1 DNS lookup error, 2 unable to connect; 2 not probed. "
        "Warning: nameservers. Host network, clock, control plane, relays, Connector are fine. "
        "| 'clock_offset'=0.012s;-1:1;-5:5 'failing'=3;;;0;40"
    )
    assert rest.splitlines() == [
        (
            "CRITICAL dns:payroll.corp.internal (Payroll): no nameserver knows payroll.corp.internal "
            "(NXDOMAIN from 10.0.0.2 and 10.0.0.3)"
        ),
        "CRITICAL tcp:10.1.2.3:5432 (Orders DB, Reporting): 10.1.2.3:5432 refused the connection in 1 ms",
        "WARNING resolver:10.0.0.3: 10.0.0.3 answers SERVFAIL",
    ]


@pytest.mark.parametrize(
    ("offset", "expected"), [(-0.0000004, "-0"), (-7.25, "-7.25"), (0.0, "0"), (86400.5, "86400.5"), (1e-05, "0.00001")]
)
def test_offsets_are_written_without_exponent(offset: float, expected: str) -> None:
    """Receivers read plain decimals only."""
    (line,) = _lines([row("clock:system", measurements={"offset_seconds": offset})])
    assert f"'clock_offset'={expected.replace('-0', '0') if expected == '-0' else expected}s;" in line
    figures = line.partition(" | ")[2].split(" ")
    assert all(PERFDATA.fullmatch(figure) for figure in figures)


def test_what_was_not_measured_has_no_figure() -> None:
    """Without an offset or without Resources asked, the figure is left out."""
    whole = document(head(asked=[CheckName.HOST]), [row("host:network")])
    assert render(whole, warn_offset_s=1.0, max_offset_s=5.0) == "CONNECTOR OK: Host network is fine.\n"


def test_at_most_twenty_problem_lines() -> None:
    """The twentieth line says how many more there are."""
    lines = _lines([_failing(n) for n in range(20)], 20)
    assert len(lines) == 21
    assert lines[-1].startswith("CRITICAL tcp:h:19 ")
    lines = _lines([_failing(n) for n in range(55)], 55)
    assert len(lines) == 21
    assert lines[-1] == "… and 36 more; see healthctl check"


@pytest.mark.parametrize("count", [1, 7, 20, 21, 40])
def test_four_kibibytes_in_all(count: int) -> None:
    """However long the texts are, the output stays within 4 KiB and tells what is missing."""
    for length in (*range(50, 300), 5000):
        lines = _lines([_failing(n, "ä" * length) for n in range(count)], count)
        listed = sum(line.startswith("CRITICAL") for line in lines[1:])
        rest = re.fullmatch(r"… and (\d+) more; see healthctl check", lines[-1])
        assert listed + (int(rest[1]) if rest else 0) == count
        assert "'failing'=" in lines[0]


def test_a_long_first_line_keeps_its_figures() -> None:
    """The text is cut, never the performance data."""
    (line, *_) = _lines([*sound_host(), _failing(1)], 1)
    assert line.endswith("'failing'=1;;;0;1")


def test_no_bar_and_no_line_feed_from_outside() -> None:
    """A bar would begin performance data, a line feed another problem; both are replaced."""
    lines = _lines([_failing(1, "a|b\nOK | 'failing'=0\x1b[2J")], 1)
    assert len(lines) == 2
    assert "".join(lines).count("|") == 1
    assert "\x1b" not in lines[1]


def test_the_worst_comes_first_and_notes_last() -> None:
    """Critical, warning, unknown, then what never changes the verdict."""
    rows = [
        row("host:network", Status.UNKNOWN, Reason.PERMISSION_DENIED),
        row("clock:system", Status.WARNING, Reason.OFFSET_EXCEEDED),
        row("relay:r", Status.CRITICAL, Reason.TIMEOUT),
        row("provider:p", Status.CRITICAL, Reason.HTTP_STATUS),
        row("definition:d", Status.WARNING, Reason.DEFINITION_OVERLAP),
        row("nat:udp", Status.SKIPPED, Reason.NOT_PROBEABLE),
    ]
    assert [line.split(":")[0].split(" ") for line in _lines(rows)[1:]] == [
        ["CRITICAL", "relay"],
        ["WARNING", "clock"],
        ["UNKNOWN", "host"],
        ["CRITICAL", "provider"],
        ["WARNING", "definition"],
    ]


def test_a_second_look_is_no_problem_of_its_own() -> None:
    """What was seen from the host's seat is neither listed nor counted."""
    second = row("tcp:h:1@host", Status.CRITICAL, Reason.TIMEOUT, resources=("R1", "Other"))
    with_it, without = (_lines([_failing(1), *more], 2) for more in ([second], []))
    assert with_it == without
    assert with_it[0].endswith("'failing'=1;;;0;1")
