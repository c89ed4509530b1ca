"""The way to an address: real routers in namespaces, real ICMP, and what the kernel's error queue may hold."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.net.helper import HelperClient
from checks.net.hops import MAX_HOPS, MAX_S, UDP_PORT, HopTrace, trace_hops
from checks.net.icmp import Stop, parse_error
from checks.net.seat import Seat
from tests.support.fakes import FakeResolver
from tests.support.netns import Namespace, namespace
from tests.support.routers import R1, R1_6, R2, R2_6, R3, TARGET, TARGET6, Chain, chain
from tests.support.seat_helper import helper, open_descriptors, stander

OPEN = 5432
FILTERS = {
    "r2": (
        "forward",
        "tcp dport 1001 drop",
        "tcp dport 1002 reject with icmpx type admin-prohibited",
        "tcp dport 1003 reject with icmpx type host-unreachable",
        "tcp dport 1005 reject with icmpx type port-unreachable",
        f"ip daddr 10.84.0.8 udp dport {UDP_PORT}-{UDP_PORT + MAX_HOPS} reject with icmpx type admin-prohibited",
    ),
    "host": ("output", "tcp dport 1101 drop", "tcp dport 1102 reject with icmpx type admin-prohibited"),
}
ROUTES = (
    ("r2", "ip route add unreachable 10.84.0.3/32"),
    ("r2", "ip route add 10.84.0.4/32 via 10.82.0.1"),
    ("host", "ip route add prohibit 10.84.0.6/32"),
    ("host", "ip route add unreachable 10.84.0.9/32"),
)
CASES = {
    "accepted": (TARGET, OPEN, Stop.ACCEPTED, TARGET, [R1, R2, R3]),
    "refused": (TARGET, 1, Stop.REFUSED, TARGET, [R1, R2, R3]),
    "dropped at the second": (TARGET, 1001, Stop.SILENCE, None, [R1, R2]),
    "prohibited": (TARGET, 1002, Stop.PROHIBITED, R2, [R1, R2]),
    "host unreachable": (TARGET, 1003, Stop.HOST_UNREACHABLE, R2, [R1, R2]),
    "port unreachable": (TARGET, 1005, Stop.REFUSED, R2, [R1, R2]),
    "unreachable route": ("10.84.0.3", OPEN, Stop.HOST_UNREACHABLE, R2, [R1]),
    "loop": ("10.84.0.4", OPEN, Stop.LOOP, None, [R1, R2, R1, R2]),
    "own drop": (TARGET, 1101, Stop.OWN_FIREWALL, None, []),
    "own reject": (TARGET, 1102, Stop.OWN_FIREWALL, "10.81.0.1", []),
    "own prohibit": ("10.84.0.6", OPEN, Stop.OWN_FIREWALL, None, []),
    "own unreachable": ("10.84.0.9", OPEN, Stop.HOST_UNREACHABLE, None, []),
    "no route": ("2001:db8:99::1", OPEN, Stop.NO_ROUTE, None, []),
    "dropped, IPv6": (TARGET6, 1001, Stop.SILENCE, None, [R1_6, R2_6]),
    "prohibited, IPv6": (TARGET6, 1002, Stop.PROHIBITED, R2_6, [R1_6, R2_6]),
}
Traces = dict[str, HopTrace]


@pytest.fixture(scope="module")
def net() -> Iterator[Chain]:
    """A chain of three routers with faults that are told apart by port or address."""
    with chain() as c, contextlib.ExitStack() as stack:
        for name, (hook, *rules) in FILTERS.items():
            stack.enter_context(c.filtering(getattr(c, name), hook, *rules))
        for name, command in ROUTES:
            getattr(c, name).run(command)
        with c.target.open_socket(socket.AF_INET6, socket.SOCK_STREAM) as service:
            service.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            service.bind(("::", OPEN))
            service.listen(64)
            yield c


@pytest.fixture(scope="module")
def traces(net: Chain) -> Traces:
    """All traces, run at the same time."""

    async def run() -> Traces:
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(trace_hops(_seat(net.host), address, port))
                for name, (address, port, *_) in CASES.items()
            }
        return {name: task.result() for name, task in tasks.items()}

    return asyncio.run(run())


def _seat(ns: Namespace) -> Seat:
    return Seat(resolver=FakeResolver(), open_socket=ns.open_socket)


@pytest.mark.parametrize("name", CASES)
def test_what_stops_packets_and_where(traces: Traces, name: str) -> None:
    """The routers that answered, who answered in the end, and what it said."""
    _, _, stop, by, routers = CASES[name]
    way = traces[name]
    assert (way.stop, [hop.address for hop in way.hops][: max(len(routers), 1)]) == (stop, routers)
    if stop is not Stop.LOOP:
        assert way.by == by
        assert [hop.ttl for hop in way.hops] == list(range(1, len(routers) + 1))


def test_none_takes_longer_than_its_time(traces: Traces) -> None:
    """Silence costs the whole time, and no more; an answer ends it at once."""
    assert max(way.seconds for way in traces.values()) < MAX_S + 0.5
    assert traces["prohibited"].seconds < 1.0


async def test_udp_reaches_a_host_without_touching_the_port(net: Chain) -> None:
    """The target's own answer ends the way; who rejects before it is not taken for it."""
    way = await trace_hops(_seat(net.host), TARGET, OPEN, method="udp")
    assert (way.stop, way.by, way.icmp, len(way.hops)) == (Stop.REACHED, TARGET, (3, 3), 3)
    net.r2.run("ip route add 10.84.0.8/32 via 10.83.0.2")
    rejected = await trace_hops(_seat(net.host), "10.84.0.8", OPEN, method="udp")
    assert (rejected.stop, rejected.by) == (Stop.PROHIBITED, R2)


async def test_an_accepted_connection_ends_with_fin(net: Chain) -> None:
    """Whoever accepts after all sees an empty stream that ends, never a reset, and no more connections than a batch."""
    with net.target.open_socket(socket.AF_INET, socket.SOCK_STREAM) as service:
        service.bind((TARGET, 7001))
        service.listen(64)
        way = await trace_hops(_seat(net.host), TARGET, 7001)
        assert way.stop is Stop.ACCEPTED
        loop, seen = asyncio.get_running_loop(), []
        for _ in range(2):  # routers three, so the fourth and fifth packet of the first batch arrive
            peer, _ = await loop.sock_accept(service)
            with peer:
                seen.append(await loop.sock_recv(peer, 16))
        assert seen == [b"", b""]
        with pytest.raises(BlockingIOError):
            service.accept()


async def test_from_the_connectors_place(net: Chain, tmp_path: Path) -> None:
    """Sockets that the helper hands over tell of routers as our own do."""
    with stander(tmp_path) as connector:
        connector.start(net.host)
        with helper(tmp_path, "--process", connector.name) as (path, _):
            client = HelperClient(path)
            way = await trace_hops(Seat(resolver=FakeResolver(), open_socket=client.open_socket), TARGET, 1002)
            client.close()
    assert (way.stop, way.by, [hop.address for hop in way.hops]) == (Stop.PROHIBITED, R2, [R1, R2])


async def test_cancelling_leaves_no_socket(net: Chain) -> None:
    """A trace that is cut off in the middle closes all that it opened."""
    before = open_descriptors()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await trace_hops(_seat(net.host), TARGET, 1001)
    assert open_descriptors() == before


async def test_a_place_that_can_not_be_taken_is_said() -> None:
    """No socket, no verdict about anybody."""

    def refuse(_family: int, _kind: int) -> socket.socket:
        raise OSError(24, "Too many open files")

    way = await trace_hops(Seat(resolver=FakeResolver(), open_socket=refuse), TARGET, OPEN)
    assert (way.stop, way.hops) == (Stop.NOT_TRIED, ())
    assert "EMFILE" in way.evidence


async def test_nothing_but_loopback() -> None:
    """Where no packet can leave there is no route, and it is known at once."""
    with namespace() as ns:
        way = await trace_hops(_seat(ns), TARGET, OPEN)
    assert (way.stop, way.hops) == (Stop.NO_ROUTE, ())


@pytest.mark.parametrize("length", range(48))
def test_error_queue_may_hold_anything(length: int) -> None:
    """An entry that is too short, or of an unknown kind, is no crash."""
    for filler in (b"\x00", b"\x02", b"\xff"):
        answer = parse_error(filler * length)
        assert answer is None or answer.by is None or isinstance(answer.by, str)


def test_an_entry_names_its_offender() -> None:
    """Type, code and address as the kernel lays them out."""
    entry = struct.pack("=IBBBBII", 113, 2, 3, 13, 0, 0, 0) + struct.pack("=HH4s8x", 2, 0, bytes([10, 0, 0, 1]))
    answer = parse_error(entry)
    assert answer is not None
    assert (answer.stop, answer.by, answer.icmp) == (Stop.PROHIBITED, "10.0.0.1", (3, 13))
