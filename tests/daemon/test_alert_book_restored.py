"""What survives a restart, and what a file may hold that nobody of us wrote."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.model import Json
from daemon.alert import NO_ALERTS
from daemon.alerting.book import AlertBook
from daemon.alerting.kept import MAX_AGE_S
from daemon.config.schema import Alerting, Config
from tests.support.alert_desk import CRITICAL, OK, UNKNOWN, AlertDesk, cause, firing, port_fails
from tests.support.views import STARTED_AT

ROW, NAMESERVER = "tcp:db:1", "resolver:10.0.0.2"
NOW = STARTED_AT
GOOD: dict[str, Json] = {
    "name": "ConnectorDown", "severity": "critical", "tier": "critical", "labels": {}, "starts_at": NOW - 60,
    "ends_at": None, "summary": "s", "description": "d", "action": "a", "cause": "ConnectorDown:x",
    "rows": ["connector:process"], "flapping": False, "fires": [NOW - 60],
}  # fmt: skip


def stored(value: Json) -> Json:
    """Return a value as it comes back from the store."""
    found: Json = json.loads(json.dumps(value, default=dict, allow_nan=False))
    return found


def restored(value: Any) -> AlertBook:  # noqa: ANN401 - a file may hold anything
    """Return a book that was given what a file held."""
    book = AlertBook(lambda: NOW, lambda: 5.0)
    book.load(Alerting())
    book.restore(value)
    return book


def of(*active: Any, resolved: Any = ()) -> dict[str, Any]:  # noqa: ANN401 - a file may hold anything
    """Return the content of a file."""
    return {"schema": 1, "active": list(active), "resolved": list(resolved)}


def test_killed_twenty_times() -> None:
    """However often it is killed at whatever moment, nothing ends, nothing is told again, and the beginning stays."""
    desk = firing()
    started = desk.alerts.active[0].starts_at
    chance = random.Random(4)
    for _ in range(20):
        desk = desk.restarted(stored(desk.book.dump()))
        assert [a.starts_at for a in desk.alerts.active] == [started], "there before the first tick"
        for step in range(chance.randrange(40)):
            if step == 3:
                desk.see(ROW, CRITICAL)
            if step == 5:
                desk.see(ROW)
                desk.causes = [port_fails()]
            if step == 20:
                desk.be()
            desk.wait(1)
        assert desk.heard == []
        assert [a.starts_at for a in desk.alerts.active] == [started]
        assert not desk.alerts.resolved


def test_ends_once_its_row_has_reported() -> None:
    """After a restart an alert ends when its row is held to be ok, and not because nothing is known yet."""
    desk = firing()
    desk = desk.restarted(stored(desk.book.dump()))
    desk.be()
    desk.wait(300)
    assert len(desk.active()) == 1
    desk.see(ROW, UNKNOWN)
    desk.wait(30)
    assert len(desk.active()) == 1
    desk.see(ROW, OK, times=2)
    desk.wait(2)
    assert desk.active() == []
    (ended,) = desk.alerts.resolved
    assert ended.ends_at == desk.wall


@pytest.mark.parametrize("first", [None, UNKNOWN], ids=["not-yet-run", "no-verdict"])
def test_rows_of_a_shared_job_are_waited_for(first: Any) -> None:  # noqa: ANN401 - an Outcome or None
    """A nameserver's row is gone only when its check has reached a verdict without it."""
    one = cause("NameserverDown", NAMESERVER, alert="ConnectorNameserverDown", nameserver="10.0.0.2")
    desk = firing(one)
    desk = desk.restarted(stored(desk.book.dump()))
    desk.be()
    desk.says = {"resolver:nameservers": OK}
    if first is not None:
        desk.see("resolver:nameservers", first)
    desk.wait(60)
    assert len(desk.active()) == 1
    desk.says = {"resolver:10.0.0.9": OK}
    desk.see("resolver:10.0.0.9")
    desk.wait(2)
    assert desk.active() == [], "it left resolv.conf"


def test_gone_from_the_plan() -> None:
    """An alert about what the configuration no longer has ends, but not while the process warms up."""
    desk = firing()
    desk.says = {"host:network": OK}
    desk = desk.restarted(stored(desk.book.dump()))
    desk.wait(60)
    assert len(desk.active()) == 1
    desk.be()
    desk.wait(2)
    assert desk.active() == []


def test_ended_ones_come_back() -> None:
    """What ended before the restart is told as ended for the rest of its 15 minutes."""
    desk = firing()
    desk.heal(*desk.causes)
    desk.wait(300)
    (before,) = desk.alerts.resolved
    desk = desk.restarted(stored(desk.book.dump()))
    assert desk.alerts.resolved == (before,)
    desk.wait(600)
    assert desk.alerts.resolved
    desk.wait(2)
    assert not desk.alerts.resolved


def test_ended_then_active_again() -> None:
    """An alert that fires again is no longer told as ended."""
    desk = firing()
    one = desk.causes[0]
    desk.heal(one)
    desk.wait(10)
    desk.fail(one)
    desk.wait(61)
    assert (len(desk.alerts.active), desk.alerts.resolved) == (1, ())
    desk = desk.restarted(stored(desk.book.dump()))
    assert (len(desk.alerts.active), desk.alerts.resolved) == (1, ())


def test_flapping_is_remembered() -> None:
    """How often it fired within the hour survives, so that a restart brings no more pages."""
    desk = AlertDesk(ROW, config=Config(alerting=Alerting(after={"ConnectorUnableToConnect": 0.0})))
    for _ in range(2):
        desk.fail(port_fails())
        desk.wait(1)
        desk.heal(*desk.causes)
        desk.see(ROW, OK, times=20)
        desk.wait(3)
    desk = desk.restarted(stored(desk.book.dump()))
    desk.be()
    desk.see(ROW, OK, times=2)
    desk.wait(299)
    assert len(desk.active()) == 1
    desk.wait(5)
    assert desk.active() == []


def test_restored_severity_goes_on() -> None:
    """A critical alert that comes back as a warning gives way by the same rule as without a restart."""
    desk = firing(cause("NameserverDown", NAMESERVER, alert="ConnectorNameserverDown", nameserver="10.0.0.2"))
    desk = desk.restarted(stored(desk.book.dump()))
    desk.be()
    one = cause("NameserverDown", NAMESERVER, alert="ConnectorNameserverDown", severity="warning",
                nameserver="10.0.0.2")  # fmt: skip
    desk.fail(one)
    desk.wait(60)
    assert desk.active() == [("ConnectorNameserverDown", "critical")]
    desk.wait(1)
    assert desk.active() == [("ConnectorNameserverDown", "warning")]


def test_shadow_alerts_come_back() -> None:
    """What shadow mode computed survives as well."""
    desk = AlertDesk("connector:process", config=Config(alerting=Alerting(mode="shadow")))
    desk.fail(cause("ConnectorDown", "connector:process", alert="ConnectorDown"))
    desk.wait(130)
    kept = stored(desk.book.dump())
    assert desk.restarted(kept).alerts.active == desk.alerts.active


def test_good_entry() -> None:
    """What we could have written is taken as it is."""
    book = restored(of(GOOD, resolved=[GOOD | {"name": "ConnectorRestarting", "ends_at": NOW - 10}]))
    (active,), (ended,) = book.alerts.active, book.alerts.resolved
    assert (active.key.name, active.starts_at, active.rows) == ("ConnectorDown", NOW - 60, ("connector:process",))
    assert (ended.key.name, ended.ends_at) == ("ConnectorRestarting", NOW - 10)
    assert book.alerts.version == 1


@pytest.mark.parametrize(
    ("changed", "starts_at"),
    [
        ({"starts_at": NOW + 3600}, NOW),
        ({"starts_at": 10**30}, NOW),
        ({"starts_at": 0}, NOW - MAX_AGE_S),
        ({"starts_at": -1e300}, NOW - MAX_AGE_S),
        ({"starts_at": float("nan")}, None),
        ({"starts_at": float("inf")}, None),
        ({"starts_at": 10**400}, None),
        ({"starts_at": True}, None),
        ({"starts_at": "2026"}, None),
        ({"name": "Other"}, None),
        ({"name": "ConnectorHealthWatchdog"}, None),
        ({"name": "ConnectorHealthDown"}, None),
        ({"severity": "warning"}, None),
        ({"severity": "none"}, NOW - 60),
        ({"tier": "none", "severity": "none"}, None),
        ({"labels": {"instance": "x"}}, None),
        ({"labels": {"port": 1}}, None),
        ({"labels": {"port": "\x1b"}}, None),
        ({"labels": {"port": "1" * 1000}}, None),
        ({"labels": []}, None),
        ({"ends_at": NOW}, None),
        ({"ends_at": "x"}, None),
        ({"rows": "abc", "fires": "x", "cause": 1, "summary": []}, NOW - 60),
        ({"rows": [1, None, "x" * 10_000], "fires": [None, 10**400, "x"]}, NOW - 60),
    ],
)
def test_odd_entry(changed: dict[str, Json], starts_at: float | None) -> None:
    """An entry whose identity makes no sense is left out; times are clamped; odd details are dropped."""
    active = restored(of(GOOD | changed)).alerts.active
    assert [a.starts_at for a in active] == ([] if starts_at is None else [starts_at])


@pytest.mark.parametrize(
    ("changed", "ends_at"),
    [
        ({"ends_at": NOW + 99}, NOW),
        ({"ends_at": NOW - 899}, NOW - 60),  # it began later than that
        ({"starts_at": NOW - 5000, "ends_at": NOW - 899}, NOW - 899),
        ({"starts_at": NOW - 5000, "ends_at": NOW - 901}, None),
        ({"ends_at": None}, None),
    ],
)
def test_odd_end(changed: dict[str, Json], ends_at: float | None) -> None:
    """An end is between the beginning and now, and only one of the last 15 minutes is told."""
    ended = restored(of(resolved=[GOOD | changed])).alerts.resolved
    assert [a.ends_at for a in ended] == ([] if ends_at is None else [ends_at])


def test_two_of_one_identity() -> None:
    """Of two severities of one identity in the file one comes back."""
    assert len(restored(of(GOOD, GOOD | {"severity": "warning", "tier": "warning"}, GOOD)).alerts.active) == 1
    both = of(GOOD, resolved=[GOOD | {"ends_at": NOW - 1}])
    assert not restored(both).alerts.resolved


def test_too_much() -> None:
    """A file with more than there can be costs no more than there can be."""
    many = [GOOD | {"labels": {"endpoint": str(n)}, "rows": ["x"] * 500, "summary": "s" * 1000} for n in range(500)]
    alerts = restored(of(*many, resolved=[one | {"ends_at": NOW} for one in many * 10])).alerts
    assert (len(alerts.active), dict(alerts.truncated)) == (200, {})
    assert len(alerts.resolved) <= 2000
    assert max(len(a.rows) for a in alerts.active) <= 100
    assert max(len(a.summary) for a in alerts.active) <= 300


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.sampled_from(["port", "x"]), st.text(max_size=3), max_size=2),
    st.sampled_from([10**400, NOW, NOW + 1e9, "critical", "none", "ConnectorDown"]),
)  # fmt: skip
ENTRIES = VALUES | st.dictionaries(st.sampled_from(list(GOOD)), VALUES, max_size=3).map(lambda changed: GOOD | changed)
FILES = VALUES | st.fixed_dictionaries(
    {"schema": st.just(1) | VALUES},
    optional={"active": VALUES | st.lists(ENTRIES, max_size=4), "resolved": VALUES | st.lists(ENTRIES, max_size=4)},
)


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_anything(kept: Any) -> None:  # noqa: ANN401 - a file may hold anything
    """Whatever is in the file: no error, and what comes back can be written and shown, and goes on."""
    desk = AlertDesk()
    desk.book.restore(kept)
    for alert in (*desk.alerts.active, *desk.alerts.resolved):
        assert STARTED_AT - MAX_AGE_S <= alert.starts_at <= STARTED_AT
        assert alert.ends_at is None or alert.starts_at <= alert.ends_at <= STARTED_AT
    stored(desk.book.dump())
    desk.wait(3)
    assert desk.active() == []


@pytest.mark.parametrize("kept", [None, [], {}, {"schema": 2, "active": [GOOD]}, "x", 1, {"schema": 1}])
def test_no_file(kept: Json) -> None:
    """Without a past, or with one of another version, there is none."""
    assert restored(kept).alerts == NO_ALERTS
