"""What users met, beside what we had predicted."""

from typing import Any

import pytest

from checks.connlog.model import ConnectionKind, ConnectionSeen
from tests.support.desk import CONFIRM_S, DB, DB_NAME, MIDNIGHT, ONE, Desk, T, bad, ok


@pytest.mark.parametrize(
    ("probes", "event", "counted"),
    [
        ("o", ok, ("n", "n")),
        ("o", bad, ("n", "u")),
        ("c", ok, ("u", "n")),
        ("c", bad, ("u", "u")),
        ("", ok, ("?", "n")),
        ("", bad, ("?", "u")),
        ("u", ok, ("?", "n")),
        ("d", bad, ("?", "u")),
        ("ou", ok, ("n", "n")),
        ("cu", ok, ("u", "n")),
        ("oc", ok, ("u", "n")),
        ("co", bad, ("n", "u")),
        ("k", bad, ("?", "u")),
        ("x", bad, ("?", "u")),
        ("w", bad, ("n", "u")),
    ],
)
def test_the_last_word_before_it_is_the_prediction(probes: str, event: Any, counted: tuple[str, str]) -> None:  # noqa: ANN401
    """Predicted is what the last conclusive probe said; one that did not get through predicts no success."""
    desk = Desk()
    for number, letter in enumerate(probes):
        desk.now = T - 10 + number
        desk.probe(ONE, letter)
    desk.now = T
    desk.hear(event(T))
    assert desk.after() == {counted: 1}


@pytest.mark.parametrize(
    ("name", "port", "event", "counted"),
    [
        ("o", "o", {"dns": True}, ("n", "d")),
        ("c", "d", {"dns": True}, ("d", "d")),
        ("c", "d", {}, ("d", "u")),
        ("o", "c", {}, ("u", "u")),
        ("o", "c", {"dns": True}, ("u", "d")),
        ("o", "", {"dns": True}, ("n", "d")),
        ("o", "", {}, ("?", "u")),
        ("", "o", {"dns": True}, ("n", "d")),
        ("w", "o", {"dns": True}, ("n", "d")),
        ("k", "d", {"dns": True}, ("?", "d")),
    ],
)
def test_the_name_and_the_port_together(name: str, port: str, event: dict[str, bool], counted: tuple[str, str]) -> None:
    """A name that fails is predicted by its dns row, a port by its tcp row."""
    desk = Desk()
    desk.now = T - 10
    for row_id, letter in ((DB_NAME, name), (DB, port)):
        if letter:
            desk.probe(row_id, letter)
    desk.now = T
    desk.hear(bad(T, "db.test", 5432, **event))
    assert desk.after() == {counted: 1}


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [
        ("n0 n1 n59.9", {("n", "n"): 1}),
        ("n0 u30", {("n", "u"): 1}),
        ("u0 n1", {("n", "u"): 1}),
        ("u0 u30", {("n", "u"): 1}),
        ("u0 d30", {("n", "u"): 1}),
        ("d0 u30", {("n", "d"): 1}),
        ("n59 n60", {("n", "n"): 2}),
        ("n0 u59.9 u60", {("n", "u"): 2}),
        ("u0 n61", {("n", "u"): 1, ("n", "n"): 1}),
    ],
)
def test_one_observation_for_a_target_and_minute(seconds: str, counted: dict[tuple[str, str], int]) -> None:
    """In a minute of the clock a target counts once: as its first failure, else as a success."""
    desk = Desk()
    for step in seconds.split():
        desk.until(T + float(step[1:]))
        desk.probe(DB, "o")
        desk.probe(DB_NAME, "o")
        event = ok if step[0] == "n" else bad
        desk.hear(event(desk.now, "db.test", 5432, **({"dns": True} if step[0] == "d" else {})))
    desk.until(T + 200)
    assert desk.counts == counted


def test_a_failure_is_counted_at_once_and_a_success_when_its_minute_is_over() -> None:
    """`tick` counts what is due, not before, and says when there will be more."""
    desk = Desk()
    desk.until(T)
    desk.probe(ONE, "o")
    desk.hear(ok(T))
    desk.hear(bad(T, "10.0.0.7", 22))
    assert desk.truth.tick() == MIDNIGHT + T + CONFIRM_S
    desk.until(T + 1.9)
    assert desk.counts == {}
    desk.until(T + CONFIRM_S)
    assert desk.counts == {("?", "u"): 1}
    assert desk.truth.tick() == MIDNIGHT + T + 60 + CONFIRM_S
    desk.until(T + 61.9)
    assert desk.counts == {("?", "u"): 1}
    desk.until(T + 62)
    assert desk.counts == {("?", "u"): 1, ("n", "n"): 1}
    assert desk.truth.tick() is None


def test_late_lines_of_a_counted_minute_count_no_more() -> None:
    """What the log tells of a minute that is already counted changes nothing."""
    desk = Desk()
    desk.until(T)
    desk.hear(bad(T))
    desk.until(T + 100)
    desk.hear(bad(T + 1))
    desk.hear(ok(T - 100))
    desk.until(T + 300)
    assert desk.counts == {("?", "u"): 1}


@pytest.mark.parametrize("kind", [ConnectionKind.DENIED, ConnectionKind.CLOSED])
def test_denials_and_ends_are_not_counted(kind: ConnectionKind) -> None:
    """A denial is policy, and an end is no beginning: both say nothing of the Resource."""
    desk = Desk()
    desk.now = T
    desk.hear(ConnectionSeen(at=MIDNIGHT + T, kind=kind, address="10.0.0.5", port=8443, protocol="tcp"))
    assert desk.after() == {}
    assert desk.asked == []


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (ok(T, "db.test", 5432), True),
        (ok(T, "db.test", 9999), True),
        (ok(T, "other.test", 443, ip="10.0.0.5"), False),
        (ok(T, "other.test", 8443, ip="10.0.0.5"), True),
        (ok(T, "app.test", 443), True),
        (ok(T, "x.corp.test", 443, rule="*.corp.test"), True),
        (ok(T, "x.corp.test", 443), False),
        (ok(T, "other.test", 443), False),
        (ok(T, "10.0.0.6", 3306), True),
        (ok(T, "", None), False),
        (ok(T, "10.0.0.5", 8443, protocol="udp"), False),
        (bad(T, "db.test", 53, protocol="udp", dns=True), True),
        (bad(T, "db.test", None, dns=True), True),
    ],
)
def test_whose_connection_it_is(event: ConnectionSeen, counted: bool) -> None:
    """A connection is matched by what was asked for, then by where it led, then by its Resource; strangers, and UDP,
    are not counted.
    """
    desk = Desk()
    desk.now = T
    desk.hear(event)
    assert (sum(desk.after().values()) == 1) is counted


def test_what_was_before_us_is_not_counted() -> None:
    """Of a connection from before our start nothing was predicted."""
    desk = Desk()
    desk.hear(ok(-1))
    desk.now = T
    assert desk.after() == {}


def test_every_pair_begins_at_zero() -> None:
    """A counter that is not there can't be seen to rise: all twelve pairs exist from the start."""
    counts = Desk().truth.predictions.counts
    assert len(counts) == 12
    assert set(counts.values()) == {0}


def test_a_reload_keeps_what_is_known() -> None:
    """Rows that stay as they are go on with what they have said."""
    desk = Desk()
    desk.now = T - 5
    desk.probe(ONE, "o")
    desk.truth.load(desk.config, desk.plan())
    desk.now = T
    desk.hear(ok(T))
    desk.truth.load(desk.config, desk.plan())
    assert desk.after() == {("n", "n"): 1}
