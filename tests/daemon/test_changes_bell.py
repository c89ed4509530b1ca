"""The kernel's bell in a real namespace: what rings it, how often, and what is left of it."""

import asyncio
import errno
import socket
from collections.abc import Iterator

import pytest

from daemon.changes.bell import REST_S, Bell, open_bell
from tests.support.netns import Namespace, link, namespace
from tests.support.seat_helper import open_descriptors

BOUND_S = 10.0


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """A host at 10.77.0.1, linked to another."""
    with namespace() as here, namespace() as there:
        link(here, there)
        yield here


class Hung:
    """A bell in a namespace, and when it rang."""

    def __init__(self, ns: Namespace) -> None:
        self.rings: list[float] = []
        self._rung = asyncio.Event()
        self._ns = ns
        self.bell = Bell(self._ring, self._open)

    def _open(self) -> socket.socket:
        with self._ns.entered():
            return open_bell()

    def _ring(self) -> None:
        self.rings.append(asyncio.get_running_loop().time())
        self._rung.set()

    async def heard(self) -> None:
        """Wait for the next ring."""
        async with asyncio.timeout(BOUND_S):
            await self._rung.wait()
        self._rung.clear()


@pytest.mark.parametrize(
    "command",
    [
        "link set v0 mtu 1400",
        "addr add 10.99.0.1/24 dev v0",
        "addr del 10.99.0.1/24 dev v0",
        "addr add 2001:db8:9::1/64 dev v0 nodad",
        "route add 10.98.0.0/16 via 10.77.0.2",
        "route del 10.98.0.0/16",
        "-6 route add 2001:db8:98::/48 dev v0",
        "link set v0 down",
        "link set v0 up",
    ],
)
async def test_rings_at_a_change(host: Namespace, command: str) -> None:
    """Links, addresses and routes of both versions ring, whoever changes them."""
    hung = Hung(host)
    hung.bell.hang()
    assert hung.bell.hangs
    host.run(f"ip {command}")
    await hung.heard()
    hung.bell.close()


async def test_burst_rings_once_and_once_more(host: Namespace) -> None:
    """5,000 changes at once, more than the kernel keeps for us, ring at their begin and when the rest is over."""
    hung = Hung(host)
    hung.bell.hang()
    batch = "".join(f"route add 10.{100 + n // 250}.{n % 250}.0/24 dev v0\n" for n in range(2500))
    host.run("ip -batch -", batch)  # and the loop stands still meanwhile
    await hung.heard()
    host.run("ip -batch -", batch.replace("add", "del"))
    await hung.heard()
    assert hung.rings[1] - hung.rings[0] >= REST_S - 0.01
    assert len(hung.rings) == 2
    hung.bell.close()


async def test_nothing_is_left_of_it(host: Namespace) -> None:
    """A closed bell holds no descriptor and no reader, also while it rests."""
    before = open_descriptors()
    hung = Hung(host)
    hung.bell.hang()
    host.run("ip link set v0 mtu 1300")
    await hung.heard()
    hung.bell.close()
    hung.bell.close()
    assert open_descriptors() == before
    host.run("ip link set v0 mtu 1400")
    await asyncio.sleep(0)
    assert len(hung.rings) == 1


async def test_no_such_socket() -> None:
    """Where a sandbox forbids netlink there is no bell, and that is no fault."""

    def refuse() -> socket.socket:
        raise PermissionError(errno.EPERM, "scripted")

    bell = Bell(lambda: None, refuse)
    bell.hang()
    assert not bell.hangs
    bell.close()
