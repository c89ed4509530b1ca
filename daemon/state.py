"""What we hold of a target: how single results become a verdict that does not flicker.

A critical result is a failure; ok and warning are successes. An unknown or skipped result freezes: the verdict held
and the streak against it stay as they are; only what is displayed changes, and the next conclusive result goes on from
there.

Flapping is told by the method of Icinga: of the last 20 conclusive results, how many differ from the one before, the
newest weighing half as much again as the oldest. A change is one from critical to not critical or back: a warning is a
success here as everywhere. Flapping begins at 30 % and ends below 25 %, and only what was held to be failing within
these 20 results flaps: single failures that were never confirmed trouble nobody.
Source: Icinga 2 documentation, "Flapping".
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from checks.model import Reason, Status
from daemon.jobs import Result

FLAP_RESULTS = 20  # Icinga's window
FLAP_BEGINS, FLAP_ENDS = 30.0, 25.0  # percent, Icinga's defaults: the gap keeps the flag itself from flapping
_WINDOW = (1 << FLAP_RESULTS) - 1
_WEIGHTS = tuple(1.2 - 0.4 * age / (FLAP_RESULTS - 1) for age in range(FLAP_RESULTS))
"""By age, the newest first: 1.2 down to 0.8, so that they sum up to the number of results."""


class State(StrEnum):
    """What is held of a target now.

    - `ok`, `failing`: the verdict, borne out by the last result.
    - `pending`: it was ok (or is new), and the last results were critical, not yet enough of them in a row.
    - `recovering`: it was failing, and the last results were not critical, not yet enough of them in a row.
    - `suppressed`: not looked at, because something it depends on failed, or while it was failing.
    - `unknown`: the last run reached no verdict, or the target is never probed.
    """

    OK = "ok"
    PENDING = "pending"
    FAILING = "failing"
    RECOVERING = "recovering"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many critical results in a row make a target failing, and how many others make it ok again."""

    failures: int = 2
    successes: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """One row: its last result, and what is held of it. All times are Unix seconds, of the start of a run.

    - `failing` is the verdict held: frozen while runs end unknown or skipped.
    - `streak` counts conclusive results in a row that speak against the verdict held.
    - `since` tells since when it is as `state` says. For failing that is the first critical result of the streak that
      made it so, for ok the first success of its streak. A freeze in between moves neither: a target that was
      failing, unknown and failing again has been failing since the first time. For other states: when it was entered.
    - `judged` is the last conclusive result; None before the first.
    - `held_since` is the `since` of the verdict held; None before there was one.
    - `streak_since` is the first result of the streak; None when nothing speaks against the verdict held.
    - `flap` is the flap value in percent, `flapping` what follows from it. `changes` and `failures` are the last 20
      conclusive results as bits, the newest lowest: where the verdict changed, and where it was failing afterwards.
    """

    id: str
    result: Result
    state: State
    failing: bool
    streak: int
    since: float
    judged: Result | None
    held_since: float | None = None
    streak_since: float | None = None
    flap: float = 0.0
    flapping: bool = False
    changes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A row changed its state, by the run that began at `at` (Unix seconds). `before` is None for its first result."""

    id: str
    before: State | None
    after: State
    at: float


def advance(held: TargetState | None, result: Result, policy: Policy) -> tuple[TargetState, Transition | None]:
    """Take one result into account; return the new state, and the transition when `state` changed."""
    known = held or TargetState(
        id=result.id, result=result, state=State.UNKNOWN, failing=False, streak=0, since=result.started_at, judged=None
    )
    conclusive = result.outcome.status.conclusive
    after = _judge(known, result, policy) if conclusive else _freeze(known, result)
    before = held.state if held else None
    if after.state is before:
        return after, None
    return after, Transition(id=result.id, before=before, after=after.state, at=result.started_at)


def _freeze(held: TargetState, result: Result) -> TargetState:
    outcome = result.outcome
    state = State.UNKNOWN
    if outcome.status is Status.SKIPPED and (outcome.reason is Reason.DEPENDENCY_FAILED or held.failing):
        state = State.SUPPRESSED
    return replace(held, result=result, state=state, since=held.since if state is held.state else result.started_at)


def _judge(held: TargetState, result: Result, policy: Policy) -> TargetState:
    at = result.started_at
    bad = result.outcome.status is Status.CRITICAL
    failing, streak, held_since, streak_since = held.failing, held.streak, held.held_since, held.streak_since
    if bad is failing:
        streak, streak_since = 0, None
        held_since = at if held_since is None else held_since
    else:
        streak += 1
        streak_since = at if streak_since is None else streak_since
        if streak >= (policy.failures if bad else policy.successes):
            failing, streak, held_since, streak_since = bad, 0, streak_since, None
    if streak_since is not None:
        state, since = (State.PENDING if bad else State.RECOVERING), streak_since
    else:
        state, since = (State.FAILING if failing else State.OK), at if held_since is None else held_since
    changed = held.judged is not None and bad is not (held.judged.outcome.status is Status.CRITICAL)
    changes = (held.changes << 1 | changed) & _WINDOW
    failures = (held.failures << 1 | (state is State.FAILING)) & _WINDOW
    flap = flap_value(changes)
    return TargetState(
        id=held.id, result=result, state=state, failing=failing, streak=streak, since=since, judged=result,
        held_since=held_since, streak_since=streak_since, flap=flap, changes=changes, failures=failures,
        flapping=failures != 0 and flap >= (FLAP_ENDS if held.flapping else FLAP_BEGINS),
    )  # fmt: skip


def flap_value(changes: int) -> float:
    """Return the weighted share of changes among the last 20 results, in percent; the newest is the lowest bit."""
    if changes == 0:  # nearly all of them
        return 0.0
    return 100.0 * sum(_WEIGHTS[age] for age in range(FLAP_RESULTS) if changes >> age & 1) / FLAP_RESULTS
