"""What the book holds of one identity: since when its condition holds at each severity, and the alert that is active.

A condition that is critical is a warning too: time as the worse counts for the better, so that nothing that becomes
worse is told later for it. The other way round it does not.
"""

from dataclasses import dataclass, field, replace

from daemon.alert import Alert, AlertKey
from daemon.alerting.conditions import Condition, Identity
from daemon.alerting.severity import RANK, SEVERITIES, Delays, delay_at

MAX_ROWS = 100  # row ids in one alert: as many as anybody reads, and enough to tell later whether it is over
RETELL_S = 60.0  # texts follow what changes, but each change is sent anew: no more often than it is sent anyhow
ROUNDING_S = 1e-6  # sums of seconds on the loop's clock are this inexact


@dataclass(slots=True, kw_only=True)
class Entry:
    """One name with its labels. Durations are on the loop's clock; `starts_at` is in Unix seconds.

    - `since`, by severity: the first tick since which it has held without a break; None: it does not, or is over.
    - `key`, `rank` (its severity), `starts_at` and `began` are of the active alert; `key` None: none is.
    - `below_since`: the first tick since which it is known not to hold at the severity of the active alert.
    - `told`: the alert as it was last shown, `told_at` when it was made; None: it was never among those shown.
    - `ends_after`: its condition is over, and it ends then (Unix seconds) unless it comes back.
    - `tick`: the last one in which the condition held; `over_tick`: the last one in which it was known to be over.
    """

    identity: Identity
    delays: Delays
    rows: tuple[str, ...] = ()
    cause: str | None = None
    condition: Condition | None = None
    since: list[float | None] = field(default_factory=lambda: [None] * len(SEVERITIES))
    key: AlertKey | None = None
    rank: int = 0
    starts_at: float = 0.0
    began: float = 0.0
    below_since: float | None = None
    ends_after: float | None = None
    told: Alert | None = None
    told_at: float = float("-inf")
    tick: int = 0
    over_tick: int = 0

    @property
    def shadow(self) -> bool:
        """Tell whether its condition is to be shown only."""
        return self.condition is not None and self.condition.key.severity == "none"

    def holds(self, condition: Condition, now: float) -> None:
        """Note that the condition holds."""
        if condition is not self.condition:
            self.condition, self.rows, self.cause = condition, condition.rows, condition.cause
        held = RANK[condition.severity]
        self.ends_after = None
        since = self.since
        for rank in range(len(SEVERITIES)):
            if rank > held:
                since[rank] = None
            elif since[rank] is None:
                since[rank] = now
        if self.key is not None and held < self.rank:
            self.below_since = now if self.below_since is None else self.below_since
        else:
            self.below_since = None

    def is_over(self, now: float) -> None:
        """Note that the condition is known not to hold."""
        self.since = [None] * len(SEVERITIES)
        self.below_since = now if self.below_since is None else self.below_since

    def due(self, now: float) -> int | None:
        """Return the worst severity (its rank) at which it has held for long enough."""
        found = [rank for rank, at in self._due_at() if at <= now + ROUNDING_S]
        return max(found, default=None)

    def next_due(self) -> tuple[int, float] | None:
        """Return the severity (its rank) at which it will fire next, and when; None: it will not get worse."""
        worse = [(at, -rank) for rank, at in self._due_at() if self.key is None or rank > self.rank]
        if not worse:
            return None
        at, rank = min(worse)
        return -rank, at

    def _due_at(self) -> list[tuple[int, float]]:
        """Return when it is due at each severity at which it holds and that its alert has."""
        if self.condition is None:
            return []
        held = RANK[self.condition.severity]
        found = []
        for rank in range(held + 1):
            since, delay = self.since[rank], self.delays[rank]
            if since is not None and (delay is not None or rank == held):
                found.append((rank, since + delay_at(self.delays, rank)))
        return found

    def key_at(self, rank: int) -> AlertKey:
        """Return the key of its alert at a severity."""
        name, labels = self.identity
        return AlertKey(name, "none" if self.shadow else SEVERITIES[rank], labels)

    def tell(self, now: float) -> Alert | None:
        """Return the active alert, its texts made anew where there are none yet or they may have changed; else None."""
        condition, told = self.condition, self.told
        if self.key is None or condition is None:
            return told
        if told is not None and told.ends_after != self.ends_after:
            self.told = told = replace(told, ends_after=self.ends_after)
        if told is None or condition.cause != told.cause or now - self.told_at >= RETELL_S:
            words = condition.words
            self.told_at = now
            self.told = Alert(
                key=self.key, starts_at=self.starts_at, summary=words.summary, description=words.description,
                action=words.action, cause=condition.cause, rows=self.rows[:MAX_ROWS],
                flapping=condition.flap is not None, ends_after=self.ends_after,
            )  # fmt: skip
        return self.told
