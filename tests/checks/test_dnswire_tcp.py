"""Truncated answers, TCP in every broken form, and cancellation over both transports."""

import asyncio
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
from tests.support.cancel import check_cancellation
from tests.support.nameservers import OnUdp, Send, reply, says, scripted, silent
from tests.support.stubs import ask

NAME = "db.corp.internal."
RIGHT = f"{NAME} 60 IN A 10.1.2.3"
SHORT_S = 0.3


async def _asked(nameserver: Endpoint, name: str = NAME, kind: str = "A", timeout_s: float = 5.0) -> Answer:
    return await ask(open_socket, nameserver, name, kind, timeout_s)


async def _asked_scripted(on_udp: OnUdp, timeout_s: float = SHORT_S) -> Answer:
    async with scripted(on_udp) as server:
        return await _asked(server.endpoint, timeout_s=timeout_s)


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


async def _tcp_resets(_query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _tcp_half(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    wire = reply(query, RIGHT)
    await _write(writer, wire[:-5], length=len(wire))


async def _tcp_garbage(_query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _tcp_damaged(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
    await _write(writer, reply(query, RIGHT) + b"junk")


@pytest.mark.parametrize(
    "on_tcp",
    [_tcp_truncated, _tcp_closes, _tcp_resets, _tcp_half, _tcp_garbage, _tcp_damaged],
    ids=lambda f: f.__name__,
)
async def test_bad_tcp_is_malformed(on_tcp: object) -> None:
    """TCP that is truncated again, ends early, is reset or holds something else is malformed_answer."""
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
