"""What comes and goes is told once, not each time."""

import pytest

from daemon.alerting.fires import QUIET_S
from daemon.config.schema import Alerting, Config
from tests.support.alert_desk import CRITICAL, OK, UNKNOWN, AlertDesk, port_fails

ROW = "tcp:db:1"
AT_ONCE = Config(alerting=Alerting(after={"ConnectorUnableToConnect": 0.0}))


def play(desk: AlertDesk, *, up: bool) -> None:
    """Have the row go up or down, confirmed two seconds later, with the cause that the diagnosis would find."""
    one = port_fails()
    desk.see(ROW, OK if up else CRITICAL)
    desk.wait(2)
    desk.see(ROW)
    desk.causes = [] if up else [one]
    desk.wait(1)


@pytest.mark.parametrize(("down_s", "up_s"), [(40, 40), (100, 40), (40, 100), (62, 62), (10, 20)])
def test_one_page_and_one_end(down_s: float, up_s: float) -> None:
    """A Resource that comes and goes for an hour is at most two pages; at the end there is one end."""
    desk = AlertDesk(ROW)
    for _ in range(round(3600 / (down_s + up_s))):
        play(desk, up=False)
        desk.wait(down_s - 3)
        play(desk, up=True)
        desk.wait(up_s - 3)
    desk.wait(3600)
    assert desk.active() == []
    told = [what for _, what in desk.heard]
    assert told in ([], ["fires", "ends"], ["fires", "ends"] * 2), told


def test_a_flapping_row_holds() -> None:
    """While its row flaps the alert stays, though the row is just ok, and says that it comes and goes."""
    desk = AlertDesk(ROW)
    for _ in range(30):
        play(desk, up=False)
        play(desk, up=True)
    assert desk.board.rows[ROW].flapping
    assert desk.heard == [("warning", "fires")]
    desk.wait(60)
    (alert,) = desk.alerts.active
    assert alert.flapping
    assert "it comes and goes (flap value" in alert.summary
    desk.wait(1800)
    assert desk.heard == [("warning", "fires"), ("warning", "ends")]


def test_what_is_over_says_until_when_it_stays() -> None:
    """An alert that fired twice within the hour tells when it ends, and takes it back when the trouble is back."""
    desk = AlertDesk(ROW)
    one = port_fails()
    for _ in range(2):
        desk.fail(one)
        desk.wait(100)
        assert desk.alerts.active[0].ends_after is None
        desk.heal(one)
        desk.wait(2)
    (alert,) = desk.alerts.active
    assert alert.ends_after is not None
    assert alert.ends_after - desk.wall == pytest.approx(QUIET_S, abs=3)
    desk.fail(one)
    desk.wait(2)
    assert desk.alerts.active[0].ends_after is None


def test_flapping_into_ignorance_freezes() -> None:
    """A row that flapped and can't be looked at any more neither fires nor ends."""
    desk = AlertDesk(ROW)
    for _ in range(30):
        play(desk, up=False)
        play(desk, up=True)
    desk.see(ROW, UNKNOWN)
    desk.wait(3600, step_s=10)
    assert desk.heard == [("warning", "fires")]


def test_each_time_it_stays_longer() -> None:
    """The first end comes at once, the next after 5 min without the condition, then 10, at most 30."""
    desk = AlertDesk(ROW, config=AT_ONCE)
    stays = []
    for _ in range(10):
        desk.fail(port_fails())
        desk.wait(1)
        assert len(desk.active()) == 1
        desk.heal(*desk.causes)
        for _ in range(10):
            desk.see(ROW, OK, times=2)  # long enough ok that the row itself does not flap
        since = desk.mono
        while desk.active():
            desk.wait(1)
        stays.append(round(desk.mono - since))
    assert stays[:4] == [2, 301, 601, 901]
    assert max(stays) <= 1801


def test_a_relapse_is_not_told() -> None:
    """A condition that comes back while its alert is kept goes on with the old one, and the quiet time begins anew."""
    desk = AlertDesk(ROW, config=AT_ONCE)
    for _ in range(2):
        desk.fail(port_fails())
        desk.wait(1)
        desk.heal(*desk.causes)
        desk.see(ROW, OK, times=20)
        desk.wait(3)
    assert len(desk.heard) == 3
    started = desk.alerts.active[0].starts_at
    for _ in range(5):
        desk.wait(200)
        desk.fail(port_fails())
        desk.wait(1)
        desk.heal(*desk.causes)
        desk.see(ROW, OK, times=20)
    assert [a.starts_at for a in desk.alerts.active] == [started]
    desk.wait(302)
    assert desk.active() == []
    assert len(desk.heard) == 4


def test_yesterday_is_forgotten() -> None:
    """Only the last hour counts."""
    desk = AlertDesk(ROW, config=AT_ONCE)
    for _ in range(3):
        desk.fail(port_fails())
        desk.wait(1)
        desk.heal(*desk.causes)
        desk.see(ROW, OK, times=20)
        desk.wait(3700, step_s=10)
    desk.fail(port_fails())
    desk.wait(1)
    desk.heal(*desk.causes)
    desk.see(ROW, OK, times=20)
    desk.wait(2)
    assert desk.active() == []


def test_only_the_last_hour_counts() -> None:
    """Of three times it fired, one was more than an hour ago: then it stays for one time less."""
    desk = AlertDesk(ROW, config=AT_ONCE)
    for pause in (3500, 200, 0):
        desk.fail(port_fails())
        desk.wait(1)
        desk.heal(*desk.causes)
        desk.see(ROW, OK, times=20)
        desk.wait(pause, step_s=10)
    assert len(desk.active()) == 1
    desk.wait(305)
    assert desk.active() == []
