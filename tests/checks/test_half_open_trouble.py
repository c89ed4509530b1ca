"""Half-open looks when this host is in trouble: what is its own fault is never told of a target."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from functools import partial

import pytest

from checks.half_open import HalfOpen
from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.rawtcp import Ear, open_reserved
from checks.net.tcp import Attempt
from tests.support.half_open import FAR, SILENT, Wire, begun, prober
from tests.support.netns import Namespace
from tests.support.seat_helper import open_descriptors


async def test_what_others_were_told_disturbs_nobody(near: HalfOpen) -> None:
    """The kernel lets a call fail with what ICMP said of some packet: verdicts stay with their own endpoints."""
    ports = [port for n in range(200) for port in (3000 + n, 5432, 5433)]
    seen: dict[int, set[Reason | None]] = {}
    done = asyncio.Event()
    left = len(ports)

    def note(port: int, attempts: list[Attempt]) -> None:
        nonlocal left
        left -= 1
        seen.setdefault(port, set()).add(attempts[0].error.reason if attempts[0].error else None)
        if not left:
            done.set()

    for port in ports:
        near.look((FAR,), port, 2.0, partial(note, port))
    async with asyncio.timeout(5):
        await done.wait()
    assert seen.pop(5432) == {None}
    assert seen.pop(5433) == {Reason.REFUSED}
    assert set(map(frozenset, seen.values())) == {frozenset({Reason.UNREACHABLE})}


async def test_the_error_queue_alone_is_read(near: HalfOpen) -> None:
    """Also when somebody else has taken the socket's error, without which no call fails."""
    looking = begun(near, FAR, 3000, 2.0)
    (port,) = near._ports.all()
    assert port._raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    (attempt,) = await looking
    assert attempt.error
    assert attempt.error.reason is Reason.UNREACHABLE


async def test_a_way_out_that_is_full_is_tried_again(pair: tuple[Namespace, Namespace]) -> None:
    """ENOBUFS for a moment is waited out; for longer it is our own limit, and no verdict."""
    here, _ = pair

    class Full(socket.socket):
        times = 0

        def sendto(self, data: bytes, address: tuple[str, int]) -> int:  # type: ignore[override]
            if Full.times > 0:
                Full.times -= 1
                raise OSError(105, "No buffer space available")
            return super().sendto(data, address)

    def full(family: int) -> Ear:
        with here.entered():
            return open_reserved(family, Full)

    with contextlib.closing(HalfOpen(full, here.open_socket)) as near:
        for times, reason in ((5, None), (10**6, Reason.PROBER_STARVED)):
            Full.times = times
            (attempt,) = await near.attempt_all((FAR,), 5432, 5.0)
            assert (attempt.error.reason if attempt.error else None) is reason
            assert attempt.seconds < 2.0


async def test_black_holes_cost_no_descriptor_and_one_timer(pair: tuple[Namespace, Namespace]) -> None:
    """Three thousand looks into nothing: each ends in time, and the process has no more open than before."""
    with prober(pair[0]) as near:
        assert near.available
        await near.attempt_all(("10.88.1.1",), 1, 0.01)
        before = open_descriptors()
        ended: list[Attempt] = []
        for n in range(3000):
            near.look((f"10.88.{n // 250 + 2}.{n % 250 + 1}",), 5432, 0.3, ended.extend)
        assert open_descriptors() == before
        loop = asyncio.get_running_loop()
        assert len([timer for timer in loop._scheduled if not timer.cancelled()]) <= 2  # type: ignore[attr-defined]
        await near.attempt_all(("10.88.1.1",), 1, 0.5)
        assert len(ended) == 3000
        reasons = {attempt.error.reason for attempt in ended if attempt.error}
        assert reasons <= {Reason.TIMEOUT, Reason.PROBER_STARVED}, "the latter on a busy machine"
        assert not near._pending


async def test_a_loop_that_is_late_says_nothing_of_the_target(near: HalfOpen) -> None:
    """Silence, noticed 400 ms too late, is ours; an answer that waited meanwhile is an answer."""
    silent = begun(near, FAR, SILENT, 0.05)
    answered = begun(near, FAR, 5432, 0.05)
    await asyncio.sleep(0)
    time.sleep(0.4)  # noqa: ASYNC251 - a loop that is held up
    (attempt,) = await silent
    assert attempt.error
    assert attempt.error.reason is Reason.PROBER_STARVED
    assert (await answered)[0].accepted


def refuses(error: OSError) -> Callable[[int], Ear]:
    """Make a factory that fails."""

    def refuse(_family: int) -> Ear:
        raise error

    return refuse


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(1, "Operation not permitted"), Reason.PERMISSION_DENIED),
        (SeatError(Reason.NOT_RUNNING, "the Connector does not run"), Reason.NOT_RUNNING),
        (SeatError(Reason.PERMISSION_DENIED, "the helper says no"), Reason.PERMISSION_DENIED),
        (OSError(24, "Too many open files"), Reason.PROBER_STARVED),
        (OSError(97, "Address family not supported by protocol"), Reason.PROBER_STARVED),
    ],
)
async def test_a_socket_that_can_not_be_had_is_never_the_targets_fault(error: OSError, reason: Reason) -> None:
    """The seat is gone, or has no right: so it says, and for a while it does not try again."""
    made = HalfOpen(refuses(error), socket.socket)
    assert not made.available
    (attempt,) = await made.attempt_all(("10.77.0.2",), 1, 1.0)
    assert attempt.error
    assert attempt.error.reason is reason
    made.close()


async def test_sockets_opened_before_the_loop_are_used_on_it(pair: tuple[Namespace, Namespace]) -> None:
    """As at start, while there is the right to: later none is opened, in vain, again."""
    with prober(pair[0]) as near:
        assert near.open() == {}
        assert near.available
        before = open_descriptors()
        assert (await near.attempt_all((FAR,), 5432, 2.0))[0].accepted
        assert open_descriptors() == before + 1, "the one that finds the source"


async def test_what_is_under_way_ends_when_the_seat_moves(near: HalfOpen, wire: Wire) -> None:
    """The Connector has another network now: what was asked in the old one says nothing; the next is asked there."""
    near.stands_in(1)
    looking = begun(near, FAR, SILENT, 5.0)
    before = (await wire.next_syn(SILENT)).from_port
    near.stands_in(1)
    assert not looking.done()
    near.stands_in(2)
    (attempt,) = await looking
    assert attempt.error
    assert attempt.error.reason is Reason.NOT_RUNNING
    looking = begun(near, FAR, SILENT, 5.0)
    syn = await wire.next_syn(SILENT)
    wire.answer(syn)
    assert (await looking)[0].accepted
    assert syn.from_port != before


async def test_closing_ends_what_is_under_way(pair: tuple[Namespace, Namespace]) -> None:
    """Nobody waits for ever, every descriptor is given back, and it is not opened again."""
    before = open_descriptors()
    with prober(pair[0]) as near:
        looking = begun(near, FAR, SILENT, 60.0)
        await asyncio.sleep(0)
        near.close()
        (attempt,) = await looking
        assert attempt.error
        assert attempt.error.reason is Reason.PROBER_STARVED
        assert not near.available
    assert open_descriptors() == before


async def test_a_storm_of_icmp_errors_takes_no_room_from_answers(near: HalfOpen, wire: Wire) -> None:
    """Anybody can send errors about packets that never were: they are thrown away before answers find no room."""
    assert near.available
    (port,) = near._ports.all()
    ours = socket.inet_aton("10.77.0.1")
    quoted = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, socket.IPPROTO_TCP, 0) + ours + socket.inet_aton(FAR)
    body = quoted + struct.pack("!HHI", 9, 9, 9)
    total = sum(struct.unpack(f"!{len(body) // 2}H", body)) + 0x030D
    total = (total >> 16) + (total & 0xFFFF)
    error = struct.pack("!BBHI", 3, 13, ~(total + (total >> 16)) & 0xFFFF, 0) + body
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(error), 1, 0, 64, socket.IPPROTO_ICMP, 0)
    for _ in range(2000):
        wire._raw.sendto(header + socket.inet_aton(FAR) + ours + error, ("10.77.0.1", 0))
    full = _waiting(port._raw)
    assert full > 1 << 20
    assert port.receive() == []
    assert _waiting(port._raw) == 0
    (attempt,) = await near.attempt_all((FAR,), 5432, 2.0)
    assert attempt.accepted


def _waiting(sock: socket.socket) -> int:
    """Return the memory that takes what waits in a socket (SO_MEMINFO, bytes)."""
    return int(struct.unpack("9I", sock.getsockopt(socket.SOL_SOCKET, 55, 36))[0])
