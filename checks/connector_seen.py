"""All that one run knows of the Connector, and what of it can be told without judging: holds, counts, facts."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from checks.connlog.model import LogCause, LogState
from checks.connlog.summary import LogSummary
from checks.model import Json
from checks.runtime.model import Sighting, allowed_environment

if TYPE_CHECKING:  # the diagnosis reads what was seen in every daemon; who reads it brings an HTTP client along
    from checks.connector_metrics import OwnMetrics

FDS_PER_TUNNEL = 8  # Twingate: "8 file descriptors per client tunnel"
INVALID_TOKEN_AGES_S = 900.0
"""How long an `Invalid token` is held against a Connector whose log shows no states: a Connector that is still refused
says so again with each attempt, and at its default log level it never says that it is online again. In seconds."""
FDS_EXHAUSTED_AGES_S = 900.0  # between two looks tunnels come and go: that it ran out is news for so long, in seconds
MAX_TOLD = 16  # nameservers, causes and lines of advice in the facts
MAX_VARIABLES = 32  # of its environment; labels are the only ones without number, and a handful is usual
ALL_NAMESERVERS = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look. `now`: Unix seconds; `restarts` since we watch, `restarts_15m` of them in the last 15 minutes."""

    sighting: Sighting
    now: float
    log: LogSummary | None = None
    own: "OwnMetrics | None" = None
    restarts: int = 0
    restarts_15m: int = 0
    resolver_ok: bool | None = None
    clock_off: bool = False

    @property
    def running(self) -> bool | None:
        """Whether it runs; what answers as a Connector does run, even where its process can't be seen."""
        if self.sighting.running is None and self.own is not None and self.own.answers:
            return True
        return self.sighting.running

    @property
    def token_error(self) -> LogCause | None:
        """The token error that holds now: of this process, not followed by Online, and not long ago."""
        if self.log is None or self.log.token is None or self._is_of_an_earlier_start(self.log.token_at):
            return None
        if self.log.token is LogCause.TOKEN_GONE or self.log.capability.states:
            return self.log.token
        counted = self.log.causes.get(self.log.token)
        last = max(self.log.token_at or 0.0, counted.last_at if counted else 0.0)
        return self.log.token if self.now - last <= INVALID_TOKEN_AGES_S else None

    @property
    def token_valid(self) -> bool | None:
        """False while a token error holds, True only on evidence: its log said Online. None: nobody knows."""
        if self.running is False:
            return None
        if self.token_error is not None:
            return False
        if self.log is None or self.log.state is not LogState.ONLINE or self.log.token is not None:
            return None
        return None if self._is_of_an_earlier_start(self.log.state_at) else True

    @property
    def fds_exhausted_at(self) -> float | None:
        """When its log said last that it had no descriptor left, if that was lately and of this process; else None."""
        counted = self.log.causes.get(LogCause.FDS_EXHAUSTED) if self.log is not None else None
        if counted is None or self.running is False or self._is_of_an_earlier_start(counted.last_at):
            return None
        return counted.last_at if self.now - counted.last_at <= FDS_EXHAUSTED_AGES_S else None

    @property
    def resolver_stuck_since(self) -> float | None:
        """Since when its own resolver has given up every nameserver although they answer us; None: it has not."""
        if self.log is None or self.resolver_ok is not True or self.running is False:
            return None
        since = self.log.nameservers_down.get(ALL_NAMESERVERS)
        return None if self._is_of_an_earlier_start(since) else since

    @property
    def fds_free(self) -> tuple[int, int] | None:
        """Descriptors that are free, and the limit; None when not known."""
        if self.sighting.fds is None or self.sighting.fds[1] <= 0:
            return None
        used, limit = self.sighting.fds
        return max(0, limit - used), limit

    @property
    def uptime_s(self) -> float | None:
        """How long it has been running, in seconds: by the runtime, else by its own word."""
        if self.running is not True:
            return None
        if self.sighting.started_at is not None:
            elapsed = self.now - self.sighting.started_at
            return max(0.0, elapsed) if math.isfinite(elapsed) else None
        return self.own.uptime_seconds if self.own is not None else None

    def _is_of_an_earlier_start(self, at: float | None) -> bool:
        return at is not None and self.sighting.started_at is not None and at < self.sighting.started_at


def facts(seen: Seen) -> dict[str, Json]:
    """Return everything that was seen, as JSON; `restarts` also when nothing else was."""
    sighting = seen.sighting
    found: dict[str, Json] = {"runtime": sighting.runtime, "name": sighting.name, "restarts": seen.restarts}
    if sighting.problem is not None:
        return found | {"problem": sighting.evidence}
    free, reach = seen.fds_free, sighting.ping_group_range
    return found | {
        "status": sighting.status,
        "running": seen.running,
        "evidence": sighting.evidence or None,
        "image": sighting.image or None,
        "version": sighting.version or None,
        "pid": sighting.pid,
        "started_at": rfc3339(sighting.started_at),
        "finished_at": rfc3339(sighting.finished_at),
        "restarts_15m": seen.restarts_15m,
        "health": sighting.health,
        "exit_code": sighting.exit_code,
        "oom_killed": sighting.oom_killed,
        "fds": None if sighting.fds is None or free is None else {
            "used": sighting.fds[0], "limit": free[1], "tunnels_left": free[0] // FDS_PER_TUNNEL
        },
        "ping_group_range": reach,
        "icmp": None if reach is None else reach[0] <= reach[1],  # the kernel's default, "1 0", admits no group
        "own_namespace": sighting.own_namespace,
        "environment": _environment(sighting),
        "token_valid": seen.token_valid,
        "log": None if seen.log is None else _log_facts(seen.log),
        "own_metrics": None if seen.own is None else seen.own.facts,
    }  # fmt: skip


def _environment(sighting: Sighting) -> Mapping[str, Json]:
    # Cut once more where it is shown: that no token gets out must not hang on each runtime alone.
    kept = allowed_environment(f"{name}={value}" for name, value in sighting.environment.items())
    return dict(sorted(kept.items())[:MAX_VARIABLES])


def _log_facts(log: LogSummary) -> dict[str, Json]:
    return {
        "problem": log.problem or None,
        "lines": log.lines,
        "last_line_at": rfc3339(log.last_line_at),
        "state": None if log.state is None else log.state.value,
        "state_at": rfc3339(log.state_at),
        "token": None if log.token is None else log.token.value,
        "token_at": rfc3339(log.token_at),
        "nameservers_down": {name: rfc3339(at) for name, at in islice(log.nameservers_down.items(), MAX_TOLD)},
        "causes": {cause.value: counted.count for cause, counted in log.causes.items()},
        "capability": {
            "errors": log.capability.errors,
            "states": log.capability.states,
            "analytics": log.capability.analytics,
            "advice": log.capability.advice[:MAX_TOLD],
        },
    }


def rfc3339(unix_s: float | None) -> str | None:
    """Write a Unix time as RFC 3339 in UTC, to the second; None when there is none, or none that a calendar has."""
    if unix_s is None:
        return None
    try:
        return dt.datetime.fromtimestamp(unix_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
