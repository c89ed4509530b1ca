"""Alerts are decided in slices: nobody sees half of a decision, and the loop is free in between."""

from functools import partial

from daemon.alert import Alerts
from daemon.alerting.book import ENTRIES
from daemon.alerting.conditions import MAX_HELD
from tests.support.alert_desk import AlertDesk, port_fails
from tests.support.sliced import stepped

MANY = 600


def _note(desk: AlertDesk, seen: list[Alerts], _: int) -> None:
    seen.append(desk.alerts)


def test_nobody_sees_half_of_a_decision() -> None:
    """Until the last step what was decided before is all that is to be seen; then all of the new is."""
    causes = [port_fails(f"tcp:h{n}:1") for n in range(MANY)]
    desk = AlertDesk(*(cause.evidence[0] for cause in causes))
    desk.fail(*causes)
    for _ in range(70):
        desk.mono, desk.wall = desk.mono + 1, desk.wall + 1
        before, seen = desk.alerts, list[Alerts]()
        changed, pauses = stepped(desk.book.decide_steps(desk.view), partial(_note, desk, seen))
        assert all(alerts is before for alerts in seen)
        assert pauses >= 2 * MANY / ENTRIES
        assert changed is (desk.alerts.version != before.version)
        if desk.alerts.active:
            break
    assert len(desk.alerts.active) == 200
    assert dict(desk.alerts.truncated) == {"ConnectorUnableToConnect": MANY - 200}


def test_pauses_change_no_decision() -> None:
    """Rows that report between the steps end and begin alerts as if they had reported a moment later."""
    causes = [port_fails(f"tcp:h{n}:1") for n in range(150)]
    at_once, sliced = (AlertDesk(*(cause.evidence[0] for cause in causes)) for _ in range(2))
    for desk in (at_once, sliced):
        desk.fail(*causes)
        desk.wait(65)
        desk.heal(*causes[:75])
    for _ in range(3):
        at_once.wait(1)
        sliced.mono, sliced.wall = sliced.mono + 1, sliced.wall + 1
        stepped(sliced.book.decide_steps(sliced.view), lambda count: sliced.see(causes[count % 75].evidence[0]))
    shown = [{alert.key for alert in desk.alerts.active} for desk in (at_once, sliced)]
    assert shown[0] == shown[1]
    assert len(shown[0]) == 75
    assert len(sliced.alerts.resolved) == len(at_once.alerts.resolved) == 75


def test_work_is_cut_into_more_steps_the_more_fails() -> None:
    """Thousands of causes are looked through with pauses, however many of them are held."""
    causes = [port_fails(f"tcp:h{n}:1") for n in range(3 * MAX_HELD)]
    desk = AlertDesk("tcp:h0:1")
    desk.causes = list(causes)
    _, pauses = stepped(desk.book.decide_steps(desk.view))
    assert pauses >= len(causes) / 200 + MAX_HELD / ENTRIES
