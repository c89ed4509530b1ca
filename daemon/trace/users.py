"""What the Connector's log tells of users of one Resource: counts by kind, and when last. Never who, nor from where."""

from collections.abc import Callable, Iterable

from checks.connlog.failing import MAX_USERS
from checks.connlog.model import ConnectionKind, ConnectionSeen, LogEvent
from checks.connlog.summary import LogSummary
from daemon.config.schema import Config
from daemon.insight import Insight, Memory
from daemon.trace.facts import RECENT_S, EventCount, Target, UsersSeen

_LATE_S = 60.0  # an event so far ahead of our clock has no time that means anything, as in the log book
_ORDER = (
    ConnectionKind.ESTABLISHED,
    ConnectionKind.DNS_LOOKUP_ERROR,
    ConnectionKind.UNABLE_TO_CONNECT,
    ConnectionKind.DENIED,
    ConnectionKind.CLOSED,
)


class _Kind:
    """Events of one kind, counted within RECENT_S; `last_at` is of all."""

    def __init__(self) -> None:
        self.count = 0
        self.users: set[int | None] = set()
        self.last_at = float("-inf")

    def note(self, at: float, user: int | None, *, recent: bool) -> None:
        self.last_at = max(self.last_at, at)
        if recent:
            self.count += 1
            if len(self.users) < MAX_USERS:
                self.users.add(user)


class UserEvents:
    """Counts the events that concern one Resource. `now`: Unix seconds."""

    def __init__(self, target: Target, addresses: Iterable[str], ports: Iterable[int], now: float) -> None:
        self._names = {a.lower() for a in addresses if a}
        self._rule = (target.rule or target.address).lower()
        self._one = bool(target.rule)  # of a pattern one address is traced: what else it covers does not count
        self._ports = frozenset(ports)
        self._now = now
        self._kinds: dict[ConnectionKind, _Kind] = {}

    def note(self, event: LogEvent) -> None:
        """Take one event of the log."""
        if not isinstance(event, ConnectionSeen) or not self._concerns(event):
            return
        at = event.at if event.at <= self._now + _LATE_S else self._now
        kind = self._kinds.setdefault(event.kind, _Kind())
        kind.note(at, event.user, recent=self._now - at <= RECENT_S)

    def seen(self, log: LogSummary | None, *, whole: bool, since: float | None) -> UsersSeen:
        """Return the counts, and how much silence means. `log` is None where nothing could be read."""
        events = tuple(
            EventCount(kind=kind, count=found.count, users=len(found.users), last_at=found.last_at)
            for kind in _ORDER
            if (found := self._kinds.get(kind)) is not None
        )
        if log is None:
            return UsersSeen(events=events, whole=False, problem="there is no log of the Connector to read")
        return UsersSeen(
            events=events,
            readable=True if events else log.capability.analytics,
            whole=whole,
            problem=log.problem,
            since=since,
            advice=log.capability.advice,
        )

    def _concerns(self, event: ConnectionSeen) -> bool:
        named = event.address in self._names or (not self._one and event.rule == self._rule)
        return named and (not self._ports or event.port is None or event.port in self._ports)


class ListeningInsight(Insight):
    """An insight that also lets somebody hear each event as it is read."""

    def __init__(
        self, config: Config, wall_clock: Callable[[], float], memory: Memory, hear: Callable[[LogEvent], None]
    ) -> None:
        super().__init__(config, wall_clock, lambda _: None, memory)
        self._hear = hear

    def note(self, events: Iterable[LogEvent], *, lines: int, at: float) -> None:
        """Take what was read, and hand each event on."""
        events = tuple(events)
        super().note(events, lines=lines, at=at)
        for event in events:
            self._hear(event)
