import os
import re
from pathlib import Path

import pytest

from checks.model import CheckName, Event, Reason, Status
from daemon.cli.render_table import render
from daemon.report import document
from tests.support.reports import head, office, row, sound_host

DATA = Path(__file__).parent / "data"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
CRITICAL_ROW = (Status.CRITICAL, Reason.REFUSED)


@pytest.mark.parametrize(("name", "width"), [("plain", None), ("80", 80), ("120", 120)])
def test_table_looks_as_it_was_approved(name: str, width: int | None) -> None:
    """The whole table, plain and at two widths, is the one that a person looked at."""
    golden = DATA / f"office-{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(render(office(), width=width))
    assert render(office(), width=width) == golden.read_text()


def test_colour_changes_no_letter() -> None:
    """With colour the table says the same, and every colour is ended on its line."""
    coloured = render(office(), width=80, colour=True)
    assert ANSI.sub("", coloured) == render(office(), width=80)
    assert "\x1b[1;31mCRITICAL\x1b[0m" in coloured
    for line in coloured.splitlines():
        assert line.count("\x1b[") == 2 * line.count("\x1b[0m")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_but_commands(width: int) -> None:
    """Text is folded; a command stays in one piece, to be copied."""
    for line in render(office(), width=width).splitlines():
        assert len(line) <= width or "REPEAT" in line or line.startswith("More: "), line


def test_plain_rows_stay_on_one_line() -> None:
    """Off a terminal a row is one line, however long: it is read by grep."""
    long = "x" * 60 + " " + "y" * 59
    whole = document(head(), [row("host:network", Status.WARNING, Reason.NO_ROUTE, summary=long)])
    assert any(line.endswith(long) and line.startswith("  WARNING") for line in render(whole).splitlines())


def test_fine_resources_are_folded_when_there_are_many() -> None:
    """Up to thirty fine rows are listed by name, more become a number; a problem among them stays."""
    few = [row(f"tcp:h:{n}", resources=(f"R{n}",)) for n in range(1, 31)]
    assert "h:17 " in render(document(head(), few))
    many = [*few, row("tcp:h:31"), row("tcp:h:99", *CRITICAL_ROW)]
    text = render(document(head(), many))
    assert "h:17" not in text
    assert "  ok        31 ports accept\n" in text
    assert "  CRITICAL  h:99" in text


def test_skipped_rows_are_counted_by_cause() -> None:
    """Several skipped rows are one line with the number of each cause; a single one tells its own."""
    never = [row(f"tcp:h:{n}", Status.SKIPPED, Reason.NEVER_UP) for n in range(9)]
    lab = row("tcp:*.lab", Status.SKIPPED, Reason.NOT_PROBEABLE, summary="not probed: a pattern")
    assert "  skipped   10 ports: 9 never_up, 1 not_probeable\n" in render(document(head(), [*never, lab]))
    assert "  skipped   *.lab  not probed: a pattern\n" in render(document(head(), [lab]))


def test_the_same_advice_is_given_once() -> None:
    """Fifty refused ports give their advice once, and fifty commands."""
    rows = [
        row(f"tcp:h:{n}", *CRITICAL_ROW, action=f"Start it. Repeat it by hand on this host: nc -vz h {n}")
        for n in range(50)
    ]
    text = render(document(head(), rows))
    assert text.count("ACTION  Start it.") == 1
    assert text.count("REPEAT  nc -vz h ") == 50


def test_who_is_hit_is_told_in_the_consoles_words() -> None:
    """A failing Resource is told with the event that its users meet, as the Admin Console writes it."""
    failing = row(
        "dns:a", Status.CRITICAL, Reason.NXDOMAIN, event=Event.DNS_LOOKUP_ERROR, resources=("Orders DB", "Reporting")
    )
    assert 'Users of Orders DB, Reporting meet "DNS lookup error"' in render(document(head(), [failing]))


def test_the_last_line_is_the_summary() -> None:
    """SUMMARY, the verdict and one sentence end the table."""
    last = render(document(head(asked=[CheckName.HOST]), sound_host())).splitlines()[-1]
    assert last == "SUMMARY  OK: Host network, clock, control plane, relays, nameservers are fine."


def test_names_from_outside_do_nothing_to_the_terminal() -> None:
    """Escape sequences, bidi overrides and line feeds in any text are shown as escapes."""
    evil = "evil\x1b]0;owned\x07\x9b2J\u202ename\r\nSUMMARY  OK"
    rows = [
        row("host:network"),
        row(f"tcp:{evil}", *CRITICAL_ROW, summary=evil, action=f"{evil} Repeat: {evil}", resources=(evil,),
            event=Event.UNABLE_TO_CONNECT),
        row(f"dns:{evil}", resources=(evil, evil)),
        row(f"connector:{evil}", Status.SKIPPED, Reason.NOT_FOUND, summary=evil),
    ]  # fmt: skip
    for width in (None, 80):
        text = render(document(head(connector=evil, remote_network=evil), rows), width=width)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert [line[:7] for line in text.splitlines() if "SUMMARY" in line].count("SUMMARY") == 1


def test_wide_letters_keep_the_columns_straight() -> None:
    """Chinese letters take two columns, combining accents none; the texts still begin below each other."""
    rows = [row(f"dns:{name}", summary="HERE") for name in ("ascii", "中文", "e\u0301te\u0301")]
    lines = [line for line in render(document(head(), rows), width=80).splitlines() if "HERE" in line]
    wide = {"中": 2, "文": 2, "\u0301": 0}
    starts = {sum(wide.get(c, 1) for c in line[: line.index("HERE")]) for line in lines}
    assert len(starts) == 1


def test_a_second_look_stands_below_its_row() -> None:
    """What was seen from this host is told beside the row that it explains, and advises nothing of its own."""
    rows = [
        row("tcp:h:1", *CRITICAL_ROW, summary="h:1 refused", action="Look at its firewall."),
        row("tcp:h:1@host", summary="h:1 accepted in 1 ms"),
        row("tcp:h:2", *CRITICAL_ROW, summary="h:2 refused"),
        row("tcp:h:2@host", Status.CRITICAL, Reason.TIMEOUT, summary="h:2 said nothing", action="Never shown."),
    ]
    for width in (None, 80):
        lines = render(document(head(vantage="connector"), rows), width=width).splitlines()
        first = next(n for n, line in enumerate(lines) if "h:1" in line)
        assert lines[first + 1] == f"{' ' * 12}from this host: ok, accepted in 1 ms"
        assert lines[first + 2] == f"{' ' * 12}ACTION  Look at its firewall."
        text = "\n".join(lines)
        assert "from this host: CRITICAL, said nothing" in text
        assert "Never shown." not in text
        assert "More: healthctl explain refused\n" in text
        assert text.count("  CRITICAL  ") == 2


def test_a_second_look_without_its_row_is_still_shown() -> None:
    """Nothing that was seen is lost, whatever was filtered away."""
    text = render(document(head(vantage="connector"), [row("resolver:10.0.0.2@host", summary="answered")]))
    assert "  ok        nameserver 10.0.0.2 from this host  answered" in text
