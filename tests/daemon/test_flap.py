"""Flapping is told by Icinga's method, over the last 20 conclusive results."""

import pytest

from daemon.state import FLAP_RESULTS, Policy, TargetState, advance, flap_value
from tests.support.rows import make_result


def play(letters: str, held: TargetState | None = None) -> TargetState:
    """Advance through one result for each letter."""
    for at, letter in enumerate(letters):
        held, _ = advance(held, make_result(letter, float(at)), Policy())
    assert held is not None
    return held


def test_weights() -> None:
    """The newest change weighs 1.2, the oldest 0.8, and 20 changes in 20 results are 100 %."""
    assert flap_value(1) == pytest.approx(1.2 / 20 * 100)
    assert flap_value(1 << FLAP_RESULTS - 1) == pytest.approx(0.8 / 20 * 100)
    assert flap_value((1 << FLAP_RESULTS) - 1) == pytest.approx(100.0)
    assert flap_value(0) == 0.0


@pytest.mark.parametrize(
    ("letters", "flapping"),
    [
        ("o" * 40, False),
        ("c" * 40, False),
        ("ccoo" * 5, True),
        ("ccoo" * 50, True),
        ("ccco" * 5, True),
        ("cccccooooo" * 4, False),
        ("occooccoo" + "o" * 4, False),
        ("oc" * 20, False),
        ("ow" * 20, False),
    ],
    ids=[
        "always-ok", "always-bad", "comes-and-goes", "for-ever", "mostly-bad", "slowly", "two-failures",
        "never-confirmed", "warnings-are-no-change",
    ],
)  # fmt: skip
def test_what_flaps(letters: str, flapping: bool) -> None:
    """What changes often flaps, but only where it was failing within the window, and a warning is a success."""
    assert play(letters).flapping is flapping


def test_begins_and_ends_apart() -> None:
    """Flapping begins at 30 % and ends below 25 %: in between it stays as it was."""
    held: TargetState | None = None
    seen: list[tuple[bool, float]] = []
    for at, letter in enumerate("ccoo" * 8 + "o" * 30):
        held, _ = advance(held, make_result(letter, float(at)), Policy())
        seen.append((held.flapping, held.held.flap))
    began = next(index for index, (flapping, _) in enumerate(seen) if flapping)
    ended = next(index for index in range(began, len(seen)) if not seen[index][0])
    assert seen[began][1] >= 30.0 > seen[began - 1][1]
    assert seen[ended][1] < 25.0 <= seen[ended - 1][1] < 30.0
    assert not any(flapping for flapping, _ in seen[ended:])


def test_ignorance_changes_nothing() -> None:
    """Unknown and skipped results neither count nor push others out of the window."""
    before = play("ccoo" * 6)
    after = play("udn" * 30, before)
    assert (after.held.flap, after.flapping, after.held.changes) == (before.held.flap, True, before.held.changes)


def test_the_window_is_bounded() -> None:
    """However long it lasts, no more than 20 results are held."""
    held = play("co" * 500)
    assert held.held.changes < 1 << FLAP_RESULTS
    assert held.held.failures < 1 << FLAP_RESULTS


def test_the_first_result_is_no_change() -> None:
    """There is nothing before it."""
    assert play("c").held.flap == 0.0
    assert play("o").held.flap == 0.0
