"""ANALYTICS lines: one user connection in one JSON object (TWINGATE_LOG_ANALYTICS v1, v2, v3), read for what we need.

Only declared fields are decoded: no e-mail, client address, device, connection or location is ever made into a value
here, and `user.id` is salted at once. Unknown fields are ignored and missing ones tolerated; a field of a wrong type
loses that field, not the event.

A failure is a `failed_to_connect`, or any event whose `connection.error_message` is present and not NORMAL; a
`denied_access` is policy, not a failure of the Resource. It is a DNS failure when the message says so, or when a name
was asked for and no `resource_ip` came of it; else the connection failed. A `closed_connection` is the end of one that
had been established ("error states produce no corresponding closed_connection event"): what its message tells is how it
ended, unless it is one of the two words for a connection that never was.

Sources: Twingate's documents on real-time logs and on the network event schema; Twingate-Solutions' log-shipper schema;
general-scripts unique_ports.py (what Twingate itself counts as a failure). The words of `error_message` in the
real-time log are not documented: DNS_ERROR and CONNECTION_FAILED are those of the console's export.
"""

import hashlib
import re
from typing import Literal

from checks.connlog.analytics_line import Connection, Line, Relay, Resource, decode
from checks.connlog.model import ConnectionKind, ConnectionSeen, Path
from checks.connlog.shapes import ip_of, ipv4_endpoint, port_of, rule_of, target_of
from checks.net.endpoint import Endpoint

MAX_RELAYS = 16  # a Connector keeps connections to 4
_EARLIEST_MS = 1_420_070_400_000  # 2015: before there were Connectors
_LATEST_MS = 4_102_444_800_000  # 2100: a number beyond that is not in milliseconds
_USER_BYTES = 8  # 64 bits: two of a thousand users collide once in 10^13 processes

_NEVER_CONNECTED = frozenset({"dns_error", "connection_failed"})
_DENIED = re.compile(r"denied.?access|access.?denied")


def parse(body: bytes, at: float, salt: bytes) -> ConnectionSeen | None:
    """Return what the JSON object `body` says about a user's connection; None for an event of another kind.

    `at`: Unix seconds at which the line was written, used where it has no sane time of its own; `salt`: 1 to 64 bytes.
    Raises: ValueError when it is not one whole object, or says of no kind of event; its text holds nothing of the line.
    """
    line = decode(body)
    connection = line.connection or Connection()
    resource = line.resource or Resource()
    asked = resource.address or ""
    ip = ip_of(connection.resource_ip or "")
    kind = _kind(line.event_type, connection.error_message, named=_is_named(asked), connected=ip is not None)
    if kind is None:
        return None
    address, rule = target_of(asked), rule_of(resource.applied_rule or "")
    if not address:
        # v3 gives the Resource's own address here, which may be a pattern or a network.
        address, rule = ip or "", rule or rule_of(asked)
    return ConnectionSeen(
        at=_time(line.timestamp, at),
        kind=kind,
        address=address,
        rule=rule,
        ip=ip,
        port=port_of(connection.resource_port),
        protocol=_protocol(connection.protocol),
        path=_path(connection.tunnel_path),
        user=_user(line, salt),
        relays=_relays(line.relays) if line.relays else (),
    )


def _kind(event: str | None, error: object, *, named: bool, connected: bool) -> ConnectionKind | None:
    event = event.lower() if event is not None else ""
    message = _message(error)
    if not event and not message:
        raise ValueError("no kind of event")
    if event == "established_connection" and not message:
        return ConnectionKind.ESTABLISHED
    if event == "closed_connection" and message not in _NEVER_CONNECTED:
        return ConnectionKind.CLOSED
    if event == "denied_access" or (event != "failed_to_connect" and _DENIED.search(message)):
        return ConnectionKind.DENIED
    if event != "failed_to_connect" and not message:
        return None
    if "dns" in message or (named and not connected):
        return ConnectionKind.DNS_LOOKUP_ERROR
    return ConnectionKind.UNABLE_TO_CONNECT


def _message(error: object) -> str:
    """Return the error message in lower case; empty when there is none, or when it is NORMAL."""
    if not isinstance(error, str):
        return "not a text" if error else ""  # an error is an error, in whatever form a later version writes it
    text = error.strip().lower()
    return "" if text.startswith("normal") else text


def _is_named(asked: str) -> bool:
    """Tell whether the user asked for something that a nameserver had to be asked about."""
    return bool(asked) and ip_of(asked.strip("[]").partition("/")[0]) is None


def _time(timestamp: object, at: float) -> float:
    """Return the event's own time in Unix seconds, from milliseconds, or the line's time when that makes no sense."""
    if isinstance(timestamp, int | float) and _EARLIEST_MS <= timestamp <= _LATEST_MS:
        return timestamp / 1000
    return at


def _protocol(text: str | None) -> Literal["tcp", "udp", "other"]:
    word = text.lower() if text is not None else ""
    return "tcp" if word == "tcp" else "udp" if word == "udp" else "other"


def _path(text: str | None) -> Path:
    word = text.lower() if text is not None else ""
    return "relayed" if word.startswith("relay") else "direct" if word == "direct" else "unknown"


def _user(line: Line, salt: bytes) -> int | None:
    """Return the user's number in this process: keyed, so that it can't be told back from a list of ids."""
    for person, holder in ((b"user", line.user), (b"service", line.service_account)):
        if holder is not None and holder.id not in (None, ""):
            text = str(holder.id).encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(text, digest_size=_USER_BYTES, key=salt, person=person)
            return int.from_bytes(digest.digest(), "big")
    return None


def _relays(relays: list[Relay]) -> tuple[Endpoint, ...]:
    kept: dict[Endpoint, None] = {}
    for relay in relays:
        endpoint = ipv4_endpoint(relay.ip, relay.port)
        if endpoint is not None:
            kept[endpoint] = None
            if len(kept) == MAX_RELAYS:
                break
    return tuple(kept)
