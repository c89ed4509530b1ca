"""When alerts fire and when they end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from daemon.alert import AlertKey, Delivery
from daemon.alerting.severity import KNOWN, SEVERITIES
from daemon.config.schema import Alerting, Config
from daemon.explain.alerts import ALERTS
from tests.support.alert_desk import (
    CRITICAL,
    OK,
    UNKNOWN,
    AlertDesk,
    cause,
    desk_of,
    firing,
    port_fails,
)
from tests.support.views import STARTED_AT

ROW = "tcp:db:1"
OWN = {"ConnectorClockUnverified", "ConnectorInventoryStale", *(name for name in KNOWN if "Health" in name)}
TIERS = [
    (name, tier.severity if tier.severity in SEVERITIES else "warning", tier.after_s)
    for name in sorted(KNOWN - OWN)
    for tier in ALERTS[name].tiers
]


@pytest.mark.parametrize(("name", "severity", "after_s"), TIERS, ids=[f"{n}-{s}" for n, s, _ in TIERS])
def test_every_cause_alert(name: str, severity: str, after_s: float) -> None:
    """Each alert of the table fires once its condition has held for its time, not before, and ends when it is over."""
    one = cause("X", "host:network", alert=name, severity=severity)  # type: ignore[arg-type]
    desk = desk_of(one)
    desk.wait(after_s - 1)
    assert desk.active() == ([] if after_s else [(name, severity)])
    desk.wait(1)
    assert desk.active() == [(name, severity)]
    (alert,) = desk.alerts.active
    assert alert.starts_at == STARTED_AT + after_s
    desk.heal(one)
    desk.wait(2)
    assert desk.active() == []
    assert [(a.key.name, a.ends_at) for a in desk.alerts.resolved] == [(name, desk.wall)]


def _starved(desk: AlertDesk, *, on: bool) -> None:
    desk.be(starved=on)


def _stale(desk: AlertDesk, *, on: bool) -> None:
    desk.be(reload_ok=not on)


def _unverified(desk: AlertDesk, *, on: bool) -> None:
    desk.see("clock:system", UNKNOWN if on else OK)


def _failing(desk: AlertDesk, *, on: bool) -> None:
    desk.deliveries = (Delivery(name="am:9093", sent=1, failing_since=desk.wall if on else None),)


@pytest.mark.parametrize(
    ("begin", "name", "severity", "after_s"),
    [
        (_starved, "ConnectorHealthStarved", "warning", 900),
        (_stale, "ConnectorHealthConfigStale", "warning", 900),
        (_failing, "ConnectorHealthNotificationsFailing", "warning", 900),
        (_unverified, "ConnectorClockUnverified", "info", 3600),
    ],
)
def test_every_other_alert(begin: Callable[..., None], name: str, severity: str, after_s: float) -> None:
    """What is no cause fires and ends by the same rules; starvation does so even while this process is starved."""
    desk = AlertDesk("clock:system")
    begin(desk, on=True)
    desk.tick()
    desk.wait(after_s - 10, step_s=10)
    assert desk.active() == []
    desk.wait(10)
    assert desk.active() == [(name, severity)]
    begin(desk, on=False)
    desk.wait(2)
    assert desk.active() == []


def test_every_alert_is_covered() -> None:
    """The tables above have every alert that is decided here, but the one whose condition does not exist yet."""
    tested = {name for name, _, _ in TIERS} | {
        "ConnectorHealthStarved", "ConnectorHealthConfigStale", "ConnectorHealthNotificationsFailing",
        "ConnectorClockUnverified",
    }  # fmt: skip
    assert tested == KNOWN - {"ConnectorInventoryStale"}


def test_nothing_fires_where_nothing_is_wrong() -> None:
    """An hour in which all is fine has no alert, none pending, and no version but the first."""
    desk = AlertDesk(ROW, "clock:system")
    desk.wait(3600, step_s=10)
    assert (desk.active(), dict(desk.alerts.pending), desk.alerts.version) == ([], {}, 0)


def test_pending_tells_when() -> None:
    """While a condition waits, its key and the moment at which it will fire are shown."""
    desk = desk_of(port_fails())
    desk.wait(20)
    key = AlertKey("ConnectorUnableToConnect", "warning", ("DB", "db", "1", "", ""))
    assert dict(desk.alerts.pending) == {key: pytest.approx(STARTED_AT + 60)}
    desk.wait(40)
    assert not desk.alerts.pending


def test_a_break_starts_afresh() -> None:
    """A condition that was over for a moment must hold for the whole time again."""
    one = port_fails()
    desk = desk_of(one)
    desk.wait(59)
    desk.heal(one)
    desk.wait(2)
    desk.fail(one)
    desk.wait(60)
    assert desk.active() == []
    desk.wait(1)
    assert desk.active() == [("ConnectorUnableToConnect", "warning")]


@pytest.mark.parametrize(("after_s", "waits"), [(0.0, 0), (10.0, 10), (300.0, 300)])
def test_after_can_be_set(after_s: float, waits: int) -> None:
    """`alerting.after` replaces the time of every severity of an alert; 0 fires in the same step."""
    desk = AlertDesk(ROW, config=Config(alerting=Alerting(after={"ConnectorUnableToConnect": after_s})))
    desk.fail(port_fails())
    desk.tick()
    if waits:
        desk.wait(waits - 1)
        assert desk.active() == []
        desk.wait(1)
    assert desk.active() == [("ConnectorUnableToConnect", "warning")]


def test_after_is_reloaded() -> None:
    """A reload that shortens the time counts what has already passed."""
    desk = desk_of(port_fails())
    desk.wait(30)
    desk.book.load(Alerting(after={"ConnectorUnableToConnect": 20.0}))
    desk.wait(1)
    assert len(desk.active()) == 1


def test_unconfirmed_failures_do_not_count() -> None:
    """A cause that is named before its row is confirmed begins to count when it is, even where `after` is 0."""
    desk = AlertDesk(ROW, config=Config(alerting=Alerting(after={"ConnectorUnableToConnect": 0.0})))
    desk.causes = [port_fails()]
    desk.see(ROW, CRITICAL)
    desk.tick()
    assert (desk.active(), dict(desk.alerts.pending)) == ([], {})
    desk.see(ROW)
    desk.tick()
    assert len(desk.active()) == 1


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1e7], ids=["forward", "back", "far"])
def test_steps_of_the_clock_change_nothing(step: float) -> None:
    """Alerts are decided on a clock that no step moves."""
    one = port_fails()
    desk = desk_of(one)
    desk.wait(30)
    desk.wall += step
    desk.wait(29)
    assert desk.active() == []
    desk.wait(1)
    assert len(desk.active()) == 1
    desk.wall -= step
    desk.wait(1)
    assert desk.heard == [("warning", "fires")]
    desk.heal(one)
    desk.wait(2)
    (ended,) = desk.alerts.resolved
    assert ended.ends_at is not None
    assert ended.ends_at >= ended.starts_at
    desk.wait(899)
    assert desk.alerts.resolved
    desk.wait(2)
    assert not desk.alerts.resolved


def test_shadow() -> None:
    """In shadow mode all is computed, with severity none."""
    one = cause("ClockSkewed", "clock:system", alert="ConnectorClockSkew")
    desk = AlertDesk("clock:system", config=Config(alerting=Alerting(mode="shadow")))
    desk.fail(one)
    desk.tick()
    desk.wait(119)
    assert desk.active() == []
    desk.wait(1)
    desk.causes = [replace(one, severity="warning")]
    desk.wait(900)
    assert desk.active() == [("ConnectorClockSkew", "none")]
    assert desk.heard == [("none", "fires")], "a change of severity that nobody sees is none"
    assert not desk.alerts.pending


def test_a_reload_into_shadow_mode_and_back() -> None:
    """A change of the mode ends the one and begins the other in one step."""
    desk = firing()
    for mode, severity in (("shadow", "none"), ("live", "warning")):
        alerting = Alerting(mode=mode)  # type: ignore[arg-type]
        desk.config = Config(alerting=alerting)
        desk.book.load(alerting)
        desk.wait(1)
        assert desk.active() == [("ConnectorUnableToConnect", severity)]
