"""The lab's UDP servers: a time source, a nameserver, two STUN servers; honest, but able to misbehave."""

import asyncio
import struct
import time
from collections.abc import Callable, Mapping
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

NTP_EPOCH_OFFSET = 2_208_988_800  # seconds from 1900 (RFC 5905) to 1970 (Unix)
STUN_MAGIC = 0x2112A442  # RFC 8489 section 5


class UdpServer(asyncio.DatagramProtocol):
    """Answers each datagram with what `answer` makes of it: (delay in seconds, reply), or None for silence."""

    def __init__(self, answer: Callable[[bytes, tuple[str, int]], tuple[float, bytes] | None]) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str) -> int:
        """Bind a free port of `host` and return it."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        port: int = transport.get_extra_info("sockname")[1]
        return port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # before Python 3.12 it is no instance of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one datagram."""
        answered = self._answer(data, addr)
        if answered is None or self._transport is None:
            return
        delay_s, reply = answered
        transport = self._transport
        asyncio.get_running_loop().call_later(
            delay_s, lambda: None if transport.is_closing() else transport.sendto(reply, addr)
        )

    def close(self) -> None:
        """Stop answering."""
        if self._transport is not None:
            self._transport.close()


class TimeSource:
    """An NTP server (RFC 5905, mode 4) that is `offset_s` seconds ahead of this host."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def answer(self, packet: bytes, _: tuple[str, int]) -> tuple[float, bytes] | None:
        """Answer a client's packet."""
        if len(packet) < 48 or packet[0] & 0x07 != 3:
            return None
        now = time.time() + self.offset_s + NTP_EPOCH_OFFSET  # noqa: TID251 - a time server tells wall time
        stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
        version = packet[0] & 0x38
        head = struct.pack("!BBbbII4s", version | 4, 2, 6, -20, 1 << 8, 1 << 8, b"\x7f\x00\x00\x01")
        return 0.0, head + stamp + packet[40:48] + stamp + stamp


class Nameserver:
    """Serves A records from a table; other names do not exist. `slow` names answer late; `silent` answers nothing."""

    def __init__(self, records: Mapping[str, str], slow: Mapping[str, float]) -> None:
        self.records = dict(records)
        self.slow = dict(slow)
        self.silent = False

    def answer(self, packet: bytes, _: tuple[str, int]) -> tuple[float, bytes] | None:
        """Answer a question."""
        try:
            query = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return None
        if self.silent or query.flags & dns.flags.QR or not query.question:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        address = self.records.get(name)
        if address is None and name:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif address is not None and question.rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", address))
        return self.slow.get(name, 0.0), reply.to_wire()


class StunServer:
    """A STUN server (RFC 8489) that tells a client its own address; `silent` answers nothing."""

    def __init__(self) -> None:
        self.silent = False

    def answer(self, packet: bytes, client: tuple[str, int]) -> tuple[float, bytes] | None:
        """Answer a Binding request."""
        if self.silent or len(packet) < 20 or packet[:2] != b"\x00\x01":
            return None
        port = client[1] ^ (STUN_MAGIC >> 16)
        address = bytes(int(part) for part in client[0].split("."))
        xored = bytes(a ^ b for a, b in zip(address, STUN_MAGIC.to_bytes(4, "big"), strict=True))
        attribute = struct.pack("!HHBBH", 0x0020, 8, 0, 1, port) + xored
        return 0.0, struct.pack("!HHI", 0x0101, len(attribute), STUN_MAGIC) + packet[8:20] + attribute
