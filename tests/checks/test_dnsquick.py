"""The quick reader comes to the very verdict of the codec, whatever the bytes, or leaves them to it."""

import struct
import subprocess
import sys

import dns.message
import dns.rcode
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.net.answers import Said
from checks.net.dnscodec import MalformedError, Reply
from checks.net.dnscodec import Question as Codec
from checks.net.dnscodec import why_impossible as codec_why_impossible
from checks.net.dnsquestion import question, why_impossible
from checks.net.dnsquick import read_plain
from tests.support.nameservers import reply

NAME = "db.corp.internal."
NUMBER = 4711
RECORDS = [
    f"{NAME} 60 IN A 10.1.2.3",
    f"{NAME} 20 IN A 10.1.2.4",
    f"{NAME} 60 IN AAAA 2001:db8::1:0:0:1",
    f"{NAME} 60 IN AAAA ::ffff:10.0.0.1",
    f"{NAME} 30 IN CNAME b.Test.",
    f"{NAME} 30 IN CNAME {NAME}",
    f"{NAME} 30 IN NS ns.test.",
    f"{NAME} 30 IN NS NS.Test.",
    f"{NAME} 30 IN TXT text",
    "b.test. 90 IN CNAME c.b.test.",
    "B.TEST. 90 IN A 10.0.0.8",
    "c.b.test. 10 IN A 10.0.0.7",
    "c.b.test. 10 IN CNAME b.test.",
    r"b.test. 9 IN CNAME a\.b\009\".test.",
    f"{NAME} 9 IN CNAME .",
]  # fmt: skip
NAMES = [
    NAME, "DB.Corp.Internal.", "b", "_srv.corp-1.test", ".", "", "a..b", ".a", "a b", "a.", "\u00e4.test",
    "xn--4ca.test", "a\\.b.test", "@", "*", "x" * 63 + ".t", "x" * 64 + ".t", ".".join(["x" * 49] * 5) + ".xyz",
    ".".join(["x" * 49] * 5) + ".wxyz", ".".join(["x" * 49] * 5) + ".xyz.",  ".".join(["x" * 49] * 5) + ".wxyz.",
]  # fmt: skip


def _message(
    records: list[str], others: list[str], more: list[str], rcode: dns.rcode.Rcode, kind: str = "A", name: str = NAME
) -> bytes:
    """Write a reply with records in all its sections."""
    message = dns.message.from_wire(reply(dns.message.make_query(name, kind, id=NUMBER), *records, rcode=rcode))
    for section, texts in ((message.authority, others), (message.additional, more)):
        written = dns.message.from_wire(reply(dns.message.make_query(NAME, "A"), *texts))
        section.extend(written.answer)
    return message.to_wire(max_size=65535)


def _by_codec(name: str, kind: str, wire: bytes) -> object:
    """Return what the codec makes of a reply: what it says, or why it does not count."""
    try:
        found = Codec(name, kind, NUMBER).read(wire)
    except MalformedError:
        return "malformed"
    if isinstance(found, Reply):
        return "truncated" if found.truncated else found.said()
    return found


def _agree(wire: bytes, kind: str = "A", name: str = NAME) -> Said | None:
    """Compare the two; return what the quick reader says."""
    if wire[:2] != NUMBER.to_bytes(2):
        return None  # the transport compares ids before it reads any further
    said = read_plain(question(name, kind), wire)
    if said is not None:
        assert said == _by_codec(name, kind, wire)
    return said


@pytest.mark.parametrize(
    ("records", "rcode", "kind", "expected"),
    [
        (RECORDS[:1], "NOERROR", "A", ("10.1.2.3",)),
        (RECORDS[:2], "NOERROR", "A", ("10.1.2.3", "10.1.2.4")),
        ([RECORDS[4], RECORDS[9], RECORDS[11]], "NOERROR", "A", ("10.0.0.7",)),
        ([RECORDS[11], RECORDS[9], RECORDS[4]], "NOERROR", "A", ("10.0.0.7",)),
        (RECORDS[2:3], "NOERROR", "AAAA", ("2001:db8::1:0:0:1",)),
        (RECORDS[5:6], "NOERROR", "A", ()),
        (RECORDS[6:7], "NOERROR", "NS", ("ns.test.",)),
        ([], "NOERROR", "A", ()),
        ([], "NXDOMAIN", "A", ()),
        (RECORDS[4:5], "NXDOMAIN", "A", ()),
    ],
)
def test_plain_replies_are_read(records: list[str], rcode: str, kind: str, expected: tuple[str, ...]) -> None:
    """What nameservers send day by day is read without the codec, and read as it reads it."""
    soa = ["corp.internal. 60 IN SOA ns.test. root.test. 1 2 3 4 5"]
    for others, more in (([], []), (soa, []), ([RECORDS[6]], ["ns.test. 5 IN A 10.0.0.1"])):
        wire = _message(records, others, more, dns.rcode.from_text(rcode), kind)
        said = _agree(wire, kind)
        assert said is not None
        assert sorted(said.addresses) == sorted(expected)


@given(
    st.lists(st.sampled_from(RECORDS), max_size=6),
    st.lists(st.sampled_from(RECORDS), max_size=2),
    st.lists(st.sampled_from(RECORDS), max_size=2),
    st.sampled_from([dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED]),
    st.sampled_from(["A", "AAAA", "NS"]),
    st.lists(st.tuples(st.integers(2, 400), st.integers(0, 255)), max_size=3),
    st.tuples(st.integers(0, 30), st.binary(max_size=4)),
)
@settings(max_examples=150, deadline=None)
def test_changed_replies_agree(
    records: list[str],
    others: list[str],
    more: list[str],
    rcode: dns.rcode.Rcode,
    kind: str,
    changes: list[tuple[int, int]],
    ends: tuple[int, bytes],
) -> None:
    """Real replies with changed, cut and added bytes: either left to the codec, or the codec's own verdict."""
    wire = bytearray(_message(records, others, more, rcode, kind))
    cut, trailing = ends
    _agree(bytes(wire), kind)
    for position, value in changes:
        wire[2 + position % (len(wire) - 2)] = value
    _agree(bytes(wire), kind)
    _agree(bytes(wire[: len(wire) - cut]), kind)
    _agree(bytes(wire) + trailing, kind)


_RECORD = st.tuples(
    st.sampled_from([b"\xc0\x0c", b"\xc0\x0f", b"\xc0\x2d", b"\xc0\x22", b"\0", b"\1b\4test\0", b"\1b\xc0\x0c", b"@"]),
    st.sampled_from([1, 2, 5, 6, 28, 16, 41, 250, 39]),
    st.sampled_from([1, 1, 1, 3, 255]),
    st.sampled_from([0, 60, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
    st.sampled_from([0, 0, 0, -1, 1]),
    st.sampled_from([
        b"\x0a\0\0\1", b"\x0a\0\0\1", bytes(16), b"\x20\1" + bytes(13) + b"\1", b"\xc0\x0c", b"\1b\4test\0",
        b"\xc0\x2b", b"\1b\xc0\x0c", b"", b"\1b\4test\0\xc0\x0c" + bytes(20), b"\3a.b\0", b"\xff\xff",
        b"\x3f" + b"x" * 63 + b"\xc0\x0c",
    ]),
)  # fmt: skip


def _built(records: list[tuple[bytes, int, int, bytes]], others: int = 0) -> bytes:
    """Write a reply of these records (owner, type, TTL, data), the last `others` of them in the authority section."""
    body = b"".join(owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data for owner, kind, ttl, data in records)
    head = struct.pack("!HHHHHH", NUMBER, 0x8180, 1, len(records) - others, others, 0)
    return head + question(NAME, "A").tail[10:] + body


_ADDRESS = b"\x0a\0\0\1"
_ROOT_SOA = b"\0\0" + bytes(20)


@pytest.mark.parametrize(
    ("records", "others", "plain"),
    [
        # What a pointer leads to, the last byte of the address before, runs into the very name that holds the pointer.
        ([(b"\xc0\x0c", 5, 9, b"\4bbbb\4test\0"), *[(b"\xc0\x0c", 28, 9, b"\x20" + bytes(15))] * 2,
          *[(b"\xc0\x0c", 1, 9, _ADDRESS)] * 9, (b"\xc1\x00", 1, 9, _ADDRESS)], 0, False),
        ([(b"\xc0\x0c", 5, 9, b"\1b\4test\0x")], 0, False),  # more data than the name takes
        ([(b"\xc0\x0c", 5, 9, b"\1b\4test\0"), (b"\xc0\x0c", 5, 9, b"\1c\4test\0")], 0, False),  # two aliases
        ([(b"\xc0\x0c", 5, 9, (b"\x3f" + b"x" * 63) * 3 + b"\x2d" + b"x" * 45 + b"\xc0\x0c")], 0, False),  # 256 bytes
        ([(b"\xc0\x0c", 5, 9, (b"\x3f" + b"x" * 63) * 3 + b"\x2c" + b"x" * 44 + b"\xc0\x0c")], 0, True),  # 255 bytes
        ([(b"\xc0\x0c", 5, 9, b"\1B\4Test\0"), (b"\1b\4tEST\0", 1, 9, _ADDRESS)], 0, True),
        ([(b"\xc0\x0c", 1, 60, _ADDRESS), (b"\xc0\x0c", 1, 20, _ADDRESS)], 0, True),
        ([(b"\xc0\x0c", 1, 20, _ADDRESS), (b"\xc0\x0c", 1, 60, _ADDRESS)], 0, True),
        ([(b"\xc0\x0c", 1, 9, _ADDRESS), (b"\0", 6, 9, _ROOT_SOA)], 1, True),
        ([(b"\xc0\x0c", 1, 9, _ADDRESS), (b"\0", 6, 9, _ROOT_SOA + b"x")], 1, False),
        ([(b"\xc0\x0c", 5, 9, b"\xc0\x2e"), (b"\xc0\x2e", 1, 9, _ADDRESS)], 0, False),  # an alias of itself, by bytes
    ],
    ids=["overlap", "behind a name", "two aliases", "256 bytes", "255 bytes", "case", "falling TTL", "rising TTL",
         "SOA", "behind SOA", "loop"],
)  # fmt: skip
def test_edges(records: list[tuple[bytes, int, int, bytes]], others: int, plain: bool) -> None:
    """At the edges of what is plain, too, the verdict is the codec's; beyond them the codec is asked."""
    assert (_agree(_built(records, others)) is not None) is plain


@given(st.lists(_RECORD, max_size=5), st.integers(0, 2), st.integers(0, 2), st.sampled_from([0x8180, 0x8183, 0x8580]),
       st.integers(-1, 1), st.sampled_from([0, 1, 2]))  # fmt: skip
@settings(max_examples=200, deadline=None)
@example([(b"\xc0\x0c", 5, 1, 9, 0, b"\1b\xc0\x0c"), (b"\xc0\x2e", 1, 1, 9, 0, b"\x0a\0\0\1")], 0, 0, 0x8180, 0, 1)
@example([(b"\xc0\x0c", 5, 1, 9, 0, b"\xc0\x2b")], 0, 0, 0x8180, 0, 1)
@example([(b"\xc0\x0c", 1, 1, 0x80000000, 0, b"\x0a\0\0\1")] * 2, 0, 0, 0x8180, 0, 1)
def test_made_records_agree(
    records: list[tuple[bytes, int, int, int, int, bytes]], others: int, more: int, flags: int, off: int, asks: int
) -> None:
    """Records of any owner, type, class, TTL and length, looping and overlapping names: the codec's own verdict."""
    asked = question(NAME, "A")
    answers = max(0, len(records) - others - more + off)
    head = struct.pack("!HHHHHH", NUMBER, flags, asks, answers, others, more)
    body = asked.tail[10:] * asks
    for owner, kind, klass, ttl, more_length, data in records:
        body += owner + struct.pack("!HHIH", kind, klass, ttl, max(0, len(data) + more_length)) + data
    _agree(head + body)


@given(st.binary(min_size=16, max_size=16), st.lists(st.integers(0, 7), max_size=7))
@settings(max_examples=100, deadline=None)
def test_ipv6_addresses_are_written_alike(address: bytes, zeros: list[int]) -> None:
    """An IPv6 address has one way of writing, whoever reads it."""
    raw = bytearray(address)
    for group in zeros:
        raw[2 * group : 2 * group + 2] = b"\0\0"
    wire = struct.pack("!HHHHHH", NUMBER, 0x8180, 1, 1, 0, 0) + question(NAME, "AAAA").tail[10:]
    _agree(wire + b"\xc0\x0c" + struct.pack("!HHIH", 28, 1, 60, 16) + bytes(raw), "AAAA")


@given(st.sampled_from(NAMES) | st.from_regex(r"[a-zA-Z0-9_.-]{0,80}", fullmatch=True) | st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_questions_are_written_alike(name: str) -> None:
    """A name is written and refused as the codec does."""
    assert why_impossible(name) == codec_why_impossible(name)
    try:
        codec = Codec(name, "A", 0)
    except ValueError:
        with pytest.raises(ValueError, match="can't be a DNS name"):
            question(name, "A")
        return
    made = question(name, "A")
    assert b"\0\0" + made.tail == codec.wire
    assert made.shown == codec.name.to_text(omit_final_dot=True)


def test_root_is_asked_plainly() -> None:
    """The root's nameservers, which the resolver check asks for, are asked and read without the codec."""
    made = question(".", "NS")
    assert b"\0\0" + made.tail == Codec(".", "NS", 0).wire
    wire = _message([". 9 IN NS a.root.test.", ". 9 IN NS b.root.test."], [], ["a.root.test. 9 IN A 10.0.0.1"],
                    dns.rcode.NOERROR, "NS", ".")  # fmt: skip
    said = _agree(wire, "NS", ".")
    assert said is not None
    assert sorted(said.addresses) == ["a.root.test.", "b.root.test."]


def test_plain_names_need_no_codec() -> None:
    """Neither importing the checks nor asking for a plain name imports dnspython: it costs time and memory."""
    code = (
        "import sys, checks.names, checks.resolver, checks.net.stub;"
        "from checks.net.dnsquestion import question, why_impossible;"
        "question('db.corp.internal.', 'A'); why_impossible('db.corp.internal');"
        "sys.exit(any(m == 'dns' or m.startswith('dns.') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
