"""What we hold of a target: how single results become a verdict that does not flicker."""

from dataclasses import dataclass
from enum import StrEnum

from daemon.jobs import Result


class State(StrEnum):
    """What is held of a target now. `unknown`: the last run reached no verdict."""

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
    """One row: its last result, and what is held of it.

    - `failing` is the verdict held: frozen while runs end unknown or skipped.
    - `streak` counts conclusive results in a row that speak against the verdict held.
    - `since` is the Unix time at which `state` was entered.
    - `judged` is the last conclusive result; None before the first.
    """

    id: str
    result: Result
    state: State
    failing: bool
    streak: int
    since: float
    judged: Result | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A row changed its state."""

    id: str
    before: State | None
    after: State
    at: float


def advance(held: TargetState | None, result: Result, policy: Policy) -> tuple[TargetState, Transition | None]:
    """Take one result into account."""
    raise NotImplementedError
