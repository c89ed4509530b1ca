"""STUN messages: the Binding request, and a strict reader of what comes back.

Source: RFC 8489 sections 5 (header), 6.3 (responses), 14 (attributes).
"""

import ipaddress
import secrets
import struct
from dataclasses import dataclass

MAGIC_COOKIE = 0x2112A442
TRANSACTION_BYTES = 12
HEADER_BYTES = 20
MAX_ERROR_REASON = 128  # characters, RFC 8489 section 14.8

_BINDING_REQUEST = 0x0001
_BINDING_SUCCESS = 0x0101
_BINDING_ERROR = 0x0111
_MAPPED_ADDRESS = 0x0001
_ERROR_CODE = 0x0009
_XOR_MAPPED_ADDRESS = 0x0020
_COMPREHENSION_OPTIONAL = 0x8000
# Attributes that must be understood and that we may leave alone: of RFC 8489 (credentials), RFC 5780 (PADDING,
# RESPONSE-PORT) and of RFC 3489, whose servers still send SOURCE-ADDRESS and CHANGED-ADDRESS.
_IGNORED = frozenset({0x0004, 0x0005, 0x0006, 0x0008, 0x000A, 0x000B, 0x0014, 0x0015, 0x001C, 0x001E, 0x0026, 0x0027})
_IPV4, _IPV6 = 0x01, 0x02


class MalformedError(ValueError):
    """The datagram is not a STUN Binding response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A Binding response. `mapped`: our address and port as the server sees them; None for an error, with its code."""

    transaction: bytes
    mapped: tuple[str, int] | None = None
    error_code: int | None = None
    error_reason: str = ""


def new_transaction() -> bytes:
    """Return 96 random bits: an answer that carries them can't have been guessed."""
    return secrets.token_bytes(TRANSACTION_BYTES)


def binding_request(transaction: bytes) -> bytes:
    """Return a Binding request without attributes."""
    return struct.pack("!HHI", _BINDING_REQUEST, 0, MAGIC_COOKIE) + transaction


def parse_response(data: bytes) -> Response:
    """Read a Binding response.

    Raises: MalformedError with one sentence, for anything that RFC 8489 would have a client discard.
    """
    if len(data) < HEADER_BYTES:
        raise MalformedError(f"{len(data)} bytes are shorter than a STUN header")
    kind, length, cookie = struct.unpack_from("!HHI", data)
    if kind not in (_BINDING_SUCCESS, _BINDING_ERROR):
        raise MalformedError(f"message type 0x{kind:04x} is not a Binding response")
    if cookie != MAGIC_COOKIE:
        raise MalformedError("the magic cookie is missing")
    if length % 4 or length != len(data) - HEADER_BYTES:
        raise MalformedError(f"the header says {length} bytes, {len(data) - HEADER_BYTES} follow")
    transaction = data[8:HEADER_BYTES]
    attributes = _attributes(data)
    if kind == _BINDING_ERROR:
        code, reason = _error(attributes.get(_ERROR_CODE))
        return Response(transaction=transaction, error_code=code, error_reason=reason)
    if _XOR_MAPPED_ADDRESS in attributes:
        mask = struct.pack("!I", MAGIC_COOKIE) + transaction
        return Response(transaction=transaction, mapped=_address(attributes[_XOR_MAPPED_ADDRESS], mask))
    if _MAPPED_ADDRESS in attributes:
        return Response(transaction=transaction, mapped=_address(attributes[_MAPPED_ADDRESS], bytes(16)))
    raise MalformedError("a success without a mapped address")


def _attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes that we read; of each type the first counts (RFC 8489 section 14)."""
    found: dict[int, bytes] = {}
    at = HEADER_BYTES
    while at < len(data):
        kind, length = struct.unpack_from("!HH", data, at)  # a multiple of 4 remains, so there is room for these
        value = data[at + 4 : at + 4 + length]
        if len(value) != length:
            raise MalformedError(f"attribute 0x{kind:04x} runs past the end")
        if kind in (_MAPPED_ADDRESS, _ERROR_CODE, _XOR_MAPPED_ADDRESS):
            found.setdefault(kind, value)
        elif kind < _COMPREHENSION_OPTIONAL and kind not in _IGNORED:
            raise MalformedError(f"attribute 0x{kind:04x} must be understood, and is not known")
        at += 4 + length + -length % 4
    return found


def _address(value: bytes, mask: bytes) -> tuple[str, int]:
    """Decode an address attribute; `mask` is what it is XORed with."""
    if len(value) < 4:
        raise MalformedError("an address attribute is too short")
    family, port = struct.unpack_from("!xBH", value)
    size = {_IPV4: 4, _IPV6: 16}.get(family)
    if size is None or len(value) != 4 + size:
        raise MalformedError(f"an address of family {family} with {len(value) - 4} bytes")
    port ^= int.from_bytes(mask[:2], "big")
    if port == 0:
        raise MalformedError("a mapped port of 0")
    packed = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
    return str(ipaddress.ip_address(packed)), port


def _error(value: bytes | None) -> tuple[int, str]:
    if value is None or len(value) < 4:
        raise MalformedError("an error without its code")
    kind, number = value[2] & 0x07, value[3]
    if not (3 <= kind <= 6 and number <= 99):
        raise MalformedError(f"error class {kind}, number {number}")
    return kind * 100 + number, value[4:].decode("utf-8", "replace")[:MAX_ERROR_REASON]
