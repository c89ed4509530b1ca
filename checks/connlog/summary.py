"""What the Connector's log has told lately, in numbers: the view that checks, metrics and reports read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from checks.connlog.model import ConnectionKind, LogCause, LogState, Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What this log can show at its level and settings. None: not known. Silence is never evidence of health.

    `errors` (level 3 and above), `states` (level 5), `analytics` (TWINGATE_LOG_ANALYTICS). `advice` names the
    environment lines to add for what is False.
    """

    errors: bool | None = None
    states: bool | None = None
    analytics: bool | None = None
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseCount:
    """How often a cause was seen since this process started, and when last (Unix seconds)."""

    count: int
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    """A moment of the log book. Times are Unix seconds.

    - `problem`: why the log can't be read (one clause), empty while it is read. `lines` were read since start.
    - `state` is the last state seen, at `state_at`; None: none seen.
    - `token` is the token error that holds now: seen, and not followed by the state Online; None: none.
    - `nameservers_down`: what the Connector's resolver has given up (`all` of them, or "host[:port]"), and since when.
    - `failing`: for "address" or "address:port", how many distinct users failed there in the last 15 minutes.
    """

    problem: str = ""
    lines: int = 0
    last_line_at: float | None = None
    state: LogState | None = None
    state_at: float | None = None
    token: LogCause | None = None
    token_at: float | None = None
    nameservers_down: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    causes: Mapping[LogCause, CauseCount] = field(default_factory=lambda: MappingProxyType({}))
    events: Mapping[ConnectionKind, int] = field(default_factory=lambda: MappingProxyType({}))
    paths: Mapping[Path, int] = field(default_factory=lambda: MappingProxyType({}))
    failing: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    capability: Capability = Capability()
