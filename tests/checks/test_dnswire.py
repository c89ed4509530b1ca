"""One question to one nameserver: real ones, lying ones, and our own shortages."""

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

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass
from checks.net.endpoint import Endpoint
from checks.net.seat import open_socket
from tests.support.nameservers import OnUdp, Send, local, reply, says, scripted, unbound
from tests.support.netns import namespace
from tests.support.servers import free_port
from tests.support.stubs import ask

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
