"""What holds now: unexplained causes and what is no cause, each under the key of its alert."""

import datetime as dt
from dataclasses import replace

import pytest

from checks.model import Reason
from daemon.alert import LABELS, AlertKey, Delivery
from daemon.causes import Cause, Change, ChangeKind
from daemon.config.schema import Alerting, Config, Maintenance, Resource
from tests.support.alert_desk import CRITICAL, OK, UNKNOWN, AlertDesk, cause, port_fails
from tests.support.views import STARTED_AT, plain_job, skipped

NAMESERVER = cause(
    "NameserverDown", "resolver:10.0.0.2", alert="ConnectorNameserverDown", target="10.0.0.2", nameserver="10.0.0.2",
    explains=("dns:a", "tcp:a:1"),
)  # fmt: skip


def names(desk: AlertDesk) -> list[tuple[str, str]]:
    """Return name and severity of what holds."""
    return [(key.name, key.severity) for key in desk.conditions]


def test_nothing_is_wrong() -> None:
    """Where nothing is wrong nothing holds."""
    assert names(AlertDesk("tcp:db:1", "clock:system")) == []


def test_key_and_words() -> None:
    """The key has the labels in their order; the words are the cause's, with what follows from it and what preceded."""
    desk = AlertDesk("tcp:db:1")
    change = Change(at=STARTED_AT, kind=ChangeKind.ROUTE, text="the default route changed")
    one = replace(port_fails(), resources=2, explains=("a", "b"), changed=(change,), possible=("two share a token.",))
    desk.fail(one)
    ((key, condition),) = desk.conditions.items()
    assert key == AlertKey("ConnectorUnableToConnect", "warning", ("DB", "db", "1", "", ""))
    assert (condition.cause, condition.rows) == ("PortFails:tcp:db:1", ("tcp:db:1",))
    assert condition.words.summary == "It is broken"
    assert condition.words.action == "Mend it."
    assert condition.words.description == (
        "It was seen. It affects 2 Resources and explains 2 other checks. "
        "Shortly before: the default route changed (2026-01-02 03:04:05 UTC). "
        "Possible, and not to be told apart from here: two share a token."
    )


def test_explained_causes_raise_nothing() -> None:
    """A cause whose evidence another cause explains is not told beside it."""
    desk = AlertDesk("tcp:a:1", "resolver:10.0.0.2")
    desk.fail(port_fails("tcp:a:1"), NAMESERVER)
    desk.explained = {"tcp:a:1": NAMESERVER.id, "dns:a": NAMESERVER.id, "resolver:10.0.0.2": NAMESERVER.id}
    assert names(desk) == [("ConnectorNameserverDown", "critical")]


@pytest.mark.parametrize(
    ("explained", "expected"),
    [
        ({"host:network": "C:x", "tcp:b:1": "A:x"}, ["C"]),
        ({"host:network": "B:x", "tcp:b:1": "A:x"}, ["A", "B", "C"]),
        ({"host:network": "gone:x"}, ["A", "B", "C"]),
        ({"host:network": "C:x", "tcp:c:1": "B:x"}, ["B"]),
    ],
    ids=["chain", "circle", "dangling", "other-chain"],
)
def test_only_roots_are_told(explained: dict[str, str], expected: list[str]) -> None:
    """Of causes that explain each other the first one is told; a circle, or a cause that is gone, explains nothing."""
    desk = AlertDesk("host:network", "tcp:b:1", "tcp:c:1")
    desk.causes = [
        cause(code, row, alert="ConnectorDown", endpoint=code)
        for code, row in (("A", "host:network"), ("B", "tcp:b:1"), ("C", "tcp:c:1"))
    ]
    desk.explained = explained
    assert [key.labels[LABELS.index("endpoint")] for key in desk.conditions] == expected


def test_partly_explained_causes_are_told() -> None:
    """As long as some of its evidence is not explained a cause stands for itself."""
    desk = AlertDesk("tcp:a:1", "tcp:b:1")
    desk.causes = [cause("PortBlocked", "tcp:a:1", "tcp:b:1", alert="ConnectorUnableToConnect"), NAMESERVER]
    desk.explained = {"tcp:a:1": NAMESERVER.id}
    assert len(names(desk)) == 2


def test_what_explains_itself_is_told() -> None:
    """The rows from which a cause was inferred are explained by it, and by nobody else."""
    desk = AlertDesk("tcp:a:1", "tcp:b:1")
    one = cause("PortBlocked", "tcp:a:1", "tcp:b:1", alert="ConnectorUnableToConnect", explains=("tcp:a:1", "tcp:b:1"))
    desk.fail(one)
    desk.explained = dict.fromkeys(one.evidence, one.id)
    assert names(desk) == [("ConnectorUnableToConnect", "critical")]


def test_causes_without_an_alert_hold_nothing() -> None:
    """What no alert carries is left to the views."""
    desk = AlertDesk("clock:system")
    desk.causes = [cause("ClockStepped", "clock:system")]
    assert names(desk) == []


def test_one_identity_has_one_condition() -> None:
    """Causes that share name and labels share one alert: the worst severity, all rows, both texts."""
    desk = AlertDesk("tcp:a:1", "tcp:b:1")
    desk.causes = [
        cause("ConnectorNetwork", "tcp:a:1", alert="ConnectorUnableToConnect", severity="warning", title="First"),
        cause("LocalFirewall", "tcp:b:1", alert="ConnectorUnableToConnect", severity="critical", title="Second"),
    ]
    ((key, condition),) = desk.conditions.items()
    assert key.severity == "critical"
    assert condition.cause == "LocalFirewall:x"
    assert set(condition.rows) == {"tcp:a:1", "tcp:b:1"}
    assert condition.words.summary == "Second"
    assert "Also: First." in condition.words.description


def test_shadow_mode_has_no_severity() -> None:
    """In shadow mode every severity is none; what it would be stays known."""
    desk = AlertDesk("tcp:db:1", config=Config(alerting=Alerting(mode="shadow")))
    desk.fail(port_fails(severity="critical"))
    desk.be(reload_ok=False)
    assert [(key.severity, c.severity) for key, c in desk.conditions.items()] == [
        ("none", "critical"), ("none", "warning"),
    ]  # fmt: skip


def test_clock_unverified() -> None:
    """A clock of which nobody knows is told; one that is not looked at, or whose silence is explained, is not."""
    desk = AlertDesk("clock:system")
    assert names(desk) == []
    desk.see("clock:system", UNKNOWN)
    assert names(desk) == [("ConnectorClockUnverified", "info")]
    desk.explained = {"clock:system": "HostNetworkDown:host"}
    assert names(desk) == []
    desk.explained = {}
    desk.board.load([plain_job("clock:system", fixed=skipped(Reason.NOT_PROBEABLE))])
    assert names(desk) == []
    desk.board.load([])
    assert names(desk) == []


def test_own_conditions() -> None:
    """Starvation, a failed reload and an Alertmanager that takes nothing are told, each Alertmanager by its name."""
    desk = AlertDesk("tcp:db:1")
    desk.be(starved=True, reload_ok=False)
    desk.deliveries = (
        Delivery(name="am-1:9093", sent=1),
        Delivery(name="am-2:9093", failing_since=STARTED_AT, problem="connection refused"),
    )
    found = desk.conditions
    assert [key.name for key in found] == [
        "ConnectorHealthStarved", "ConnectorHealthConfigStale", "ConnectorHealthNotificationsFailing",
    ]  # fmt: skip
    assert {key.severity for key in found} == {"warning"}
    *_, last = found.values()
    assert last.key.labels == ("", "", "", "", "am-2:9093")
    assert "connection refused" in last.words.description


DB, WEB = Resource(name="DB", address="db"), Resource(name="Web", address="web")


def _announced(match: str, *causes: Cause, offset: float = 0.0) -> list[tuple[str, str]]:
    start = dt.datetime.fromtimestamp(STARTED_AT + offset, dt.UTC)
    window = Maintenance(match=match, start=start, to=start + dt.timedelta(hours=1))
    desk = AlertDesk(
        "tcp:db:1", "tcp:web:1", "resolver:10.0.0.2",
        config=Config(resources=(DB, WEB), maintenance=(window,)),
    )  # fmt: skip
    desk.fail(*causes)
    return names(desk)


BOTH = cause("PortBlocked", "tcp:db:1", "tcp:web:1", alert="ConnectorUnableToConnect", port="1")


@pytest.mark.parametrize(
    ("match", "one", "expected"),
    [
        ("DB", port_fails("tcp:db:1"), 0),
        ("d*", port_fails("tcp:db:1"), 0),
        ("Web", port_fails("tcp:db:1"), 1),
        ("DB", BOTH, 1),
        ("*", BOTH, 0),
        ("*", NAMESERVER, 1),
    ],
    ids=["by-name", "by-address", "another", "one-of-two", "both", "a-nameserver-is-nobodys-resource"],
)
def test_maintenance(match: str, one: Cause, expected: int) -> None:
    """A cause shown by nothing but Resources in maintenance raises nothing; what belongs to no Resource always does."""
    assert len(_announced(match, one)) == expected


def test_maintenance_is_of_its_time() -> None:
    """Before and after its window a maintenance excuses nothing."""
    assert len(_announced("*", port_fails(), offset=60)) == 1
    assert len(_announced("*", port_fails(), offset=-3600)) == 1


def test_what_a_row_in_maintenance_explains_counts() -> None:
    """A cause in a Resource in maintenance is told when it breaks another that is not."""
    assert len(_announced("DB", replace(port_fails("tcp:db:1"), explains=("tcp:web:1",)))) == 1


def test_flapping_is_said() -> None:
    """The condition of a row that flaps says so, with its value."""
    desk = AlertDesk("tcp:db:1")
    for _ in range(5):
        desk.see("tcp:db:1", CRITICAL, times=2)
        desk.see("tcp:db:1", OK, times=2)
    desk.fail(port_fails())
    ((_, condition),) = desk.conditions.items()
    assert condition.flap == desk.board.rows["tcp:db:1"].held.flap
    assert f"it comes and goes (flap value {condition.flap:.0f} %)" in condition.words.summary


def test_hostile_texts_are_bounded_and_harmless() -> None:
    """Names from outside can neither flood a page nor steer a terminal."""
    desk = AlertDesk("tcp:db:1")
    desk.fail(replace(port_fails(), title="\x1b[31m" + "a" * 10_000, text="\u202e" * 10_000, action="b" * 10_000))
    words = next(iter(desk.conditions.values())).words
    assert len(words.summary) <= 300
    assert max(len(words.description), len(words.action)) <= 2000
    assert (words.summary + words.description).isprintable()
