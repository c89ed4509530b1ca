"""How long a row has been as it is, in words: what the page and `healthctl status` say of its state."""

from checks.model import Status
from daemon.document import Row
from daemon.moments import ago, unix_time
from daemon.state import State

_WORDS = {
    State.OK: "ok",
    State.PENDING: "pending: not yet confirmed,",
    State.FAILING: "failing",
    State.RECOVERING: "recovering: not yet confirmed to be over,",
    State.SUPPRESSED: "suppressed: explained by another failure,",
    State.UNKNOWN: "unknown",
}
_SILENT = frozenset({(Status.WARNING, State.OK), (Status.SKIPPED, State.UNKNOWN)})
"""Pairs of status and state of which the state's own words would only confuse: a warning is not a failure."""


def held_words(row: Row, now: float) -> str:
    """Return "failing for 3 minutes" and its like; empty where nothing is held. `now`: Unix seconds."""
    state, since = row["state"], row["since"]
    flaps = f"flapping ({row['flap']:.0f} %): it comes and goes" if row["flapping"] and row["flap"] else ""
    if since is None or (row["status"], state) in _SILENT:
        return flaps
    slow = f", asked every {ago(row['slowed_to_seconds'])} until it answers" if row["slowed_to_seconds"] else ""
    return f"{_WORDS[State(state or State.UNKNOWN)]} for {ago(now - unix_time(since))}{slow}" + (flaps and f"; {flaps}")
