"""The Connector itself: its process as the row `connector:process` saw it, and what its log has told."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from checks.connlog.model import ConnectionKind, LogCause, Path
from checks.connlog.summary import LogSummary
from checks.model import CheckName, Event, Json
from daemon.known import CONNECTOR_ROW
from daemon.metrics.exposition import Family, block
from daemon.metrics.families import Moment, counter, flag, gauge, real
from daemon.view import View

_Value = TypeVar("_Value", bound=str)

PATHS: tuple[Path, ...] = ("direct", "relayed", "unknown")
KINDS = ("errors", "states", "analytics")
PREDICTED = (Event.NONE.value, Event.DNS_LOOKUP_ERROR.value, Event.UNABLE_TO_CONNECT.value, "unknown")
OBSERVED = (Event.NONE.value, Event.DNS_LOOKUP_ERROR.value, Event.UNABLE_TO_CONNECT.value)


def connector_families(moment: Moment) -> list[Family]:
    """Return the gauges: those of its process while its row's verdict may be shown, and what its log can show."""
    up = gauge("connector_up", "1 if the Connector runs, 0 if its container or unit is there and does not.")
    used = gauge("connector_open_fds", "File descriptors that the Connector's process has open.")
    limit = gauge("connector_max_fds", "How many it may have open; each Client's tunnel takes 8.")
    token = gauge("connector_token_valid", "0 while its log shows a token error, 1 once it showed the state Online.")
    able = gauge("log_capability", "1 if the Connector's log shows this kind of lines at its level and settings.")
    for row in moment.of(CheckName.CONNECTOR)[:1]:  # one process watches one Connector
        outcome = row.result.outcome
        for family, key in ((up, "running"), (token, "token_valid")):
            found = flag(outcome, key)
            if found is not None:
                family.add(found)
        fds = outcome.facts.get("fds")
        if isinstance(fds, Mapping):
            for family, key in ((used, "used"), (limit, "limit")):
                number = real(fds.get(key))
                if number is not None:
                    family.add(number)
    log = moment.view.observed.log
    if log is not None:
        shown = log.capability
        for kind, can in zip(KINDS, (shown.errors, shown.states, shown.analytics), strict=True):
            if can is not None:
                able.add(can, block((("kind", kind),)))
    return [up, used, limit, token, able]


def connector_counters(view: View) -> list[Family]:
    """Return the counters; each value of each label starts at 0 as soon as there is something to count from."""
    restarts = counter("connector_restarts", "How often the Connector was started anew while we watched.")
    errors = counter("connector_log_errors", "Error lines of the Connector's log, by what they mean.")
    events = counter("connector_events", "What happened to users' connections, by the Connector's log.")
    paths = counter("connector_connections", "Users' connections that were established, by the way they took.")
    predictions = counter("predictions", "Users' connections against what our probes predicted for them.")
    count = _restarts(view)
    if count is not None:
        restarts.add(count)
    log = view.observed.log
    if log is not None and _was_read(log):
        counted = {cause: found.count for cause, found in log.causes.items()}
        _add(errors, "cause", LogCause, counted)
        _add(events, "event", ConnectionKind, log.events)
        _add(paths, "path", PATHS, log.paths)
        if view.observed.predictions is not None:
            found = view.observed.predictions.counts
            for predicted in PREDICTED:
                for observed in OBSERVED:
                    labels = block((("predicted", predicted), ("observed", observed)))
                    predictions.add(found.get((predicted, observed), 0), labels)
    return [restarts, errors, events, paths, predictions]


def _restarts(view: View) -> int | None:
    """Return the count of the row, whatever its verdict: a counter must not vanish while nobody can look."""
    row = view.board.rows.get(CONNECTOR_ROW)
    count: Json = row.result.outcome.facts.get("restarts") if row is not None else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _was_read(log: LogSummary) -> bool:
    """Tell whether the log was read: an empty one that can be read counts, one that could be read only before too."""
    return not log.problem or log.lines > 0


def _add(family: Family, label: str, values: Iterable[_Value], counts: Mapping[_Value, int]) -> None:
    for value in values:
        family.add(counts.get(value, 0), block(((label, str(value)),)))
