"""The kernel's bell: rings when links, addresses or routes of our network namespace changed, and tells nothing else.

A netlink socket that belongs to the groups of these changes. Only the header of a message is read: what changed is
found by comparing the tables of /proc/net before and after, which is also right when messages were lost (ENOBUFS).
Source: netlink(7), rtnetlink(7).
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_TYPES = frozenset({16, 17, 20, 21, 24, 25})  # RTM_NEWLINK, RTM_DELLINK, the same of ADDR and of ROUTE
REST_S = 1.0  # after a ring nobody listens for so long: a burst of 10,000 routes wakes us once a second
MAX_MESSAGES = 1024  # read at once; the kernel's buffer holds about 260 of them, so that more are a running stream


def open_bell() -> socket.socket:
    """Make the socket, in the network namespace where this thread stands. Raises: OSError."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    try:
        sock.bind((0, _GROUPS))
    except OSError:
        sock.close()
        raise
    return sock


class Bell:
    """Calls `on_ring` at a change, at most once in REST_S seconds; what comes in between rings when that is over."""

    def __init__(self, on_ring: Callable[[], None], open_socket: Callable[[], socket.socket] = open_bell) -> None:
        self._on_ring = on_ring
        self._open = open_socket
        self._sock: socket.socket | None = None
        self._again: asyncio.TimerHandle | None = None

    @property
    def hangs(self) -> bool:
        """Tell whether there is a bell: else changes have to be looked for."""
        return self._sock is not None

    def hang(self) -> None:
        """Begin to listen, on the running loop; where the kernel has no such socket for us there is no bell."""
        if self._sock is None:
            try:
                self._sock = self._open()
            except OSError:
                return
            self._listen()

    def close(self) -> None:
        """Stop listening."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _listen(self) -> None:
        self._again = None
        if self._sock is not None:
            asyncio.get_running_loop().add_reader(self._sock, self._heard)

    def _heard(self) -> None:
        if self._sock is None or not _rung(self._sock):
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        self._again = loop.call_later(REST_S, self._listen)
        self._on_ring()


def _rung(sock: socket.socket) -> bool:
    """Read what is there; tell whether any of it is a change, or was lost."""
    rung = False
    for _ in range(MAX_MESSAGES):
        try:
            header = sock.recv(_HEADER.size)  # the rest of the message is cut off
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return True  # better to look once too often than never again
            rung = True
        else:
            rung = rung or (len(header) == _HEADER.size and _HEADER.unpack(header)[1] in _TYPES)
    return rung
