"""In which state each Resource is: every one is counted once, under the first state that applies."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from checks.model import CheckName, Reason, Status
from daemon.config.schema import Resource
from daemon.maintenance import current_windows, in_maintenance
from daemon.slices import Steps, at_once, batches
from daemon.state import State, TargetState
from daemon.view import SECOND_SEAT, View


class ResourceState(StrEnum):
    """The states, in the order in which they are tried.

    - `failing`: a name or port of it is held to be failing (recovering ones too); `pending`: it failed, unconfirmed.
    - `unknown`: no verdict, or an old one, or none yet; `suppressed`: a cause elsewhere explains all that fails of it.
    - `ok`: all that was judged is as expected, and where ports are probed, a port was.
    - `never_up`: nothing of it has accepted a connection yet, and nobody wrote that it must.
    - `maintenance`: one of the first four, during an announced maintenance.
    - `not_probeable`: nothing could be probed, or must not be. `disabled`: nothing was asked to be.
    """

    FAILING = "failing"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    OK = "ok"
    NEVER_UP = "never_up"
    MAINTENANCE = "maintenance"
    NOT_PROBEABLE = "not_probeable"
    DISABLED = "disabled"


_RANK = {state: rank for rank, state in enumerate(ResourceState)}
_NAMES = CheckName.DNS.value + ":"  # ids of rows about names begin so
_EXCUSED = frozenset({ResourceState.FAILING, ResourceState.PENDING, ResourceState.UNKNOWN, ResourceState.SUPPRESSED})
_HELD = {
    State.FAILING: ResourceState.FAILING,
    State.RECOVERING: ResourceState.FAILING,  # it failed, and has not yet proven that it is over
    State.PENDING: ResourceState.PENDING,
    State.UNKNOWN: ResourceState.UNKNOWN,
    State.SUPPRESSED: ResourceState.SUPPRESSED,
    State.OK: ResourceState.OK,
}
_OK = ResourceState.OK
_SKIPPED: Mapping[Reason | None, ResourceState] = {
    Reason.NOT_PROBEABLE: ResourceState.NOT_PROBEABLE,
    Reason.NOT_ALLOWED: ResourceState.NOT_PROBEABLE,
    Reason.NEVER_UP: ResourceState.NEVER_UP,
    Reason.EXPECTED_DOWN: ResourceState.OK,
    Reason.DEPENDENCY_FAILED: ResourceState.SUPPRESSED,
}


def count_states(view: View, present: Callable[[TargetState], bool]) -> Counter[ResourceState]:
    """Count the effective Resources by state; `present` tells whether a row's verdict is not too old to be shown."""
    rows = view.board.rows.items()
    states = {row_id: row_state(row, view.state_of, present=present(row)) for row_id, row in rows}
    return at_once(count_steps(view, states))


def count_steps(view: View, states: Mapping[str, ResourceState]) -> Steps[Counter[ResourceState]]:
    """Count them from what each row says (`row_state`), by the ids of all rows that there are."""
    windows = current_windows(view.config.maintenance, view.now)
    counted: Counter[ResourceState] = Counter()
    rows_of, unknown = view.plan.rows_of, ResourceState.UNKNOWN
    for batch in batches(view.plan.resources):
        plain = 0
        for resource in batch:
            ids = rows_of.get(resource.name, ())
            found = [states.get(row_id, unknown) for row_id in ids]
            if found.count(_OK) == len(found) and found and resource.probe != "never":
                plain += 1  # what nearly all of them are, found out without asking more
                continue
            maintained = bool(windows) and in_maintenance(resource, windows)
            counted[resource_state(resource, ids, found, maintained=maintained)] += 1
        counted[_OK] += plain
        yield
    return +counted


def resource_state(
    resource: Resource, ids: Sequence[str], states: Sequence[ResourceState], *, maintained: bool
) -> ResourceState:
    """Return the first state that applies to a Resource, from the ids and states of the rows behind it."""
    rows = [(row_id, s) for row_id, s in zip(ids, states, strict=True) if not row_id.endswith(SECOND_SEAT)]
    if resource.probe == "dns":
        rows = [row for row in rows if row[0].startswith(_NAMES)]
    if not rows or resource.probe == "never":
        return ResourceState.DISABLED
    state = min((s for _, s in rows), key=_RANK.__getitem__)
    if state is ResourceState.OK and resource.probe != "dns":
        # A name that resolves says nothing of a port that was not asked: where there are ports, only they count.
        ports = [s for row_id, s in rows if not row_id.startswith(_NAMES)]
        state = min(ports, key=_RANK.__getitem__, default=state)
    return ResourceState.MAINTENANCE if maintained and state in _EXCUSED else state


def row_state(row: TargetState, state_of: Callable[[TargetState], State], *, present: bool) -> ResourceState:
    """Return what one row says of the Resources before it.

    `present`: its verdict is not too old to be shown; `state_of` tells what a cause explains.
    """
    if present and row.state is State.OK:
        return _OK  # nearly all of them: found out without asking more
    outcome = row.result.outcome
    if outcome.status is Status.SKIPPED:
        return _SKIPPED.get(outcome.reason, _HELD[row.state])
    if outcome.status is not Status.UNKNOWN and not present:
        return ResourceState.UNKNOWN  # the verdict is old: nobody knows any more
    return _HELD[state_of(row)]
