"""The vocabulary: what a check may say. Everything else in the tree speaks in these words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

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


_UNKNOWN, _SKIPPED = (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a check may say about one target.

    `summary` tells what was observed; `action` names the fix and the command to repeat it by hand (empty when ok).
    `measurements` carry their unit in the key (`connect_seconds`); `facts` are JSON. Times are stamped by the runner.
    """

    status: Status
    summary: str
    reason: Reason | None = None
    event: Event | None = None
    action: str = ""
    measurements: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    facts: Mapping[str, Json] = field(default_factory=lambda: _NO_FACTS)

    def __post_init__(self) -> None:
        if (self.reason is None) is not (self.status is Status.OK):
            raise ValueError(f"{self.status} with reason {self.reason}: a reason is given exactly when not ok")


Rows: TypeAlias = Mapping[str, Outcome]
"""What one run of a probe returns: the outcome of each target it looked at."""
