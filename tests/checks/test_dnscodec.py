"""Whatever bytes come from the network, they are judged and never raised."""

import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.net.answers import AnswerClass
from checks.net.dnscodec import MalformedError, Question, Reply
from tests.support.nameservers import reply

NAME = "db.corp.internal."


def _read(question: Question, wire: bytes) -> None:
    """Read as the transport does: everything but MalformedError is a value."""
    try:
        found = question.read(wire)
    except MalformedError:
        return
    if isinstance(found, Reply):
        assert found.said().klass is not AnswerClass.TIMEOUT


@given(st.binary(max_size=600))
def test_random_bytes_never_raise(body: bytes) -> None:
    """Bytes from the network are judged, never raised, with our id or without it."""
    question = Question(NAME, "A", 4711)
    _read(question, body)
    _read(question, question.wire[:2] + b"\x80\x00" + body)


@given(st.integers(0, 3), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=300))
def test_random_records_never_raise(count: int, kind: int, klass: int, length: int, body: bytes) -> None:
    """Records of any type, class and length behind our own question are judged, never raised."""
    question = Question(NAME, "A", 4711)
    header = struct.pack("!HHHHHH", 4711, 0x8180, 1, count, 1, 1)
    for claimed in (length, len(body)):
        record = b"\xc0\x0c" + struct.pack("!HHIH", kind, klass, 60, claimed) + body
        _read(question, header + question.wire[12:] + record)


@given(st.integers(0, 80), st.integers(0, 255))
def test_changed_byte_never_raises(position: int, value: int) -> None:
    """A right answer with one changed byte is judged, never raised."""
    question = Question(NAME, "A", 4711)
    wire = bytearray(
        reply(dns.message.from_wire(question.wire), f"{NAME} 9 IN CNAME b.test.", "b.test. 9 IN A 10.0.0.1")
    )
    wire[position % len(wire)] = value
    _read(question, bytes(wire))


def test_opcode_must_be_query() -> None:
    """A message of another opcode is not an answer."""
    question = Question(NAME, "A", 4711)
    message = dns.message.make_response(dns.message.from_wire(question.wire))
    message.set_opcode(dns.opcode.NOTIFY)
    assert question.read(message.to_wire()) == "header"


_LONG = b"\1a" * 118  # labels, before a pointer to the name in the question


def _flood(name: bytes, kind: int, data: bytes, count: int) -> bytes:
    """Write a reply whose first record has a name of many labels; all others are of `name`, `kind` and `data`."""
    question = Question(NAME, "A", 4711).wire[12:]
    bodies = [_LONG + b"\xc0\x0c" + struct.pack("!HHIHI", 1, 1, 9, 4, 1)]
    bodies += [name + struct.pack("!HHIH", kind, 1, 9, len(data)) + data] * count
    return struct.pack("!HHHHHH", 4711, 0x8180, 1, len(bodies), 0, 0) + question + b"".join(bodies)


_TO_LONG = (0xC000 | len(Question(NAME, "A", 0).wire)).to_bytes(2)


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        (_TO_LONG, 2, _TO_LONG), (_TO_LONG, 5, _TO_LONG), (_TO_LONG, 1, bytes(4)), (b"\xc0\x0c", 5, _TO_LONG),
        (b"\xc0\x0c", 1, bytes(4)), (_TO_LONG, 16, b""),
    ],
)  # fmt: skip
def test_a_reply_that_only_costs_time_is_not_read(name: bytes, kind: int, data: bytes) -> None:
    """Thousands of records, or of names of a hundred labels: malformed, as soon as that is plain."""
    question = Question(NAME, "A", 4711)
    wire = _flood(name, kind, data, 3000)
    assert len(wire) < 65536
    with pytest.raises(MalformedError, match="TooMuch"):
        question.read(wire)


def test_what_no_verdict_needs_is_not_taken_apart() -> None:
    """One record that holds thousands of long names, of a type that was not asked for, is passed over."""
    question = Question(NAME, "A", 4711)
    found = question.read(_flood(b"\xc0\x0c", 55, b"\0\0\0\0" + _TO_LONG * 20000, 1))  # HIP: a list of names
    assert isinstance(found, Reply)
    assert found.said().klass is AnswerClass.NO_ADDRESS
