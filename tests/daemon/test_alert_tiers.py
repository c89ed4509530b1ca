"""Of one identity one severity is active at most, and there is no gap between two."""

from dataclasses import replace

import pytest

from daemon.causes import CauseSeverity
from daemon.config.schema import Alerting, Config
from tests.support.alert_desk import CRITICAL, OK, UNKNOWN, WARNING, AlertDesk, cause, desk_of, port_fails

SKEWED = cause("ClockSkewed", "clock:system", alert="ConnectorClockSkew")  # critical after 2 min, warning after 15
CLOCK = "ConnectorClockSkew"


def become(desk: AlertDesk, severity: CauseSeverity) -> None:
    """Have the cause hold with another severity."""
    desk.causes = [replace(SKEWED, severity=severity)]


def test_worse_takes_over_when_it_is_due() -> None:
    """A warning stays until the critical alert begins; both happen in one step."""
    desk = desk_of(SKEWED)
    become(desk, "warning")
    desk.wait(900)
    assert desk.active() == [(CLOCK, "warning")]
    become(desk, "critical")
    desk.wait(120)
    assert desk.active() == [(CLOCK, "warning")]
    assert [key.severity for key in desk.alerts.pending] == ["critical"]
    desk.wait(1)
    assert desk.active() == [(CLOCK, "critical")]
    assert [a.key.severity for a in desk.alerts.resolved] == ["warning"]
    assert desk.alerts.active[0].starts_at == desk.alerts.resolved[0].ends_at


def test_better_takes_over_when_it_is_due() -> None:
    """A critical alert stays until the warning is due, and time as critical counts as time as warning."""
    desk = desk_of(SKEWED)
    desk.wait(120)
    assert desk.active() == [(CLOCK, "critical")]
    become(desk, "warning")
    desk.wait(779)
    assert desk.active() == [(CLOCK, "critical")]
    desk.wait(1)
    assert desk.active() == [(CLOCK, "warning")]
    assert desk.heard == [("critical", "fires"), ("warning", "fires"), ("critical", "ends")]


def test_time_as_warning_is_no_time_as_critical() -> None:
    """However long it was a warning, as critical it must hold for its own time."""
    desk = desk_of(SKEWED)
    become(desk, "warning")
    desk.wait(800)
    become(desk, "critical")
    desk.wait(100)
    assert desk.active() == [(CLOCK, "warning")], "worse than a warning is a warning, too"
    desk.wait(21)
    assert desk.active() == [(CLOCK, "critical")]


def test_a_short_worse_time_is_not_told() -> None:
    """What is critical for less than its time leaves the warning as it is, with its old beginning."""
    desk = desk_of(SKEWED)
    become(desk, "warning")
    desk.wait(900)
    for severity in ("critical", "warning") * 5:
        become(desk, severity)
        desk.wait(100)
    assert desk.heard == [("warning", "fires")]


def test_unknown_keeps_the_severity() -> None:
    """A clock of which nothing is known any more keeps the alert of the severity that it had."""
    desk = desk_of(SKEWED)
    desk.wait(120)
    desk.see("clock:system", UNKNOWN)
    become(desk, "warning")
    desk.wait(1800, step_s=10)
    assert desk.active() == [(CLOCK, "critical")]
    desk.see("clock:system", WARNING, times=2)
    desk.wait(1)
    assert desk.active() == [(CLOCK, "warning")]


def test_nameservers_one_after_the_other() -> None:
    """With one of two nameservers down that one is a warning; with both each is critical; never both for one."""
    rows = ("resolver:10.0.0.1", "resolver:10.0.0.2")
    desk = AlertDesk(*rows)

    def down(count: int) -> None:
        severity: CauseSeverity = "critical" if count == 2 else "warning"
        desk.causes = [
            cause("NameserverDown", row, alert="ConnectorNameserverDown", target=row, severity=severity, nameserver=row)
            for row in rows[:count]
        ]
        for index, row in enumerate(rows):
            bad = CRITICAL if count == 2 else WARNING
            desk.see(row, bad if index < count else OK, times=2)

    def never_both() -> None:
        assert len({alert.key.labels for alert in desk.alerts.active}) == len(desk.alerts.active)

    for count in (1, 2, 1, 0):
        down(count)
        desk.wait(70, each=never_both)
        severity = "critical" if count == 2 else "warning"
        assert desk.active() == [("ConnectorNameserverDown", severity)] * count


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_a_resource_has_its_own_severity(severity: CauseSeverity) -> None:
    """The alert of a Resource fires with its severity, with no other before it, after the same time."""
    desk = desk_of(port_fails(severity=severity))
    assert [key.severity for key in desk.alerts.pending] == [severity]
    desk.wait(60)
    assert desk.heard == [(severity, "fires")]


def test_one_delay_for_all_severities() -> None:
    """`after` is set for an alert, whatever its severity."""
    desk = AlertDesk("clock:system", config=Config(alerting=Alerting(after={CLOCK: 5.0})))
    desk.fail(replace(SKEWED, severity="warning"))
    desk.tick()
    desk.wait(5)
    become(desk, "critical")
    desk.wait(6)
    assert desk.heard == [("warning", "fires"), ("critical", "fires"), ("warning", "ends")]


def test_the_better_waits_when_it_comes_and_goes() -> None:
    """A critical alert that has fired again and again gives way to the warning later each time."""
    desk = AlertDesk("clock:system", config=Config(alerting=Alerting(after={CLOCK: 0.0})))
    desk.fail(SKEWED)
    desk.tick()
    for _ in range(60):
        become(desk, "warning")
        desk.wait(10)
        become(desk, "critical")
        desk.wait(10)
    assert desk.heard.count(("critical", "fires")) == 2


def test_a_break_of_the_worse_starts_it_afresh() -> None:
    """While a warning is kept because it comes and goes, what was nearly critical and was over begins anew."""
    desk = desk_of(SKEWED)
    for _ in range(2):  # the second time it is kept for 5 min
        become(desk, "warning")
        desk.see("clock:system", WARNING, times=20)
        desk.wait(901)
        desk.causes = []
        desk.see("clock:system", OK, times=20)
        desk.wait(3)
    become(desk, "critical")
    desk.see("clock:system", CRITICAL, times=2)
    desk.wait(100)
    desk.causes = []
    desk.see("clock:system", OK, times=20)
    desk.wait(3)
    become(desk, "critical")
    desk.see("clock:system", CRITICAL, times=2)
    desk.wait(100)
    assert desk.active() == [(CLOCK, "warning")]
    desk.wait(25)
    assert desk.active() == [(CLOCK, "critical")]
