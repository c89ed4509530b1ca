"""What is wrong and what was decided about it, as parts of the document: diagnosis, alerts, changes."""

import heapq
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial

from daemon import document
from daemon.alert import LABELS, AlertKey, Alerts, Delivery
from daemon.causes import Cause, Change
from daemon.config.schema import Maintenance, Resource
from daemon.document import MaintenanceOpen
from daemon.maintenance import current_windows, in_maintenance
from daemon.moments import clock, rfc3339
from daemon.sketch import sketched
from daemon.slices import Steps, batches

MAX_PENDING = 200  # as many as may be active of one name; all of them could be as many as there are rows
MAX_CHANGES = 50  # of the latest: who looks for what broke something looks at the last few minutes


def cause(found: Cause, runbooks: str) -> document.CauseFound:
    """Return one entry of the part `diagnosis`; `runbooks` is the base address of the runbook pages."""
    return {
        "id": found.id,
        "code": found.code,
        "title": found.title,
        "fault_domain": found.domain.value,
        "target": found.target,
        "severity": found.severity,
        "since": rfc3339(found.since),
        "explains": list(found.explains),
        "changed": list(_changed(found.changed)) if found.changed else [],
        "action": found.action,
        "runbook": found.runbook or (None if found.alert is None else f"{runbooks.rstrip('/')}/{found.alert}.md"),
        "text": found.text,
        "evidence": list(found.evidence),
        "resources": found.resources,
        "possible": list(found.possible),
        "alert": found.alert,
    }


def sketched_cause(found: Cause, runbooks: str) -> document.CauseFound:
    """Return the same, of which at first only what is asked of all causes is made."""
    part = {
        "id": found.id,
        "code": found.code,
        "fault_domain": found.domain.value,
        "target": found.target,
        "severity": found.severity,
        "explains": list(found.explains),
        "evidence": list(found.evidence),
        "resources": found.resources,
    }
    return sketched(part, partial(cause, found, runbooks))


@lru_cache(maxsize=1024)  # thousands of failures that began together have the same changes before them
def _changed(before: tuple[Change, ...]) -> tuple[str, ...]:
    return tuple(f"{clock(change.at)}: {change.text}" for change in before)


def alerts(
    decided: Alerts, deliveries: Iterable[Delivery], mode: str, maintenance: Iterable[MaintenanceOpen] = ()
) -> document.AlertsDecided:
    """Return the part `alerts`; the pending ones that fire first come first. `mode`: live or shadow."""
    soonest = heapq.nsmallest(MAX_PENDING, decided.pending.items(), key=lambda pair: (pair[1], pair[0]))
    return {
        "mode": mode,
        "active": [
            {
                "name": alert.key.name,
                "severity": alert.key.severity,
                "labels": _labels(alert.key),
                "starts_at": rfc3339(alert.starts_at),
                "summary": alert.summary,
                "action": alert.action,
                "cause": alert.cause,
                "flapping": alert.flapping,
                "ends_after": None if alert.ends_after is None else rfc3339(alert.ends_after),
            }
            for alert in decided.active
        ],
        "pending": [
            {"name": key.name, "severity": key.severity, "labels": _labels(key), "fires_at": rfc3339(at)}
            for key, at in soonest
        ],
        "pending_left": len(decided.pending) - len(soonest),
        "truncated": dict(sorted(decided.truncated.items())),
        "alertmanagers": [
            {
                "alertmanager": one.name,
                "sent": one.sent,
                "errors": one.errors,
                "dropped": one.dropped,
                "queue_length": one.queue_length,
                "failing_since": None if one.failing_since is None else rfc3339(one.failing_since),
                "problem": one.problem,
            }
            for one in deliveries
        ],
        "maintenance": list(maintenance),
    }


def maintenance_steps(
    windows: Iterable[Maintenance], resources: Sequence[Resource], now: float
) -> Steps[list[MaintenanceOpen]]:
    """Return the windows that are open at a Unix time, and how many Resources each names."""
    found: list[MaintenanceOpen] = []
    for window in current_windows(windows, now):
        named = 0
        for batch in batches(resources):
            named += sum(in_maintenance(resource, (window,)) for resource in batch)
            yield
        until = rfc3339(window.to.timestamp())
        found.append({"match": window.match, "until": until, "reason": window.reason, "resources": named})
    return found


def changes(seen: Iterable[Change]) -> list[document.ChangeSeen]:
    """Return the part `changes`, the latest first."""
    latest = sorted(seen, key=lambda change: change.at, reverse=True)[:MAX_CHANGES]
    return [{"at": rfc3339(one.at), "kind": one.kind.value, "text": one.text} for one in latest]


def _labels(key: AlertKey) -> dict[str, str]:
    return {name: value for name, value in zip(LABELS, key.labels, strict=True) if value}
