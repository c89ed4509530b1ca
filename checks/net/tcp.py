"""TCP connections: made, judged and closed without hurting the other side."""

import asyncio
import contextlib
import socket

from checks.model import Reason
from checks.net.errors import NetError, net_error
from checks.net.seat import Seat

DRAIN_BYTES = 65536  # a banner that waits unread would turn our FIN into a reset


def family_of(address: str) -> int:
    """Return the socket family of a literal address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def connect(seat: Seat, address: str, port: int, timeout_s: float) -> socket.socket:
    """Open a connection to a literal address within `timeout_s` seconds; the caller closes it.

    Raises: NetError. `reset` means that the handshake had completed: connect() reports ECONNRESET only then.
    """
    family = family_of(address)
    loop = asyncio.get_running_loop()
    try:
        sock = seat.open_socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise net_error(error, family) from error
    try:
        async with asyncio.timeout(timeout_s):
            await loop.sock_connect(sock, (address, port))
    except OSError as error:  # TimeoutError is one, ours (no errno) and the kernel's (ETIMEDOUT) alike
        sock.close()
        raise net_error(error, family) from error
    except BaseException:
        sock.close()
        raise
    return sock


def close_politely(sock: socket.socket) -> None:
    """Close with FIN, never with a reset: what the other side already sent is read away first."""
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


def best_evidence(errors: list[NetError]) -> NetError:
    """Return the failure that tells most about the target."""
    order = {reason: rank for rank, reason in enumerate(BEST_EVIDENCE)}
    return min(errors, key=lambda e: order.get(e.reason, len(order)))
