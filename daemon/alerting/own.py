"""Conditions that are no cause of anything a user meets: what this daemon can't do or does not know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from checks.model import Status
from daemon.alerting.words import Words, limited
from daemon.causes import CauseSeverity
from daemon.known import CLOCK_ROW
from daemon.moments import clock
from daemon.view import View

STARVED, CLOCK_UNVERIFIED = "ConnectorHealthStarved", "ConnectorClockUnverified"
CONFIG_STALE, NOTIFICATIONS_FAILING = "ConnectorHealthConfigStale", "ConnectorHealthNotificationsFailing"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """One of them; `rows` are ids of the rows that show it, if any does."""

    name: str
    severity: CauseSeverity
    words: Words
    labels: Mapping[str, str] = field(default_factory=lambda: _NONE)
    rows: tuple[str, ...] = ()


def own_conditions(view: View) -> Iterator[Own]:
    """Yield those that hold now. Sources of Resources (ConnectorInventoryStale) do not exist yet."""
    yield from _clock_unverified(view)
    yield from _starved(view)
    yield from _config_stale(view)
    yield from _notifications_failing(view)


def _clock_unverified(view: View) -> Iterator[Own]:
    row, job = view.board.rows.get(CLOCK_ROW), view.board.jobs.get(CLOCK_ROW)
    if row is None or job is None or job.fixed is not None or CLOCK_ROW in view.diagnosis.explained:
        return
    outcome = row.result.outcome
    if outcome.status is Status.UNKNOWN:
        words = limited(
            "Nobody knows whether this host's clock is right",
            f"{outcome.summary}. Twingate tolerates an offset of 5 s; what this host's is can't be told now.",
            outcome.action or "Make a time source reachable, then repeat: healthctl check --only clock",
        )
        yield Own(name=CLOCK_UNVERIFIED, severity="info", words=words, rows=(CLOCK_ROW,))


def _starved(view: View) -> Iterator[Own]:
    engine = view.engine
    if engine.starved and engine.strain and not engine.late:
        words = limited(
            "This host can hardly carry another connection",
            f"{engine.strain}. Ports are not asked meanwhile: what they would say is unknown, and their alerts neither "
            "fire nor resolve while this lasts.",
            "Find what holds them (conntrack -S; ss -s), or allow more with that sysctl: the Connector needs them too.",
        )
        yield Own(name=STARVED, severity="warning", words=words)
    elif engine.starved:
        words = limited(
            "Connector Health gets too little CPU to keep its schedule",
            "Its verdicts come late or not at all, so no other alert fires or resolves while this lasts.",
            "See what else uses the CPU (top), give the daemon more, or probe less often (schedule.interval).",
        )
        yield Own(name=STARVED, severity="warning", words=words)


def _config_stale(view: View) -> Iterator[Own]:
    if not view.engine.reload_ok:
        words = limited(
            "The configuration of Connector Health could not be reloaded",
            f"It still runs with the one loaded at {clock(view.engine.reloaded_at)}: what was changed since is not in "
            "force.",
            "Correct the file: healthctl config check; then reload: systemctl reload connector-health",
        )
        yield Own(name=CONFIG_STALE, severity="warning", words=words)


def _notifications_failing(view: View) -> Iterator[Own]:
    for delivery in view.deliveries:
        if delivery.failing_since is not None:
            why = f": {delivery.problem}" if delivery.problem else ""
            words = limited(
                f"Alertmanager {delivery.name} does not take alerts",
                f"Every attempt since {clock(delivery.failing_since)} has failed{why}. Alerts reach people only "
                "through other Alertmanagers and Prometheus.",
                "Check its address and credentials under alerting.alertmanagers, and the daemon's log.",
            )
            labels = {"endpoint": delivery.name}
            yield Own(name=NOTIFICATIONS_FAILING, severity="warning", words=words, labels=labels)
