"""One address family's half of the half-open prober: a raw socket, and the reserved port whose answers it hears.

Source: raw(7), ipv6(7) (IPV6_CHECKSUM), Linux net/ipv4/raw.c, net/ipv6/raw.c.
"""

import errno
import socket
from collections.abc import Callable
from typing import Final, TypeAlias

from checks.net.icmp import want_errors
from checks.net.rawtcp import Ear
from checks.net.seat import SocketFactory
from checks.net.sources import SourceFinder
from checks.net.synwire import SynError, build_syn, build_syn6, checksum_part, read_error, read_reply, read_reply6
from checks.net.tcp import scope_of

OpenRaw: TypeAlias = Callable[[int], Ear]
"""Makes the raw TCP socket of a family, and reserves its port, as `rawtcp.open_reserved` does.

Raises: OSError; SeatError.
"""

MAX_PACKETS, MAX_READS = 512, 4  # read in one turn of the loop, and again after an error; the rest waits for the next
MAX_ERRORS = 64  # likewise, of the error queue
FLOOD = MAX_READS * MAX_ERRORS  # errors read in one turn: never ours, which are as many as `max_rate` in a second
MAX_HEAD = 512  # bytes of an entry of the error queue

_HOPS = 64
_IPV6_CHECKSUM, _CHECKSUM_AT = 7, 16
_BUFFER_BYTES = 128
_RECVERR: dict[int, tuple[int, int]] = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}
_MAPPED = bytes(10) + b"\xff\xff"
_SIX = 1 << 192  # keeps the keys of IPv6 apart from those of IPv4


class Way:
    """How to reach one address. Slotted and mutable: there is one for each address, and each look reads it.

    `base | port` is the key of an endpoint. `part` is what a SYN's checksum adds up from; None: not known (any more).
    """

    __slots__ = ("base", "part", "to", "via")

    def __init__(self, via: "SynPort", base: int, to: "tuple[str, int] | tuple[str, int, int, int]") -> None:
        self.via: Final = via
        self.base: Final = base
        self.to: Final = to
        self.part: int | None = None


class SynPort:
    """Sends SYNs of one family, and hears what answers them. The sockets are its own.

    `unheard` counts what was sent since the last `receive`.
    """

    def __init__(self, family: int, open_raw: OpenRaw, open_socket: SocketFactory) -> None:
        self.family = family
        self.unheard = 0
        self._errors: list[tuple[int, SynError]] = []
        self._buffer = bytearray(_BUFFER_BYTES)
        self._sources = SourceFinder(open_socket)
        self._raw, self.port, self._hold = open_raw(family)
        try:
            want_errors(self._raw, family, _HOPS)
            if family == socket.AF_INET6:
                self._raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_CHECKSUM, _CHECKSUM_AT)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """The number of the raw socket, for the event loop."""
        return self._raw.fileno()

    def close(self) -> None:
        """Give back the sockets and the port."""
        self._raw.close()
        if self._hold is not None:
            self._hold.close()
        self._sources.close()

    def way(self, packed: bytes, scope: int) -> Way:
        """Return the way to an address of this family. Raises: OSError where TCP never goes, as connect() does."""
        four = len(packed) == 4
        if packed[0] >> 4 == 0xE if four else packed[0] == 0xFF:
            raise OSError(errno.ENETUNREACH, "a multicast address")
        text = socket.inet_ntop(self.family, packed)
        if four:
            return Way(self, _base(packed, 0), (text, 0))
        if packed[0] == 0xFE and packed[1] & 0xC0 == 0x80 and not scope:
            raise OSError(errno.EINVAL, "a link-local address without its interface")
        return Way(self, _base(packed, scope), (text, 0, 0, scope))

    def send(self, way: Way, port: int, sequence: int) -> None:
        """Send a SYN. Raises: OSError as connect() would; SeatError."""
        if self.family == socket.AF_INET6:
            packet = build_syn6(self.port, port, sequence)
        else:
            part = way.part
            if part is None:
                target = way.to[0]
                part = way.part = checksum_part(self._sources.find(target), socket.inet_aton(target))
            packet = build_syn(self.port, port, sequence, part)
        self.unheard += 1
        self._raw.sendto(packet, way.to)  # a raw socket's send never fails with what ICMP said of other packets

    def receive(self) -> list[tuple[int, int, bool]]:
        """Return what has come: the key of its endpoint, what it acknowledges, whether it accepts."""
        self.unheard = 0
        errors = 0
        found: list[tuple[int, int, bool]] = []
        read = self._read_six if self.family == socket.AF_INET6 else self._read_four
        for _ in range(MAX_READS):
            try:
                read(found)
            except BlockingIOError:
                break
            except OSError:  # a call that receives fails, once, when ICMP said something of a packet
                errors += self._read_errors()
        if not found:  # the queue alone wakes us, too, and would do so for ever
            errors += self._read_errors()
        if errors >= FLOOD:
            self._forget_errors()
        return found

    def take_errors(self) -> list[tuple[int, SynError]]:
        """Return what ICMP said, with the keys of the endpoints, as far as `receive` has read it."""
        if not self._errors:
            return self._errors
        errors, self._errors = self._errors, []
        return errors

    def _read_four(self, found: list[tuple[int, int, bool]]) -> None:
        """Add what comes, until there is no more. Raises: OSError."""
        receive, buffer, port = self._raw.recv_into, self._buffer, self.port
        for _ in range(MAX_PACKETS):
            reply = read_reply(buffer, receive(buffer), port)
            if reply is not None:
                found.append(reply)

    def _read_six(self, found: list[tuple[int, int, bool]]) -> None:
        for _ in range(MAX_PACKETS):
            size, sender = self._raw.recvfrom_into(self._buffer)
            reply = read_reply6(self._buffer, size, self.port)
            if reply is not None:
                port, acknowledged, accepts = reply
                found.append((self._key(sender) | port, acknowledged, accepts))

    def _read_errors(self) -> int:
        """Move entries of the error queue to `_errors`; return how many were read."""
        for count in range(MAX_ERRORS):
            try:
                head, ancillary, _, target = self._raw.recvmsg(MAX_HEAD, MAX_HEAD, socket.MSG_ERRQUEUE)
            except OSError:  # EAGAIN: the queue is empty
                return count
            for level, kind, told in ancillary:
                if (level, kind) == _RECVERR[self.family] and target:
                    error = read_error(self.family, head, told, self.port)
                    if error is not None:
                        self._errors.append((self._key(target) | error.port, error))
        return MAX_ERRORS

    def _forget_errors(self) -> None:
        """Empty the error queue unread. It has no filter, whoever knows our address can fill it, and takes memory from
        the answers: these would be dropped. What it held of ours is said again when the SYN goes out again.
        """
        for wanted in (0, 1):  # the kernel throws away what nobody wants any more
            self._raw.setsockopt(*_RECVERR[self.family], wanted)

    def _key(self, address: "tuple[str, int] | tuple[str, int, int, int]") -> int:
        packed = socket.inet_pton(self.family, address[0])
        return _base(packed, address[3] if len(address) == 4 else 0)


def parsed(address: str) -> tuple[int, bytes, int]:
    """Return family, bytes and scope of a literal address as connect() takes them.

    What only wraps an IPv4 address is one; the unspecified addresses are this host. Raises: ValueError, OSError.
    """
    text, _, zone = address.partition("%")
    if ":" not in text:
        packed = socket.inet_pton(socket.AF_INET, text)
        return socket.AF_INET, packed if any(packed) else b"\x7f\0\0\1", 0
    packed = socket.inet_pton(socket.AF_INET6, text)
    if packed.startswith(_MAPPED):
        return socket.AF_INET, packed[12:] if any(packed[12:]) else b"\x7f\0\0\1", 0
    return socket.AF_INET6, packed if any(packed) else packed[:15] + b"\1", scope_of(zone)


def _base(packed: bytes, scope: int) -> int:
    number = int.from_bytes(packed, "big") << 16
    return number if len(packed) == 4 else _SIX | scope << 144 | number
