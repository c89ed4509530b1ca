"""Causes and alerts at a terminal: `check` and `status`, and the lines of a plugin."""

import os
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from checks.model import Event, Reason, Status
from daemon.causes import Cause, Domain
from daemon.cli import render_nagios, render_status, render_table
from daemon.cli.cause_table import MAX_NAMED, MAX_TOLD
from daemon.cli.render_status import Look
from daemon.config.schema import Alerting
from daemon.document import Document
from daemon.report import report
from daemon.view import EngineFigures, View
from tests.support.outage import CHANGE, NOW, found, nameserver_down, outage, outage_stage
from tests.support.views import STARTED_AT, Stage, plain_job, tcp_job

DATA = Path(__file__).parent / "data"
SCREEN = 50  # lines: what a terminal of usual size shows, or nearly
ANSI = re.compile(r"\x1b\[[0-9;]*m")
DAEMON = EngineFigures(connector="office-1", started_at=STARTED_AT)
ONCE = replace(DAEMON, duration_s=1.0)


def status(view: View, look: Look | None = None) -> str:
    """Return what `status` shows."""
    return render_status.render(report(view), NOW, look)


def check(view: View, width: int | None = None) -> str:
    """Return what `check` shows."""
    return render_table.render(report(view), width=width)


def nagios(whole: Document) -> list[str]:
    """Return the lines of the plugin output."""
    text = render_nagios.render(whole, warn_offset_s=1.0, max_offset_s=5.0)
    assert len(text.encode()) <= render_nagios.MAX_BYTES
    return text.splitlines()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", ["check", "status"])
def test_an_outage_looks_as_it_was_approved(command: str, width: int) -> None:
    """The whole output is the one that a person looked at."""
    golden = DATA / f"outage-{command}-{width}.txt"
    text = check(outage(held=False), width) if command == "check" else status(outage(), Look(width=width))
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_eight_hundred_failures_fit_on_a_screen() -> None:
    """One cause is told, what it explains is a number; the same holds while the terminal is watched."""
    assert len(check(outage(800, held=False), 80).splitlines()) <= SCREEN
    for look in (Look(width=80), Look(width=80, rows_first=True), Look(width=120)):
        assert len(status(outage(800), look).splitlines()) <= SCREEN
    assert len(nagios(report(outage(800, held=False)))) == 2


def test_causes_stand_first() -> None:
    """Before rows, alerts and the Connector's lines; so they stay in sight on a terminal that is too low."""
    for look in (Look(), Look(rows_first=True)):
        text = status(outage(), look)
        order = [text.index(words) for words in ("\nCauses\n", "\nAlerts\n", "500 names explained")]
        assert order == sorted(order)
        assert order[0] < text.index("  Process ")


def test_all_lists_every_row_without_advice() -> None:
    """`--all`: what fails is listed with the cause that explains it; its own advice would mislead."""
    text = status(outage(20), Look(everything=True))
    assert text.count("explained by NameserverDown 10.0.0.2, see Causes") == 20
    assert "20 ports: 20 dependency_failed" in text
    assert "dig s7.corp.internal A" not in text
    assert "names explained by the cause above" not in text


@pytest.mark.parametrize("many", [1, 3, 4])
def test_few_rows_are_listed_below_their_cause(many: int) -> None:
    """So few rows say more by name than as a number."""
    stage = Stage([tcp_job(f"10.1.0.{n}", 22, f"R{n}") for n in range(many)])
    for row_id in list(stage.board.jobs):
        stage.see(row_id, Status.CRITICAL, Reason.TIMEOUT, summary="no answer", action="Look at its firewall.")
    cause = Cause(code="SubnetUnreachable", target="10.1.0.0/24", domain=Domain.NETWORK, severity="warning", title="t",
                  text="", action="Look at the router.", since=NOW, explains=tuple(stage.board.jobs))  # fmt: skip
    stage.diagnosis = found(cause)
    text = check(stage.view(ONCE))
    assert text.count("explained by SubnetUnreachable 10.1.0.0/24, see Causes") == (many if many < 4 else 0)
    assert (f"{many} ports explained by the cause above" in text) is (many >= 4)
    assert "Look at the router." in text
    assert "Look at its firewall." not in text


def test_a_port_that_fails_by_itself_stays_a_row() -> None:
    """There is no section for causes that only repeat a row; what changed before is told with the row."""
    stage = Stage([tcp_job("10.1.0.1", 22, "R")])
    stage.see("tcp:10.1.0.1:22", Status.CRITICAL, Reason.REFUSED, action="Start it.", event=Event.UNABLE_TO_CONNECT)
    stage.diagnosis = found(Cause(
        code="PortFails", target="10.1.0.1:22", domain=Domain.RESOURCE, severity="warning", title="t", text="",
        action="Start it.", since=NOW, evidence=("tcp:10.1.0.1:22",), resources=1, changed=(CHANGE,),
        possible=("another thing",),
    ))  # fmt: skip
    whole = report(stage.view(ONCE))
    text = render_table.render(whole)
    assert "Causes" not in text
    assert "changed 2026-01-02 04:00:58 UTC: default route via 10.0.0.1 on eth0 gone" in text
    assert "possible: another thing" in text
    assert "ACTION  Start it." in text
    assert nagios(whole)[1] == "CRITICAL tcp:10.1.0.1:22 (R): seen"


def test_what_nothing_explains_is_told_in_full() -> None:
    """Beside a cause, a row that fails for itself keeps its advice."""
    stage = outage_stage(10)
    stage.see("tcp:10.9.0.3:22", Status.CRITICAL, Reason.REFUSED, times=2, action="Start sshd.", summary="refused",
              event=Event.UNABLE_TO_CONNECT)  # fmt: skip
    stage.diagnosis = found(nameserver_down(stage))
    whole = report(stage.view(DAEMON))
    text = render_status.render(whole, NOW)
    assert "  CRITICAL  10.9.0.3:22  refused" in text
    assert "ACTION  Start sshd." in text
    assert "More: healthctl explain ConnectorNameserverDown refused\n" in text
    assert "NameserverDown 10.0.0.2 (10 of 22 Resources). 11 of 22 Resources would fail now" in text
    assert [line.split(":")[0] for line in nagios(whole)[1:]] == ["CRITICAL NameserverDown 10.0.0.2", "CRITICAL tcp"]


def test_many_causes_do_not_hide_one_another() -> None:
    """The first few in full, then titles, then a number; `--all` tells all."""
    stage = outage_stage(1)
    one = nameserver_down(stage)
    many = [replace(one, code=f"Code{n}", title=f"title {n}", explains=()) for n in range(MAX_TOLD + MAX_NAMED + 7)]
    stage.diagnosis = found(*many)
    text = status(stage.view(DAEMON))
    assert text.count("RUNBOOK") == MAX_TOLD
    assert f"title {MAX_TOLD} (Code{MAX_TOLD} 10.0.0.2)" in text
    assert "and 7 more causes; -o json lists them" in text
    assert text.count("ACTION  See that the nameserver runs") == 1
    assert status(stage.view(DAEMON), Look(everything=True)).count("RUNBOOK") == len(many)
    lines = nagios(report(stage.view(DAEMON)))
    assert len(lines) == 21
    assert lines[-1].startswith("… and ")


def test_who_is_only_slow_comes_last_in_a_plugin() -> None:
    """An info cause takes no line from what fails."""
    stage = Stage([plain_job("clock:system"), plain_job("nat:udp")])
    stage.see("clock:system", Status.WARNING, Reason.OFFSET_EXCEEDED)
    stage.see("nat:udp", Status.WARNING, Reason.MAPPING_VARIES)
    stage.diagnosis = found(Cause(
        code="DirectPathImpossible", target="", domain=Domain.RELAY, severity="info", title="relayed", text="",
        action="", since=NOW, evidence=("nat:udp",),
    ))  # fmt: skip
    assert nagios(report(stage.view(ONCE)))[1:] == ["WARNING clock:system: seen", "INFO DirectPathImpossible: relayed"]


def test_since_is_told_by_the_daemon_only() -> None:
    """A single look knows of no time before it."""
    assert "NameserverDown 10.0.0.2, for 3 minutes (since 2026-01-02 04:01:05 UTC)\n" in status(outage(5))
    assert "NameserverDown 10.0.0.2\n" in check(outage(5, held=False))


def test_the_connector_comes_first() -> None:
    """Its own row stands above the names and ports that may fail because of it."""
    stage = outage_stage(2)
    stage.see("connector:process", Status.CRITICAL, Reason.NOT_RUNNING, times=2, action="Start it.", summary="exited")
    text = status(stage.view(DAEMON), Look(rows_first=True))
    assert text.index("  CRITICAL  process  exited") < text.index("  CRITICAL  s0.corp.internal")


def test_flapping_rows_are_shown() -> None:
    """A port that is ok just now, but comes and goes, is worth reading."""
    stage = Stage([tcp_job("10.1.0.1", 22, "R"), tcp_job("10.1.0.2", 22, "S")])
    for n in range(24):
        stage.see("tcp:10.1.0.1:22", *((Status.CRITICAL, Reason.REFUSED) if n // 2 % 2 else (Status.OK, None)))
    stage.see("tcp:10.1.0.1:22", times=3)
    stage.see("tcp:10.1.0.2:22")
    text = status(stage.view(DAEMON))
    assert re.search(r"10\.1\.0\.1:22.*\n +ok for .*; flapping \(\d\d %\): it comes and goes", text)
    assert "10.1.0.2:22" not in text


def test_colour_changes_no_letter() -> None:
    """With colour the same is said, and every colour ends on its line."""
    coloured = status(outage(), Look(width=80, colour=True))
    assert ANSI.sub("", coloured) == status(outage(), Look(width=80))
    assert "\x1b[1;31mCRITICAL\x1b[0m  Nameserver 10.0.0.2 does not answer" in coloured
    assert all(line.count("\x1b[") == 2 * line.count("\x1b[0m") for line in coloured.splitlines())


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_but_commands(width: int) -> None:
    """Text is folded; commands and addresses stay in one piece, to be copied."""
    shown = check(outage(held=False), width) + (status(outage(), Look(width=width)) if width >= 80 else "")
    for line in shown.splitlines():
        assert len(line) <= width or re.search("REPEAT|RUNBOOK|^More: ", line), line


def test_nothing_from_outside_moves_the_terminal() -> None:
    """Escape sequences in any text of causes and alerts are shown as escapes, whatever a daemon sends."""
    evil = "\x1b]0;owned\x07\x9b2J\u202e\nSUMMARY  OK"
    whole = report(outage(2))
    alerts = whole["alerts"]
    assert alerts is not None
    for thing in (whole["diagnosis"][0], alerts["active"][0], alerts["pending"][0], alerts["alertmanagers"][1]):
        for name, value in thing.items():
            if isinstance(value, str) and name not in ("id", "since", "starts_at", "fires_at", "failing_since"):
                thing[name] = evil  # type: ignore[literal-required]
    whole["diagnosis"][0]["changed"] = whole["diagnosis"][0]["possible"] = [evil]
    alerts["active"][0]["labels"] = {evil: evil}
    alerts["truncated"] = {evil: 2}
    for text in (
        render_status.render(whole, NOW, Look(everything=True)),
        render_table.render(whole, width=80),
        "\n".join(nagios(whole)),
    ):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert len(re.findall("^SUMMARY", text, re.MULTILINE)) <= 1


def test_shadow_mode_is_said() -> None:
    """Who looks at the terminal knows that nobody is paged."""
    stage = outage_stage(1)
    stage.config = msgspec.structs.replace(stage.config, alerting=Alerting(mode="shadow"))
    assert "\nAlerts\n            shadow mode: shown here, sent to nobody\n" in status(stage.view(DAEMON))
