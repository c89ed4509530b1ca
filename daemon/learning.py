"""What the Connector's log teaches: which Relays it uses, and what is really behind patterns, networks and all ports.

Only established connections teach, only what was seen on 2 days or 10 times counts, and what was not used for 7 days
is forgotten. A Relay counts as proven for 24 hours after its last use. All of it is bounded, whatever the log says.
"""

from collections.abc import Callable

from checks.connlog.model import ConnectionKind, ConnectionSeen
from checks.net.endpoint import Endpoint
from daemon.config.schema import Config
from daemon.learnable import Learnable, canonical
from daemon.observed import MAX_LEARNED_RELAYS, MAX_LEARNED_SAMPLES, Learned, LearnedRelay, LearnedSample
from daemon.seen import FORGET_S, Entry, Recall, Remember, Seen

PROVEN_S = 86400.0  # contract "Corroboration"
RELAY_KEYS, SAMPLE_KEYS = "learned:relay:", "learned:sample:"


class Learning:
    """Made once the store is open. Call `tick` about once a minute, and `flush` before the store is closed.

    `version` grows whenever the set of active Relays and samples changes: then the plan must be made anew.
    """

    def __init__(self, recall: Recall, remember: Remember, config: Config, wall_clock: Callable[[], float]) -> None:
        self._now = wall_clock
        self._relays = Seen(RELAY_KEYS, MAX_LEARNED_RELAYS, PROVEN_S, recall, remember)
        self._samples = Seen(SAMPLE_KEYS, MAX_LEARNED_SAMPLES, FORGET_S, recall, remember)
        self._rules = Learnable(config)
        self._samples.alone = self._rules.rules <= 1
        now = wall_clock()
        self._relays.restore(now, self._relay_allowed)
        self._samples.restore(now, self._sample_allowed)

    @property
    def version(self) -> int:
        """Grows whenever the set of active entries changes."""
        return self._relays.version + self._samples.version

    @property
    def learned(self) -> Learned:
        """All that is kept, active or not, in a lasting order."""
        return Learned(
            relays=tuple(
                LearnedRelay(
                    endpoint=Endpoint(e.address, e.port), first_at=e.first_at, last_at=e.last_at, days=e.days,
                    count=e.count, proven=e.active,
                )
                for e in self._relays
            ),
            samples=tuple(
                LearnedSample(
                    rule=e.group, address=e.address, port=e.port, first_at=e.first_at, last_at=e.last_at, days=e.days,
                    count=e.count, active=e.active,
                )
                for e in self._samples
            ),
        )  # fmt: skip

    def load(self, config: Config) -> None:
        """Put another configuration in force: what it does not allow is forgotten."""
        self._rules = Learnable(config)
        self._samples.alone = self._rules.rules <= 1
        self._relays.keep(self._relay_allowed)
        self._samples.keep(self._sample_allowed)

    def note(self, event: ConnectionSeen) -> None:
        """Learn from one connection of a user."""
        if event.kind is not ConnectionKind.ESTABLISHED:
            return
        now = self._now()
        for relay in event.relays[:MAX_LEARNED_RELAYS]:
            if self._rules.relay_allowed(relay):
                self._relays.note("", relay.host, relay.port, event.at, now)
        if event.protocol != "tcp" or event.port is None or not 1 <= event.port <= 65535:
            return
        address = canonical(event.address or event.ip or "")
        if address is None:
            return
        rule = self._rules.rule_for(address, event.port, ip=event.ip, hint=event.rule)
        if rule is not None:
            self._samples.note(rule, address, event.port, event.at, now)

    def tick(self) -> None:
        """Let the time pass: what is old expires, what is due is written."""
        now = self._now()
        self._relays.tick(now)
        self._samples.tick(now)

    def flush(self) -> None:
        """Write all that is not written yet."""
        now = self._now()
        self._relays.flush(now)
        self._samples.flush(now)

    def _relay_allowed(self, entry: Entry) -> bool:
        return entry.group == "" and self._rules.relay_allowed(Endpoint(entry.address, entry.port))

    def _sample_allowed(self, entry: Entry) -> bool:
        if canonical(entry.address) != entry.address:
            return False
        return self._rules.rule_for(entry.address, entry.port, hint=entry.group) == entry.group
