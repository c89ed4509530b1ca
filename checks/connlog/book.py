"""The log book: what the Connector's log told so far, in bounded numbers, and a summary of it at any moment."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from checks.connlog.capability import Seen, capability
from checks.connlog.failing import FailingTargets
from checks.connlog.model import (
    CauseSeen,
    ConnectionKind,
    ConnectionSeen,
    LogCause,
    LogEvent,
    LogState,
    NameserverSeen,
    Path,
    StateSeen,
)
from checks.connlog.summary import CauseCount, LogSummary
from checks.connlog.token_error import TokenError
from checks.model import Json
from checks.net.endpoint import Endpoint, parse_endpoint
from checks.net.text import printable

_T = TypeVar("_T")

ALL = "all"
_DNS_PORT = 53
MAX_NAMESERVERS = 16  # a resolver has three
_LATE_S = 60.0  # an event so far ahead of our clock has no time that means anything
_NEVER = float("-inf")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class _Span(NamedTuple):
    """When something began and when it was last said (Unix seconds)."""

    since: float
    last_at: float

    def from_(self, at: float) -> "_Span":
        """Return what of it lies after `at`."""
        return _Span(max(self.since, at), self.last_at)


class LogBook:
    """Takes events, gives summaries. `clock` returns Unix seconds; all times here are Unix seconds.

    States, nameservers and the token error are those of the Connector's process that runs now; counts go on.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._environment = _NOTHING
        self._problem = ""
        self._lines = 0
        self._last_line_at: float | None = None
        self._started_at = _NEVER
        self._state: LogState | None = None
        self._state_span = _Span(0.0, 0.0)
        self._token = TokenError()
        self._nameservers_down: dict[str, _Span] = {}
        self._causes: dict[LogCause, CauseCount] = {}
        self._events: dict[ConnectionKind, int] = {}
        self._paths: dict[Path, int] = {}
        self._failing = FailingTargets()
        self._seen_at: dict[str, float] = {}

    def note_lines(self, n: int, at: float) -> None:
        """Note that `n` lines were read, the last one written at `at`: the log is readable."""
        self._lines += n
        if n > 0:
            self._problem = ""
            self._last_line_at = at

    def unreadable(self, problem: str) -> None:
        """Note why the log can't be read (one clause for a person); empty: it can be, though it may say nothing."""
        self._problem = printable(problem)

    def environment(self, environment: Mapping[str, str]) -> None:
        """Take what is known of the Connector's environment, for what its log can show."""
        self._environment = environment

    def process_started(self, at: float) -> None:
        """Note that the Connector's process was started anew at `at`: what an earlier one said of itself is over.

        Lines of the new process that were read before this was known stay.
        """
        self._started_at = max(self._started_at, at)
        if self._state_span.last_at < at:
            self._state = None
        self._state_span = self._state_span.from_(at)
        self._token.process_started(at)
        down = self._nameservers_down
        self._nameservers_down = {name: span.from_(at) for name, span in down.items() if span.last_at >= at}
        self._seen_at = {kind: seen for kind, seen in self._seen_at.items() if seen >= at}

    def note(self, event: LogEvent) -> None:
        """Take one event."""
        now = self._clock()
        at = event.at if event.at <= now + _LATE_S else now
        match event:
            case StateSeen():
                self._note_state(event.state, at)
            case CauseSeen():
                self._note_cause(event.cause, at)
            case NameserverSeen():
                self._note_nameserver(event.nameserver, at, up=event.up)
            case ConnectionSeen():
                self._note_connection(event, at)

    def last_failure(self, address: str, port: int | None) -> float | None:
        """Return when the log showed a user failing there last; None when not in the last 15 minutes.

        With a port: that it could not be connected to; without: that the name could not be looked up.
        """
        return self._failing.last_at(_target(address.lower(), port), self._clock())

    def summary(self, now: float) -> LogSummary:
        """Return the book as it stands at `now`."""
        seen = Seen(
            errors="errors" in self._seen_at, states="states" in self._seen_at, analytics="analytics" in self._seen_at
        )
        return LogSummary(
            problem=self._problem,
            lines=self._lines,
            last_line_at=self._last_line_at,
            state=self._state,
            state_at=self._state_span.since if self._state is not None else None,
            token=self._token.cause,
            token_at=self._token.since,
            nameservers_down=MappingProxyType({name: span.since for name, span in self._nameservers_down.items()}),
            causes=MappingProxyType(dict(self._causes)),
            events=MappingProxyType(dict(self._events)),
            paths=MappingProxyType(dict(self._paths)),
            failing=MappingProxyType(dict(self._failing.counts(now))),
            capability=capability(self._environment, readable=not self._problem, seen=seen),
        )

    def standing(self) -> Json:
        """Return what holds until the log says otherwise (state, token error, nameservers), for after our own restart.

        Who goes on reading where it was would know nothing of it: the Connector says such things once.
        """
        token, state = self._token, self._state
        return {
            "state": None if state is None else [state.value, *self._state_span],
            "token": None if token.cause is None else [token.cause.value, token.since, token.last_at],
            "down": {name: list(span) for name, span in self._nameservers_down.items()},
        }

    def restore(self, held: Json) -> None:
        """Take what `standing` returned in an earlier run; call `process_started` before, for it may be over since.

        What is of another shape (the file may be anything) is passed over.
        """
        if not isinstance(held, Mapping):
            return
        for state, since, last_at in _told(held.get("state"), LogState):
            self._hold_state(state, since)
            self._hold_state(state, last_at)
        for cause, since, last_at in _told(held.get("token"), LogCause):  # after the state: Online would end it
            for at in (since, last_at):
                if at >= self._started_at:
                    self._token.note(cause, at)
        down = held.get("down")
        for name, span in islice(down.items() if isinstance(down, Mapping) else (), MAX_NAMESERVERS):
            for nameserver, since, last_at in _told([name, *span] if isinstance(span, list) else None, _nameserver):
                self._hold_nameserver(nameserver, since)
                self._hold_nameserver(nameserver, last_at)

    def _note_state(self, state: LogState, at: float) -> None:
        if at >= self._started_at:
            self._seen_at["states"] = at
        self._hold_state(state, at)

    def _hold_state(self, state: LogState, at: float) -> None:
        if at < self._started_at:
            return
        # The time of a state is when it began: the same one said again is the same one.
        self._state_span = _Span(self._state_span.since if state is self._state else at, at)
        self._state = state
        if state is LogState.ONLINE:
            self._token.online()

    def _note_cause(self, cause: LogCause, at: float) -> None:
        held = self._causes.get(cause)
        self._causes[cause] = CauseCount(count=held.count + 1 if held else 1, last_at=at)
        if at < self._started_at:
            return
        if cause is LogCause.OTHER:  # counted at level ERROR only; other causes are known at any level
            self._seen_at["errors"] = at
        self._token.note(cause, at)

    def _note_nameserver(self, nameserver: Endpoint | None, at: float, *, up: bool) -> None:
        if not up:
            self._note_cause(LogCause.NAMESERVER_FAILED if nameserver else LogCause.ALL_NAMESERVERS_FAILED, at)
            self._hold_nameserver(nameserver, at)
        elif at >= self._started_at:
            # One that is back is enough: then not all of them have failed.
            self._nameservers_down.pop(nameserver.short(_DNS_PORT) if nameserver else ALL, None)
            self._nameservers_down.pop(ALL, None)

    def _hold_nameserver(self, nameserver: Endpoint | None, at: float) -> None:
        if at < self._started_at:
            return
        down = self._nameservers_down
        name = nameserver.short(_DNS_PORT) if nameserver else ALL
        if name in down:
            down[name] = _Span(down[name].since, at)
        else:
            if len(down) >= MAX_NAMESERVERS:
                del down[min(down, key=lambda held: down[held].last_at)]
            down[name] = _Span(at, at)

    def _note_connection(self, event: ConnectionSeen, at: float) -> None:
        self._events[event.kind] = self._events.get(event.kind, 0) + 1
        if at >= self._started_at:
            self._seen_at["analytics"] = at
        match event.kind:
            case ConnectionKind.ESTABLISHED:
                self._paths[event.path] = self._paths.get(event.path, 0) + 1
                self._token.established(at)
            case ConnectionKind.DNS_LOOKUP_ERROR if event.address:
                self._failing.note(_target(event.address, None), event.user, at)
            case ConnectionKind.UNABLE_TO_CONNECT if event.address:
                self._failing.note(_target(event.address, event.port), event.user, at)
            case _:
                pass


def _target(address: str, port: int | None) -> str:
    return address if port is None else str(Endpoint(address, port))


def _told(held: Json, read: Callable[[str], _T]) -> Iterator[tuple[_T, float, float]]:
    """Yield what a remembered [word, since, last_at] says, `read` making sense of the word; nothing if it is none."""
    if not isinstance(held, list) or len(held) != 3:
        return
    word, *times = held
    since, last_at = (float(at) if isinstance(at, int | float) and math.isfinite(at) else math.nan for at in times)
    if isinstance(word, str) and since <= last_at:
        with contextlib.suppress(ValueError):
            yield read(word), since, last_at


def _nameserver(name: str) -> Endpoint | None:
    """Return the nameserver of a name in the book; None: all of them. Raises: ValueError."""
    if name == ALL:
        return None
    endpoint = parse_endpoint(name, _DNS_PORT)
    if not endpoint.literal:
        raise ValueError(name)
    return endpoint
