"""The board as one JSON document: what `healthctl check -o json` prints and `/api/v1/status` serves."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from checks.model import CheckName, Status, worst
from checks.net.text import printable
from daemon import report_causes, report_observed
from daemon.alert import NO_ALERTS, Alerts, Delivery
from daemon.causes import NO_DIAGNOSIS, Change, Diagnosis
from daemon.document import AlertsDecided, CauseFound, Document, MaintenanceOpen, Probing, Row
from daemon.moments import rfc3339
from daemon.observed import Observed
from daemon.report_rows import held_row, own_row, seconds, seen_row, sketched_row
from daemon.sketch import entire
from daemon.slices import Steps, at_once, batches, sort_steps
from daemon.state import TargetState
from daemon.summary import kinds_steps, summary_steps
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
    probing: Probing | None = None


class Reporter:
    """Makes the document of a daemon again and again, in steps; of its rows and causes only sketches (see `sketch`).

    Kept is the order of the rows alone: it changes only when rows come or go, and to find it is most of the work.
    """

    def __init__(self) -> None:
        self._order: list[str] = []

    def steps(self, view: View, asked: frozenset[CheckName]) -> Steps[Document]:
        """Return the document of a view: the rows as they are now, whatever is recorded while it is made."""
        rows = yield from self._ordered(view)
        head = yield from _head_steps(view, asked)
        causes: list[CauseFound] = []
        for batch in batches(view.diagnosis.causes):
            causes += [report_causes.sketched_cause(cause, view.config.alerting.runbooks) for cause in batch]
            yield
        return (yield from _steps(head, rows, partial(sketched_row, view), causes))

    def _ordered(self, view: View) -> Steps[list[TargetState]]:
        rows, order = view.board.rows, self._order
        if len(order) == len(rows):
            with contextlib.suppress(KeyError):
                return [rows[row_id] for row_id in order]
        found = yield from _in_order(list(rows.values()))
        self._order = [row.id for row in found]
        return found


def report(view: View, asked: frozenset[CheckName] | None = None) -> Document:
    """Return the document of a view; `asked` are the checks that were asked for, else those that are switched on.

    A view without a duration is a daemon's: only there is anything held over time.
    """
    head = at_once(_head_steps(view, asked))
    return document(head, view.board.rows.values(), partial(held_row, view) if head.held else seen_row)


def _head_steps(view: View, asked: frozenset[CheckName] | None) -> Steps[Head]:
    engine = view.engine
    windows = yield from report_causes.maintenance_steps(view.config.maintenance, view.plan.resources, view.now)
    return Head(
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
        probing=report_observed.probing(engine),
        runbooks=view.config.alerting.runbooks,
        mode=view.config.alerting.mode,
        maintenance=tuple(windows),
    )


def _alerts(head: Head) -> AlertsDecided:
    return report_causes.alerts(head.alerts, head.deliveries, head.mode, head.maintenance)


def document(head: Head, rows: Iterable[TargetState], make: Callable[[TargetState], Row] | None = None) -> Document:
    """Return the document of one board; rows in the order of the checks, then naturally by target."""
    causes = [report_causes.cause(cause, head.runbooks) for cause in head.diagnosis.causes]
    ordered = at_once(_in_order(list(rows)))
    return at_once(_steps(head, ordered, make or (own_row if head.held else seen_row), causes))


def _in_order(rows: list[TargetState]) -> Steps[list[TargetState]]:
    return sort_steps(rows, key=lambda row: sort_key(row.id))


def _steps(
    head: Head, rows: list[TargetState], make: Callable[[TargetState], Row], causes: list[CauseFound]
) -> Steps[Document]:
    checks: list[Row] = []
    for batch in batches(rows):
        checks += map(make, batch)
        yield
    kinds = yield from kinds_steps(checks)
    summary = yield from summary_steps(checks, head.asked, head.configured, causes)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "connector": head.connector,
        "remote_network": head.remote_network,
        "vantage": head.vantage,
        "confidence": head.confidence,
        "started_at": rfc3339(head.started_at),
        "duration_seconds": seconds(head.duration_s),
        "status": _overall(kinds, head.asked, head.configured).value,
        "summary": summary,
        "checks": checks,
        "diagnosis": causes,
        "connector_log": report_observed.connector_log(head.observed.log),
        "learned": report_observed.learned(head.observed.learned),
        "predictions": report_observed.predictions(head.observed.predictions),
        "alerts": _alerts(head) if head.held else None,
        "changes": report_causes.changes(head.changes),
        "probing": head.probing,
    }


def overall(rows: Sequence[Row], asked: frozenset[CheckName], configured: int) -> Status:
    """Return the verdict on the whole: the worst row, and no better than unknown if no Resource was judged at all.

    A second look decides nothing: it is there to explain the row beside which it stands.
    """
    return _overall(at_once(kinds_steps(rows)), asked, configured)


def _overall(kinds: Mapping[tuple[str, str], int], asked: frozenset[CheckName], configured: int) -> Status:
    if not kinds:
        return Status.UNKNOWN  # nothing was asked, so nothing is known
    counted = [Status(status) for check, status in kinds if check not in NOTES]
    judged = any(check in RESOURCE_CHECKS and Status(status).conclusive for check, status in kinds)
    if asked & RESOURCE_CHECKS and configured and not judged:
        counted.append(Status.UNKNOWN)
    return worst(counted)


def encode(whole: Document, *, indent: int | None = 2) -> str:
    r"""Write the document as JSON that no terminal obeys: control and bidi characters only as `\uXXXX`."""
    entries = {"checks": list(map(entire, whole["checks"])), "diagnosis": list(map(entire, whole["diagnosis"]))}
    return harmless(json.dumps({**whole, **entries}, ensure_ascii=False, indent=indent, allow_nan=False))


def harmless(text: str) -> str:
    r"""Write control and bidi characters in a JSON text as `\uXXXX`; it says the same as before."""
    if text.isascii() and "\x7f" not in text:  # nearly always; JSON itself escapes what stands below the blank
        return text
    return _UNSAFE.sub(lambda found: _json_escape(found[0]), text)


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
