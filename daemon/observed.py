"""What is known of the Connector besides the probes: its process, its log, what was learned, how often we were right.

Types only; `daemon.learning` and `daemon.truth` make them, views show them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from checks.connlog.summary import LogSummary
from checks.model import Event
from checks.net.endpoint import Endpoint
from checks.runtime.model import Sighting

MAX_LEARNED_RELAYS = 16  # a Connector keeps connections to 4 at a time, and their addresses are not lasting
MAX_LEARNED_SAMPLES = 200  # enough to see most that is used behind patterns, few enough to probe at every interval

_FAILURES = frozenset({Event.DNS_LOOKUP_ERROR.value, Event.UNABLE_TO_CONNECT.value})
_Counted: TypeAlias = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedRelay:
    """A Relay that the Connector's log showed in use. Times: Unix seconds. `proven`: seen often enough, and lately."""

    endpoint: Endpoint
    first_at: float
    last_at: float
    days: int
    count: int
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSample:
    """A real address and port behind a pattern, a CIDR or an all-ports Resource, from an established connection.

    `rule` is the Resource's address as configured. `active`: seen often enough to be probed. Times: Unix seconds.
    """

    rule: str
    address: str
    port: int
    first_at: float
    last_at: float
    days: int
    count: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What the log taught us; bounded."""

    relays: tuple[LearnedRelay, ...] = ()
    samples: tuple[LearnedSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A user failed where our probe, repeated at once, still passes. `id`: our row; `at`: the last time (Unix s)."""

    id: str
    at: float
    observed: Event
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """How our predictions compare with what users met: one observation for a target and minute, denials left out.

    `counts` by (predicted, observed): predicted is none, dns_lookup_error, unable_to_connect or unknown; observed is
    none, dns_lookup_error or unable_to_connect.
    """

    counts: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    disagreements: tuple[Disagreement, ...] = ()

    @property
    def precision(self) -> float | None:
        """Of the times when we predicted a failure: the share in which a user met one. None: never predicted."""
        return self._share(lambda predicted, _: predicted in _FAILURES)

    @property
    def recall(self) -> float | None:
        """Of the failures that users met: the share that we had predicted. None: no user met one."""
        return self._share(lambda _, observed: observed in _FAILURES)

    def _share(self, counted: _Counted) -> float | None:
        whole = sum(n for (predicted, observed), n in self.counts.items() if counted(predicted, observed))
        both = sum(n for (p, o), n in self.counts.items() if p in _FAILURES and o in _FAILURES)
        return both / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All of it, as views read it. None: not looked for (a `check` reads no predictions)."""

    sighting: Sighting | None = None
    log: LogSummary | None = None
    learned: Learned = Learned()
    predictions: Predictions | None = None
