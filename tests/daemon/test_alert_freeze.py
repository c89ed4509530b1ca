"""What is unknown neither fires nor ends: only what is known to be good ends an alert."""

from dataclasses import replace

import pytest

from checks.model import Outcome
from daemon.alert import Delivery
from tests.support.alert_desk import (
    CRITICAL,
    OK,
    SUPPRESSED,
    UNKNOWN,
    WARNING,
    AlertDesk,
    cause,
    desk_of,
    firing,
    port_fails,
)
from tests.support.views import STARTED_AT

ROW = "tcp:db:1"


@pytest.mark.parametrize("outcome", [UNKNOWN, SUPPRESSED], ids=["unknown", "suppressed"])
@pytest.mark.parametrize("cause_stays", [True, False])
def test_unknown_neither_fires_nor_ends(outcome: Outcome, cause_stays: bool) -> None:
    """What can't be looked at keeps its alert, and keeps a condition that waits waiting, without losing its time."""
    active = firing()
    pending = desk_of(port_fails())
    pending.wait(50)
    for desk in (active, pending):
        before = desk.active()
        desk.see(ROW, outcome)
        desk.causes = desk.causes if cause_stays else []
        desk.wait(900, step_s=10)
        assert desk.active() == before
        assert not desk.alerts.resolved
    pending.causes = [port_fails()]
    pending.see(ROW, CRITICAL)
    pending.wait(1)
    assert len(pending.active()) == 1, "its time went on"
    active.causes = []
    active.see(ROW, OK, times=2)
    active.wait(2)
    assert active.active() == []


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [(OK, UNKNOWN, False), (OK, OK, True), (WARNING, WARNING, True), (UNKNOWN, OK, False)],
)
def test_only_a_confirmed_good_ends_it(first: Outcome, second: Outcome, ends: bool) -> None:
    """One success is not yet the end: the row must be held to be ok."""
    desk = firing()
    desk.causes = []
    desk.see(ROW, first)
    desk.see(ROW, second)
    desk.wait(2)
    assert (desk.active() == []) is ends


def test_an_old_success_ends_nothing() -> None:
    """A row whose last verdict is older than three intervals says nothing any more."""
    desk = firing()
    desk.causes = []
    desk.see(ROW, OK, times=2)
    desk.says = {}
    desk.mono += 91
    desk.wait(5)
    assert len(desk.active()) == 1


def test_explained_rows_keep_their_alert() -> None:
    """An alert whose row another cause now explains neither ends nor is told again; both end when all is fine."""
    one, other = port_fails(), cause("ConnectorDown", "connector:process", alert="ConnectorDown")
    desk = AlertDesk(ROW, "connector:process")
    desk.fail(one)
    desk.wait(61)
    desk.explained = {ROW: other.id}
    desk.fail(other)
    desk.wait(300)
    assert desk.heard == [("warning", "fires"), ("critical", "fires")]
    desk.explained = {}
    desk.heal(one, other)
    desk.wait(2)
    assert desk.active() == []
    assert len(desk.heard) == 4


def test_explained_conditions_never_fire() -> None:
    """What another cause explains raises nothing, however long it lasts."""
    one, other = port_fails(), cause("NameserverDown", "resolver:10.0.0.2", alert="ConnectorNameserverDown")
    desk = AlertDesk(ROW, "resolver:10.0.0.2")
    desk.fail(one, other)
    desk.explained = {ROW: other.id}
    desk.wait(1200, step_s=10)
    assert desk.active() == [("ConnectorNameserverDown", "critical")]


def test_another_cause_of_the_same_row_ends_it() -> None:
    """A row that still fails, but by itself, is known: the alert that said more than that ends."""
    rows = ("tcp:db:1", "tcp:db:2")
    both = cause("ResourceHostDown", *rows, alert="ConnectorUnableToConnect", severity="warning", address="db")
    desk = AlertDesk(*rows)
    desk.fail(both)
    desk.wait(61)
    desk.causes = [port_fails("tcp:db:1")]
    desk.see("tcp:db:2", OK, times=2)
    desk.wait(61)
    (alert,) = desk.alerts.active
    assert alert.key.labels == ("DB", "db", "1", "", "")


@pytest.mark.parametrize(("code", "ends"), [("SubnetUnreachable", True), ("RelaysDegraded", False)])
def test_one_good_row_refutes_what_says_all(code: str, ends: bool) -> None:
    """Of a cause that says that all fail, one good row is the end; else each row must be known."""
    desk = AlertDesk("tcp:a:1", "tcp:b:1")
    desk.fail(cause(code, "tcp:a:1", "tcp:b:1", alert="ConnectorUnableToConnect"))
    desk.wait(61)
    desk.causes = []
    desk.see("tcp:a:1", OK, times=2)
    desk.see("tcp:b:1", UNKNOWN)
    desk.wait(2)
    assert (desk.active() == []) is ends


def test_inferred_causes_stand_on_what_they_explain() -> None:
    """A cause without rows of its own is over only when those that it explained are known to be good."""
    one = cause("NextHopDown", alert="ConnectorHostNetworkDown", explains=("tcp:a:1", "tcp:b:1"))
    desk = AlertDesk("tcp:a:1", "tcp:b:1")
    for row in one.explains:
        desk.see(row, CRITICAL, times=2)
    desk.causes, desk.explained = [one], dict.fromkeys(one.explains, one.id)
    desk.wait(61)
    assert desk.active() == [("ConnectorHostNetworkDown", "critical")]
    desk.causes, desk.explained = [], {}
    for row in one.explains:
        desk.see(row, UNKNOWN)
    desk.wait(60)
    assert len(desk.active()) == 1
    desk.see("tcp:a:1", OK, times=2)
    desk.wait(2)
    assert desk.active() == []


@pytest.mark.parametrize("engine", [{"starved": True}, {"ready": False}], ids=["starved", "warming-up"])
def test_nothing_is_decided_meanwhile(engine: dict[str, bool]) -> None:
    """While this process is starved or warms up nothing fires and nothing ends; afterwards it does at once."""
    active, pending = firing(), desk_of(port_fails())
    pending.wait(30)
    for desk in (active, pending):
        desk.be(**engine)
    active.heal(*active.causes)
    for desk in (active, pending):
        before = desk.active()
        desk.wait(600)
        assert desk.active() == before
        desk.be()
        desk.wait(2)
    assert active.active() == []
    assert len(pending.active()) == 1


def test_a_host_without_room_freezes_only_what_is_not_asked() -> None:
    """While connections can't be opened the rest is decided as ever: what is not asked is unknown, and so frozen."""
    desk = desk_of(port_fails())
    desk.engine = replace(desk.engine, starved=True, strain="250000 of 262144 conntrack entries are in use")
    desk.wait(600)
    assert "ConnectorUnableToConnect" in {name for name, _ in desk.active()}


def test_nothing_is_decided_at_the_end() -> None:
    """A process that stops changes nothing, whatever its last look says."""
    desk = firing()
    before = desk.alerts
    desk.heal(*desk.causes)
    assert desk.tick(stopping=True) is False
    assert desk.alerts is before


def test_rows_gone_from_the_plan_end_it() -> None:
    """What a reload takes out is not failing any more: nobody wants to know."""
    desk = firing()
    desk.causes = []
    del desk.says[ROW]
    desk.plan()
    desk.wait(2)
    assert desk.active() == []


def test_a_row_that_starts_afresh_is_waited_for() -> None:
    """A row that is in the plan but not on the board has not reported yet."""
    desk = firing()
    desk.causes = []
    desk.board.load([])
    desk.board.load(desk.jobs)
    desk.wait(5)
    assert len(desk.active()) == 1


def test_a_delivery_of_which_nothing_is_known() -> None:
    """An Alertmanager to which nothing was sent since the start has not been proven to take alerts."""
    desk = AlertDesk()
    desk.deliveries = (Delivery(name="am:9093", errors=1, failing_since=STARTED_AT),)
    desk.tick()
    desk.wait(900, step_s=10)
    desk.deliveries = (Delivery(name="am:9093"),)
    desk.wait(60)
    assert len(desk.active()) == 1
    desk.deliveries = (Delivery(name="am:9093", sent=1),)
    desk.wait(2)
    assert desk.active() == []


def test_a_diagnosis_that_lags_ends_nothing() -> None:
    """A row that warns and that no cause names yet, because the diagnosis is a moment older, is not yet the end."""
    one = cause("ClockSkewed", "clock:system", alert="ConnectorClockSkew", severity="warning")
    desk = AlertDesk("clock:system")
    desk.causes = [one]
    desk.see("clock:system", WARNING)
    desk.wait(901)
    desk.causes = []
    desk.wait(1)
    desk.causes = [one]
    desk.wait(60)
    assert desk.heard == [("warning", "fires")]
