"""What may leave the reader of the Connector's log: typed fields and nothing else.

No e-mail, no client address, no user, device or connection id, no free text has a place here. A user is a number
that only this process could make (salted), good for counting distinct ones and for nothing else.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

from checks.model import Event
from checks.net.endpoint import Endpoint


class LogState(StrEnum):
    """The Connector's state machine as its log names it. Others exist: they are `other`."""

    ONLINE = "online"
    OFFLINE = "offline"
    AUTHENTICATION = "authentication"
    ERROR = "error"
    UNRECOVERABLE = "unrecoverable_error"
    OTHER = "other"


class LogCause(StrEnum):
    """What an error line means (closed; the label `cause` of connector_health_connector_log_errors_total)."""

    TOKEN_INVALID = "token_invalid"  # noqa: S105 - the name of a cause
    TOKEN_GONE = "token_gone"  # noqa: S105 - the name of a cause
    FDS_EXHAUSTED = "fds_exhausted"
    RELAY_UNREACHABLE = "relay_unreachable"
    NAMESERVER_FAILED = "nameserver_failed"
    ALL_NAMESERVERS_FAILED = "all_nameservers_failed"
    OTHER = "other"


class ConnectionKind(StrEnum):
    """What happened to a user's connection (the label `event` of connector_health_connector_events_total)."""

    ESTABLISHED = "established"
    CLOSED = "closed"
    DNS_LOOKUP_ERROR = "dns_lookup_error"
    UNABLE_TO_CONNECT = "unable_to_connect"
    DENIED = "denied"


Path: TypeAlias = Literal["direct", "relayed", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSeen:
    """The Connector said that it changed its state. `at`: Unix seconds."""

    at: float
    state: LogState


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseSeen:
    """An error line was understood. `endpoint`: the Relay it names, if any."""

    at: float
    cause: LogCause
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameserverSeen:
    """The Connector's resolver gave a nameserver up, or found it again. None: all of them have failed."""

    at: float
    nameserver: Endpoint | None
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSeen:
    """One user connection, as ANALYTICS tells it.

    - `address` is what the user asked for (a name, or an address), lower case; `rule` the Resource's address that
      allowed it (a pattern, a CIDR, or the same as `address`); both checked to be of that shape, else empty.
    - `ip` and `port` are what the Connector connected to; None where it did not come so far.
    - `user`: salted number; None when the line names none.
    - `relays`: endpoints of the Relays that the line names.
    """

    at: float
    kind: ConnectionKind
    address: str
    rule: str = ""
    ip: str | None = None
    port: int | None = None
    protocol: Literal["tcp", "udp", "other"] = "other"
    path: Path = "unknown"
    user: int | None = None
    relays: tuple[Endpoint, ...] = ()

    @property
    def observed(self) -> Event | None:
        """What the user got: none, a failure by its name, or None when this says nothing about the Resource."""
        match self.kind:
            case ConnectionKind.ESTABLISHED:
                return Event.NONE
            case ConnectionKind.DNS_LOOKUP_ERROR:
                return Event.DNS_LOOKUP_ERROR
            case ConnectionKind.UNABLE_TO_CONNECT:
                return Event.UNABLE_TO_CONNECT
            case _:
                return None


LogEvent: TypeAlias = StateSeen | CauseSeen | NameserverSeen | ConnectionSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class RawLine:
    """One whole line (rejoined where its carrier had split it), without its newline. `at`: Unix seconds.

    `cursor` is where to go on after it; it means something only to the source that made it.
    """

    at: float
    text: bytes
    cursor: str


class LogUnreadableError(Exception):
    """The log can't be read; the text is one clause for a person, `permission` tells whether only that lacks."""

    def __init__(self, text: str, *, permission: bool = False) -> None:
        super().__init__(text)
        self.permission = permission


class LogSource(Protocol):
    """A place where the Connector's log comes from."""

    def follow(self, cursor: str | None, since: float | None) -> AsyncIterator[Sequence[RawLine]]:
        """Yield batches (bounded, at most 1,000 lines or 1 MiB) from after `cursor`, else from `since`, then live.

        Ends when the process that logs has ended and all was read. What is older than the bound on the past is left
        out. Raises: LogUnreadableError, and NetError or OSError when the connection breaks: then call again.
        """
