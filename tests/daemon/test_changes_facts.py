"""Routes and dead next hops for who asks every second: cheap, fresh when something changed, never an error."""

import socket
import time
from pathlib import Path

import pytest

from checks.net.helper import HelperClient
from checks.net.seat import Seat
from daemon.changes.facts import FRESH_S, NOTHING_KNOWN, FactReader
from tests.support.fakes import FakeResolver
from tests.support.netns import link, namespace
from tests.support.seat_helper import helper, stander
from tests.support.servers import wait_until
from tests.support.surroundings import DEFAULT, EMPTY, Place, route

TABLES = {
    **EMPTY,
    "route": "head\n" + DEFAULT + route("0000580A", "0000FFFF", "0200000A"),
    "ipv6_route": "rubbish\n",
    "arp": "head\n10.0.0.2 0x1 0x0 00:00:00:00:00:00 * eth0\n10.0.0.1 0x1 0x2 02:00:00:00:00:01 * eth0\n",
}


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def no_socket(_family: int, _kind: int) -> socket.socket:
    """Refuse: tables are read without a socket."""
    raise AssertionError


def test_read_when_old_or_rung() -> None:
    """The tables are read again after five seconds, or when told that they may have changed; not in between."""
    clock, place = Hand(), Place(no_socket, TABLES)
    reader, seat = FactReader(clock), place.seat()
    routes, dead = reader.network_facts(seat)
    assert [(str(r.network), r.gateway) for r in routes] == [("0.0.0.0/0", "10.0.0.1"), ("10.88.0.0/16", "10.0.0.2")]
    assert dead == {"10.0.0.2"}
    before = place.reads
    place.tables = EMPTY
    clock.now += FRESH_S - 0.1
    assert reader.network_facts(seat) == (routes, dead)
    assert place.reads == before
    reader.forget()
    assert reader.network_facts(seat) == NOTHING_KNOWN
    place.tables = TABLES
    clock.now += FRESH_S
    assert reader.network_facts(seat) == (routes, dead)


def test_unreadable_is_not_known() -> None:
    """A seat whose tables can't be read (its Connector does not run) has no facts, and no error; nor the old ones."""
    clock, place = Hand(), Place(no_socket, TABLES)
    reader, seat = FactReader(clock), place.seat()
    assert reader.network_facts(seat) != NOTHING_KNOWN
    place.tables = None
    reader.forget()
    assert reader.network_facts(seat) == NOTHING_KNOWN


def test_other_seat_has_other_facts() -> None:
    """What was read of one network never stands for another."""
    reader = FactReader(Hand())
    assert reader.network_facts(Place(no_socket, TABLES).seat())[1] == {"10.0.0.2"}
    assert reader.network_facts(Place(no_socket).seat()) == NOTHING_KNOWN


def test_large_table_is_not_read_all_the_time() -> None:
    """Where reading takes long it is done the more seldom, whatever rings."""
    clock, place = Hand(), Place(no_socket, TABLES)
    reader = FactReader(clock)
    slow = place.seat()

    def read(name: str) -> str:
        clock.now += 0.05
        return place.read_net(name)

    seat = Seat(resolver=slow.resolver, open_socket=no_socket, read_net=read)
    reader.network_facts(seat)
    before, began = place.reads, clock.now
    while clock.now < began + 60:
        reader.forget()
        reader.network_facts(seat)
        clock.now += 1
    assert place.reads - before <= 3 * 8, "three tables, 150 ms: every 7.5 s"


@pytest.mark.parametrize("seen_by", ["ourselves", "the helper"])
def test_gateway_that_does_not_answer(tmp_path: Path, seen_by: str) -> None:
    """In a real network, ours or the Connector's behind its helper: the silent gateway is found once it was needed."""
    with namespace() as here, namespace() as there, stander(tmp_path) as connector:
        link(here, there)
        here.run("ip route add 10.88.0.0/16 via 10.77.0.9")
        here.run("ip route add default via 10.77.0.2")
        connector.start(here)
        with helper(tmp_path, "--process", connector.name) as (path, _):
            client = HelperClient(path)
            seat = Seat(resolver=FakeResolver(), open_socket=client.open_socket, read_net=client.read_net)
            if seen_by == "ourselves":

                def read(name: str) -> str:
                    with here.entered():
                        return Path("/proc/thread-self/net", name).read_text()

                seat = Seat(resolver=FakeResolver(), open_socket=here.open_socket, read_net=read)
            reader = FactReader(time.monotonic)
            routes, dead = reader.network_facts(seat)
            assert {route.gateway for route in routes} >= {"10.77.0.2", "10.77.0.9"}
            assert dead == frozenset(), "nobody has sent anything there"
            for address in ("10.88.0.1", "192.0.2.1"):
                with seat.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"x", (address, 9))

            def found() -> bool:
                reader.forget()
                return reader.network_facts(seat)[1] == {"10.77.0.9"}

            wait_until(found, lambda: True, lambda: here.run("ip neigh"))
            client.close()
