"""A Resource is blamed only once what stands before it was asked again."""

import pytest

from checks.model import Reason
from daemon.config.schema import Alerting, Config
from tests.support.alert_desk import OK, AlertDesk, cause, port_fails
from tests.support.views import plain_job, skipped

ROW, HOST, CONNECTOR, NAMESERVER = "tcp:db:1", "host:network", "connector:process", "resolver:10.0.0.2"
PARENTS = (HOST, CONNECTOR, NAMESERVER)
AT_ONCE = Config(alerting=Alerting(after={"ConnectorUnableToConnect": 0.0, "ConnectorDown": 0.0}))


def failing(*rows: str) -> AlertDesk:
    """Return a desk at which a port has just begun to fail, ten seconds after all was looked at."""
    desk = AlertDesk(ROW, *rows, config=AT_ONCE)
    desk.wait(10)
    desk.fail(port_fails())
    desk.tick()
    return desk


def test_each_parent_is_waited_for() -> None:
    """It fires in the step in which the last of them has reported since, not before."""
    desk = failing(*PARENTS)
    for parent in PARENTS:
        desk.wait(3)
        assert desk.active() == []
        desk.see(parent)
        desk.tick()
    assert desk.active() == [("ConnectorUnableToConnect", "warning")]


def test_a_run_that_began_before_does_not_count() -> None:
    """A parent that was asked before the trouble and answers after it has seen nothing of it."""
    desk = failing(HOST)
    desk.wait(3)
    desk.see(HOST, seconds=4.0)
    desk.tick()
    assert desk.active() == []
    desk.see(HOST, seconds=2.0)
    desk.tick()
    assert len(desk.active()) == 1


def test_a_silent_parent_is_waited_for_no_longer_than_three_intervals() -> None:
    """What never answers must not silence its Resources for ever."""
    desk = failing(HOST)
    del desk.says[HOST]  # 30 s an interval
    desk.wait(89)
    assert desk.active() == []
    desk.wait(1)
    assert len(desk.active()) == 1


@pytest.mark.parametrize("row", ["nothing", "fixed"])
def test_what_is_not_looked_at_is_no_parent(row: str) -> None:
    """A check that is off, or has nothing to ask, is not waited for."""
    desk = AlertDesk(ROW, config=AT_ONCE)
    if row == "fixed":
        desk.board.load([*desk.jobs, plain_job(HOST, fixed=skipped(Reason.NOT_PROBEABLE))])
    desk.fail(port_fails())
    desk.tick()
    assert len(desk.active()) == 1


def test_others_have_no_parents() -> None:
    """What is no Resource fires at its time."""
    desk = AlertDesk(CONNECTOR, HOST, config=AT_ONCE)
    desk.wait(10)
    desk.fail(cause("ConnectorDown", CONNECTOR, alert="ConnectorDown"))
    desk.tick()
    assert desk.active() == [("ConnectorDown", "critical")]


def test_what_a_parent_explains_meanwhile_never_fires() -> None:
    """A parent that turns out to be down takes the blame, and nobody hears of the Resource."""
    desk = failing(HOST)
    desk.causes.append(cause("HostNetworkDown", HOST, alert="ConnectorHostNetworkDown"))
    desk.explained = {ROW: "HostNetworkDown:x"}
    desk.wait(600)
    assert desk.active() == [("ConnectorHostNetworkDown", "critical")]
    assert desk.says[HOST] == OK
