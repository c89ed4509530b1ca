"""Two seats, one verdict: what a failure means when its seat moved meanwhile, or when another seat sees no failure."""

import contextlib
from collections.abc import Iterator, Mapping

from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.seat import Seat
from daemon.advice import split_action
from daemon.jobs import Job
from daemon.known import CONNECTOR_ROW, RESOURCE_CHECKS, dependency_failed

MOVES_FOLLOWED = 3  # a Connector in a restart loop moves on and on: then its own row tells why
GONE = "the Connector is not running"
MOVED = "the Connector was started anew meanwhile"
_START = "See that the Connector runs and stays up: docker ps, or systemctl status twingate-connector."


class Moves:
    """Knows when the Connector last moved to another network namespace, as far as failures made us ask."""

    def __init__(self) -> None:
        self._mark: object = None
        self._moved_at = float("-inf")

    def begin(self, seat: Seat) -> None:
        """Note where a seat is when it is taken."""
        self._mark = seat.mark()

    def since(self, seat: Seat, begin: float, now: float) -> bool | None:
        """Tell whether `seat` moved after `begin` (both on the loop's clock); None: nobody stands there now."""
        mark = seat.mark()
        if mark is None:
            return None
        if mark != self._mark:
            self._mark, self._moved_at = mark, now
        return self._moved_at > begin


class Sample:
    """Lets second looks through: `most` at once, and as many a second. They open connections that nobody paced."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = 0
        self._tokens = float(most)
        self._filled_at = float("-inf")

    @contextlib.contextmanager
    def one(self, now: float) -> Iterator[bool]:
        """Hold a place for the block if there is room at `now` (seconds of the loop's clock); tell whether there is."""
        self._tokens = min(float(self._most), self._tokens + (now - self._filled_at) * self._most)
        self._filled_at = now
        if self._tokens < 1.0 or self._under_way >= self._most:
            yield False
            return
        self._tokens -= 1.0
        self._under_way += 1
        try:
            yield True
        finally:
            self._under_way -= 1


def not_seen(job: Job, rows: Rows, why: str, *, watched: bool = True) -> Rows:
    """Return what a run is worth when the Connector, from whose seat it looked, was not there all the time.

    `watched`: there is a row on the Connector itself that tells more; without its check there is none to name.
    """
    see = f" (see {CONNECTOR_ROW})" if watched else ""
    if job.check in RESOURCE_CHECKS:
        outcome = dependency_failed(why, CONNECTOR_ROW)
        if not watched:
            outcome = outcome.but(summary=f"not asked: {why}", action=_START, facts={})
    else:
        outcome = Outcome(
            status=Status.UNKNOWN,
            reason=Reason.NOT_RUNNING,
            summary=f"not asked: {why}, so there was no place to look from{see}",
            action=f"See the row {CONNECTOR_ROW}." if watched else _START,
        )
    return dict.fromkeys(rows, outcome)


def compared(first: Outcome, second: Outcome) -> Outcome:
    """Return a failure of the Connector's seat with what the host's own seat showed of the same target."""
    shown = "ok" if second.status in (Status.OK, Status.WARNING) else str(second.reason)
    facts: Mapping[str, Json] = {**first.facts, "seen_from_host": shown}
    if not second.status.conclusive:
        return first.but(facts=facts)
    if second.status is Status.CRITICAL:
        too = "" if second.reason is first.reason else f", but otherwise: {second.reason}"
        return first.but(summary=f"{first.summary}; from this host it fails too{too}", facts=facts)
    # What is else advised for such a failure looks for a service that is down; this one is up: the host reaches it.
    commands = " or ".join(f"`{command}`" for command in split_action(first.action).commands)
    return first.but(
        summary=f"{first.summary}; from this host it works: only the Connector's network fails",
        action="Look at what differs between the Connector's network and this host's: its container network, "
        "routes, firewall and DNS settings, and whom the target's own firewall admits."
        + (f" By hand: {commands}" if commands else ""),
        facts=facts,
    )
