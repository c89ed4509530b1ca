"""Alerts in lines."""

import datetime as dt
from dataclasses import replace

import pytest

from daemon.alert import NO_ALERTS, Alert, Alerts, Delivery
from daemon.alert_words import MAX_ACTIVE, MAX_PENDING, AlertLine, alert_lines
from daemon.config.schema import Maintenance, Resource
from daemon.report_causes import alerts, maintenance_steps
from daemon.slices import at_once
from tests.support.outage import NOW, key, one_alert

DOWN = Alert(key=key("ConnectorDown"), starts_at=NOW - 60)


def lines(decided: Alerts, *deliveries: Delivery, mode: str = "live", everything: bool = False) -> list[AlertLine]:
    """Return the lines."""
    return alert_lines(alerts(decided, deliveries, mode), NOW, everything=everything)


def test_all_quiet_says_nothing() -> None:
    """No alert, and everybody would take one: no line; nor in a single look."""
    assert lines(NO_ALERTS, Delivery(name="am:9093", sent=3)) == []
    assert alert_lines(None, NOW) == []


def test_what_fires_and_what_is_about_to() -> None:
    """With labels, for how long, and in how many seconds."""
    first, second = lines(one_alert())
    assert (first.word, second.word) == ("critical", "pending")
    assert (
        first.text
        == 'ConnectorNameserverDown nameserver="10.0.0.2" fires for 2 minutes (since 2026-01-02 04:02:05 UTC)'
    )
    assert second.text == (
        'ConnectorUnableToConnect resource="Wiki" address="10.9.0.1" port="22", warning, fires in 40 s'
    )


@pytest.mark.parametrize(("left", "words"), [(-5.0, "fires now"), (0.4, "fires now"), (130.0, "fires in 2 minutes")])
def test_what_is_due_fires_now(left: float, words: str) -> None:
    """A moment that has passed is no negative time."""
    (line,) = lines(Alerts(pending={DOWN.key: NOW + left}))
    assert line.text.endswith(words)


def test_shadow_mode_is_said_first() -> None:
    """So that nobody waits for a page that will not come."""
    shadow = replace(DOWN, key=key("ConnectorDown", "none"))
    first, second = lines(Alerts(active=(shadow,)), mode="shadow")
    assert first.text == "shadow mode: shown here, sent to nobody"
    assert (second.word, second.text.split()[0]) == ("none", "ConnectorDown")


def test_an_alertmanager_that_takes_nothing_is_told() -> None:
    """Which, since when, why, and what waits; one that takes them is not."""
    bad = Delivery(name="am-2:9093", sent=7, dropped=1200, queue_length=3, failing_since=NOW - 600, problem="HTTP 503")
    (line,) = lines(NO_ALERTS, Delivery(name="am-1:9093"), bad)
    assert line.word == "failing"
    assert line.text == (
        "Alertmanager am-2:9093 has taken no alert for 10 minutes (since 2026-01-02 03:54:05 UTC): HTTP 503 "
        "(3 queued, 1,200 dropped, 7 sent)"
    )


def test_flapping_is_told() -> None:
    """An alert that comes and goes says so."""
    (line,) = lines(Alerts(active=(replace(DOWN, flapping=True),)))
    assert line.text.endswith("; flapping: it comes and goes")


def test_what_is_over_and_stays_is_told() -> None:
    """Beside a summary that says ok, an alert that still fires says why, and until when."""
    (line,) = lines(Alerts(active=(replace(DOWN, ends_after=NOW + 240),)))
    assert line.text.endswith("; over, but it has fired often of late: ends in 4 minutes unless it comes back")


def test_maintenance_is_shown() -> None:
    """Who misses an alert sees which window keeps it back, why, and until when; a closed one is not told."""
    moment = dt.datetime(2026, 1, 2, 4, tzinfo=dt.UTC)
    hour = dt.timedelta(hours=1)
    open_one = Maintenance(match="*.corp.internal", start=moment, to=moment + hour, reason="CHG-1")
    closed = Maintenance(match="*", start=moment - hour, to=moment)
    resources = (Resource(name="A", address="a.corp.internal"), Resource(name="B", address="10.0.0.1"))
    told = at_once(maintenance_steps((open_one, closed), resources, NOW))
    (line,) = alert_lines(alerts(NO_ALERTS, (), "live", told), NOW)
    assert line.text == (
        "maintenance until 2026-01-02 05:00:00 UTC (CHG-1): *.corp.internal, 1 Resource; they raise no alert"
    )


def test_many_are_counted() -> None:
    """A screen of them; the rest is a number, what was cut off before included; `everything` lists all."""
    active = tuple(Alert(key=key("A", port=str(n)), starts_at=NOW) for n in range(MAX_ACTIVE + 3))
    pending = {key("B", port=str(n)): NOW + n for n in range(MAX_PENDING + 4)}
    many = Alerts(active=active, pending=pending, truncated={"A": 5})
    texts = [line.text for line in lines(many)]
    assert len(texts) == MAX_ACTIVE + 1 + MAX_PENDING + 1
    assert texts[MAX_ACTIVE] == "and 8 more alerts"
    assert texts[-1] == "and 4 more pending"
    texts = [line.text for line in lines(many, everything=True)]
    assert len(texts) == len(active) + 1 + len(pending)
    assert "and 5 more alerts" in texts
