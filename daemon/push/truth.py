"""What is true now and may be told: what fires, what is over, and for how long nothing is said of what has just ended.

**Why the silence.** The shipped Prometheus rules may tell the same Alertmanager of the same alert, under the same
labels. They learn of its end later than we: at their next scrape (1 minute), the evaluation after it (1 minute),
`keep_firing_for` (2 minutes), and the evaluation after that (1 minute). Said "resolved" by us meanwhile, the alert
would be opened again by Prometheus a moment later, and somebody paged a second time. So while Prometheus reads us, an
alert that has ended is not spoken of for HOLD_S: neither "fires" nor "is over". Prometheus ends it in that time; our
"resolved" follows, for an Alertmanager to which Prometheus does not talk. There it may lapse by itself before: it is
over, and nobody is told otherwise. When it fires again in the silence, it simply goes on.
"""

import math
from collections.abc import Callable, Sequence

from daemon.push.message import Labels, Message

HOLD_S = 300.0  # 1 + 1 + 2 + 1 minutes: see above
MAX_MESSAGES = 10_000  # as Prometheus' own queue; more than that is read by nobody

Wanted = dict[Labels, Message]
"""What an Alertmanager is to know, by identity."""


class Truth:
    """The last thing that was published. Loop times in seconds, wall times in Unix seconds."""

    def __init__(self, scraped_lately: Callable[[], bool]) -> None:
        self._scraped_lately = scraped_lately
        self._firing: Wanted = {}
        self._over: dict[Labels, tuple[Message, float]] = {}  # with the loop time until which nothing is said
        self._left_out: frozenset[Labels] = frozenset()
        self.dropped = 0
        """How many alerts had no room among MAX_MESSAGES, each counted once for as long as that lasts."""

    def publish(self, messages: Sequence[Message], now: float, wall: float) -> None:
        """Take all that fires and all that is over; what is in neither is not spoken of any more."""
        firing = {message.labels: message for message in messages if message.ends_at is None}
        over: dict[Labels, tuple[Message, float]] = {}
        scraped: bool | None = None
        for message in messages:
            if message.ends_at is None or message.labels in firing:
                continue  # it fires again: "over" would end that
            before = self._over.get(message.labels)
            if before is None or before[0].ends_at != message.ends_at:
                scraped = self._scraped_lately() if scraped is None else scraped
                ago = wall - message.ends_at  # by a clock that may have been set since
                quiet_s = min(max(HOLD_S - ago, 0.0), HOLD_S) if scraped else 0.0
                before = (message, now + quiet_s)
            over[message.labels] = (message, before[1])
        self._firing, self._over = self._bounded(firing, over)

    def wanted(self, now: float) -> Wanted:
        """Return what may be told at this loop time."""
        over = {labels: message for labels, (message, quiet_until) in self._over.items() if quiet_until <= now}
        return self._firing | over

    def next_at(self, now: float) -> float:
        """Return the loop time at which the next silence is over; infinity when there is none."""
        return min((until for _, until in self._over.values() if until > now), default=math.inf)

    def _bounded(
        self, firing: Wanted, over: dict[Labels, tuple[Message, float]]
    ) -> tuple[Wanted, dict[Labels, tuple[Message, float]]]:
        if len(firing) + len(over) <= MAX_MESSAGES:
            self._left_out = frozenset()
            return firing, over
        by_age = sorted(firing.items(), key=lambda item: item[1].starts_at)
        by_end = sorted(over.items(), key=lambda item: -(item[1][0].ends_at or 0.0))
        room = max(MAX_MESSAGES - len(by_age), 0)
        left_out = frozenset(labels for labels, _ in (*by_age[MAX_MESSAGES:], *by_end[room:]))
        self.dropped += len(left_out - self._left_out)
        self._left_out = left_out
        return dict(by_age[:MAX_MESSAGES]), dict(by_end[:room])
