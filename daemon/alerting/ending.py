"""Causes that go on explaining what has not recovered yet, though they are over: nobody has to be told of them."""

from collections.abc import Mapping

from checks.model import Status
from daemon.causes import Cause
from daemon.state import State, TargetState

COLLECTIVE = frozenset(
    {
        "NextHopDown", "ControlPlaneUnreachable", "EgressBlocked", "RelaysUnreachable", "ZoneFailing",
        "ConnectorNetwork", "SubnetUnreachable", "PortBlocked", "ResourceHostDown",
        "ServiceDown",
    }
)  # fmt: skip
"""Causes that say that everything of a kind fails: one row of theirs that is fine refutes them."""


def is_over(cause: Cause, rows: Mapping[str, TargetState]) -> bool:
    """Tell whether a cause is refuted, or all that showed it is held to be ok: what else fails is only late."""
    if not cause.ending:
        return False
    shown = [row for row_id in cause.evidence if (row := rows.get(row_id)) is not None]
    return cause.code in COLLECTIVE or (bool(shown) and all(map(_is_ok, shown)))


def _is_ok(row: TargetState) -> bool:
    return row.state is State.OK and row.result.outcome.status is Status.OK
