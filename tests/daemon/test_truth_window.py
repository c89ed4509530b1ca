"""Which of our words counts for an event: the window around it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.desk import CONFIRM_S, DB, DB_NAME, DNS_REACH_S, ONE, TCP_REACH_S, Desk, T, bad, ok


@pytest.mark.parametrize(
    ("known", "counted"),
    [
        (T - TCP_REACH_S - 0.5, "?"),
        (T - TCP_REACH_S, "n"),
        (T - TCP_REACH_S + 0.5, "n"),
        (T, "n"),
        (T + CONFIRM_S, "n"),
        (T + CONFIRM_S + 0.5, "?"),
    ],
)
@pytest.mark.parametrize("event", [ok, bad])
def test_the_window(known: float, counted: str, event: Any) -> None:  # noqa: ANN401
    """A result counts from an interval and a time-out before the event until `confirm` after it, both included."""
    desk = Desk()
    steps: list[tuple[float, int, Callable[[], None]]] = [
        (known, 0, lambda: desk.probe(ONE, "o")),
        (T, 1, lambda: desk.hear(event(T))),
    ]
    for at, _, step in sorted(steps, key=lambda step: step[:2]):
        desk.now = at
        step()
        desk.truth.tick()
    (pair,) = desk.after()
    assert pair[0] == counted


def test_a_gap_in_what_we_know_is_unknown() -> None:
    """Of a time when nothing was known nothing was predicted, whatever was said before it and again after it."""
    desk = Desk()
    desk.now = T - 200
    desk.probe(ONE, "o")
    desk.now = T + CONFIRM_S + 1
    desk.probe(ONE, "o")
    desk.hear(bad(T))
    assert desk.after() == {("?", "u"): 1}


def test_a_failure_that_replaces_a_success_has_its_own_window() -> None:
    """The window is that of the event which counts, not of the first in its minute."""
    desk = Desk()
    desk.now = T
    desk.probe(ONE, "o")
    desk.hear(ok(T))
    desk.until(T + 1)
    desk.hear(bad(T + 1))
    desk.until(T + CONFIRM_S)
    desk.now = T + CONFIRM_S + 0.5
    desk.probe(ONE, "c")
    assert desk.after() == {("u", "u"): 1}


def test_a_run_counts_from_its_end() -> None:
    """What a run found is known when it ends: one that began before the window and ended in it is in it."""
    desk = Desk()
    desk.now = T - TCP_REACH_S
    desk.probe(ONE, "c", began=T - TCP_REACH_S - 5)
    desk.now = T
    desk.hear(bad(T))
    assert desk.after() == {("u", "u"): 1}


@pytest.mark.parametrize(
    ("before", "after", "event", "counted"),
    [
        ("o", "c", bad, ("u", "u")),
        ("c", "o", ok, ("n", "n")),
        ("c", "o", bad, ("u", "u")),
        ("o", "c", ok, ("n", "n")),
        ("", "c", ok, ("u", "n")),
    ],
)
def test_a_word_within_confirm_that_agrees_counts(
    before: str, after: str, event: Any, counted: tuple[str, str]  # noqa: ANN401
) -> None:  # fmt: skip
    """A change that we see within `confirm` after the event was seen in time, for failures and successes alike."""
    desk = Desk()
    desk.now = T - 20
    if before:
        desk.probe(ONE, before)
    desk.now = T
    desk.hear(event(T))
    desk.now = T + CONFIRM_S
    desk.probe(ONE, after)
    assert desk.after() == {counted: 1}


@pytest.mark.parametrize(("row_id", "reach"), [(DB, TCP_REACH_S), (DB_NAME, DNS_REACH_S)])
def test_each_row_has_its_own_reach(row_id: str, reach: float) -> None:
    """How long a word holds depends on the time-out of its row."""
    for late, predicted in ((0.0, True), (0.5, False)):
        desk = Desk()
        desk.now = T - reach - late
        desk.probe(row_id, "c")
        desk.now = T
        desk.hear(bad(T, "db.test", 5432))
        ((said, _),) = desk.after()
        assert (said != "?") is predicted


@pytest.mark.parametrize(("letter", "counted"), [("o", {("u", "u"): 1, ("n", "u"): 1}), ("c", {("u", "u"): 2})])
def test_the_clock_is_set_back(letter: str, counted: dict[tuple[str, str], int]) -> None:
    """After a step back observations go on at once, and old words hold no longer."""
    desk = Desk()
    desk.until(7200.0)
    desk.probe(ONE, "c")
    desk.hear(bad(7200.0))
    desk.until(7203.0)
    assert desk.counts == {("u", "u"): 1}
    desk.until(-3600.0)
    desk.probe(ONE, letter)
    desk.hear(bad(-3600.0))
    desk.until(-3597.0)
    assert desk.counts == counted


def test_a_slowed_row_speaks_until_its_next_look() -> None:
    """What has failed for long is asked less often: its word holds until it is asked again."""
    for late, predicted in ((0.0, True), (0.5, False)):
        desk = Desk()
        desk.now = T - 90.0 - TCP_REACH_S - late
        desk.probe(DB, "c", interval_s=120.0)
        desk.now = T
        desk.hear(bad(T, "db.test", 5432))
        ((said, _),) = desk.after()
        assert (said != "?") is predicted
