"""One question to one nameserver: real ones, lying ones, and our own shortages."""

import asyncio
import errno
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass
from checks.net.dnscodec import MalformedError, Question, Reply
from checks.net.dnswire import ask
from checks.net.endpoint import Endpoint
from checks.net.seat import open_socket
from tests.support.cancel import check_cancellation
from tests.support.nameservers import OnUdp, Send, local, reply, says, scripted, silent, unbound
from tests.support.netns import namespace
from tests.support.servers import free_port

NAME = "db.corp.internal."
RIGHT = f"{NAME} 60 IN A 10.1.2.3"
SHORT_S = 0.3


async def _asked(nameserver: Endpoint, name: str = NAME, kind: str = "A", timeout_s: float = 5.0) -> Answer:
    return await ask(open_socket, nameserver, name, kind, timeout_s)


async def _asked_scripted(on_udp: OnUdp, timeout_s: float = SHORT_S) -> Answer:
    async with scripted(on_udp) as server:
        return await _asked(server.endpoint, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Unbound with one zone."""
    many = [f"many.corp.internal. 60 IN A 10.9.0.{number}" for number in range(1, 101)]
    records = [
        "db.corp.internal. 60 IN A 10.1.2.3",
        "six.corp.internal. 60 IN AAAA fd00::3",
        "text.corp.internal. 60 IN TXT here",
        "alias.corp.internal. 60 IN CNAME db.corp.internal.",
        *many,
    ]
    with unbound(tmp_path_factory.mktemp("unbound"), *local("corp.internal", *records)) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    ("name", "kind", "klass", "reason", "addresses", "rcode"),
    [
        ("db.corp.internal.", "A", AnswerClass.ADDRESS, None, ("10.1.2.3",), "NOERROR"),
        ("DB.Corp.Internal.", "A", AnswerClass.ADDRESS, None, ("10.1.2.3",), "NOERROR"),
        ("six.corp.internal.", "AAAA", AnswerClass.ADDRESS, None, ("fd00::3",), "NOERROR"),
        ("six.corp.internal.", "A", AnswerClass.NO_ADDRESS, Reason.NO_ADDRESS, (), "NOERROR"),
        ("text.corp.internal.", "A", AnswerClass.NO_ADDRESS, Reason.NO_ADDRESS, (), "NOERROR"),
        ("gone.corp.internal.", "A", AnswerClass.NXDOMAIN, Reason.NXDOMAIN, (), "NXDOMAIN"),
    ],
)
async def test_real_answers(
    real: Endpoint,
    name: str,
    kind: str,
    klass: AnswerClass,
    reason: Reason | None,
    addresses: tuple[str, ...],
    rcode: str,
) -> None:
    """What unbound says about a name falls into its class."""
    answer = await _asked(real, name, kind)
    assert (answer.klass, answer.reason, answer.addresses, answer.rcode) == (klass, reason, addresses, rcode)
    assert not answer.over_tcp
    assert answer.seconds > 0


async def test_big_answer_comes_over_tcp(real: Endpoint) -> None:
    """An answer over 512 bytes is truncated, and fetched in full over TCP."""
    answer = await _asked(real, "many.corp.internal.")
    assert answer.over_tcp
    assert len(answer.addresses) == 100
    assert answer.ttl == 60


async def test_access_list_refuses(tmp_path: Path) -> None:
    """A nameserver that does not serve this host is query_refused."""
    with unbound(tmp_path, access="refuse") as endpoint:
        answer = await _asked(endpoint)
    assert (answer.klass, answer.reason, answer.rcode) == (AnswerClass.ERROR, Reason.QUERY_REFUSED, "REFUSED")


async def test_failing_forwarder_is_servfail(tmp_path: Path) -> None:
    """A nameserver whose own forwarder gives it nothing answers servfail."""
    with unbound(tmp_path, access="refuse") as above:
        forward = f"  forward-addr: 127.0.0.1@{above.port}"
        with unbound(tmp_path, "forward-zone:", '  name: "."', forward) as endpoint:
            answer = await _asked(endpoint, timeout_s=10)
    assert (answer.klass, answer.reason, answer.rcode) == (AnswerClass.ERROR, Reason.SERVFAIL, "SERVFAIL")


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.YXDOMAIN, dns.rcode.NOTAUTH])
async def test_other_codes_are_servfail(rcode: dns.rcode.Rcode) -> None:
    """Every other response code is servfail, and shown by its own name."""
    answer = await _asked_scripted(says(rcode=rcode))
    assert (answer.klass, answer.reason, answer.rcode) == (AnswerClass.ERROR, Reason.SERVFAIL, rcode.name)


async def test_refusal_without_question() -> None:
    """A refusal may leave the question section out, as some servers do."""

    def on_udp(query: dns.message.Message, send: Send) -> None:
        send(struct.pack("!HHHHHH", query.id, 0x8005, 0, 0, 0, 0))

    answer = await _asked_scripted(on_udp)
    assert answer.reason is Reason.QUERY_REFUSED


@pytest.mark.parametrize(
    ("records", "rcode", "klass", "addresses", "cnames", "ttl"),
    [
        (
            [f"{NAME} 30 IN CNAME b.test.", "b.test. 90 IN CNAME c.test.", "c.test. 60 IN A 10.0.0.7"],
            dns.rcode.NOERROR, AnswerClass.ADDRESS, ("10.0.0.7",), ("b.test", "c.test"), 30,
        ),
        ([f"{NAME} 30 IN CNAME b.test."], dns.rcode.NOERROR, AnswerClass.NO_ADDRESS, (), ("b.test",), 30),
        ([f"{NAME} 30 IN CNAME b.test."], dns.rcode.NXDOMAIN, AnswerClass.NXDOMAIN, (), ("b.test",), 30),
        ([f"{NAME} 30 IN CNAME {NAME}"], dns.rcode.NOERROR, AnswerClass.NO_ADDRESS, (), (NAME[:-1],) * 16, 30),
        (["other.test. 30 IN A 10.0.0.9"], dns.rcode.NOERROR, AnswerClass.NO_ADDRESS, (), (), None),
        ([f"{NAME} 30 CH A 10.0.0.9 1"], dns.rcode.NOERROR, AnswerClass.NO_ADDRESS, (), (), None),
        ([f"{NAME} 30 IN AAAA fd00::1"], dns.rcode.NOERROR, AnswerClass.NO_ADDRESS, (), (), None),
        ([RIGHT, f"{NAME} 20 IN A 10.1.2.4"], dns.rcode.NOERROR, AnswerClass.ADDRESS, ("10.1.2.3", "10.1.2.4"), (), 20),
    ],
    ids=["chain", "no end", "end does not exist", "loop", "other owner", "other class", "other type", "two"],
)  # fmt: skip
async def test_chains(
    records: list[str],
    rcode: dns.rcode.Rcode,
    klass: AnswerClass,
    addresses: tuple[str, ...],
    cnames: tuple[str, ...],
    ttl: int | None,
) -> None:
    """Only the address at the end of the chain within the answer counts; NXDOMAIN beats what the answer holds."""
    answer = await _asked_scripted(says(*[r for r in records if " CH " not in r], rcode=rcode))
    assert (answer.klass, answer.addresses, answer.cnames, answer.ttl) == (klass, addresses, cnames, ttl)


def _other_id(query: dns.message.Message, send: Send) -> None:
    wire = bytearray(reply(query, RIGHT))
    wire[0] ^= 1
    send(bytes(wire))


def _other_question(query: dns.message.Message, send: Send) -> None:
    other = dns.message.make_query("db.corp.example.", "A", id=query.id)
    send(reply(other, "db.corp.example. 60 IN A 10.9.9.9"))


def _other_type(query: dns.message.Message, send: Send) -> None:
    send(reply(dns.message.make_query(NAME, "AAAA", id=query.id), f"{NAME} 60 IN AAAA fd00::9"))


def _no_question(query: dns.message.Message, send: Send) -> None:
    query.question.clear()
    send(reply(query))


def _echo(query: dns.message.Message, send: Send) -> None:
    send(query.to_wire())


def _other_source(query: dns.message.Message, send: Send) -> None:
    del send
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for port in range(32768, 61000):  # whoever asks, from whatever port
            sock.sendto(reply(query, RIGHT), ("127.0.0.1", port))


def _too_short(query: dns.message.Message, send: Send) -> None:
    send(reply(query, RIGHT)[:11])


def _empty(_query: dns.message.Message, send: Send) -> None:
    send(b"")


LIES = [_other_id, _other_question, _other_type, _no_question, _echo, _too_short, _empty]


@pytest.mark.parametrize("lie", [*LIES, _other_source, silent], ids=lambda f: f.__name__)
async def test_lies_are_ignored_until_the_timeout(lie: OnUdp) -> None:
    """A reply with a wrong id, question, source or QR bit is as good as none."""
    answer = await _asked_scripted(lie, timeout_s=1.0 if lie is _other_source else SHORT_S)
    assert (answer.klass, answer.reason, answer.rcode) == (AnswerClass.TIMEOUT, Reason.TIMEOUT, None)
    assert answer.evidence.startswith("no answer within")
    assert ("ignored" in answer.evidence) is (lie in LIES)


@pytest.mark.parametrize("lie", LIES, ids=lambda f: f.__name__)
async def test_right_answer_after_a_lie_counts(lie: OnUdp) -> None:
    """A wrong reply does not keep us from hearing the right one behind it."""

    def on_udp(query: dns.message.Message, send: Send) -> None:
        right = reply(query, RIGHT)
        lie(query, send)
        send(right)

    answer = await _asked_scripted(on_udp, timeout_s=5)
    assert answer.addresses == ("10.1.2.3",)


async def test_flood_of_lies_ends_with_the_timeout() -> None:
    """Replies that never stop, all wrong, neither block the loop nor outlive the time-out."""
    stop = asyncio.Event()

    def on_udp(query: dns.message.Message, send: Send) -> None:
        def more() -> None:
            if not stop.is_set():
                for _ in range(20):
                    _other_id(query, send)
                asyncio.get_running_loop().call_soon(more)

        more()

    answer = await _asked_scripted(on_udp)
    stop.set()
    assert answer.reason is Reason.TIMEOUT


def _cut(query: dns.message.Message, send: Send) -> None:
    send(reply(query, RIGHT)[:-3])


def _trailing(query: dns.message.Message, send: Send) -> None:
    send(reply(query, RIGHT) + b"junk")


def _compression_loop(query: dns.message.Message, send: Send) -> None:
    head = bytearray(reply(query))
    head[6:8] = b"\0\1"
    send(bytes(head) + b"\xc0" + bytes([len(head)]) + struct.pack("!HHIH4s", 1, 1, 60, 4, b"\x0a\0\0\1"))


def _loop_in_question(query: dns.message.Message, send: Send) -> None:
    send(struct.pack("!HHHHHH", query.id, 0x8000, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1")


def _short_address(query: dns.message.Message, send: Send) -> None:
    send(reply(query, RIGHT)[:-6] + b"\0\3\x0a\0\0")


@pytest.mark.parametrize(
    "lie", [_cut, _trailing, _compression_loop, _loop_in_question, _short_address], ids=lambda f: f.__name__
)
async def test_damaged_answer_is_malformed(lie: OnUdp) -> None:
    """An answer to our question that can't be decoded is malformed_answer, at once."""
    answer = await _asked_scripted(lie, timeout_s=5)
    assert (answer.klass, answer.reason, answer.rcode) == (AnswerClass.ERROR, Reason.MALFORMED_ANSWER, None)


def _truncated(query: dns.message.Message, send: Send) -> None:
    send(reply(query, RIGHT, truncated=True)[:-2])  # and _cut within its record, as it may be


async def _write(writer: asyncio.StreamWriter, wire: bytes, *, length: int | None = None) -> None:
    writer.write((len(wire) if length is None else length).to_bytes(2) + wire)
    await writer.drain()


async def _tcp_right(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    await _write(writer, reply(query, RIGHT))


async def _tcp_after_lie(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    other = dns.message.make_query("db.corp.example.", "A", id=query.id)
    await _write(writer, reply(other))
    await _write(writer, b"")
    await _write(writer, reply(query, RIGHT))


async def _tcp_slowly(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    wire = reply(query, RIGHT)
    for byte in len(wire).to_bytes(2) + wire:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("on_tcp", [_tcp_right, _tcp_after_lie, _tcp_slowly], ids=lambda f: f.__name__)
async def test_truncated_answer_is_fetched_over_tcp(on_tcp: object) -> None:
    """Truncated means: ask over TCP, however the bytes are chopped there."""
    async with scripted(_truncated, on_tcp) as server:  # type: ignore[arg-type]
        answer = await _asked(server.endpoint)
    assert answer.addresses == ("10.1.2.3",)
    assert answer.over_tcp
    assert [transport for transport, _, _ in server.asked] == ["udp", "tcp"]


async def test_64_kib_over_tcp() -> None:
    """The longest answer there can be is read in full."""
    records = [f"{NAME} 60 IN A 10.{number >> 8}.{number & 255}.1" for number in range(2000)]

    async def on_tcp(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
        wire = reply(query, *records)
        padded = wire + b"\0" * (65535 - len(wire))
        await _write(writer, padded)

    async with scripted(_truncated, on_tcp) as server:
        answer = await _asked(server.endpoint)
    assert answer.reason is Reason.MALFORMED_ANSWER  # every byte was read: what follows the records is junk


async def _tcp_truncated(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    await _write(writer, reply(query, RIGHT, truncated=True))


async def _tcp_closes(_query: dns.message.Message, _writer: asyncio.StreamWriter) -> None:
    return


async def _tcp_half(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    wire = reply(query, RIGHT)
    await _write(writer, wire[:-5], length=len(wire))


async def _tcp_garbage(_query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _tcp_damaged(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    await _write(writer, reply(query, RIGHT) + b"junk")


@pytest.mark.parametrize(
    "on_tcp", [_tcp_truncated, _tcp_closes, _tcp_half, _tcp_garbage, _tcp_damaged], ids=lambda f: f.__name__
)
async def test_bad_tcp_is_malformed(on_tcp: object) -> None:
    """TCP that is truncated again, ends early or holds something else is malformed_answer."""
    async with scripted(_truncated, on_tcp) as server:  # type: ignore[arg-type]
        answer = await _asked(server.endpoint)
    assert (answer.klass, answer.reason) == (AnswerClass.ERROR, Reason.MALFORMED_ANSWER)
    assert answer.over_tcp


async def test_tcp_that_stalls_is_a_timeout() -> None:
    """A TCP answer that dribbles on past the time-out is a timeout that says how far it came."""
    never = asyncio.Event()

    async def on_tcp(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
        await _write(writer, reply(query, RIGHT)[:10], length=300)
        await never.wait()

    async with scripted(_truncated, on_tcp) as server:
        answer = await _asked(server.endpoint, timeout_s=SHORT_S)
        never.set()
    assert (answer.klass, answer.reason) == (AnswerClass.TIMEOUT, Reason.TIMEOUT)
    assert "10 of 300 bytes over TCP" in answer.evidence


async def test_truncated_without_tcp() -> None:
    """A nameserver that truncates but does not take TCP gives no valid reply, and the evidence says why."""
    answer = await _asked_scripted(_truncated, timeout_s=5)
    assert (answer.klass, answer.reason, answer.rcode) == (AnswerClass.TIMEOUT, Reason.REFUSED, None)
    assert "truncated over UDP, then over TCP: Connection refused" in answer.evidence


async def test_closed_port_is_known_at_once() -> None:
    """An ICMP port unreachable is the answer: nobody waits for the time-out."""
    answer = await _asked(Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM)), timeout_s=3600)
    assert (answer.klass, answer.reason) == (AnswerClass.TIMEOUT, Reason.REFUSED)
    assert "port unreachable" in answer.evidence


@pytest.mark.parametrize(
    ("number", "klass", "reason"),
    [
        (errno.EMFILE, AnswerClass.UNASKED, Reason.PROBER_STARVED),
        (errno.ENFILE, AnswerClass.UNASKED, Reason.PROBER_STARVED),
        (errno.ENOBUFS, AnswerClass.UNASKED, Reason.PROBER_STARVED),
        (errno.EPERM, AnswerClass.UNASKED, Reason.PERMISSION_DENIED),
        (errno.EACCES, AnswerClass.UNASKED, Reason.PERMISSION_DENIED),
        (errno.EAFNOSUPPORT, AnswerClass.TIMEOUT, Reason.ADDRESS_FAMILY_UNAVAILABLE),
    ],
    ids=errno.errorcode.get,
)
async def test_no_socket(number: int, klass: AnswerClass, reason: Reason) -> None:
    """A socket that can't be made is our ignorance, unless this host lacks the whole address family."""

    def broken(_family: int, _kind: int) -> socket.socket:
        raise OSError(number, "no socket")

    answer = await ask(broken, Endpoint("127.0.0.1", 53), NAME, "A", 5)
    assert (answer.klass, answer.reason) == (klass, reason)


@pytest.mark.parametrize(
    ("rule", "reason", "timeout_s"),
    [
        ("udp dport 53 drop", Reason.BLOCKED_LOCALLY, 5.0),
        ("udp dport 53 reject with icmp type admin-prohibited", Reason.BLOCKED_LOCALLY, 5.0),
        ("", Reason.NO_ROUTE, 5.0),
    ],
    ids=["drop", "reject", "no route"],
)
async def test_local_network_faults(rule: str, reason: Reason, timeout_s: float) -> None:
    """A firewall of this host and a missing route are told apart, at once."""
    with namespace() as here:
        if rule:
            here.nft(f"table inet t {{ chain o {{ type filter hook output priority 0; {rule}; }}\n}}")
            nameserver = Endpoint("127.0.0.1", 53)
        else:
            nameserver = Endpoint("10.53.53.53", 53)
        answer = await ask(here.open_socket, nameserver, NAME, "A", timeout_s)
    assert (answer.klass, answer.reason) == (AnswerClass.TIMEOUT, reason)


async def test_unknown_scope_is_a_value() -> None:
    """A link-local nameserver behind an interface that does not exist fails as a value."""
    answer = await ask(open_socket, Endpoint("fe80::1%none0", 53), NAME, "A", 1)
    assert answer.klass is AnswerClass.TIMEOUT


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".test", ".".join(["x" * 60] * 5)])
async def test_impossible_name(name: str) -> None:
    """A text that can't be a DNS name is the caller's error, and is not sent."""
    with pytest.raises(ValueError, match="can't be a DNS name"):
        await _asked(Endpoint("127.0.0.1", 53), name)


async def test_question_is_plain() -> None:
    """The question asks for recursion, carries no EDNS, and neither id nor port repeat."""
    seen: list[dns.message.Message] = []
    ports: list[int] = []

    def on_udp(query: dns.message.Message, send: Send) -> None:
        seen.append(query)
        send(reply(query, RIGHT))

    def factory(family: int, kind: int) -> socket.socket:
        sock = open_socket(family, kind)
        keep.append(sock.dup())
        return sock

    keep: list[socket.socket] = []
    async with scripted(on_udp) as server:
        for _ in range(8):
            await ask(factory, server.endpoint, NAME, "A", 5)
    for sock in keep:
        ports.append(sock.getsockname()[1])
        sock.close()
    assert all(query.edns == -1 and query.flags == dns.flags.RD for query in seen)
    assert len({query.id for query in seen}) > 1
    assert len(set(ports)) == 8


@pytest.mark.parametrize(
    ("on_udp", "on_tcp"),
    [(says(RIGHT), None), (_truncated, _tcp_slowly), (silent, None), (_truncated, _tcp_half)],
    ids=["udp", "tcp", "silence", "half"],
)
async def test_cancellation_leaves_nothing(on_udp: OnUdp, on_tcp: object) -> None:
    """Cancelled at any await, a question leaves no socket and no task."""
    async with scripted(on_udp, on_tcp) as server:  # type: ignore[arg-type]
        waits = await check_cancellation(lambda: ask(open_socket, server.endpoint, NAME, "A", 0.2))
    assert waits > 0


def read(question: Question, wire: bytes) -> None:
    """Read as the transport does: everything but MalformedError is a value."""
    try:
        found = question.read(wire)
    except MalformedError:
        return
    if isinstance(found, Reply):
        blank = Answer(nameserver=Endpoint("192.0.2.53", 53), name=NAME, kind="A", klass=AnswerClass.TIMEOUT)
        assert found.judged(blank).klass is not AnswerClass.TIMEOUT


@given(st.binary(max_size=600))
def test_random_bytes_never_raise(body: bytes) -> None:
    """Bytes from the network are judged, never raised, with our id or without it."""
    question = Question(NAME, "A", 4711)
    read(question, body)
    read(question, question.wire[:2] + b"\x80\x00" + body)


@given(st.integers(0, 3), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=300))
def test_random_records_never_raise(count: int, kind: int, klass: int, length: int, body: bytes) -> None:
    """Records of any type, class and length behind our own question are judged, never raised."""
    question = Question(NAME, "A", 4711)
    header = struct.pack("!HHHHHH", 4711, 0x8180, 1, count, 1, 1)
    for claimed in (length, len(body)):
        record = b"\xc0\x0c" + struct.pack("!HHIH", kind, klass, 60, claimed) + body
        read(question, header + question.wire[12:] + record)


@given(st.integers(0, 80), st.integers(0, 255))
def test_changed_byte_never_raises(position: int, value: int) -> None:
    """A right answer with one changed byte is judged, never raised."""
    question = Question(NAME, "A", 4711)
    wire = bytearray(
        reply(dns.message.from_wire(question.wire), f"{NAME} 9 IN CNAME b.test.", "b.test. 9 IN A 10.0.0.1")
    )
    wire[position % len(wire)] = value
    read(question, bytes(wire))


def test_opcode_must_be_query() -> None:
    """A message of another opcode is not an answer."""
    question = Question(NAME, "A", 4711)
    message = dns.message.make_response(dns.message.from_wire(question.wire))
    message.set_opcode(dns.opcode.NOTIFY)
    assert question.read(message.to_wire()) == "header"
