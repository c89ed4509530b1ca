"""Replies that are no answer: ignored until the time-out, or malformed."""

import socket
import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass
from checks.net.endpoint import Endpoint
from checks.net.seat import open_socket
from tests.support.nameservers import OnUdp, Send, reply, scripted, silent
from tests.support.stubs import ask

NAME = "db.corp.internal."
RIGHT = f"{NAME} 60 IN A 10.1.2.3"
SHORT_S = 0.3


async def _asked(nameserver: Endpoint, name: str = NAME, kind: str = "A", timeout_s: float = 5.0) -> Answer:
    return await ask(open_socket, nameserver, name, kind, timeout_s)


async def _asked_scripted(on_udp: OnUdp, timeout_s: float = SHORT_S) -> Answer:
    async with scripted(on_udp) as server:
        return await _asked(server.endpoint, timeout_s=timeout_s)


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
    wire = reply(query, RIGHT)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for port in range(32768, 61000):  # whoever asks, from whatever port
            sock.sendto(wire, ("127.0.0.1", port))


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
    """Wrong replies that never stop, so that reading never waits, neither block the loop nor outlive the time-out."""

    class Flooded(socket.socket):
        def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
            del bufsize, flags  # what came in stays there: the loop finds it readable again and again
            return bytes(12)

    def factory(family: int, kind: int) -> socket.socket:
        sock = Flooded(family, kind)
        sock.settimeout(0)
        return sock

    async with scripted(_echo) as server:
        answer = await ask(factory, server.endpoint, NAME, "A", SHORT_S)
    assert answer.reason is Reason.TIMEOUT
    assert "ignored, the last because of its " in answer.evidence


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
