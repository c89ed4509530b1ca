"""From what the book holds to what everybody sees: at most 200 alerts of each name, and what has just ended."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.alert import Alert, AlertKey, Alerts
from daemon.alerting.entry import Entry
from daemon.slices import Steps, batches

MAX_SHOWN = 200  # of each name: contract
TOLD = 20  # alerts whose texts are made between two looks at the clock
RESOLVED_S = 15 * 60.0  # an Alertmanager that was away for so long still hears that it is over
MAX_RESOLVED = 2000  # then the oldest go: an Alertmanager lets them expire by itself


@dataclass(slots=True)
class Shown:
    """Keeps what ended, and makes `Alerts`."""

    alerts: Alerts = field(default_factory=Alerts)
    ended: dict[AlertKey, tuple[Alert, float]] = field(default_factory=dict)  # and until when it is told

    def end(self, alert: Alert, until: float) -> None:
        """Note an alert that has ended."""
        self.ended.pop(alert.key, None)
        self.ended[alert.key] = (alert, until)
        while len(self.ended) > MAX_RESOLVED:
            del self.ended[next(iter(self.ended))]

    def publish(
        self, entries: Iterable[Entry], now: float, wall: float, beyond: Mapping[str, int], *, tick: int = 0
    ) -> Steps[bool]:
        """Make `alerts` anew, all of it in the last step; return whether what is active or has ended has changed.

        `beyond`: by name, how many causes are not even held. `tick`: what did not hold in it is about to fire nowhere.
        """
        for key in [key for key, (_, until) in self.ended.items() if until <= now]:
            del self.ended[key]
        entries = list(entries)
        active, truncated = yield from _active(entries, now, beyond)
        pending = yield from _pending([entry for entry in entries if entry.tick == tick], now, wall)
        resolved = tuple(alert for alert, _ in self.ended.values())
        before = self.alerts
        changed = active != before.active or resolved != before.resolved
        self.alerts = Alerts(
            active=active, resolved=resolved, pending=pending, truncated=truncated, version=before.version + changed
        )
        return changed


def _active(
    entries: Sequence[Entry], now: float, beyond: Mapping[str, int]
) -> Steps[tuple[tuple[Alert, ...], Mapping[str, int]]]:
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.key is not None:
            by_name.setdefault(entry.key.name, []).append(entry)
    active: list[Alert] = []
    truncated: dict[str, int] = {}
    for name, found in by_name.items():
        more = len(found) - MAX_SHOWN
        if more >= 0 and more + beyond.get(name, 0):
            truncated[name] = more + beyond.get(name, 0)
        for told in batches(heapq.nsmallest(MAX_SHOWN, found, key=_order), TOLD):
            active += [alert for entry in told if (alert := entry.tell(now)) is not None]
            yield
    return tuple(active), truncated


def _order(entry: Entry) -> tuple[float, int, tuple[str, ...]]:
    return entry.began, -entry.rank, entry.identity[1]


def _pending(entries: Sequence[Entry], now: float, wall: float) -> Steps[Mapping[AlertKey, float]]:
    """Return what will fire, the longest waiting first, at most as many of each name as are shown."""
    pending: dict[AlertKey, float] = {}
    counted: dict[str, int] = {}
    for batch in batches(entries):
        for entry in batch:
            name = entry.identity[0]
            if counted.get(name, 0) >= MAX_SHOWN or (due := entry.next_due()) is None:
                continue
            key = entry.key_at(due[0])
            if key != entry.key:  # in shadow mode all severities share one
                counted[name] = counted.get(name, 0) + 1
                pending[key] = wall + max(0.0, due[1] - now)
        yield
    return pending
