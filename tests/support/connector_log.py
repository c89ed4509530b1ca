"""Lines of the Connector's log for tests: recorded ones with what they mean, and made ones."""

import json
from collections.abc import Iterator
from pathlib import Path

from checks.connlog.model import CauseSeen, ConnectionSeen, LogEvent, NameserverSeen, RawLine, StateSeen
from checks.connlog.parser import LogParser

RECORDED = Path(__file__).parent.parent / "checks" / "data" / "connector_lines.txt"
AT = 1_700_000_000.0
SALT = b"a salt of the tests"


def raw(text: str | bytes, at: float = AT) -> RawLine:
    """Make a line as the readers give it."""
    return RawLine(at=at, text=text if isinstance(text, bytes) else text.encode(), cursor="")


def recorded() -> Iterator[tuple[str, str]]:
    """Yield (meaning, line) of the recorded lines."""
    for row in RECORDED.read_text().splitlines():
        if row and not row.startswith("#"):
            meaning, _, line = row.partition(" |")
            yield meaning, line.removeprefix(" ")


def meaning_of(line: str | bytes) -> str:
    """Read one line and write what it was read as, in the words of the recorded lines."""
    parser = LogParser(SALT)
    event = parser.feed(raw(line))
    return "unparsed" if parser.unparsed else describe(event)


def describe(event: LogEvent | None) -> str:
    """Write an event in the words of the recorded lines."""
    match event:
        case None:
            return "nothing"
        case StateSeen():
            return f"state {event.state}"
        case CauseSeen():
            return f"cause {event.cause}" + (f" {event.endpoint}" if event.endpoint else "")
        case NameserverSeen():
            return f"nameserver {'up' if event.up else 'down'} {event.nameserver or 'all'}"
        case ConnectionSeen():
            relays = ",".join(map(str, event.relays))
            parts = (event.kind, event.address, event.rule, event.ip, event.port, event.protocol, event.path, relays)
            return " ".join(str(part) if part else "-" for part in parts)


def analytics(
    kind: str | None = "established_connection",
    *,
    address: object = "db.corp.example.com",
    rule: object = "*.corp.example.com",
    user: object = "13610",
    relays: object = (),
    timestamp: object = None,
    **connection: object,
) -> str:
    """Make an ANALYTICS line. A value of None leaves its field out."""
    fields = {"protocol": "tcp", "resource_port": 5432, "resource_ip": "10.1.2.3"} | connection
    event = {
        "event_type": kind,
        "timestamp": timestamp,
        "user": {"email": "someone@example.com", "id": user},
        "resource": {"address": address, "applied_rule": rule, "id": "7"},
        "connection": {key: value for key, value in fields.items() if value is not None},
        "relays": relays,
    }
    return "ANALYTICS " + json.dumps({key: value for key, value in event.items() if value is not None})


def connection_of(line: str | bytes, at: float = AT, salt: bytes = SALT) -> ConnectionSeen:
    """Read a line that has to be a user connection."""
    event = LogParser(salt).feed(raw(line, at))
    assert isinstance(event, ConnectionSeen), event
    return event
