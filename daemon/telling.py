"""What our log tells: changes of state that somebody could act upon, causes, alerts; never 800 lines of one fault."""

import logging
from collections.abc import Callable

from checks.model import Reason
from daemon.alert import Alert, Alerts
from daemon.causes import Cause, Diagnosis
from daemon.state import State, TargetState, Transition

log = logging.getLogger("connector_health.changes")

EXPLAINED = frozenset({Reason.DEPENDENCY_FAILED, Reason.NOT_RUNNING})
"""What another row explains: when the Connector stops, its own line says so, not 800 Resources' as well."""
MAX_LINES = 20  # of a kind in a minute: who needs all of them asks for the history of a row
MINUTE_S = 60.0


class Teller:
    """Writes lines, at most MAX_LINES of a kind in a minute; then how many there were. `clock`: the loop's, seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}  # since when, and how many
        self._starved = False

    def change(self, change: Transition, row: TargetState | None) -> None:
        """Tell of a row that changed; at level debug where another row tells why, or nothing was wrong."""
        if row is None or change.before is None or row.result.second:
            return
        frozen = (State.SUPPRESSED, State.UNKNOWN)
        explained = change.after in frozen and row.result.outcome.reason in EXPLAINED
        resumed = change.before in frozen and change.after is State.OK
        kind = f"{row.result.check} rows that are {change.after} now"
        level = logging.DEBUG if explained or resumed or not self._room(kind) else logging.INFO
        log.log(level, "%s: %s -> %s: %s", change.id, change.before, change.after, row.result.outcome.summary)

    def starved(self, of: str) -> None:
        """Tell when something begins to run short, and when that is over.

        `of`: what it is, and how short; empty while nothing is.
        """
        if bool(of) is self._starved:
            return
        self._starved = bool(of)
        if of:
            log.warning("starved of %s: what can't be seen meanwhile is unknown, and its alerts stay as they are", of)
        else:
            log.info("no longer starved")

    def causes(self, before: Diagnosis, after: Diagnosis) -> None:
        """Tell which causes are new and which are over; a cause that only repeats its row has been told."""
        if before.causes is after.causes:
            return
        had, has = _worth_telling(before), _worth_telling(after)
        for cause_id in has.keys() - had.keys():
            if self._room("causes"):
                cause = has[cause_id]
                log.info("cause %s: %s; explains %d rows, %d Resources",
                         cause_id, cause.title, len(cause.explains), cause.resources)  # fmt: skip
        for cause_id in had.keys() - has.keys():
            if self._room("causes that are over"):
                log.info("cause %s is over", cause_id)

    def alerts(self, before: Alerts, after: Alerts) -> None:
        """Tell which alerts fire, and which have ended."""
        if before.version == after.version:
            return
        had, has = ({alert.key: alert for alert in alerts.active} for alerts in (before, after))
        for key in has.keys() - had.keys():
            if self._room("alerts that fire"):
                log.info("alert fires: %s: %s", _named(has[key]), has[key].summary)
        for key in had.keys() - has.keys():
            if self._room("alerts that ended"):
                log.info("alert ended: %s", _named(had[key]))

    def _room(self, kind: str) -> bool:
        """Tell whether there is room for one more line of a kind; when a minute is over, say what was left out."""
        now = self._clock()
        since, count = self._written.get(kind, (now, 0))
        if now - since >= MINUTE_S:
            if count > MAX_LINES:
                log.info("%s: %d more than were written here (healthctl status)", kind, count - MAX_LINES)
            since, count = now, 0
        self._written[kind] = (since, count + 1)
        if count == MAX_LINES:
            log.info(
                "%s: more than %d in a minute, the others are not written here (healthctl status)", kind, MAX_LINES
            )
        return count < MAX_LINES


def _worth_telling(diagnosis: Diagnosis) -> dict[str, Cause]:
    return {cause.id: cause for cause in diagnosis.causes if cause.explains or len(cause.evidence) != 1}


def _named(alert: Alert) -> str:
    labels = " ".join(value for value in alert.key.labels if value)
    return f"{alert.key.name} ({alert.key.severity}) {labels}".strip()
