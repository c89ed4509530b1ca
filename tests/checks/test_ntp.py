import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import ntp
from checks.net.seat import open_socket
from checks.ntp import NtpAnswer
from checks.timescale import Reading, Timescale, boot_seconds, read_clocks
from tests.support.cancel import check_cancellation
from tests.support.ntp_server import EPOCH, chronyd, reply, scripted
from tests.support.servers import free_port

wall = time.time  # noqa: TID251 - the true clock of the test
SHORT_S = 0.3


def scale() -> Timescale:
    """Make the time scale of a run that begins now."""
    return Timescale(read_clocks(wall, boot_seconds), boot_seconds)


async def ask(port: int, timeout_s: float = SHORT_S, address: str = "127.0.0.1") -> NtpAnswer:
    """Ask a server on this host."""
    return await ntp.ask(open_socket, address, port, scale(), timeout_s)


def offset(answer: NtpAnswer) -> float:
    """Return the measured offset."""
    assert answer.interval is not None, answer.state
    return answer.interval.midpoint


@pytest.fixture(scope="module", params=["", "+6s", "-6s"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Run a real chronyd, with a right clock or a wrong one."""
    folder: Path = tmp_path_factory.mktemp("chrony")
    with chronyd(folder, wrong_by=request.param) as port:
        yield request.param, port


async def test_real_server(real: tuple[str, int]) -> None:
    """By a real server this host is right, behind (negative) when the server is ahead, and ahead when it is behind."""
    wrong_by, port = real
    expected = {"": 0.0, "+6s": -6.0, "-6s": 6.0}[wrong_by]
    answer = await ask(port, timeout_s=2)
    assert answer.state == "usable"
    assert answer.stratum == 3
    assert answer.interval is not None
    assert answer.interval.low <= expected + 0.01
    assert answer.interval.high >= expected - 0.01
    assert answer.interval.half_width < 0.5


async def test_right_answer() -> None:
    """A reply gives the offset, and a bound of half the round trip and the server's own distance from true time."""
    async with scripted(lambda q: [reply(q, wall() + 2, root_delay_s=0.5, root_dispersion_s=0.25)]) as (port, asked):
        answer = await ask(port)
    assert offset(answer) == pytest.approx(-2, abs=0.2)
    assert answer.interval is not None
    assert answer.interval.half_width >= 0.5
    assert answer.round_trip_s is not None
    assert answer.interval.half_width == pytest.approx(0.5 + answer.round_trip_s / 2, abs=1e-3)
    assert len(asked) == 1


async def test_question() -> None:
    """The question is 48 bytes of version 4 in client mode that tell nothing of this host; its 64 bits are random."""
    async with scripted(lambda q: [reply(q, wall())]) as (port, asked):
        await ask(port)
        await ask(port)
    one, two = asked
    assert one[:40] == two[:40] == bytes([4 << 3 | 3]) + bytes(39)
    assert len(one) == 48
    assert one[40:] != two[40:]


Lie = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (lambda q: reply(q, wall() + 9, origin=bytes(8)), "does not echo our question"),
        (lambda q: reply(q, wall() + 9, origin=q[40:47] + bytes([q[47] ^ 1])), "does not echo our question"),
        (lambda q: reply(q, wall() + 9, stratum=0, code=b"DENY", origin=bytes(8)), "does not echo our question"),
        (lambda q: reply(q, wall() + 9, mode=5), "mode 5"),
        (lambda q: reply(q, wall() + 9, mode=3), "mode 3"),
        (lambda q: reply(q, wall() + 9, version=3), "version 3"),
        (lambda q: reply(q, wall() + 9)[:47], "47 bytes"),
        (lambda _: b"\0", "1 bytes"),
        (lambda _: b"\xff" * 600, "does not echo our question"),
    ],
)
async def test_packets_that_answer_nothing(lie: Lie, said: str) -> None:
    """What is no answer to our question is passed over until the time-out, and the right answer after it counts."""
    async with scripted(lambda q: [lie(q)]) as (port, _):
        answer = await ask(port, timeout_s=0.1)
        assert answer.state.startswith("rejected: ")
        assert said in answer.state
    async with scripted(lambda q: [lie(q), reply(q, wall())]) as (port, _):
        assert offset(await ask(port)) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(
    ("lie", "state"),
    [
        (lambda q: reply(q, wall() + 9, leap=3), "rejected: the server says that it is not synchronised (leap 3)"),
        (lambda q: reply(q, wall() + 9, stratum=16), "rejected: stratum 16"),
        (lambda q: reply(q, wall() + 9, stratum=255), "rejected: stratum 255"),
        (lambda q: reply(q, wall() + 9, root_dispersion_s=3.5), "rejected: root distance 3.5 s, more than 3.46608 s"),
        (lambda q: reply(q, wall() + 9, root_delay_s=7.0), "rejected: root distance 3.5 s, more than 3.46608 s"),
        (lambda q: reply(q, wall() + 9, precision=127), "rejected: root distance 1.7e+38 s, more than 3.46608 s"),
        (lambda q: reply(q, wall() + 9, held_s=30), "rejected: timestamps that contradict each other"),
        (lambda q: reply(q, wall() + 9, held_s=-30), "rejected: timestamps that contradict each other"),
        (lambda q: reply(q, wall() + 9)[:32] + bytes(16), "rejected: timestamps that contradict each other"),
        (lambda q: reply(q, wall() + 9, stratum=0, code=b"RATE"), "kiss:RATE"),
        (lambda q: reply(q, wall() + 9, stratum=0, code=b"DENY", leap=3), "kiss:DENY"),
        (lambda q: reply(q, wall() + 9, stratum=0, code=b"X\x1b[\0"), "kiss:0x581b5b00"),
        (lambda q: reply(q, wall() + 9, stratum=0, code=bytes(4)), "kiss:0x00000000"),
    ],
)
async def test_answers_without_a_time(lie: Lie, state: str) -> None:
    """A true answer that must not be used is told at once, with why, and is never an offset."""
    async with scripted(lambda q: [lie(q), reply(q, wall())]) as (port, _):
        answer = await ask(port)
    assert answer.state == state
    assert answer.interval is None
    assert answer.kiss == (state.removeprefix("kiss:") if state.startswith("kiss:") else None)


async def test_duplicates() -> None:
    """A reply that comes twice is one answer."""
    async with scripted(lambda q: [reply(q, wall())] * 2) as (port, _):
        assert offset(await ask(port)) == pytest.approx(0, abs=0.2)


async def test_silence() -> None:
    """A server that does not answer is silent."""
    async with scripted(lambda _: []) as (port, asked):
        assert await ask(port, timeout_s=0.1) == NtpAnswer(state="silent")
    assert len(asked) == 1


async def test_closed_port() -> None:
    """A port that refuses is told with the kernel's word."""
    answer = await ask(free_port(socket.SOCK_DGRAM))
    assert answer.state == "rejected: Connection refused (ECONNREFUSED)"


async def test_no_socket() -> None:
    """A host that gives us no socket is told, not raised."""

    def none_left(_family: int, _kind: int) -> socket.socket:
        raise OSError(24, "Too many open files")

    answer = await ntp.ask(none_left, "127.0.0.1", 123, scale(), SHORT_S)
    assert answer.state == "rejected: Too many open files (EMFILE)"


async def test_reply_from_elsewhere() -> None:
    """A reply from another port or address than the one asked is not even seen."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
    ):
        other.bind(("127.0.0.2", 0))
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(server.getsockname()[1]))
            question, client = await asyncio.get_running_loop().sock_recvfrom(server, 1024)
            other.sendto(reply(question, wall() + 9), client)
        assert asking.result() == NtpAnswer(state="silent")


async def test_flood() -> None:
    """A server that floods us with nonsense is given up, and the loop goes on."""
    async with scripted(lambda _: [b"x" * 48] * 100) as (port, _):
        answer = await ask(port, timeout_s=5)
    assert (
        answer.state == "rejected: 32 packets that answer nothing, the last: a packet that does not echo our question"
    )


async def test_clock_set_during_the_exchange() -> None:
    """Setting the wall clock between question and answer changes neither offset nor round trip."""
    jumps = [0.0]

    def jump(question: bytes) -> list[bytes]:
        jumps[0] = 1000.0
        return [reply(question, wall())]

    base = read_clocks(lambda: wall() + jumps[0], boot_seconds)
    async with scripted(jump) as (port, _):
        answer = await ntp.ask(open_socket, "127.0.0.1", port, Timescale(base, boot_seconds), SHORT_S)
    assert offset(answer) == pytest.approx(0, abs=0.2)
    end = read_clocks(lambda: wall() + jumps[0], boot_seconds)
    assert end.step_since(base) == pytest.approx(1000, abs=0.1)


async def test_ipv6() -> None:
    """A server is asked over IPv6 too."""
    async with scripted(lambda q: [reply(q, wall())], address="::1") as (port, _):
        assert offset(await ask(port, address="::1")) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(
    ("here", "there"),
    [(2_085_978_490.0, 2_085_978_500.0), (2_085_978_500.0, 2_085_978_490.0), (0.0, 4_102_444_800.0 - 2**32)],
)
def test_era_change(here: float, there: float) -> None:
    """The NTP era that begins in February 2036 changes no offset."""
    nonce = b"12345678"
    answer = ntp.read_reply(reply(bytes(40) + nonce, there), nonce, here, here)
    assert isinstance(answer, NtpAnswer)
    assert offset(answer) == pytest.approx(here - there, abs=1e-4)


def test_halves() -> None:
    """Offset and round trip follow from the four timestamps as RFC 5905 §8 says."""
    nonce = b"12345678"
    packet = reply(bytes(40) + nonce, 1000.0 + 3, held_s=0.25)
    answer = ntp.read_reply(packet, nonce, 1000.0, 1000.5)
    assert isinstance(answer, NtpAnswer)
    assert answer.round_trip_s == pytest.approx(0.25, abs=1e-5)
    assert offset(answer) == pytest.approx(-(3 + 2.75) / 2, abs=1e-5)
    assert EPOCH == 2_208_988_800


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    """Bytes that do not echo our question are never an answer, and never raise."""
    assert isinstance(ntp.read_reply(data, b"\x01" * 8, 1.7e9, 1.7e9 + 0.1), str) or data[24:32] == b"\x01" * 8


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=16, max_size=80))
def test_any_answer(head: bytes, tail: bytes) -> None:
    """Whatever a server that knows our nonce says, an interval has finite ends within the root distance."""
    answer = ntp.read_reply(head + b"\x01" * 8 + tail, b"\x01" * 8, 1.7e9, 1.7e9 + 0.1)
    if isinstance(answer, NtpAnswer) and answer.interval is not None:
        assert 0 < answer.interval.half_width <= ntp.MAX_ROOT_DISTANCE_S * 1.001
        assert 1 <= (answer.stratum or 0) <= 15


def test_closest_reading() -> None:
    """Of several readings of both clocks the one with the least between them is kept."""
    ticks = iter([0.0, 9.0, 10.0, 10.5, 11.0, 15.0])
    walls = iter([100.0, 200.0, 300.0])
    assert read_clocks(lambda: next(walls), lambda: next(ticks)) == Reading(200.0, 10.25)


async def test_cancelling() -> None:
    """Cancelling at any wait leaves no socket and no task."""
    async with scripted(lambda q: [b"short", reply(q, wall())]) as (port, _):
        assert await check_cancellation(lambda: ask(port)) >= 1
