"""What a result or a change of state tells of whether somebody else should be asked again."""

from checks.model import Reason, Status
from daemon.jobs import Result
from daemon.known import CONNECTOR_ROW
from daemon.state import State, TargetState, Transition

FALLEN = frozenset({State.PENDING, State.FAILING})
_ILL = frozenset({State.FAILING, State.SUPPRESSED})
_CUT_OFF = frozenset({Reason.NOT_RUNNING, Reason.DEPENDENCY_FAILED})


def well(result: Result) -> bool:
    """Tell whether a result is plainly ok."""
    return result.outcome.status is Status.OK


def away(result: Result) -> bool:
    """Tell whether this result found the Connector gone, or just back."""
    outcome = result.outcome
    if outcome.reason is Reason.DEPENDENCY_FAILED:
        return outcome.facts.get("parent") == CONNECTOR_ROW
    return outcome.reason is Reason.NOT_RUNNING


def healed(change: Transition) -> bool:
    """Tell whether a row stopped failing, or can be looked at again; its first success is news enough."""
    return change.after in (State.OK, State.RECOVERING) and change.before not in (None, State.OK)


def is_ill(row: TargetState) -> bool:
    """Tell whether a row fails, or can't be looked at because something else does."""
    if row.state is State.UNKNOWN:
        return row.result.outcome.reason in _CUT_OFF
    return row.state in _ILL
