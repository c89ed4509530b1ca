import asyncio
import contextlib
import dataclasses
import ipaddress
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from checks.model import Reason, Status
from checks.net.tcp import DRAIN_BYTES, DRAIN_READS, connect
from checks.tcp import probe
from tests.support.cancel import check_cancellation
from tests.support.fakes import context
from tests.support.tcp import TIMEOUT_S, listening, look, port_of, silent, spec

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize("banner", [b"", b"SSH-2.0-test\r\n", b"x" * (DRAIN_BYTES // 4)])
async def test_it_leaves_with_fin_and_sends_nothing(banner: bytes) -> None:
    """The server reads the end of the stream, never a reset, even when its greeting was not read."""
    loop = asyncio.get_running_loop()
    with listening() as server:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look(spec("127.0.0.1", port_of(server))))
            connection, _ = await loop.sock_accept(server)
            with connection:
                await loop.sock_sendall(connection, banner)
                assert await loop.sock_recv(connection, 10) == b""
                assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert looking.result().status is Status.OK


async def test_a_greeting_that_comes_after_our_fin_meets_no_reset() -> None:
    """A server that greets first and is a little slow still sees a polite goodbye."""
    loop = asyncio.get_running_loop()
    with listening() as server:
        async with asyncio.TaskGroup() as group:
            group.create_task(look(spec("127.0.0.1", port_of(server))))
            connection, _ = await loop.sock_accept(server)
            with connection:
                assert await loop.sock_recv(connection, 10) == b""
                await loop.sock_sendall(connection, b"220 mail.example ESMTP\r\n")
                assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                assert await loop.sock_recv(connection, 10) == b""


class Endless(socket.socket):
    """A socket in which there is always something to read."""

    reads = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return as much as is asked for."""
        del flags
        Endless.reads += 1
        assert Endless.reads < 100, "it reads for ever"
        return b"x" * size


async def test_a_flood_after_our_fin_does_not_hold_us() -> None:
    """A peer that never stops sending is left to its reset after a few reads."""

    def make(family: int, kind: int) -> socket.socket:
        sock = Endless(family, kind)
        sock.settimeout(0)
        return sock

    with listening() as server:
        outcome = await look(spec("127.0.0.1", port_of(server)), context(sockets=make))
    assert outcome.status is Status.OK
    assert Endless.reads == DRAIN_READS, connect


@pytest.mark.parametrize(
    ("name", "addresses", "more", "status", "probed", "forbidden"),
    [
        ("127.0.0.1", (), {}, Status.SKIPPED, (), ("127.0.0.1",)),
        ("127.0.0.1", (), {"literal_allowed": True}, Status.OK, ("127.0.0.1",), None),
        ("127.0.0.1", (), {"allow": LOOPBACK}, Status.OK, ("127.0.0.1",), None),
        ("rebound", ("127.0.0.1",), {"literal_allowed": True}, Status.SKIPPED, (), ("127.0.0.1",)),
        ("rebound", ("::ffff:127.0.0.1",), {}, Status.SKIPPED, (), ("::ffff:127.0.0.1",)),
        ("rebound", ("0.0.0.0",), {}, Status.SKIPPED, (), ("0.0.0.0",)),
        ("part", ("127.0.0.2", "127.0.0.1"), {"deny": (ipaddress.ip_network("127.0.0.2"),)}, Status.OK,
         ("127.0.0.1",), ("127.0.0.2",)),
    ],
)  # fmt: skip
async def test_denied_addresses_are_never_connected_to(
    name: str,
    addresses: tuple[str, ...],
    more: Mapping[str, Any],
    status: Status,
    probed: tuple[str, ...],
    forbidden: tuple[str, ...] | None,
) -> None:
    """The deny list is asked for every address after each lookup; a name never inherits a literal's exemption."""
    with listening() as server:
        wanted = spec(name, port_of(server), **{"deny": LOOPBACK, **more})
        outcome = await look(wanted, context({name: addresses}))
        connected = bool(probed)
        with contextlib.suppress(BlockingIOError):
            server.accept()[0].close()
            assert connected
    assert (outcome.status, outcome.facts["addresses"], outcome.facts.get("denied")) == (status, probed, forbidden)
    assert outcome.reason is (None if status is Status.OK else Reason.NOT_ALLOWED)


@pytest.mark.parametrize(
    ("more", "confirming", "status", "reason"),
    [
        ({"method": "half_open"}, False, Status.SKIPPED, Reason.NOT_ALLOWED),
        ({"has_policy": True}, True, Status.SKIPPED, Reason.NOT_ALLOWED),
        ({"has_policy": True}, False, Status.OK, None),
        ({}, True, Status.OK, None),
    ],
)
async def test_port_policy_decides_whether_it_may_connect(
    more: Mapping[str, Any], confirming: bool, status: Status, reason: Reason | None
) -> None:
    """Where half-open alone is permitted and can not be had, or a port has a policy, no connection is made."""
    with listening() as server:
        where = dataclasses.replace(context(), confirming=confirming)
        outcome = await look(spec("127.0.0.1", port_of(server), **more), where)
        if status is Status.SKIPPED:
            with pytest.raises(BlockingIOError):
                server.accept()
    assert (outcome.status, outcome.reason) == (status, reason)


async def test_cancelling_leaves_no_socket_and_no_task() -> None:
    """Cancelled at any await, with one address, with several, and while saying goodbye."""
    with silent() as port, listening() as server:
        quick = dataclasses.replace(spec("two", port), timeout_s=0.05)
        assert await check_cancellation(lambda: probe(quick, context({"two": ("127.0.0.1", "127.0.0.2")}))) >= 2
        quick = dataclasses.replace(spec("127.0.0.1", port), timeout_s=0.05)
        assert await check_cancellation(lambda: probe(quick, context())) >= 1
        assert await check_cancellation(lambda: probe(spec("127.0.0.1", port_of(server)), context())) >= 1


async def test_a_name_is_never_resolved_behind_the_seats_back() -> None:
    """The socket layer would ask the host's resolver, in a thread; a name is refused instead."""
    with pytest.raises(ValueError, match="must be resolved first"):
        await connect(context().seat, "localhost", 1, TIMEOUT_S)
