"""Bytes over a connected socket, one await at a time; nothing here lives longer than the call that uses it."""

import asyncio
import socket
from typing import Protocol

from checks.model import Reason
from checks.net.errors import NetError, net_error
from checks.net.tcp import STARVED_LAG_S, close_politely

READ_BYTES = 4096  # small, so that a bound on what is kept is never overrun by much


class Stream(Protocol):
    """A connected byte stream. Time-outs are the caller's; a cancelled call leaves nothing behind but the stream."""

    async def receive(self) -> bytes:
        """Return the next bytes, empty at the end. Raises: NetError."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises: NetError."""

    def close(self) -> None:
        """Close with FIN, at once; closing again does nothing."""


async def receive_some(sock: socket.socket) -> bytes:
    """Return the next bytes of a non-blocking socket, empty at the end. Raises: OSError."""
    # sock_recv returns without suspending while bytes are waiting: a peer that sends faster than we read would keep
    # the loop, and with it every deadline, from running. One turn of the loop for each read gives them their chance.
    await asyncio.sleep(0)
    return await asyncio.get_running_loop().sock_recv(sock, READ_BYTES)


def timed_out(deadline: float, evidence: str) -> NetError:
    """Return the failure for a `deadline` (of `loop.time()`) that passed: the peer's, unless we noticed it too late."""
    late = asyncio.get_running_loop().time() - deadline
    if late > STARVED_LAG_S:
        return NetError(Reason.PROBER_STARVED, f"our own event loop was {late * 1000:.0f} ms late")
    return NetError(Reason.TIMEOUT, evidence)


class PlainStream:
    """A stream without TLS; it takes the socket over."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def receive(self) -> bytes:
        """Return the next bytes, empty at the end. Raises: NetError."""
        try:
            return await receive_some(self._sock)
        except OSError as error:
            raise net_error(error, self._sock.family) from error

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises: NetError."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)
        except OSError as error:
            raise net_error(error, self._sock.family) from error

    def close(self) -> None:
        """Close with FIN, at once; closing again does nothing."""
        close_politely(self._sock)
