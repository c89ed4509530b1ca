import asyncio
import contextlib
import errno
import socket
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from checks.model import Event, Reason, Status
from tests.support.fakes import context
from tests.support.servers import free_port
from tests.support.tcp import TIMEOUT_S, listening, look, port_of, silent, sockets_that_fail, spec

NAMES = {"two": ("127.0.0.1", "127.0.0.2"), "three": ("127.0.0.2", "127.0.0.3", "127.0.0.1")}


async def test_a_port_that_accepts_is_ok_and_its_handshake_is_measured() -> None:
    """One acceptance: ok, event none, seconds of the handshake, the address and the method."""
    with listening() as server:
        outcome = await look(spec("127.0.0.1", port_of(server)))
    assert (outcome.status, outcome.event) == (Status.OK, Event.NONE)
    assert 0 < outcome.measurements["connect_seconds"] < TIMEOUT_S
    assert outcome.facts == {"addresses": ("127.0.0.1",), "method": "connect", "accepted": ("127.0.0.1",), "share": 1.0}


async def test_a_closed_port_is_refused_and_says_what_to_do() -> None:
    """Critical, unable_to_connect, with the command to repeat it by hand."""
    port = free_port()
    outcome = await look(spec("127.0.0.1", port))
    assert (outcome.status, outcome.reason, outcome.event) == (
        Status.CRITICAL, Reason.REFUSED, Event.UNABLE_TO_CONNECT,
    )  # fmt: skip
    assert outcome.summary.startswith(f"127.0.0.1:{port} refused the connection in")
    assert outcome.action.endswith(f"nc -vz -w 5 127.0.0.1 {port}")
    assert outcome.measurements == {}
    assert outcome.facts["failed"] == {"127.0.0.1": "refused"}


async def test_a_full_queue_of_connections_is_a_timeout() -> None:
    """A service that no longer accepts drops SYNs: timeout, not refused."""
    with silent() as port:
        outcome = await look(spec("127.0.0.1", port))
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.TIMEOUT)
    assert "did not answer within 300 ms" in outcome.summary


async def test_ipv6_is_written_with_brackets() -> None:
    """The row of an IPv6 Resource is `[v6]:port`, and it is probed over IPv6."""
    with listening("::1") as server:
        port = port_of(server)
        outcome = await look(spec("::1", port))
    assert outcome.status is Status.OK
    assert outcome.summary.startswith(f"[::1]:{port} accepted")


async def test_a_service_that_resets_at_once_has_accepted() -> None:
    """Whether connect() returns 0 or ECONNRESET is a race that must not show in the verdict."""
    with listening() as server:
        server.setblocking(True)

        def reset_all() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        thread = threading.Thread(target=reset_all)
        thread.start()
        try:
            verdicts = {(await look(spec("127.0.0.1", port_of(server)))).status for _ in range(60)}
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert verdicts == {Status.OK}


@pytest.mark.parametrize(
    ("number", "address", "status", "reason"),
    [
        (errno.ECONNRESET, "10.0.0.1", Status.OK, None),
        (errno.ECONNREFUSED, "10.0.0.1", Status.CRITICAL, Reason.REFUSED),
        (errno.EHOSTUNREACH, "10.0.0.1", Status.CRITICAL, Reason.UNREACHABLE),
        (errno.ENETUNREACH, "10.0.0.1", Status.CRITICAL, Reason.NO_ROUTE),
        (errno.EINVAL, "10.0.0.1", Status.CRITICAL, Reason.NO_ROUTE),
        (errno.EPERM, "10.0.0.1", Status.CRITICAL, Reason.BLOCKED_LOCALLY),
        (errno.EACCES, "10.0.0.1", Status.CRITICAL, Reason.BLOCKED_LOCALLY),
        (errno.ETIMEDOUT, "10.0.0.1", Status.CRITICAL, Reason.TIMEOUT),
        (errno.EADDRNOTAVAIL, "2001:db8::1", Status.CRITICAL, Reason.ADDRESS_FAMILY_UNAVAILABLE),
        (errno.EAFNOSUPPORT, "2001:db8::1", Status.CRITICAL, Reason.ADDRESS_FAMILY_UNAVAILABLE),
        (errno.EADDRNOTAVAIL, "10.0.0.1", Status.UNKNOWN, Reason.PROBER_STARVED),
        (errno.ENOBUFS, "10.0.0.1", Status.UNKNOWN, Reason.PROBER_STARVED),
    ],
)  # fmt: skip
async def test_every_error_of_the_kernel_has_its_reason(
    number: int, address: str, status: Status, reason: Reason | None
) -> None:
    """The contract's table of errors; our own limits are unknown and carry no event."""
    outcome = await look(spec(address, 5432), context(sockets=sockets_that_fail(number)))
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.event is {Status.OK: Event.NONE, Status.CRITICAL: Event.UNABLE_TO_CONNECT}.get(status)
    assert outcome.facts.get("reset_after_accept") == ((address,) if number == errno.ECONNRESET else None)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_no_descriptor_left_is_our_limit(number: int) -> None:
    """Running out of descriptors says nothing about the target."""
    outcome = await look(spec("10.0.0.1", 5432), context(sockets=sockets_that_fail(number, made=False)))
    assert (outcome.status, outcome.reason, outcome.event) == (Status.UNKNOWN, Reason.PROBER_STARVED, None)


async def test_a_late_event_loop_is_our_limit() -> None:
    """A time-out that is noticed more than 250 ms late is unknown."""
    with silent() as port:
        asyncio.get_running_loop().call_later(TIMEOUT_S / 2, time.sleep, TIMEOUT_S + 0.3)
        outcome = await look(spec("127.0.0.1", port))
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PROBER_STARVED)


@pytest.mark.parametrize(
    ("name", "more", "status", "share"),
    [
        ("two", {}, Status.OK, 1 / 2),
        ("three", {}, Status.OK, 1 / 3),
        ("two", {"require_all": True}, Status.CRITICAL, 1 / 2),
        ("two", {"require_all": True, "expect": "any"}, Status.OK, 1 / 2),
        ("two", {"require_all": True, "expect": "learned"}, Status.CRITICAL, 1 / 2),
        ("two", {"expect": "down"}, Status.WARNING, 1 / 2),
    ],
)
async def test_any_or_all_addresses_must_accept(
    name: str, more: Mapping[str, Any], status: Status, share: float
) -> None:
    """One acceptance is enough unless all are asked for; the share is a fact either way."""
    with listening("127.0.0.1") as server:
        outcome = await look(spec(name, port_of(server), **more), context(NAMES))
    assert (outcome.status, outcome.facts["share"]) == (status, share)
    assert outcome.facts["accepted"] == ("127.0.0.1",)


async def test_at_most_eight_addresses_are_probed_one_connection_each() -> None:
    """Of a name with 20 addresses (one of them twice) eight are asked, and the rest is counted."""
    made: list[str] = []

    def count(family: int, kind: int) -> socket.socket:
        made.append("one")
        return context().seat.open_socket(family, kind)

    names = {"many": ("127.0.0.1", "127.0.0.1", *(f"127.0.0.{n}" for n in range(2, 21)))}
    outcome = await look(spec("many", free_port()), context(names, count))
    assert outcome.facts["addresses"] == tuple(f"127.0.0.{n}" for n in range(1, 9))
    assert outcome.facts["not_probed"] == 12
    assert len(made) == 8
    assert "8 of 8 addresses do not accept" in outcome.summary


async def test_ipv4_is_preferred_to_ipv6() -> None:
    """If a name has A records, only these are probed."""
    with listening("::1") as server:
        both = await look(spec("both", port_of(server)), context({"both": ("::1", "127.0.0.1")}))
        only = await look(spec("only", port_of(server)), context({"only": ("::1",)}))
    assert (both.status, both.facts["addresses"]) == (Status.CRITICAL, ("127.0.0.1",))
    assert only.status is Status.OK


async def test_the_reason_is_the_best_evidence() -> None:
    """Refused says more than a time-out, whichever address comes first."""
    with silent() as port:
        outcome = await look(spec("two", port), context(NAMES))
    assert outcome.facts["failed"] == {"127.0.0.1": "timeout", "127.0.0.2": "refused"}
    assert (outcome.reason, outcome.action[-len(f"127.0.0.2 {port}") :]) == (Reason.REFUSED, f"127.0.0.2 {port}")


@pytest.mark.parametrize(("require_all", "status"), [(False, Status.UNKNOWN), (True, Status.CRITICAL)])
async def test_an_address_that_we_could_not_try_might_have_accepted(require_all: bool, status: Status) -> None:
    """One refused, one not tried for our own limits: unknown; but where all must accept, one refusal is enough."""
    first = [True]

    def sockets(family: int, kind: int) -> socket.socket:
        if first:
            first.clear()
            raise OSError(errno.EMFILE, "scripted")
        return context().seat.open_socket(family, kind)

    outcome = await look(spec("two", free_port(), require_all=require_all), context(NAMES, sockets))
    assert outcome.status is status
    assert outcome.reason is (Reason.REFUSED if require_all else Reason.PROBER_STARVED)


async def test_a_very_long_name_still_gives_one_line() -> None:
    """Summaries fit a line whatever the name."""
    name = ".".join(["a" * 60] * 4)
    outcome = await look(spec(name, free_port()), context({name: ("127.0.0.1",)}))
    assert outcome.summary.endswith("…")
