"""Alerts beside others: what another cause explained, what is only late to recover, and what shadow mode leaves."""

from dataclasses import replace

import pytest

from daemon.alert import Delivery
from daemon.config.schema import Alerting, Alertmanager, Config
from tests.support.alert_desk import CRITICAL, OK, AlertDesk, cause, desk_of, firing, port_fails
from tests.support.views import STARTED_AT

PORT, HOST, OTHER = "tcp:db:1", "host:network", "tcp:b:1"
DOWN = cause("HostNetworkDown", HOST, alert="ConnectorHostNetworkDown", explains=[PORT])


def test_what_another_cause_explained_counts_anew() -> None:
    """Time as another cause's effect is no time of its own: when that ends first, nobody is paged a moment later."""
    one = port_fails()
    desk = desk_of(one)
    desk.wait(30)
    desk.causes, desk.explained = [], {PORT: "HostNetworkDown:x"}
    desk.wait(600)
    desk.causes, desk.explained = [one], {}
    desk.wait(55)
    assert desk.active() == []
    desk.wait(10)
    assert desk.active() == [("ConnectorUnableToConnect", "warning")]


@pytest.mark.parametrize("others", [True, False])
def test_a_flapping_gateway_is_not_told_port_by_port(others: bool) -> None:
    """A port that comes and goes is held to fail, unless a wider cause explained it within the hour."""
    wide, one = cause("NextHopDown", alert="ConnectorHostNetworkDown", explains=[PORT, OTHER]), port_fails()
    desk = AlertDesk(PORT, OTHER)
    if others:
        desk.see(PORT, CRITICAL, times=2)
        desk.causes, desk.explained = [wide], dict.fromkeys(wide.explains, wide.id)
        desk.wait(2)
        desk.causes, desk.explained = [], {}
        desk.see(PORT, OK, times=2)
    for _ in range(30):
        desk.see(PORT, CRITICAL, times=2)
        desk.causes = [one]
        desk.wait(5)
        desk.causes = []
        desk.see(PORT, OK, times=2)
        desk.wait(5)
    assert ("ConnectorUnableToConnect", "warning") not in desk.active() if others else desk.active()


@pytest.mark.parametrize(("ending", "row", "ends"), [(True, OK, True), (True, CRITICAL, False), (False, OK, False)])
def test_what_is_only_late_keeps_no_alert(ending: bool, row: object, ends: bool) -> None:
    """A cause whose own row is well again, and that only explains what is looked at rarely, is told as over at once."""
    desk = firing(DOWN)
    desk.see(HOST, row, times=2)  # type: ignore[arg-type]
    desk.causes = [replace(DOWN, ending=ending)]
    desk.wait(3)
    assert (desk.active() == []) is ends


def test_nobody_waits_for_a_delivery_in_shadow_mode() -> None:
    """In shadow mode nothing is sent, so that an Alertmanager that took nothing before is not failing any more."""
    desk = AlertDesk(config=Config(alerting=Alerting(alertmanagers=(Alertmanager(url="http://a:1"),))))
    desk.deliveries = (Delivery(name="a:1", failing_since=STARTED_AT),)
    desk.wait(15 * 60 + 1)
    assert desk.active() == [("ConnectorHealthNotificationsFailing", "warning")]
    desk.config = Config(alerting=Alerting(mode="shadow", alertmanagers=desk.config.alerting.alertmanagers))
    desk.deliveries = ()
    desk.wait(3)
    assert desk.active() == []


def test_where_most_flaps_one_good_row_refutes_nothing() -> None:
    """Of three rows behind a gateway two come and go and one is good just now: the gateway comes and goes."""
    wide = cause("NextHopDown", alert="ConnectorHostNetworkDown", explains=[PORT, OTHER, "tcp:c:1"])
    desk = AlertDesk(*wide.explains)
    for _ in range(30):
        for row in (PORT, OTHER):
            desk.see(row, CRITICAL, times=2)
        desk.causes, desk.explained = [wide], dict.fromkeys(wide.explains, wide.id)
        desk.wait(5)
        desk.causes, desk.explained = [], {}
        for row in (PORT, OTHER):
            desk.see(row, OK, times=2)
        desk.wait(5)
    assert desk.active() == [("ConnectorHostNetworkDown", "critical")]
    desk.wait(3600)
    assert desk.active() == []


def test_a_rare_row_that_flapped_lets_go() -> None:
    """What flapped and has been good for half an hour ends, however few its looks were since."""
    desk = AlertDesk(PORT, config=Config(alerting=Alerting(after={"ConnectorUnableToConnect": 0.0})))
    one = port_fails()
    for _ in range(8):
        desk.fail(one)
        desk.wait(1)
        desk.heal(one)
        desk.wait(1)
    assert desk.board.rows[PORT].flapping
    assert desk.active()
    for _ in range(7):  # looked at every five minutes
        desk.mono += 300.0
        desk.wall += 300.0
        desk.see(PORT, OK)
        desk.tick()
        desk.tick()
    assert desk.board.rows[PORT].flapping
    assert desk.active() == []
