"""Failures that we had not predicted: who is asked again, and what is shown when we still pass."""

import pytest

from checks.connlog.model import ConnectionSeen
from daemon.truth import MAX_PENDING
from tests.support.desk import DB, DB_NAME, MIDNIGHT, ONE, SSH, Desk, T, bad, ok


def test_an_unpredicted_failure_is_looked_at_at_once_and_becomes_a_disagreement() -> None:
    """The row is asked again in the very call; if it still passes, that is shown, counted and dated."""
    desk = Desk()
    desk.now = T - 5
    desk.probe(ONE, "o")
    desk.now = T + 0.25
    desk.hear(bad(T))
    assert desk.asked == [ONE]
    assert desk.disagreements() == []
    desk.now = T + 0.5
    desk.probe(ONE, "o", began=T - 0.1)
    assert desk.disagreements() == [], "that run began before the user failed"
    desk.probe(ONE, "u", began=T + 0.3)
    assert desk.disagreements() == [], "that run learned nothing"
    desk.probe(ONE, "o", began=T + 0.3)
    (found,) = desk.disagreements()
    assert (found.id, found.at, found.observed, found.count) == (ONE, MIDNIGHT + T, "unable_to_connect", 1)
    desk.until(T + 60)
    desk.hear(bad(T + 60))
    desk.probe(ONE, "o")
    (found,) = desk.disagreements()
    assert (found.at, found.count) == (MIDNIGHT + T + 60, 2)
    assert desk.counts == {("n", "u"): 1}


@pytest.mark.parametrize("letter", ["c", "w", "k"])
def test_a_recheck_that_finds_something_is_no_disagreement(letter: str) -> None:
    """Where the repeated probe fails, or warns, we no longer say that all is well."""
    desk = Desk()
    desk.now = T
    desk.hear(bad(T))
    assert desk.asked == [ONE]
    desk.probe(ONE, letter)
    desk.probe(ONE, "o")
    assert desk.disagreements() == []


def _disagreeing() -> Desk:
    desk = Desk()
    desk.now = T
    desk.hear(bad(T))
    desk.probe(ONE, "o")
    assert len(desk.disagreements()) == 1
    return desk


@pytest.mark.parametrize(("letters", "shown"), [("c", 0), ("k", 0), ("u", 1), ("d", 1), ("w", 1), ("o", 1), ("ow", 1)])
def test_a_disagreement_ends_when_our_probe_fails_too(letters: str, shown: int) -> None:
    """Once we fail as users did, we agree again; what learned nothing changes nothing."""
    desk = _disagreeing()
    for letter in letters:
        desk.probe(ONE, letter)
    assert len(desk.disagreements()) == shown


def test_a_disagreement_that_has_ended_begins_anew() -> None:
    """What is counted are the failures since we last agreed."""
    desk = _disagreeing()
    desk.probe(ONE, "c")
    desk.until(T + 60)
    desk.probe(ONE, "o")
    desk.hear(bad(T + 60))
    desk.probe(ONE, "o")
    assert [d.count for d in desk.disagreements()] == [1]
    desk.probe(ONE, "c")
    assert desk.disagreements() == []


def test_a_disagreement_ends_after_a_day() -> None:
    """After 24 h it is shown no more, also before the next tick."""
    desk = _disagreeing()
    desk.now = T + 86400
    assert len(desk.disagreements()) == 1
    desk.now = T + 86401
    assert desk.disagreements() == []


def test_a_disagreement_ends_with_its_row() -> None:
    """A target that is no longer configured is not shown; what stays configured keeps what is known of it."""
    desk = _disagreeing()
    desk.truth.load(desk.config, desk.plan())
    assert len(desk.disagreements()) == 1
    other = Desk("  - {name: DB, address: db.test, tcp: [5432]}")
    desk.truth.load(other.config, other.plan())
    assert desk.disagreements() == []
    desk.hear(bad(T + 60))
    assert desk.after() == {}


@pytest.mark.parametrize(
    ("event", "asked"),
    [
        (bad(T, "db.test", 5432), [DB]),
        (bad(T, "db.test", 5432, dns=True), [DB_NAME]),
        (bad(T, "db.test", 9999), []),
        (bad(T, "10.0.0.6", 3306), []),
        (bad(T, "10.0.0.7", 22), []),
        (bad(T, "app.test", 443), []),
        (ok(T), []),
    ],
)
def test_who_is_asked_again(event: ConnectionSeen, asked: list[str]) -> None:
    """The row that should have told is asked, unless it may not be asked so soon, or at all."""
    desk = Desk()
    desk.now = T
    desk.hear(event)
    assert desk.asked == asked


def test_a_port_with_a_policy_answers_when_its_turn_comes() -> None:
    """It is not asked again at once, but its next run tells whether we disagree."""
    desk = Desk()
    desk.now = T
    desk.hear(bad(T, "10.0.0.7", 22))
    desk.until(T + 300)
    desk.probe(SSH, "o")
    assert [d.id for d in desk.disagreements()] == [SSH]


def test_an_answer_that_comes_too_late_tells_nothing() -> None:
    """A re-check that never came is given up after three intervals."""
    desk = Desk()
    desk.now = T
    desk.hear(bad(T))
    desk.until(T + 3 * 30 + 16 + 1)
    desk.probe(ONE, "o")
    assert desk.disagreements() == []


def test_a_predicted_failure_is_not_looked_at_again() -> None:
    """What we predicted needs no second look, of either kind."""
    desk = Desk()
    desk.now = T
    desk.probe(DB_NAME, "c")
    desk.hear(bad(T, "db.test", 5432))
    desk.probe(ONE, "c")
    desk.hear(bad(T))
    assert desk.asked == []


def test_a_storm_of_failures_asks_once_a_minute() -> None:
    """However many users fail at a target, it is asked again once for the minute."""
    desk = Desk()
    for number in range(10_000):
        desk.now = T + number / 200
        desk.hear(bad(desk.now))
    assert desk.asked == [ONE]
    assert desk.after() == {("?", "u"): 1}


def test_it_is_bounded() -> None:
    """More targets than there is room for are left out; disagreements are the latest hundred."""
    lines = "\n".join(f"  - {{name: R{n}, address: 10.1.{n // 250}.{n % 250}, tcp: [443]}}" for n in range(300))
    desk = Desk(lines)
    desk.now = T
    for n in range(300):
        desk.now += 0.01
        desk.hear(bad(desk.now, f"10.1.{n // 250}.{n % 250}", 443))
        desk.probe(f"tcp:10.1.{n // 250}.{n % 250}:443", "o")
    shown = desk.disagreements()
    assert len(shown) == 100
    assert shown[0].id == "tcp:10.1.1.49:443"
    desk.now = 60.0 * (MAX_PENDING + 100)
    for n in range(MAX_PENDING + 50):
        desk.hear(ok(desk.now - 60.0 * n, "10.1.0.0", 443))
    assert len(desk.truth._pending) == MAX_PENDING
