"""What one Alertmanager is told, and when. Decides only: who sends tells it the loop time and what came of it.

There is no queue of the past: only what is wanted now, and which of it this Alertmanager has yet to be told. One that
was away for ten minutes hears the present truth once.

- A change is told at once; one that did not arrive is tried again, ever more seldom.
- Everything is told again at each resend, which is also the only retry of an earlier resend.
"""

from collections.abc import Iterable
from itertools import chain

from daemon.push.message import Labels, Message
from daemon.push.truth import Wanted

MAX_BATCH = 256  # alerts in one request, as Prometheus sends them
MAX_BATCH_BYTES = 512 * 1024  # a reverse proxy in front commonly refuses more than 1 MiB
BACK_OFF_S = (1.0, 2.0, 5.0, 15.0)  # between tries of a change; the last one for ever, never longer than a resend


class Outbox:
    """The state of one Alertmanager; all times are loop times in seconds."""

    def __init__(self, resend_s: float, now: float) -> None:
        self._resend_s = resend_s
        self._resend_at = now + resend_s
        self._wanted: Wanted = {}
        self._told: dict[Labels, tuple[float, float | None]] = {}
        self._changed: dict[Labels, None] = {}  # in the order in which they came
        self._again: dict[Labels, None] = {}  # of the last resend, what did not go out yet
        self._resending = False
        self._failures = 0
        self._not_before = now

    @property
    def queue_length(self) -> int:
        """How many alerts wait to be told."""
        return len(self._changed.keys() | self._again.keys())

    def set_resend(self, resend_s: float, now: float) -> None:
        """Change the time between resends."""
        if resend_s != self._resend_s:
            self._resend_s = resend_s
            self._resend_at = min(self._resend_at, now + resend_s)

    def want(self, wanted: Wanted) -> None:
        """Take what is to be known from now on."""
        self._wanted = wanted
        for known in (self._told, self._changed, self._again):
            for labels in [labels for labels in known if labels not in wanted]:
                del known[labels]
        for labels, message in wanted.items():
            self._compare(labels, message)

    def next_at(self) -> float:
        """Return the loop time at which there is something to send; it may have passed."""
        soon = bool(self._changed) or (self._resending and bool(self._again))
        return self._not_before if soon else max(self._not_before, self._resend_at)

    def take(self, now: float) -> tuple[Message, ...]:
        """Return what to send now, in one request: changes first. Empty: nothing yet."""
        if now < self._not_before:
            return ()
        if now >= self._resend_at:
            self.resend(now)
        if not (self._changed or (self._resending and self._again)):
            return ()
        return self.waiting()

    def waiting(self) -> tuple[Message, ...]:
        """Return what waits to be told, as much as fits in one request, whether it is time for it or not."""
        batch: list[Message] = []
        size = 0
        for labels in chain(self._changed, (labels for labels in self._again if labels not in self._changed)):
            message = self._wanted[labels]
            size += message.size
            if batch and (len(batch) >= MAX_BATCH or size > MAX_BATCH_BYTES):
                break
            batch.append(message)
        return tuple(batch)

    def resend(self, now: float) -> None:
        """Tell everything again, from now on."""
        self._again = dict.fromkeys(self._wanted)
        self._resending = True
        self._resend_at = max(self._resend_at + self._resend_s, now + self._resend_s / 2)

    def delivered(self, batch: Iterable[Message]) -> None:
        """Note that these were taken, or looked at and refused: either way, telling them again at once is of no use."""
        for message in batch:
            labels = message.labels
            wanted = self._wanted.get(labels)
            if wanted is None:
                continue
            self._told[labels] = message.state
            self._again.pop(labels, None)
            self._compare(labels, wanted)
        self._failures = 0
        self._resending = True

    def failed(self, batch: Iterable[Message], now: float) -> None:
        """Note that nobody knows whether these arrived."""
        for message in batch:
            if message.labels in self._changed:
                self._told.pop(message.labels, None)  # it stays a change, even when it changes back meanwhile
        pause = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._not_before = now + min(pause, self._resend_s)
        self._failures += 1
        self._resending = False

    def _compare(self, labels: Labels, message: Message) -> None:
        if self._told.get(labels) != message.state:
            self._changed[labels] = None
        else:
            self._changed.pop(labels, None)
