"""Which changes of state are worth a line of our log: those that somebody could act upon."""

import logging

from checks.model import Reason
from daemon.state import State, TargetState, Transition

log = logging.getLogger("connector_health.changes")

EXPLAINED = frozenset({Reason.DEPENDENCY_FAILED, Reason.NOT_RUNNING})
"""What another row explains: when the Connector stops, its own line says so, not 800 Resources' as well."""


def tell(change: Transition, row: TargetState | None) -> None:
    """Write a line about a row that changed; at level debug where another row tells why, or nothing was wrong."""
    if row is None or change.before is None or row.result.second:
        return
    frozen = (State.SUPPRESSED, State.UNKNOWN)
    explained = change.after in frozen and row.result.outcome.reason in EXPLAINED
    resumed = change.before in frozen and change.after is State.OK
    level = logging.DEBUG if explained or resumed else logging.INFO
    log.log(level, "%s: %s -> %s: %s", change.id, change.before, change.after, row.result.outcome.summary)
