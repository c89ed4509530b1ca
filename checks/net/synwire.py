"""The packets of a half-open probe: a SYN is built, what answers it is read. Nothing is sent here.

Everything that is read came from the network: any bytes give a result or None.
Source: RFC 9293 section 3.1 (TCP header), RFC 1071 (checksum), RFC 6528 (sequence numbers), ip(7) (IP_RECVERR).
"""

import array
import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import TypeAlias

from checks.net.icmp import parse_error

Reply: TypeAlias = tuple[int, int, bool]
"""What answers a SYN: the port it comes from, what it acknowledges, whether it accepts (else it refuses)."""

_FLAGS_SYN, _WINDOW = 0x02, 64240
_MSS, _MSS_V6 = 1460, 1440  # of Ethernet, as any client says
_HEADER_WORDS = 6  # the header with the one option
_PACK = struct.Struct("!HHI8sH6s").pack
_MIDDLE = struct.pack("!IBBH", 0, _HEADER_WORDS << 4, _FLAGS_SYN, _WINDOW)
_TAIL, _TAIL_V6 = (struct.pack("!HBBH", 0, 2, 4, mss) for mss in (_MSS, _MSS_V6))
_RST, _SYN, _ACK = 0x04, 0x02, 0x10
_REPLY = struct.Struct("!12xI4xHH4xIxB").unpack_from  # an IPv4 header without options, and what follows it
_REPLY_BYTES = 34
_TCP_REPLY = struct.Struct("!HH4xIxB").unpack_from
_TCP_REPLY_BYTES = 14
_OWN = struct.Struct("!HHI").unpack_from  # the head of our own packet, as an ICMP error brings it back
_NUMBER = struct.Struct("=I").unpack_from  # ee_errno
_ICMP_CODES = {
    (3, 0): "network unreachable", (3, 1): "host unreachable", (3, 2): "protocol unreachable",
    (3, 3): "port unreachable", (3, 6): "network unknown", (3, 7): "host unknown",
    (3, 9): "network prohibited", (3, 10): "host prohibited", (3, 13): "administratively prohibited",
}  # fmt: skip
_ICMP6_CODES = {
    (1, 0): "no route", (1, 1): "administratively prohibited", (1, 2): "beyond the scope of the source",
    (1, 3): "address unreachable", (1, 4): "port unreachable", (1, 5): "source address refused",
    (1, 6): "route rejected",
}  # fmt: skip
_TIME_EXCEEDED = {socket.AF_INET: 11, socket.AF_INET6: 3}
_LAST_CODE = 15  # of ICMP "destination unreachable": Linux's TCP ignores what is beyond


class Sequences:
    """Sequence numbers that nobody can foretell: whoever answers has seen our packet."""

    def __init__(self) -> None:
        self._pool = array.array("I")

    def next(self) -> int:
        """Return another one, 32 bits from the kernel's generator."""
        if not self._pool:
            self._pool.frombytes(os.urandom(4096))  # one call of the kernel for 1,024 of them
        return self._pool.pop()


def checksum_part(source: bytes, target: bytes) -> int:
    """Return what an IPv4 SYN's checksum adds up from, but for both ports and the sequence number."""
    data = source + target + struct.pack("!HH", socket.IPPROTO_TCP, _HEADER_WORDS * 4) + _MIDDLE + _TAIL
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def build_syn(own_port: int, port: int, sequence: int, part: int) -> bytes:
    """Return a SYN for IPv4; `part` is of `checksum_part`."""
    total = part + own_port + port + (sequence >> 16) + (sequence & 0xFFFF)
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return _PACK(own_port, port, sequence, _MIDDLE, ~total & 0xFFFF, _TAIL)


def build_syn6(own_port: int, port: int, sequence: int) -> bytes:
    """Return a SYN for IPv6; the kernel fills in the checksum (IPV6_CHECKSUM)."""
    return _PACK(own_port, port, sequence, _MIDDLE, 0, _TAIL_V6)


def read_reply(packet: bytes | bytearray, size: int, own_port: int) -> tuple[int, int, bool] | None:
    """Read an IPv4 packet of `size` bytes; None when it answers no SYN of ours.

    Returned are address and port that it comes from as one number (address * 65536 + port), what it acknowledges, and
    whether it accepts.
    """
    if size < _REPLY_BYTES:
        return None
    if packet[0] == 0x45:
        address, port, to, acknowledged, flags = _REPLY(packet)
    else:
        start = (packet[0] & 15) * 4
        if packet[0] >> 4 != 4 or start < 20 or size < start + _TCP_REPLY_BYTES:
            return None
        address = int.from_bytes(packet[12:16], "big")
        port, to, acknowledged, flags = _TCP_REPLY(packet, start)
    if to != own_port or not flags & _ACK or not flags & (_SYN | _RST):
        return None
    return address << 16 | port, acknowledged, not flags & _RST


def read_reply6(packet: bytes | bytearray, size: int, own_port: int) -> Reply | None:
    """Read a TCP packet of `size` bytes as a raw IPv6 socket has it; None when it answers no SYN of ours."""
    if size < _TCP_REPLY_BYTES:
        return None
    port, to, acknowledged, flags = _TCP_REPLY(packet)
    if to != own_port or not flags & _ACK or not flags & (_SYN | _RST):
        return None
    return port, acknowledged, not flags & _RST


@dataclass(frozen=True, slots=True, kw_only=True)
class SynError:
    """What a router or host said by ICMP of one of our packets.

    `port` and `sequence` are of the packet, `number` is the errno that connect() would end with, `text` says who told
    what.
    """

    port: int
    sequence: int
    number: int
    text: str


def read_error(family: int, head: bytes, told: bytes, own_port: int) -> SynError | None:
    """Read an entry of a raw socket's error queue; None when it ends no connection attempt of ours.

    `head` is the beginning of the packet that it is about, `told` the kernel's struct sock_extended_err. What does not
    end a connect() ends none of ours: "fragmentation needed", and codes that nobody knows.
    """
    answer = parse_error(told)
    if answer is None or answer.icmp is None or len(head) < 8:
        return None
    from_port, port, sequence = _OWN(head)
    (number,) = _NUMBER(told)
    kind, code = answer.icmp
    if from_port != own_port or number in (0, errno.EMSGSIZE):
        return None
    if family == socket.AF_INET and kind == 3 and code > _LAST_CODE:
        return None
    names, protocol = (_ICMP6_CODES, "ICMPv6") if family == socket.AF_INET6 else (_ICMP_CODES, "ICMP")
    name = names.get((kind, code), "time exceeded" if kind == _TIME_EXCEEDED[socket.AddressFamily(family)] else "")
    meaning = f" ({name})" if name else ""
    text = f"{protocol} type {kind} code {code}{meaning} from {answer.by or 'an unknown sender'}"
    return SynError(port=port, sequence=sequence, number=number, text=text)
