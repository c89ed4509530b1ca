import pytest

from daemon.state import Policy, State, TargetState, Transition, advance
from tests.support.rows import make_result

# One letter a result (see tests/support/rows.py), the state after each, `since` at the end (results come at 0, 1 …).
# State letters: O(k) P(ending) F(ailing) R(ecovering) S(uppressed) U(nknown).
ROWS = {
    "ok-stays-ok": ("ooo", "OOO", 0),
    "warning-is-a-success": ("owo", "OOO", 0),
    "first-critical-is-pending": ("c", "P", 0),
    "one-failure-is-a-blip": ("oco", "OPO", 0),
    "two-failures-fail-since-the-first": ("occ", "OPF", 1),
    "failing-from-the-beginning": ("ccc", "PFF", 0),
    "failures-must-be-in-a-row": ("ococ", "OPOP", 3),
    "first-success-recovers": ("cco", "PFR", 2),
    "warning-recovers": ("ccww", "PFRO", 2),
    "two-successes-ok-since-the-first": ("ccoo", "PFRO", 2),
    "relapse-keeps-the-old-since": ("occoc", "OPFRF", 1),
    "successes-must-be-in-a-row": ("ccococ", "PFRFRF", 0),
    "never-judged-is-unknown": ("un", "UU", 0),
    "not-probeable-is-neither-ok-nor-failing": ("nnn", "UUU", 0),
    "dependency-failed-is-suppressed": ("od", "OS", 1),
    "dependency-failed-first-is-suppressed": ("d", "S", 0),
    "unknown-does-not-break-a-streak": ("ocuc", "OPUF", 1),
    "skipped-does-not-break-a-streak": ("ocdc", "OPSF", 1),
    "unknown-does-not-count-as-failure": ("ocuuu", "OPUUU", 2),
    "unknown-does-not-count-as-success": ("ccuuo", "PFUUR", 4),
    "freeze-keeps-the-recovery": ("ccouo", "PFRUO", 2),
    "failing-unknown-failing-keeps-since": ("occuuc", "OPFUUF", 1),
    "failing-suppressed-failing-keeps-since": ("occddc", "OPFSSF", 1),
    "failing-and-skipped-is-suppressed": ("ccn", "PFS", 2),
    "pending-and-skipped-is-unknown": ("ocn", "OPU", 2),
    "ok-unknown-ok-keeps-since": ("oouo", "OOUO", 0),
    "suppressed-to-unknown-is-a-change": ("odu", "OSU", 2),
    "first-verdict-after-unknown": ("uuo", "UUO", 2),
    "ok-after-a-first-blip-begins-then": ("co", "PO", 1),
}
STATES = {"O": "ok", "P": "pending", "F": "failing", "R": "recovering", "S": "suppressed", "U": "unknown"}


def play(letters: str, policy: Policy) -> tuple[TargetState, list[State], list[Transition]]:
    """Advance from nothing through one result for each letter."""
    held: TargetState | None = None
    states, transitions = [], []
    for at, letter in enumerate(letters):
        held, transition = advance(held, make_result(letter, float(at)), policy)
        states.append(held.state)
        transitions += [transition] if transition else []
    assert held is not None
    return held, states, transitions


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_sequence(row: tuple[str, str, int]) -> None:
    """A sequence of results leads through the promised states, and `since` says since when it is as the last says."""
    letters, expected, since = row
    held, states, _ = play(letters, Policy())
    assert states == [STATES[letter] for letter in expected]
    assert held.since == since


@pytest.mark.parametrize(
    ("policy", "letters", "expected"),
    [
        (Policy(failures=1), "c", "F"),
        (Policy(failures=3), "cccc", "PPFF"),
        (Policy(successes=1), "cco", "PFO"),
        (Policy(successes=3), "ccooo", "PFRRO"),
    ],
    ids=["fail-at-once", "fail-after-three", "ok-at-once", "ok-after-three"],
)
def test_policy(policy: Policy, letters: str, expected: str) -> None:
    """As many results in a row as the policy says change the verdict."""
    assert play(letters, policy)[1] == [STATES[letter] for letter in expected]


def test_transitions_are_the_changes_of_state() -> None:
    """Each change of state is one transition, stamped with the run that made it; nothing else is."""
    _, _, transitions = play("ooccud", Policy())
    assert [(t.before, t.after, t.at) for t in transitions] == [
        (None, "ok", 0.0), ("ok", "pending", 2.0), ("pending", "failing", 3.0), ("failing", "unknown", 4.0),
        ("unknown", "suppressed", 5.0),
    ]  # fmt: skip


def test_judged_is_the_last_conclusive_result() -> None:
    """What was last really seen of a target stays at hand while it can't be looked at."""
    held, _, _ = play("ocu", Policy())
    assert held.judged is not None
    assert held.judged.started_at == 1.0
    assert held.result.started_at == 2.0


def test_a_stricter_policy_counts_what_was_seen_before() -> None:
    """When a reload lowers the number of failures, the next one is enough."""
    held, _, _ = play("occ", Policy(failures=5))
    after, _ = advance(held, make_result("c", 3.0), Policy(failures=2))
    assert after.state is State.FAILING
    assert after.since == 1.0
