"""Raw sockets that hear only the answers to our own port, whoever holds them."""

import errno
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from checks.net.rawtcp import MAX_PACKET, is_deaf, open_raw, reserve_port
from tests.support.half_open import prober
from tests.support.netns import Namespace, namespace
from tests.support.servers import require

SO_DETACH_FILTER, SO_ATTACH_FILTER, SO_LOCK_FILTER, SO_MEMINFO = 27, 26, 44, 55
BUSY_BYTES = 4 << 20


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    """A network of our own, in which nobody else speaks."""
    with namespace() as made:
        yield made


def told(sock: socket.socket) -> tuple[int, int]:
    """Return the bytes that wait in a socket's receive queue, and the packets that found no room there."""
    figures = struct.unpack("9I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))
    return figures[0], figures[8]


def talk(space: Namespace, family: int) -> int:
    """Send a few megabytes over a connection in the namespace, with all that goes with it; return TCP's packets."""
    before = packets(space)
    with (
        space.open_socket(family, socket.SOCK_STREAM) as server,
        space.open_socket(family, socket.SOCK_STREAM) as client,
        space.open_socket(family, socket.SOCK_STREAM) as nobody,
    ):
        server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        server.listen(1)
        assert nobody.connect_ex((server.getsockname()[0], 1)) in (errno.ECONNREFUSED, errno.EINPROGRESS)
        client.settimeout(5)
        client.connect(server.getsockname())
        other, _ = server.accept()
        with other:
            other.settimeout(5)
            left = BUSY_BYTES
            while left:
                client.sendall(b"x" * 65536)
                got = 0
                while got < 65536:
                    got += len(other.recv(65536))
                left -= got
    return packets(space) - before


def packets(space: Namespace) -> int:
    """Return how many TCP packets came in in the namespace."""
    names, values = (line.split() for line in space.run("cat /proc/net/snmp").splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("InSegs")])


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_busy_stream_is_not_copied(space: Namespace, family: int) -> None:
    """Hundreds of the Connector's packets pass by: not one reaches the filtered socket, all an unfiltered one."""
    with space.entered():
        hold = socket.socket(family, socket.SOCK_STREAM)
        filtered = open_raw(family, reserve_port(hold))
        open_to_all = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)
    with hold, filtered, open_to_all:
        passed = talk(space, family)
        assert passed > 100
        assert told(filtered) == (0, 0)
        with pytest.raises(BlockingIOError):
            filtered.recv(1)
        waiting, lost = told(open_to_all)
        assert waiting + lost > 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_beside_a_busy_stream_only_answers_come(space: Namespace, family: int) -> None:
    """The prober's own raw socket receives one packet for each look, and keeps none."""
    address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with prober(space) as near, space.open_socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        server.listen(16)
        for _ in range(10):
            talk(space, family)
            assert (await near.attempt_all((address,), server.getsockname()[1], 2.0))[0].accepted
        (port,) = (port for port in near._ports.all() if port.family == family)
        assert told(port._raw) == (0, 0)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("option", [SO_DETACH_FILTER, SO_ATTACH_FILTER, SO_LOCK_FILTER])
def test_the_filter_is_there_for_good(space: Namespace, family: int, option: int) -> None:
    """Nobody takes it off, replaces it, or unlocks it, not even root."""
    with space.entered():
        sock = open_raw(family, 4242)
    nothing = struct.pack("HP", 0, 0) if option == SO_ATTACH_FILTER else struct.pack("i", 0)
    with sock, pytest.raises(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, option, nothing)
    with space.entered():
        plain = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with plain:
        assert not is_deaf(plain, family)


def test_what_came_before_the_filter_is_thrown_away(space: Namespace) -> None:
    """Between the making of a socket and its filter lies a moment in which it hears everybody."""

    class Late(socket.socket):
        def setsockopt(self, level: int, option: int, value: int | bytes) -> None:  # type: ignore[override]
            if option == SO_ATTACH_FILTER:
                talk(space, socket.AF_INET)
                assert told(self) != (0, 0)
            super().setsockopt(level, option, value)

    with space.entered():
        sock = open_raw(socket.AF_INET, 4242, Late)
    with sock, pytest.raises(BlockingIOError):
        sock.recv(1)


def test_the_reserved_port_is_nobody_elses(space: Namespace) -> None:
    """Neither bound nor given to an outgoing connection while we hold it."""
    with space.open_socket(socket.AF_INET, socket.SOCK_STREAM) as hold:
        port = reserve_port(hold)
        with space.open_socket(socket.AF_INET, socket.SOCK_STREAM) as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


def test_an_answer_is_cut_to_its_headers(space: Namespace) -> None:
    """What a reset carries along is never copied."""
    with space.entered():
        sock, sender = (
            open_raw(socket.AF_INET, 4242),
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
        )
    with sock, sender:
        sock.settimeout(5)
        sender.sendto(
            struct.pack("!HHIIBBHHH", 9, 4242, 0, 0, 5 << 4, 0x04, 0, 0, 0) + b"secret" * 50, ("127.0.0.1", 0)
        )
        assert len(sock.recv(2048)) == MAX_PACKET


def test_without_the_right_there_is_no_socket() -> None:
    """An ordinary user gets EPERM, and the prober says that it is not available."""
    require("root")
    program = """
import os, socket
from checks.half_open import HalfOpen
from checks.net.rawtcp import open_raw, open_reserved
from checks.net.seat import open_socket
os.setuid(65534)
try:
    open_raw(socket.AF_INET, 4242)
except PermissionError:
    print(HalfOpen(open_reserved, open_socket).available)
"""
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.strip() == "False", done.stderr
