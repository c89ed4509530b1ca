"""Reads the plain replies that nameservers nearly always send; whatever is not plain is left to the codec. No I/O.

The codec (dnspython) takes apart all that a message may hold: ten times the work that a verdict needs. What is read
here must give the very verdict that the codec would give, so this reads only what it checks in full: NOERROR or
NXDOMAIN, our question repeated once, and well-formed A, AAAA, CNAME, NS and SOA records of class IN whose names point
backwards. At the first thing that is otherwise it gives up, and says nothing about the message.
"""

import socket
import struct

from checks.net.answers import Said, judged
from checks.net.dnsquestion import Question

HEADER_BYTES = 12
MAX_CHAIN = 16  # CNAMEs followed in one answer; as resolvers do, and it ends loops
MAX_POINTERS = 4  # compression pointers in one name: servers write one
MAX_LABELS = 40  # in one name: ordinary ones have three to ten, and thousands of records may point to a long one

_COUNTS = struct.Struct("!HHHHH")  # flags, then how many entries each of the four sections has
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, length
_FIXED = 0xFA00  # of the flags: reply, opcode, truncated
_REPLY = 0x8000
_RCODE = 0x000F
_NOERROR, _NXDOMAIN = 0, 3
_IN = 1
_A, _NS, _CNAME, _SOA, _AAAA = 1, 2, 5, 6, 28
_KINDS = {"A": _A, "NS": _NS, "AAAA": _AAAA}
_TO_QUESTION = b"\xc0\x0c"  # a pointer to the name in the question, which is the first thing after the header
_SOA_BYTES = 20  # five numbers after its two names
_EMBEDDED = bytes(10)  # begins an IPv6 address that holds an IPv4 one, or nearly nothing: written in several ways
_ORDINARY = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"  # need no escape as text


class _NotPlainError(Exception):
    """The codec must read this."""


class _Records:
    """The records of one owner and type: their data as text (by its lower case), as they come, and the least TTL."""

    __slots__ = ("target", "texts", "ttl")

    def __init__(self, ttl: int, target: bytes) -> None:
        self.texts: dict[str, str] = {}
        self.ttl = ttl
        self.target = target


def read_plain(question: Question, wire: bytes) -> Said | None:
    """Return what a plain reply to `question` says; None when it is not one. The id is the caller's to compare."""
    kind, asked = _KINDS.get(question.kind), question.asked
    end = HEADER_BYTES + len(asked)
    if kind is None or len(wire) < end:
        return None
    flags, asks, answers, authorities, more = _COUNTS.unpack_from(wire, 2)
    rcode = flags & _RCODE
    if flags & _FIXED != _REPLY or asks != 1 or rcode not in (_NOERROR, _NXDOMAIN):
        return None
    if wire[HEADER_BYTES:end].lower() != asked:
        return None
    own = asked[:-4]
    held: dict[tuple[bytes, int], _Records] = {}
    try:
        for number in range(answers + authorities + more):
            end = _record(wire, end, own, held if number < answers else None)
    except (_NotPlainError, IndexError, struct.error):
        return None
    if end != len(wire):
        return None
    cnames: list[str] = []
    ttls: list[int] = []
    addresses: tuple[str, ...] = ()
    for _ in range(MAX_CHAIN):
        found = held.get((own, kind))
        if found is not None:
            addresses = tuple(found.texts.values())
            ttls.append(found.ttl)
            break
        found = held.get((own, _CNAME))
        if found is None:
            break
        own = found.target
        cnames += found.texts.values()
        ttls.append(found.ttl)
    exists = rcode == _NOERROR
    return judged(
        question.shown, question.kind, exists=exists, addresses=addresses, cnames=tuple(cnames),
        ttl=min(ttls, default=None),
    )  # fmt: skip


def _record(wire: bytes, position: int, own: bytes, held: dict[tuple[bytes, int], _Records] | None) -> int:
    """Read the record at `position` into `held` (None: only check it); return where the next one begins.

    `own` is the name in the question. Raises: _NotPlainError, IndexError, struct.error.
    """
    if wire[position : position + 2] == _TO_QUESTION:
        owner, position = own, position + 2
    else:
        labels, position = _name(wire, position, len(wire))
        owner = _key(labels)
    kind, klass, ttl, length = _RECORD.unpack_from(wire, position)
    position += _RECORD.size
    end: int = position + length
    if klass != _IN or ttl >> 31 or end > len(wire):
        raise _NotPlainError
    text, target = _data(wire, kind, position, end, kept=held is not None)
    if held is not None:
        _hold(held, (owner, kind), text, ttl, target)
    return end


def _data(wire: bytes, kind: int, position: int, end: int, *, kept: bool) -> tuple[str, bytes]:
    """Return a record's data as text (`kept`; else it is only checked), and the name in it in its one form.

    Raises: _NotPlainError, IndexError.
    """
    if kind == _A and end - position == 4:
        return socket.inet_ntoa(wire[position:end]), b""
    if kind == _AAAA and end - position == 16 and not wire.startswith(_EMBEDDED, position):
        return socket.inet_ntop(socket.AF_INET6, wire[position:end]), b""
    if kind in (_CNAME, _NS):
        labels, behind = _name(wire, position, end)
        if behind == end:
            text = _text(labels) if kept else ""
            return f"{text}." if kind == _NS else text, _key(labels)
    elif kind == _SOA and not kept:
        _, behind = _name(wire, position, end)
        _, behind = _name(wire, behind, end)
        if behind + _SOA_BYTES == end:
            return "", b""
    raise _NotPlainError


def _hold(held: dict[tuple[bytes, int], _Records], key: tuple[bytes, int], text: str, ttl: int, target: bytes) -> None:
    """Add a record to those of its owner and type. Raises: _NotPlainError."""
    records, lower = held.get(key), text.lower()
    if records is None:
        records = held[key] = _Records(ttl, target)
    elif key[1] in (_CNAME, _NS):
        if key[1] == _CNAME or lower in records.texts:
            raise _NotPlainError  # there must be one alias at most; the same nameserver twice is not worth a rule
    elif lower in records.texts:
        records.ttl = min(records.ttl, ttl)
        return
    records.texts[lower] = text
    records.ttl = min(records.ttl, ttl)


def _name(wire: bytes, position: int, end: int) -> tuple[list[bytes], int]:
    """Read the name at `position` that ends before `end`; return its labels and where it ends.

    A pointer must lead backwards, and what it leads to must end before the part that it was found in begins.
    Raises: _NotPlainError, IndexError.
    """
    labels: list[bytes] = []
    size, pointers, begin, behind = 1, 0, position, -1
    while True:
        if position >= end:
            raise _NotPlainError
        count = wire[position]
        position += 1
        if not count:
            break
        if count < 64:
            size += count + 1
            if (
                position + count >= end or size > 255 or len(labels) == MAX_LABELS
            ):  # at least its last zero byte must follow
                raise _NotPlainError
            labels.append(wire[position : position + count])
            position += count
        elif count >= 192 and position < end and pointers < MAX_POINTERS:
            lead = (count & 63) << 8 | wire[position]
            if behind < 0:
                behind = position + 1
            if lead >= begin:
                raise _NotPlainError
            end, begin, position = begin, lead, lead
            pointers += 1
        else:
            raise _NotPlainError
    return labels, position if behind < 0 else behind


def _key(labels: list[bytes]) -> bytes:
    """Return a name in the one form by which names compare: as in a question, in lower case."""
    return b"".join([bytes((len(label),)) + label for label in labels]).lower() + b"\0"


def _text(labels: list[bytes]) -> str:
    """Return a name as text, without its final dot. Raises: _NotPlainError, when it would need escapes."""
    joined = b".".join(labels)
    if not labels or len(joined.translate(None, _ORDINARY)) != len(labels) - 1:
        raise _NotPlainError  # what is left is the dots between the labels, unless there is something else
    return joined.decode()
