"""Which gateways do not answer: the kernel's own table, of real namespaces and as text."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from checks.neighbours import dead_next_hops, parse_neighbours
from checks.net.seat import NetReader, read_net
from tests.support.netns import Namespace, link, namespace
from tests.support.servers import wait_until

HEAD = "IP address       HW type     Flags       HW address            Mask     Device\n"
GATEWAY, NOBODY, UNASKED = "10.77.0.2", "10.77.0.7", "10.77.0.8"


def entry(address: str, flags: str = "0x0", device: str = "v0") -> str:
    """Write one line as the kernel does."""
    return f"{address:<16} 0x1         {flags}         00:00:00:00:00:00     *        {device}\n"


@pytest.mark.parametrize(
    ("lines", "dead"),
    [
        pytest.param("", set(), id="no-entry"),
        pytest.param(entry(GATEWAY), {GATEWAY}, id="asked-in-vain"),
        pytest.param(entry(GATEWAY, "0x2"), set(), id="answered"),
        pytest.param(entry(GATEWAY, "0x6"), set(), id="permanent"),
        pytest.param(entry(GATEWAY) + entry(GATEWAY, "0x2", "v1"), set(), id="answers-on-another-link"),
        pytest.param(entry("10.77.0.20") + entry(NOBODY), set(), id="others"),
        pytest.param(f"{GATEWAY} 0x1 rubbish\n{GATEWAY} 0x1 zz a b c\n\n \n{GATEWAY}", set(), id="another-shape"),
    ],
)
def test_table(lines: str, dead: set[str]) -> None:
    """Only an entry without flags, of a gateway that we ask about, makes it dead; no entry and rubbish do not."""
    assert parse_neighbours(HEAD + lines, frozenset({GATEWAY})) == dead


def test_nothing_is_read_without_gateways() -> None:
    """Where all is on the link the table, which may be long, is left alone."""

    def refuse(name: str) -> str:
        raise AssertionError(name)

    assert dead_next_hops(refuse, frozenset()) == frozenset()


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Namespace, Namespace]]:
    """A host at 10.77.0.1 whose kernel gives up a silent neighbour quickly, and a gateway at 10.77.0.2."""
    with namespace() as here, namespace() as there:
        link(here, there)
        for name, value in (("base_reachable_time_ms", 100), ("delay_first_probe_time", 1), ("retrans_time_ms", 100)):
            here.run(f"sysctl -qw net.ipv4.neigh.v0.{name}={value}")
        yield here, there


def reader(ns: Namespace) -> NetReader:
    """Read the tables of a namespace."""

    def read(name: str) -> str:
        with ns.entered():
            return read_net(name)

    return read


def send(ns: Namespace, address: str) -> None:
    """Have the kernel look for a neighbour, as any packet does."""
    with ns.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(b"x", (address, 9))


def test_gateway_that_never_answers(office: tuple[Namespace, Namespace]) -> None:
    """Asked and silent is dead, while it is being asked and after; answering and never asked are not."""
    here, _ = office
    for address in (GATEWAY, NOBODY):
        send(here, address)
    asked = frozenset({GATEWAY, NOBODY, UNASKED})
    wait_until(lambda: dead_next_hops(reader(here), asked) == {NOBODY}, lambda: True, lambda: here.run("ip neigh"))
    wait_until(lambda: "FAILED" in here.run(f"ip neigh show {NOBODY}"), lambda: True, lambda: "not given up")
    assert dead_next_hops(reader(here), asked) == {NOBODY}


def test_gateway_that_stops_answering(office: tuple[Namespace, Namespace]) -> None:
    """A gateway that answered and falls silent is dead once the kernel has asked anew; when it is back it is not."""
    here, there = office

    def dead() -> frozenset[str]:
        send(here, GATEWAY)
        return dead_next_hops(reader(here), frozenset({GATEWAY}))

    there.run("ip link set v0 arp off")
    try:
        wait_until(lambda: GATEWAY in dead(), lambda: True, lambda: here.run("ip neigh"))
    finally:
        there.run("ip link set v0 arp on")
    wait_until(lambda: not dead(), lambda: True, lambda: here.run("ip neigh"))
