"""From what was seen to the verdict: every finding, the one that explains most first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from checks import connector_text as text
from checks.advice import one_line
from checks.connector_seen import Seen, facts
from checks.connlog.model import LogCause
from checks.model import Json, Outcome, Reason, Status

FREE_FDS = 0.2  # share of the Connector's descriptors: the contract's ConnectorFileDescriptorsLow
MANY_RESTARTS = 3  # within 15 minutes: the contract's ConnectorRestarting
_NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Finding:
    """Something that is wrong; `words` are its summary and its action."""

    status: Status
    reason: Reason
    words: text.Words


def judge(seen: Seen) -> Outcome:
    """Return the outcome of the row: the first finding decides, the others are told in the fact `also`."""
    if seen.sighting.problem is not None:
        return _not_seen(seen, seen.sighting.problem)
    findings = list(_findings(seen))
    measured = {} if seen.uptime_s is None else {"uptime_seconds": seen.uptime_s}
    found: dict[str, Json] = facts(seen) | {"also": tuple(other.reason.value for other in findings[1:])}
    if findings:
        first = findings[0]
        return _outcome(first.status, first.reason, first.words, found, measured)
    if seen.running is None:
        return _outcome(Status.SKIPPED, Reason.NOT_PROBEABLE, text.not_told(seen), found)
    return Outcome(
        status=Status.OK, summary=text.fine(seen), action=text.no_icmp(seen), measurements=measured, facts=found
    )


def _findings(seen: Seen) -> Iterator[_Finding]:
    """Yield what is wrong, by precedence: what is the cause comes before what follows from it."""
    if seen.running is False:
        yield _Finding(Status.CRITICAL, Reason.NOT_RUNNING, text.not_running(seen))
    if seen.token_error is LogCause.TOKEN_GONE:
        yield _Finding(Status.CRITICAL, Reason.TOKEN_GONE, text.token_gone(seen))
    elif seen.token_error is not None:
        yield _Finding(Status.CRITICAL, Reason.TOKEN_INVALID, text.token_invalid(seen))
    if seen.fds_free is not None and seen.running is not False and seen.fds_free[0] < FREE_FDS * seen.fds_free[1]:
        yield _Finding(Status.WARNING, Reason.FDS_LOW, text.fds_low(seen, *seen.fds_free))
    elif seen.fds_exhausted_at is not None:
        yield _Finding(Status.WARNING, Reason.FDS_LOW, text.fds_exhausted(seen, seen.fds_exhausted_at))
    if seen.restarts_15m >= MANY_RESTARTS:
        yield _Finding(Status.WARNING, Reason.RESTARTING, text.restarting(seen))
    if seen.resolver_stuck_since is not None:
        yield _Finding(Status.WARNING, Reason.UNHEALTHY, text.resolver_stuck(seen, seen.resolver_stuck_since))
    elif seen.sighting.health == "unhealthy" and seen.running is not False:
        yield _Finding(Status.WARNING, Reason.UNHEALTHY, text.unhealthy(seen))


def _not_seen(seen: Seen, reason: Reason) -> Outcome:
    """Judge a look that saw nothing: that the Connector was not found, or may not be looked at, is no failure of it."""
    status = Status.SKIPPED if reason is Reason.NOT_FOUND else Status.UNKNOWN
    return _outcome(status, reason, text.not_seen(seen.sighting, reason), facts(seen))


def _outcome(
    status: Status,
    reason: Reason,
    words: text.Words,
    found: Mapping[str, Json],
    measured: Mapping[str, float] = _NOTHING,
) -> Outcome:
    return Outcome(
        status=status, reason=reason, summary=one_line(words.summary), action=words.action, measurements=measured,
        facts=found,
    )  # fmt: skip


def nobody_looks() -> Outcome:
    """Return the outcome where no runtime is to be asked."""
    return Outcome(
        status=Status.SKIPPED,
        reason=Reason.NOT_PROBEABLE,
        summary="nobody looks at the Connector's process: connector.runtime is none",
        action="Set connector.runtime to what runs it here: docker, systemd or kubernetes; auto finds out.",
    )
