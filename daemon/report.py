"""The board as one JSON document: what `healthctl check -o json` prints and `/api/v1/status` serves."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

from checks.model import CheckName, Status, worst
from checks.net.text import printable
from daemon import report_causes, report_observed
from daemon.alert import NO_ALERTS, Alerts, Delivery
from daemon.causes import NO_DIAGNOSIS, Cause, Change, Diagnosis
from daemon.document import AlertsDecided, CauseFound, Document, MaintenanceOpen, Row
from daemon.moments import rfc3339
from daemon.observed import Observed
from daemon.report_rows import explained_row, held_row, own_row, seconds, seen_row
from daemon.row_looks import is_second
from daemon.state import TargetState
from daemon.summary import summarise
from daemon.version import __version__
from daemon.view import NOTHING_OBSERVED, SECOND_SEAT, View

SCHEMA = 1
NOTES = frozenset({CheckName.DEFINITION, CheckName.PROVIDER})  # contract: their findings never worsen the whole
RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})

_CHECK_ORDER = {check.value: place for place, check in enumerate(CheckName)}
_NUMBERS = re.compile(r"([0-9]{1,18})")  # bounded: an id may come from a stranger, and int() refuses endless digits
_UNSAFE = re.compile(r"[^\x20-\x7e\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the document says of the run itself.

    - `started_at` in Unix seconds, `duration_s` in seconds.
    - `asked`: the checks that are run; `configured`: how many Resources there are to judge.
    - `held`: a daemon holds states over time; False for a single look, whose rows have none and which alerts nobody.
    - `observed`: what is known of the Connector besides the probes.
    - `runbooks` is the base address of the runbook pages, `mode` that of alerting: live or shadow.
    """

    connector: str
    remote_network: str
    vantage: str
    confidence: str
    started_at: float
    duration_s: float
    asked: frozenset[CheckName]
    configured: int
    held: bool = False
    observed: Observed = NOTHING_OBSERVED
    diagnosis: Diagnosis = NO_DIAGNOSIS
    alerts: Alerts = NO_ALERTS
    deliveries: tuple[Delivery, ...] = ()
    changes: tuple[Change, ...] = ()
    runbooks: str = ""
    mode: str = "live"
    maintenance: tuple[MaintenanceOpen, ...] = ()


class Reporter:
    """Makes the document again and again; rows that have not changed since the last time are not made anew.

    At 20,000 rows a document from nothing costs some 300 ms, longer than the event loop may stand still. A row that is
    explained by another cause than before, or by none now, is the same but for two keys. Causes are kept as well: each
    of thousands of rows may be its own.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[TargetState, str | None, Row]] = {}
        self._told: dict[str, tuple[Cause, str, CauseFound]] = {}

    def report(self, view: View, asked: frozenset[CheckName]) -> Document:
        """Return the document of a daemon's view."""
        causes = self._causes(view.diagnosis.causes, view.config.alerting.runbooks)
        whole = report(view, asked, partial(self._row, view), causes)
        if len(self._made) > len(view.board.rows):
            self._made = {row_id: made for row_id, made in self._made.items() if row_id in view.board.rows}
        return whole

    def _causes(self, causes: Iterable[Cause], runbooks: str) -> list[CauseFound]:
        told: dict[str, tuple[Cause, str, CauseFound]] = {}
        for cause in causes:
            made = self._told.get(cause.id)
            if made is None or made[0] is not cause or made[1] != runbooks:
                made = (cause, runbooks, report_causes.cause(cause, runbooks))
            told[cause.id] = made
        self._told = told
        return [made[2] for made in told.values()]

    def _row(self, view: View, row: TargetState) -> Row:
        made, cause = self._made.get(row.id), view.diagnosis.explained.get(row.id)
        if made is None or made[0] is not row:
            made = self._made[row.id] = (row, cause, held_row(view, row))
        elif made[1] != cause:
            made = self._made[row.id] = (row, cause, explained_row(view, row, made[2]))
        return made[2]


def report(
    view: View,
    asked: frozenset[CheckName] | None = None,
    make: Callable[[TargetState], Row] | None = None,
    causes: list[CauseFound] | None = None,
) -> Document:
    """Return the document of a view; `asked` are the checks that were asked for, else those that are switched on.

    `make` and `causes`: what was made before, where somebody keeps it. A view without a duration is a daemon's: only
    there is anything held over time.
    """
    engine = view.engine
    head = Head(
        connector=engine.connector,
        remote_network=view.config.connector.remote_network,
        vantage=engine.vantage,
        confidence="exact" if engine.vantage == "connector" else "host_view",
        started_at=engine.started_at,
        duration_s=view.now - engine.started_at if engine.duration_s is None else engine.duration_s,
        asked=frozenset(c for c in CheckName if view.config.checks.get(c, True)) if asked is None else asked,
        configured=len(view.plan.resources),
        held=engine.duration_s is None,
        observed=view.observed,
        diagnosis=view.diagnosis,
        alerts=view.alerts,
        deliveries=view.deliveries,
        changes=view.changes,
        runbooks=view.config.alerting.runbooks,
        mode=view.config.alerting.mode,
        maintenance=tuple(report_causes.maintenance(view.config.maintenance, view.plan.resources, view.now)),
    )
    make = make or (partial(held_row, view) if head.held else seen_row)
    return document(head, view.board.rows.values(), make, causes)


def _alerts(head: Head) -> AlertsDecided:
    return report_causes.alerts(head.alerts, head.deliveries, head.mode, head.maintenance)


def document(
    head: Head,
    rows: Iterable[TargetState],
    make: Callable[[TargetState], Row] | None = None,
    causes: list[CauseFound] | None = None,
) -> Document:
    """Return the document of one board; rows in the order of the checks, then naturally by target."""
    make = make or (own_row if head.held else seen_row)
    checks = sorted(map(make, rows), key=lambda row: sort_key(row["id"]))
    if causes is None:
        causes = [report_causes.cause(cause, head.runbooks) for cause in head.diagnosis.causes]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "connector": head.connector,
        "remote_network": head.remote_network,
        "vantage": head.vantage,
        "confidence": head.confidence,
        "started_at": rfc3339(head.started_at),
        "duration_seconds": seconds(head.duration_s),
        "status": overall(checks, head.asked, head.configured).value,
        "summary": summarise(checks, head.asked, head.configured, causes),
        "checks": checks,
        "diagnosis": causes,
        "connector_log": report_observed.connector_log(head.observed.log),
        "learned": report_observed.learned(head.observed.learned),
        "predictions": report_observed.predictions(head.observed.predictions),
        "alerts": _alerts(head) if head.held else None,
        "changes": report_causes.changes(head.changes),
    }


def overall(rows: Iterable[Row], asked: frozenset[CheckName], configured: int) -> Status:
    """Return the verdict on the whole: the worst row, and no better than unknown if no Resource was judged at all.

    A second look decides nothing: it is there to explain the row beside which it stands.
    """
    rows = [row for row in rows if not is_second(row)]
    if not rows:
        return Status.UNKNOWN  # nothing was asked, so nothing is known
    counted = [Status(row["status"]) for row in rows if row["check"] not in NOTES]
    judged = any(row["check"] in RESOURCE_CHECKS and Status(row["status"]).conclusive for row in rows)
    if asked & RESOURCE_CHECKS and configured and not judged:
        counted.append(Status.UNKNOWN)
    return worst(counted)


def encode(whole: Document, *, indent: int | None = 2) -> str:
    r"""Write the document as JSON that no terminal obeys: control and bidi characters only as `\uXXXX`."""
    return harmless(json.dumps(whole, ensure_ascii=False, indent=indent, allow_nan=False))


def harmless(text: str) -> str:
    r"""Write control and bidi characters in a JSON text as `\uXXXX`; it says the same as before."""
    return _UNSAFE.sub(lambda found: _json_escape(found[0]), text)


@lru_cache(maxsize=65536)
def sort_key(row_id: str) -> tuple[bool, int, list[tuple[bool, int, str]], str]:
    """Return where a row stands: the Connector's seat first, then by check, then by target with 2 before 10.

    It needs only the id, so that a page can go on after a row that has gone meanwhile.
    """
    second = row_id.endswith(SECOND_SEAT)
    check, _, target = row_id.removesuffix(SECOND_SEAT).partition(":")
    parts = [(True, int(p), "") if p.isdecimal() else (False, 0, p) for p in _NUMBERS.split(target)]
    return second, _CHECK_ORDER.get(check, len(_CHECK_ORDER)), parts, row_id


def _json_escape(char: str) -> str:
    if printable(char) == char:
        return char
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
