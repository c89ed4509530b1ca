"""Both families' raw sockets of one seat: opened when first needed, listened to, and which way leads to an address."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable

from checks.model import Reason
from checks.net.endpoint import is_address
from checks.net.errors import NetError, SeatError, net_error
from checks.net.seat import SocketFactory
from checks.net.synport import OpenRaw, SynPort, Way, parsed
from checks.net.tcp import family_of

OPEN_AGAIN_S = 60.0  # a right that is missing seldom appears
GONE_AGAIN_S = 2.0  # a Connector or helper that is not there may be soon
MAX_WAYS = 65536  # addresses kept ready, some 200 bytes each


class SynPorts:
    """The sockets. `heard` is called, on the loop, with the one that something came to.

    `ways` are the addresses that were asked for lately: read it first, `way` is slow.
    """

    def __init__(self, open_raw: OpenRaw, open_socket: SocketFactory, heard: Callable[[SynPort], None]) -> None:
        self._open_raw = open_raw
        self._open_socket = open_socket
        self._heard = heard
        self._ports: dict[int, SynPort] = {}
        self._failed: dict[int, tuple[float, NetError]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._could_open = False
        self.ways: dict[str, Way] = {}

    @property
    def available(self) -> bool:
        """Tell whether there is, or can be had, a raw socket; asked of the kernel only now and then."""
        try:
            self._port(socket.AF_INET)
        except NetError:
            return self._could_open
        return True

    def all(self) -> tuple[SynPort, ...]:
        """Return those that are open."""
        return tuple(self._ports.values())

    def open(self) -> dict[str, NetError]:
        """Open both now, while there is the right to; return what failed, by family."""
        failed = {}
        for family, name in ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6")):
            try:
                self._port(family)
            except NetError as error:
                failed[name] = error
        return failed

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen on this loop from now on."""
        self._loop = loop
        for port in self._ports.values():
            loop.add_reader(port.fileno(), self._heard, port)

    def way(self, address: str) -> Way:
        """Return the way to an address, which is kept in `ways` as well. Raises: NetError; ValueError for a name."""
        if not is_address(address):
            raise ValueError(f"{address!r} is a name; it must be resolved first")
        family = family_of(address)
        try:
            family, packed, scope = parsed(address)
            way = self._port(family).way(packed, scope)
        except OSError as error:
            raise net_error(error, family) from error
        if len(self.ways) >= MAX_WAYS:
            self.ways.clear()
        self.ways[address] = way
        return way

    def close(self) -> None:
        """Give back every socket; they are opened anew when needed."""
        for port in self._ports.values():
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(port.fileno())
            port.close()
        self._ports.clear()
        self._failed.clear()
        self.ways.clear()

    def close_for_good(self) -> None:
        """Give back every socket; there will be no other."""
        self.close()
        closed = NetError(Reason.PERMISSION_DENIED, "the prober is closed")
        self._failed = {family: (float("inf"), closed) for family in (socket.AF_INET, socket.AF_INET6)}
        self._could_open = False

    def _port(self, family: int) -> SynPort:
        """Return the sockets of a family. Raises: NetError, the same for a while."""
        port = self._ports.get(family)
        if port is not None:
            return port
        now = self._loop.time() if self._loop is not None else time.monotonic()
        until, failed = self._failed.get(family, (now, None))
        if failed is not None and now < until:
            raise failed
        try:
            port = self._ports[family] = SynPort(family, self._open_raw, self._open_socket)
        except OSError as error:
            failed = _not_opened(error, family)
            lasting = failed.reason is Reason.PERMISSION_DENIED and not isinstance(error, SeatError)
            self._failed[family] = (now + (OPEN_AGAIN_S if lasting else GONE_AGAIN_S), failed)
            if not isinstance(error, SeatError):  # a Connector or helper that is not there says nothing about the right
                self._could_open = False
            raise failed from error
        self._could_open = True
        if self._loop is not None:
            self._loop.add_reader(port.fileno(), self._heard, port)
        return port


def _not_opened(error: OSError, family: int) -> NetError:
    """Return what it means that a socket could not be had: it is never the target's fault."""
    if isinstance(error, SeatError):
        return NetError(error.reason, error.evidence)
    if error.errno in (errno.EPERM, errno.EACCES):
        return NetError(Reason.PERMISSION_DENIED, "there is no right to open raw sockets here (CAP_NET_RAW)")
    failed = net_error(error, family)
    if failed.reason is Reason.ADDRESS_FAMILY_UNAVAILABLE:
        return failed
    return NetError(Reason.PROBER_STARVED, failed.evidence)
