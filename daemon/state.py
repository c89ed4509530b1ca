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
class Held:
    """What is held of a target. All times are Unix seconds, of the start of a run.

    One object for as long as nothing of it changes: of a target that is well, for days.

    - `failing` is the verdict held: frozen while runs end unknown or skipped.
    - `streak` counts conclusive results in a row that speak against the verdict held.
    - `since` tells since when it is as `state` says. For failing that is the first critical result of the streak that
      made it so, for ok the first success of its streak. A freeze in between moves neither: a target that was
      failing, unknown and failing again has been failing since the first time. For other states: when it was entered.
    - `held_since` is the `since` of the verdict held; None before there was one.
    - `streak_since` is the first result of the streak; None when nothing speaks against the verdict held.
    - `flap` is the flap value in percent, `flapping` what follows from it. `changes` and `failures` are the last 20
      conclusive results as bits, the newest lowest: where the verdict changed, and where it was failing afterwards.
    """

    state: State
    failing: bool = False
    streak: int = 0
    since: float
    held_since: float | None = None
    streak_since: float | None = None
    flap: float = 0.0
    flapping: bool = False
    changes: int = 0
    failures: int = 0


@dataclass(slots=True)
class TargetState:
    """One row: its last `result`, the last conclusive one (`judged`; None before the first), and what is `held`.

    Nobody changes it: who looks at the board holds on to a row, and tells by its identity that it is another one now.
    """

    result: Result
    judged: Result | None
    held: Held

    @property
    def id(self) -> str:
        """The id of the row."""
        return self.result.id

    @property
    def state(self) -> State:
        """What is held of the target now."""
        return self.held.state

    @property
    def failing(self) -> bool:
        """The verdict held: frozen while runs end unknown or skipped."""
        return self.held.failing

    @property
    def since(self) -> float:
        """Since when it is as `state` says, in Unix seconds."""
        return self.held.since

    @property
    def flapping(self) -> bool:
        """Tell whether its verdicts change too often to be believed one by one."""
        return self.held.flapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A row changed its state, by the run that began at `at` (Unix seconds). `before` is None for its first result."""

    id: str
    before: State | None
    after: State
    at: float


def advance(held: TargetState | None, result: Result, policy: Policy) -> tuple[TargetState, Transition | None]:
    """Take one result into account; return the new state, and the transition when `state` changed."""
    known = held.held if held is not None else Held(state=State.UNKNOWN, since=result.started_at)
    judged = held.judged if held is not None else None
    status = result.outcome.status
    if known.state is State.OK and (status is Status.OK or status is Status.WARNING) and not known.changes:
        return TargetState(result, result, known), None  # as before, and as nearly always
    if status.conclusive:
        before = judged is not None and judged.outcome.status is Status.CRITICAL
        bad = status is Status.CRITICAL
        changed = judged is not None and bad is not before
        after = TargetState(result, result, _judge(known, result, policy, bad=bad, changed=changed))
    else:
        after = TargetState(result, judged, _freeze(known, result))
    was = held.state if held is not None else None
    if after.state is was:
        return after, None
    return after, Transition(id=result.id, before=was, after=after.state, at=result.started_at)


def _freeze(held: Held, result: Result) -> Held:
    outcome = result.outcome
    state = State.UNKNOWN
    if outcome.status is Status.SKIPPED and (outcome.reason is Reason.DEPENDENCY_FAILED or held.failing):
        state = State.SUPPRESSED
    return held if state is held.state else replace(held, state=state, since=result.started_at)


def _judge(held: Held, result: Result, policy: Policy, *, bad: bool, changed: bool) -> Held:
    at = result.started_at
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
    changes = (held.changes << 1 | changed) & _WINDOW
    failures = (held.failures << 1 | (state is State.FAILING)) & _WINDOW
    flap = flap_value(changes)
    return Held(
        state=state, failing=failing, streak=streak, since=since, held_since=held_since, streak_since=streak_since,
        flap=flap, changes=changes, failures=failures,
        flapping=failures != 0 and flap >= (FLAP_ENDS if held.flapping else FLAP_BEGINS),
    )  # fmt: skip


def flap_value(changes: int) -> float:
    """Return the weighted share of changes among the last 20 results, in percent; the newest is the lowest bit."""
    if changes == 0:  # nearly all of them
        return 0.0
    return 100.0 * sum(_WEIGHTS[age] for age in range(FLAP_RESULTS) if changes >> age & 1) / FLAP_RESULTS
