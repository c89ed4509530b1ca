"""`connector_health_alert_active` is the daemon's decision, and has no label that changes by itself."""

from dataclasses import replace

from daemon.alert import NO_ALERTS
from daemon.metrics.alerts import alert_families
from tests.support.alert_desk import AlertDesk, cause, port_fails
from tests.support.exposed import series_of, values


def test_active_alerts() -> None:
    """Each active alert is 1, with its severity and the labels of its identity; empty ones are left out."""
    desk = AlertDesk("tcp:db:1", "resolver:10.0.0.2")
    desk.fail(port_fails(), cause("NameserverDown", "resolver:10.0.0.2", alert="ConnectorNameserverDown",
                                  nameserver="10.0.0.2"))  # fmt: skip
    desk.wait(61)
    found = series_of(alert_families(desk.view))
    assert {tuple(value for _, value in labels) for labels in values(found, "alert_active")} == {
        ("db", "ConnectorUnableToConnect", "1", "DB", "warning"),
        ("ConnectorNameserverDown", "10.0.0.2", "critical"),
    }
    assert set(found.values()) == {1.0}


def test_truncated() -> None:
    """What is not shown is counted by name; where all is shown there is no series."""
    desk = AlertDesk()
    view = replace(desk.view, alerts=replace(NO_ALERTS, truncated={"ConnectorUnableToConnect": 7}))
    found = values(series_of(alert_families(view)), "alerts_truncated")
    assert found == {(("alert", "ConnectorUnableToConnect"),): 7.0}
    assert series_of(alert_families(desk.view)) == {}
