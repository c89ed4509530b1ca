"""Raw TCP sockets that are told nothing but the answers to one reserved port.

A raw socket is given a copy of every TCP packet that comes to its network namespace: the Connector's too. A filter in
the kernel keeps them away. It is attached before anybody else holds the socket, and locked, so that no holder can ever
take it off again. This module needs nothing but Python: `connector-health-netns` uses it as well.
Source: raw(7), socket(7) (SO_ATTACH_FILTER, SO_LOCK_FILTER), bpf(4), Linux net/core/filter.c.
"""

import array
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

BUFFER_BYTES = 1 << 22  # of answers: each takes about 800 bytes of the kernel's memory, and 200 may come at once
MAX_HELD_BACK = 65536  # packets that came before the filter did: more than any receive buffer holds
MAX_PACKET = 80  # bytes of an answer that are copied: the longest IPv4 header, and a TCP header without options
FILTER_LOCK = 44  # SO_LOCK_FILTER

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_SNDBUFFORCE, _RCVBUFFORCE = 32, 33
_RST, _SYN_ACK = 0x04, 0x12
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jumps if true and if false, operand
# Classic BPF. A: accumulator, X: index register.
_LOAD_X_IPV4_HEADER = 0xB1  # X = 4 * (packet[0] & 15)
_LOAD_HALF_X, _LOAD_BYTE_X = 0x48, 0x50  # A = packet[X + operand]
_LOAD_HALF, _LOAD_BYTE = 0x28, 0x30  # A = packet[operand]
_IF_EQUAL, _IF_ANY_BIT, _AND, _RETURN = 0x15, 0x45, 0x54, 0x06


class Ear(NamedTuple):
    """A raw socket, the only port whose answers it hears, and the socket that holds the port, if that is ours."""

    raw: socket.socket
    port: int
    hold: socket.socket | None


def filter_program(family: int, port: int) -> bytes:
    """Return the filter that passes SYN/ACK and RST to `port`, cut to MAX_PACKET bytes, and nothing else.

    A filter on a raw IPv4 socket sees the IP header first, one on a raw IPv6 socket the TCP header at once.
    """
    four = family == socket.AF_INET
    body = (
        (_LOAD_HALF_X if four else _LOAD_HALF, 0, 0, 2),
        (_IF_EQUAL, 0, 5, port),
        (_LOAD_BYTE_X if four else _LOAD_BYTE, 0, 0, 13),
        (_IF_ANY_BIT, 2, 0, _RST),
        (_AND, 0, 0, _SYN_ACK),
        (_IF_EQUAL, 0, 1, _SYN_ACK),
        (_RETURN, 0, 0, MAX_PACKET),
        (_RETURN, 0, 0, 0),
    )
    head = ((_LOAD_X_IPV4_HEADER, 0, 0, 0),) if four else ()
    return b"".join(_INSTRUCTION.pack(*each) for each in (*head, *body))


def open_raw(family: int, port: int, make: Callable[[int, int, int], socket.socket] = socket.socket) -> socket.socket:
    """Make a non-blocking raw TCP socket that hears only answers to `port`, for good.

    Raises: OSError; PermissionError (EPERM) without CAP_NET_RAW.
    """
    sock = make(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)
    try:
        program = array.array("B", filter_program(family, port))
        where, size = program.buffer_info()
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", size // _INSTRUCTION.size, where))
        sock.setsockopt(socket.SOL_SOCKET, FILTER_LOCK, 1)
        for force, option in ((_RCVBUFFORCE, socket.SO_RCVBUF), (_SNDBUFFORCE, socket.SO_SNDBUF)):
            try:
                sock.setsockopt(socket.SOL_SOCKET, force, BUFFER_BYTES)
            except PermissionError:  # it takes CAP_NET_ADMIN to go beyond net.core.rmem_max and wmem_max
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        _forget_what_came(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def reserve_port(sock: socket.socket) -> int:
    """Bind a fresh stream socket, which never listens, to a port of every address; return the port.

    As long as it is open nobody else on this host gets the port, and the kernel answers what comes to it by a reset.
    Raises: OSError.
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::" if sock.family == socket.AF_INET6 else "0.0.0.0", 0))
    port: int = sock.getsockname()[1]
    return port


def open_reserved(family: int, make: Callable[[int, int, int], socket.socket] = socket.socket) -> Ear:
    """Reserve a port, and make a raw socket that hears only the answers to it. Raises: OSError, as `open_raw`."""
    hold = make(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)
    try:
        port = reserve_port(hold)
        return Ear(open_raw(family, port, make), port, hold)
    except BaseException:
        hold.close()
        raise


class Reserve:
    """Ports that are held here, for as long as this process lives, and raw sockets for others that hear these alone.

    They may not choose: answers to the port of a connection of the Connector's would tell whom it speaks to, and the
    sequence numbers that it takes to break into the connection. Nor do they get the socket that holds a port: whoever
    has it can connect and disconnect it, and the port is free again.
    """

    def __init__(self) -> None:
        self._place: object = None
        self._held: dict[tuple[int, int], socket.socket] = {}

    def open(self, place: object, family: int, number: int) -> tuple[socket.socket, int]:
        """Make a raw socket in the network namespace where we stand now, called `place`; return its port as well.

        `number` tells those apart who get ports of their own; they get the same again. Raises: OSError.
        """
        if place != self._place:
            for each in self._held.values():
                each.close()
            self._place, self._held = place, {}
        hold = self._held.get((family, number))
        if hold is None:
            raw, port, hold = open_reserved(family)
            if hold is not None:
                self._held[family, number] = hold
            return raw, port
        port = hold.getsockname()[1]
        return open_raw(family, port), port


def is_deaf(sock: socket.socket, family: int) -> bool:
    """Tell whether a socket that somebody passed to us is a raw TCP socket whose filter is locked."""
    if (sock.family, sock.type) != (family, socket.SOCK_RAW):
        return False
    protocol = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
    return protocol == socket.IPPROTO_TCP and bool(sock.getsockopt(socket.SOL_SOCKET, FILTER_LOCK))


def _forget_what_came(sock: socket.socket) -> None:
    """Read away what came between the making of the socket and its filter: it is not ours."""
    room = bytearray(1)
    with contextlib.suppress(BlockingIOError):
        for _ in range(MAX_HELD_BACK):
            sock.recv_into(room)
        raise OSError(errno.EBUSY, "the raw socket can't be emptied")
