"""The vocabulary: what a check may say. Everything else in the tree speaks in these words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, TypedDict, Unpack

Json: TypeAlias = "bool | int | float | str | tuple[Json, ...] | list[Json] | Mapping[str, Json] | None"

_NOTHING: Mapping[str, float] = MappingProxyType({})
_NO_FACTS: Mapping[str, Json] = MappingProxyType({})


class Status(StrEnum):
    """A verdict. `unknown` is our own ignorance, never the target's fault."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"

    @property
    def conclusive(self) -> bool:
        """Tell whether the target was really judged."""
        return self is not _UNKNOWN and self is not _SKIPPED


_OK, _UNKNOWN, _SKIPPED = (
    Status.OK,
    Status.UNKNOWN,
    Status.SKIPPED,
)  # asked for each row again and again: by their names it takes longer
_SEVERITY = {Status.SKIPPED: 0, Status.OK: 0, Status.UNKNOWN: 1, Status.WARNING: 2, Status.CRITICAL: 3}
EXIT_CODES = {Status.OK: 0, Status.SKIPPED: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.UNKNOWN: 3}


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst status: ok < unknown < warning < critical; `skipped` never worsens."""
    found = max(statuses, key=_SEVERITY.__getitem__, default=Status.OK)
    return Status.OK if found is Status.SKIPPED else found


class Event(StrEnum):
    """What the Connector would log for a user who uses this Resource now."""

    NONE = "none"
    DNS_LOOKUP_ERROR = "dns_lookup_error"
    UNABLE_TO_CONNECT = "unable_to_connect"


class CheckName(StrEnum):
    """The checks, in the order in which a person reads them: from this host outwards."""

    HOST = "host"
    CLOCK = "clock"
    CONTROL_PLANE = "control_plane"
    RELAY = "relay"
    NAT = "nat"
    RESOLVER = "resolver"
    DNS = "dns"
    TCP = "tcp"
    CONNECTOR = "connector"
    PROVIDER = "provider"
    DEFINITION = "definition"


class Reason(StrEnum):
    """Why a verdict is not ok. Closed: shared by metrics, JSON, CLI, alerts and runbook anchors."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    NO_ROUTE = "no_route"
    BLOCKED_LOCALLY = "blocked_locally"
    ADDRESS_FAMILY_UNAVAILABLE = "address_family_unavailable"
    NXDOMAIN = "nxdomain"
    NO_ADDRESS = "no_address"
    SERVFAIL = "servfail"
    QUERY_REFUSED = "query_refused"
    MALFORMED_ANSWER = "malformed_answer"
    RESOLVERS_DISAGREE = "resolvers_disagree"
    REBIND_PROTECTED = "rebind_protected"
    OFFSET_EXCEEDED = "offset_exceeded"
    SOURCES_DISAGREE = "sources_disagree"
    NO_TIME_SOURCE = "no_time_source"
    CLOCK_STEPPED = "clock_stepped"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_YET_VALID = "tls_not_yet_valid"
    TLS_NAME_MISMATCH = "tls_name_mismatch"
    TLS_INTERCEPTED = "tls_intercepted"
    TLS_FAILED = "tls_failed"
    HTTP_STATUS = "http_status"
    UDP_BLOCKED = "udp_blocked"
    MAPPING_VARIES = "mapping_varies"
    NO_IPV4 = "no_ipv4"
    NOT_FOUND = "not_found"
    NOT_RUNNING = "not_running"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - the name of a state, not a token
    TOKEN_GONE = "token_gone"  # noqa: S105 - the name of a state, not a token
    FDS_LOW = "fds_low"
    NOT_PROBEABLE = "not_probeable"
    NOT_ALLOWED = "not_allowed"
    NEVER_UP = "never_up"
    EXPECTED_DOWN = "expected_down"
    UNEXPECTEDLY_UP = "unexpectedly_up"
    DEPENDENCY_FAILED = "dependency_failed"
    INVENTORY_STALE = "inventory_stale"
    PROBER_STARVED = "prober_starved"
    PERMISSION_DENIED = "permission_denied"
    DEFINITION_OVERLAP = "definition_overlap"
    INTERNAL_ERROR = "internal_error"


class Story(Protocol):
    """What can be read about an outcome, made when it is read: of thousands of rows hardly one ever is.

    Whoever makes one promises that its text is harmless: literals of ours, numbers, addresses, validated names, and
    what went through `printable`.
    """

    @property
    def summary(self) -> str:
        """What was observed, in one line."""

    @property
    def action(self) -> str:
        """The fix, and the command to repeat it by hand; empty when ok."""

    @property
    def measurements(self) -> Mapping[str, float]:
        """Figures; their unit stands in the key."""

    @property
    def facts(self) -> Mapping[str, Json]:
        """Everything else that is known."""

    @property
    def reached(self) -> bool:
        """Tell whether a user would have got through: a port accepted, a name has an address."""


@dataclass(frozen=True, slots=True)
class Words:
    """A story that is told already."""

    summary: str
    action: str = ""
    measurements: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    facts: Mapping[str, Json] = field(default_factory=lambda: _NO_FACTS)

    @property
    def reached(self) -> bool:
        """Tell whether a user would have got through, as far as the facts of dns and tcp rows show."""
        return bool(self.facts.get("accepted", self.facts.get("addresses")))


class Changes(TypedDict, total=False):
    """The arguments of `Outcome`."""

    status: Status
    reason: Reason | None
    event: Event | None
    summary: str
    action: str
    measurements: Mapping[str, float]
    facts: Mapping[str, Json]


class Outcome:
    """All that a check may say about one target. Never changed once made; `but` makes another.

    `summary` tells what was observed; `action` names the fix and the command to repeat it by hand (empty when ok).
    `measurements` carry their unit in the key (`connect_seconds`); `facts` are JSON. Times are stamped by the runner.
    `Outcome.of` takes a `Story` instead, for verdicts that are reached a thousand times a second.
    """

    __slots__ = ("event", "reason", "status", "story")

    def __init__(
        self,
        *,
        status: Status,
        summary: str,
        reason: Reason | None = None,
        event: Event | None = None,
        action: str = "",
        measurements: Mapping[str, float] = _NOTHING,
        facts: Mapping[str, Json] = _NO_FACTS,
    ) -> None:
        if (reason is None) is not (status is _OK):
            raise ValueError(f"{status} with reason {reason}: a reason is given exactly when not ok")
        self.status: Final = status
        self.reason: Final = reason
        self.event: Final = event
        self.story: Story = Words(summary, action, measurements, facts)

    @classmethod
    def of(cls, story: Story, *, status: Status, reason: Reason | None = None, event: Event | None = None) -> "Outcome":
        """Return an outcome whose words and figures are made when they are read."""
        if (reason is None) is not (status is _OK):
            raise ValueError(f"{status} with reason {reason}: a reason is given exactly when not ok")
        made = cls.__new__(cls)
        made.status, made.reason, made.event, made.story = status, reason, event, story  # type: ignore[misc]
        return made

    @property
    def summary(self) -> str:
        """What was observed, in one line."""
        return self.story.summary

    @property
    def action(self) -> str:
        """The fix, and the command to repeat it by hand; empty when ok."""
        return self.story.action

    @property
    def measurements(self) -> Mapping[str, float]:
        """Figures; their unit stands in the key."""
        return self.story.measurements

    @property
    def facts(self) -> Mapping[str, Json]:
        """Everything else that is known."""
        return self.story.facts

    @property
    def reached(self) -> bool:
        """Tell whether a user would have got through: a port accepted, a name has an address."""
        return self.story.reached

    def but(self, **changes: Unpack[Changes]) -> "Outcome":
        """Return this outcome with some of the constructor's arguments changed."""
        same = Changes(
            status=self.status, reason=self.reason, event=self.event, summary=self.summary, action=self.action,
            measurements=self.measurements, facts=self.facts,
        )  # fmt: skip
        same.update(changes)
        return Outcome(**same)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _ARGUMENTS)

    __hash__ = None  # type: ignore[assignment]  # facts may be anything

    def __repr__(self) -> str:
        return f"Outcome({', '.join(f'{name}={getattr(self, name)!r}' for name in _ARGUMENTS)})"


_ARGUMENTS = tuple(Changes.__annotations__)


Rows: TypeAlias = Mapping[str, Outcome]
"""What one run of a probe returns: the outcome of each target it looked at."""
