"""The JSON of an ANALYTICS line, decoded into the few fields that are declared here: what is not declared is skipped.

A line that fits the declared types takes the short way. One with a field of a wrong type takes the long way, field by
field, and loses that field only.
"""

import re
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

MAX_BODY = 64 * 1024  # bytes: the longest real ones, with all Relays and the place of the client, have 4 KiB

_Kind = TypeVar("_Kind", bound=Struct)


class User(Struct, gc=False):
    """Who connected. The id lives only until it is salted; nothing else of a person is declared."""

    id: str | int | None = None


class Resource(Struct, gc=False):
    """What the user asked for, and the Resource's address (name, IP, CIDR or pattern) that allowed it."""

    address: str | None = None
    applied_rule: str | None = None


class Connection(Struct, gc=False):
    """What the Connector connected to and how it went."""

    resource_ip: str | None = None
    resource_port: int | str | None = None
    protocol: str | None = None
    tunnel_path: str | None = None
    error_message: str | int | float | bool | dict[str, Raw] | list[Raw] | None = None


class Relay(Struct, gc=False):
    """A Relay in use."""

    ip: str | None = None
    port: int | str | None = None


class Line(Struct, gc=False):
    """One event. `timestamp`: Unix milliseconds."""

    event_type: str | None = None
    timestamp: int | float | None = None
    user: User | None = None
    service_account: User | None = None
    resource: Resource | None = None
    connection: Connection | None = None
    relays: list[Relay] | None = None


_PARTS: dict[str, type[Struct]] = {
    "user": User,
    "service_account": User,
    "resource": Resource,
    "connection": Connection,
}
_SHELLS: dict[type[Struct], type[Struct]] = {
    kind: msgspec.defstruct(f"_{kind.__name__}Shell", [(name, Raw, Raw()) for name in kind.__struct_fields__])
    for kind in (Line, User, Resource, Connection, Relay)
}
_DECODER = msgspec.json.Decoder(Line)
_FIELDS = {
    (kind, field.name): msgspec.json.Decoder(field.type)
    for kind in _SHELLS
    for field in msgspec.structs.fields(kind)
    if field.name not in _PARTS
}
_MANY = msgspec.json.Decoder(list[Raw])

# An object with a key written twice has no agreed meaning. These names stand once in a real line.
_ONCE = tuple(f'"{name}"'.encode() for kind in (Line, Resource, Connection) for name in kind.__struct_fields__)
# A text that never ends is taken to the end as well: from each quote in it another would be looked for in vain.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{}\[\]:,]', re.DOTALL)


def decode(body: bytes) -> Line:
    """Read one JSON object. Raises: ValueError, whose text holds nothing of the line."""
    if len(body) > MAX_BODY:
        raise ValueError("longer than any event")
    try:
        if not body.isascii():
            body.decode()  # a skipped field is not looked into: damage there would go unseen
        if _has_key_twice(body):
            raise ValueError("a key stands twice")
        try:
            return _DECODER.decode(body)
        except msgspec.ValidationError:
            return _loosely(Line, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # `from None`: the decoder's words quote what they stumbled over.
        raise ValueError("not one JSON object") from None


def _loosely(kind: type[_Kind], body: bytes | Raw) -> _Kind:
    """Decode an object field by field. Raises: DecodeError when it is no object."""
    shell = msgspec.json.decode(body, type=_SHELLS[kind])
    kept: dict[str, object] = {}
    for name in kind.__struct_fields__:
        raw: Raw = getattr(shell, name)
        if not raw:
            continue
        try:
            if name in _PARTS:
                kept[name] = None if bytes(raw) == b"null" else _loosely(_PARTS[name], raw)
            elif name == "relays":
                kept[name] = [relay for item in _MANY.decode(raw) for relay in _relay(item)]
            else:
                kept[name] = _FIELDS[kind, name].decode(raw)
        except msgspec.ValidationError:
            continue
    return kind(**kept)


def _relay(item: Raw) -> list[Relay]:
    try:
        return [_loosely(Relay, item)]
    except msgspec.ValidationError:
        return []


def _has_key_twice(body: bytes) -> bool:
    """Tell whether an object in `body` has one of our keys twice; exact, and only looked for where it is possible."""
    for name in _ONCE:
        if body.count(name) > 1:
            break
    else:
        return False
    seen: list[set[bytes]] = []
    last = b""
    for token in _TOKEN.finditer(body):
        text = token[0]
        if text in (b"{", b"["):
            seen.append(set())
        elif text in (b"}", b"]"):
            if seen:
                seen.pop()
        elif text == b":" and seen:
            if last in seen[-1]:
                return True
            seen[-1].add(last)
        last = text
    return False
