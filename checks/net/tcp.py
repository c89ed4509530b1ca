"""TCP connections: made, judged and closed without hurting the other side.

Two things that asyncio's own `sock_connect` gets wrong for a prober: given anything but a literal address it starts a
thread with getaddrinfo, and it costs half as much again in CPU. So the non-blocking connect is done here.
Source: connect(2), tcp(7), RFC 9293 section 3.10.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass

from checks.model import Reason
from checks.net.endpoint import is_address
from checks.net.errors import NetError, net_error
from checks.net.seat import Seat

DRAIN_BYTES = 65536  # a banner that waits unread would turn our FIN into a reset
DRAIN_READS = 8  # a peer that floods us after our FIN is left to its reset
GOODBYE_S = 0.1  # how long a late banner is waited for after our FIN: a server greets within one round trip
STARVED_LAG_S = 0.25  # a time-out noticed later than this says more about our event loop than about the target

_TCP_INFO_BYTES = 104  # struct tcp_info up to tcpi_total_retrans: the same in every kernel since 2.6
_TCP_SYN_SENT = 2


def family_of(address: str) -> int:
    """Return the socket family of a literal address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def scope_of(zone: str) -> int:
    """Return the number of the interface that stands after a link-local address's `%`; 0 for none. Raises: OSError."""
    return 0 if not zone else int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)


async def connect(seat: Seat, address: str, port: int, timeout_s: float) -> socket.socket:
    """Open a connection to a literal address within `timeout_s` seconds; the caller closes it.

    Raises: NetError. `reset` means that the handshake had completed: connect() reports ECONNRESET only then.
    """
    if not is_address(address):
        raise ValueError(f"{address!r} is a name; it must be resolved first")
    family = family_of(address)
    try:
        sock = seat.open_socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise net_error(error, family) from error
    try:
        await _handshake(sock, address, port, timeout_s)
    except OSError as error:
        sock.close()
        raise net_error(error, family) from error
    except BaseException:
        sock.close()
        raise
    return sock


@dataclass(slots=True)
class Attempt:
    """One try to connect to one address: how long it took, in seconds, and what went wrong. Nobody changes it."""

    address: str
    seconds: float
    error: NetError | None = None

    @property
    def accepted(self) -> bool:
        """Tell whether the handshake completed; a reset after that does not undo it."""
        return self.error is None or self.error.reason is Reason.RESET


async def attempt(seat: Seat, address: str, port: int, timeout_s: float) -> Attempt:
    """Connect to a literal address and leave again: nothing is sent, and the connection ends with FIN."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        sock = await connect(seat, address, port, timeout_s)
    except NetError as error:
        return Attempt(address, loop.time() - started, error)
    seconds = loop.time() - started
    await close_gently(sock)
    return Attempt(address, seconds)


async def attempt_all(seat: Seat, addresses: tuple[str, ...], port: int, timeout_s: float) -> list[Attempt]:
    """Try every address at the same time, one connection each; the results are in the order of `addresses`."""
    if len(addresses) == 1:  # by far the most frequent case, and a task costs as much as the connection
        return [await attempt(seat, addresses[0], port, timeout_s)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(seat, address, port, timeout_s)) for address in addresses]
    return [task.result() for task in tasks]


async def close_gently(sock: socket.socket) -> None:
    """Close with FIN, and stay up to `GOODBYE_S` seconds for the other side to finish.

    A server that greets first (SSH, SMTP, FTP) may send while we are leaving. Data that meets a closed socket is
    answered with a reset, which such servers log as an error; so it is read away until they have closed as well.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + GOODBYE_S
    try:
        sock.shutdown(socket.SHUT_WR)
        for _ in range(DRAIN_READS):
            try:
                if not sock.recv(DRAIN_BYTES):
                    break
            except BlockingIOError:
                if not await _ready(sock, until, write=False):
                    break
    except OSError:
        pass  # the other side was faster: there is nothing left to end politely
    finally:
        sock.close()


def close_politely(sock: socket.socket) -> None:
    """Close with FIN, at once: what the other side already sent is read away first."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        sock.recv(DRAIN_BYTES)
    sock.close()


BEST_EVIDENCE = (
    Reason.REFUSED,
    Reason.RESET,
    Reason.BLOCKED_LOCALLY,
    Reason.UNREACHABLE,
    Reason.NO_ROUTE,
    Reason.ADDRESS_FAMILY_UNAVAILABLE,
    Reason.TIMEOUT,
)
"""Failures of several addresses, the one that tells most first."""
_RANK = {reason: rank for rank, reason in enumerate(BEST_EVIDENCE)}


def best_evidence(errors: list[NetError]) -> NetError:
    """Return the failure that tells most about the target."""
    return min(errors, key=lambda e: _RANK.get(e.reason, len(_RANK)))


async def _handshake(sock: socket.socket, address: str, port: int, timeout_s: float) -> None:
    """Connect a fresh socket. Raises: OSError; NetError for what no errno tells."""
    try:
        text, _, zone = address.partition("%")
        sock.connect((text, port, 0, scope_of(zone)) if zone else (address, port))
    except BlockingIOError as error:
        if error.errno != errno.EINPROGRESS:
            raise
        await _established(sock, timeout_s)
    # When source and destination port happen to be the same on this host, TCP's simultaneous open connects the socket
    # to itself although nobody listens.
    if sock.getsockname()[1] == port and _is_connected_to_itself(sock):
        raise NetError(Reason.REFUSED, "only our own socket answered (simultaneous open): nothing listens there")


async def _established(sock: socket.socket, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    in_time = await _ready(sock, deadline, write=True)
    late = loop.time() - deadline
    # Asked after a time-out too: an ICMP error that came while connect() was still at work is kept, without a wake-up.
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))
    if not in_time:
        if late > STARVED_LAG_S:
            raise NetError(Reason.PROBER_STARVED, f"our own event loop was {late * 1000:.0f} ms late")
        if dropped_here(sock):
            raise NetError(Reason.BLOCKED_LOCALLY, "this host's own packet filter drops what we send")
        raise NetError(Reason.TIMEOUT, "no answer within the time-out")


async def _ready(sock: socket.socket, deadline: float, *, write: bool) -> bool:
    """Wait until the socket can be written (or read); False when `deadline` (of `loop.time()`) came first."""
    # One future and one timer; `asyncio.timeout` around `sock_connect` would cost more callbacks and a cancellation.
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    timer = loop.call_at(deadline, _settle, ready, False)  # noqa: FBT003 - the future's result
    number = sock.fileno()
    remove = loop.remove_writer if write else loop.remove_reader
    (loop.add_writer if write else loop.add_reader)(number, _settle, ready, True)  # noqa: FBT003 - as above
    try:
        return await ready
    finally:
        timer.cancel()
        remove(number)


def _settle(future: "asyncio.Future[bool]", result: bool) -> None:  # noqa: FBT001 - a callback's argument
    if not future.done():
        future.set_result(result)


def _is_connected_to_itself(sock: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        return bool(sock.getsockname() == sock.getpeername())
    return False


def dropped_here(sock: socket.socket) -> bool:
    """Tell whether this host's own output filter drops the SYN, which connect() itself never reports for TCP.

    Every retransmission fell due (`tcpi_retransmits`) and was tried (`tcpi_total_retrans`), yet none is outstanding
    (`tcpi_retrans`): the way out of this host took none. One that waits for ARP is not tried again, and so not taken
    for this. Needs a time-out of more than the first retransmission's second; False when in doubt.
    Source: Linux net/ipv4/tcp_output.c, `__tcp_retransmit_skb`.
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return False
    if len(info) < _TCP_INFO_BYTES:
        return False
    due: int = info[2]
    outstanding: int = struct.unpack_from("=I", info, 36)[0]
    tried: int = struct.unpack_from("=I", info, 100)[0]
    return info[0] == _TCP_SYN_SENT and due > 0 and due == tried and outstanding == 0
