"""Severities in order, and how long a condition must have held before an alert of each fires."""

from collections.abc import Mapping
from typing import TypeAlias

from daemon.causes import CauseSeverity
from daemon.explain.alerts import ALERTS, DECIDED

SEVERITIES: tuple[CauseSeverity, ...] = ("info", "warning", "critical")
RANK: Mapping[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}
WATCHDOG = "ConnectorHealthWatchdog"  # always sent and never decided: whoever pushes makes it
KNOWN = DECIDED - {WATCHDOG}
"""The alerts that are decided here."""
Delays: TypeAlias = tuple[float | None, float | None, float | None]
"""By severity, in seconds; None: this alert has no such severity."""
UNLISTED_S = 60.0  # for an alert that is in no table: as long as one Resource must fail


def delays_of(name: str, overrides: Mapping[str, float]) -> Delays:
    """Return how long a condition must hold for each severity of an alert; an override counts for all of them."""
    alert = ALERTS.get(name)
    listed = {tier.severity: tier.after_s for tier in alert.tiers} if alert else {"resource": UNLISTED_S}
    by_resource = listed.get("resource")
    override = overrides.get(name)
    info, warning, critical = (listed.get(severity, by_resource) for severity in SEVERITIES)
    if override is None:
        return info, warning, critical
    return tuple(None if delay is None else override for delay in (info, warning, critical))  # type: ignore[return-value]


def delay_at(delays: Delays, rank: int) -> float:
    """Return the delay of a severity that something has, though its alert may not list it: then its longest one."""
    delay = delays[rank]
    return max((d for d in delays if d is not None), default=UNLISTED_S) if delay is None else delay
