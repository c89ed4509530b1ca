"""What changed in a network, in words and in networks: tables of real namespaces before and after real changes."""

import random
from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest

from checks.hostnet import Interface
from checks.net.seat import Seat, read_net
from daemon.changes.network import MAX_PARSED, Difference, Snapshot, compare, take
from tests.support.fakes import FakeResolver
from tests.support.netns import Namespace, link, namespace
from tests.support.servers import wait_until


def look(ns: Namespace) -> Snapshot:
    """Take the tables of a namespace."""

    def read(name: str) -> str:
        with ns.entered():
            return read_net(name)

    return take(Seat(resolver=FakeResolver(), open_socket=ns.open_socket, read_net=read))


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Two hosts, 10.77.0.1 and 10.77.0.2; the first has a default route and one beside it through the second."""
    with namespace() as here, namespace() as there:
        link(here, there)
        for command in ("route add default via 10.77.0.2", "route add 10.88.0.0/16 via 10.77.0.2"):
            here.run(f"ip {command}")
        yield here, there


@pytest.fixture
def changed(pair: tuple[Namespace, Namespace]) -> Callable[..., Difference]:
    """Return what some `ip` commands here change."""

    def difference(*commands: str) -> Difference:
        before = look(pair[0])
        for command in commands:
            pair[0].run(f"ip {command}")
        return compare(before, look(pair[0]))

    return difference


def texts(difference: Difference) -> list[str]:
    """The clauses for people."""
    return [text for _, text in difference.said]


def test_nothing_changed(changed: Callable[..., Difference]) -> None:
    """Two looks at the same network differ in nothing, and nobody is asked for it."""
    assert changed() == Difference()
    assert not changed().relevant


def test_default_route(changed: Callable[..., Difference]) -> None:
    """Whatever becomes of the default route concerns every destination."""
    gone, back = changed("route del default"), changed("route add default via 10.77.0.2")
    moved = changed("route replace default via 10.77.0.3")
    changed("route replace default via 10.77.0.2")
    assert texts(gone) == ["the IPv4 default route was removed (it led via 10.77.0.2 on v0)"]
    assert texts(back) == ["the IPv4 default route was added (via 10.77.0.2 on v0)"]
    assert texts(moved) == ["the IPv4 default route leads via 10.77.0.3 on v0 now, and led via 10.77.0.2 on v0"]
    assert all(difference.way_out and not difference.networks for difference in (gone, back, moved))


def test_other_route(changed: Callable[..., Difference]) -> None:
    """A route beside the default one concerns its own network."""
    gone = changed("route del 10.88.0.0/16")
    back = changed("route add 10.88.0.0/16 via 10.77.0.2")
    moved = changed("route replace 10.88.0.0/16 via 10.77.0.9")
    changed("route replace 10.88.0.0/16 via 10.77.0.2")
    assert texts(gone) == ["route 10.88.0.0/16 via 10.77.0.2 on v0 was removed"]
    assert texts(back) == ["route 10.88.0.0/16 via 10.77.0.2 on v0 was added"]
    assert texts(moved) == ["route 10.88.0.0/16 (now via 10.77.0.9 on v0, was via 10.77.0.2 on v0) was changed"]
    for difference in (gone, back, moved):
        assert (set(difference.networks), difference.everything) == ({"10.88.0.0/16"}, False)


def test_route_that_leads_to_an_error(changed: Callable[..., Difference]) -> None:
    """A route that rejects stands for none at all: to have it in a route's place is to lose that."""
    lost = changed("route replace unreachable 10.88.0.0/16")
    changed("route replace 10.88.0.0/16 via 10.77.0.2")
    assert texts(lost) == ["route 10.88.0.0/16 via 10.77.0.2 on v0 was removed"]
    assert lost.networks == {"10.88.0.0/16"}


def test_address(changed: Callable[..., Difference]) -> None:
    """Addresses that come and go are told with their link, of both versions; link-local ones are none."""
    added = changed("addr add 10.99.0.1/24 dev v0", "addr add 2001:db8:99::1/64 dev v0 nodad")
    removed = changed("addr del 10.99.0.1/24 dev v0", "addr del 2001:db8:99::1/64 dev v0")
    assert "addresses 10.99.0.1 (v0), 2001:db8:99::1 (v0) were added" in texts(added)
    assert "addresses 10.99.0.1 (v0), 2001:db8:99::1 (v0) were removed" in texts(removed)
    assert {"10.99.0.0/24", "2001:db8:99::/64"} <= added.networks
    assert removed.way_out, "it is the link of the default route"
    assert changed("addr add fe80::77/64 dev v0 nodad") == Difference()


def test_link_down_and_carrier_lost(pair: tuple[Namespace, Namespace], changed: Callable[..., Difference]) -> None:
    """A link that goes down loses its routes, one without a carrier keeps them: both concern all that it carries."""
    here, there = pair
    before = look(here)
    there.run("ip link set v0 down")  # which the kernel hands on at its leisure
    wait_until(lambda: compare(before, look(here)).relevant, lambda: True, lambda: here.run("ip link"))
    lost, before = compare(before, look(here)), look(here)
    there.run("ip link set v0 up")
    wait_until(lambda: compare(before, look(here)).relevant, lambda: True, lambda: here.run("ip link"))
    down = changed("link set v0 down")
    changed("link set v0 up", "route add default via 10.77.0.2", "route add 10.88.0.0/16 via 10.77.0.2")
    assert texts(lost) == ["link v0 lost its carrier"]
    assert lost.way_out
    assert texts(down)[:2] == [
        "link v0 went down",
        "the IPv4 default route was removed (it led via 10.77.0.2 on v0)",
    ]
    assert down.way_out


def test_links_of_containers_concern_nobody(changed: Callable[..., Difference]) -> None:
    """Links without an address come and go all day: they are told, in bounded words, and nothing is asked for them."""
    made = changed(*(f"link add d{n} type veth peer name e{n}" for n in range(4)))
    ((kind, text),) = made.said
    assert (kind, text) == ("link", "links d0, d1, d2, d3 and 4 more appeared")
    assert not made.relevant
    down = changed(*(f"link set d{n} up" for n in range(2)))
    assert texts(down) == ["links d0, d1 went up"]
    assert not changed(*(f"link del d{n}" for n in range(4))).relevant


def test_second_way_out_through_another_link(changed: Callable[..., Difference]) -> None:
    """A link that carries no default route concerns the networks behind it, also when only its carrier goes."""
    changed("link add f0 type veth peer name f1", "addr add 10.66.0.1/24 dev f0", "link set f0 up", "link set f1 up")
    changed("route add 10.67.0.0/16 via 10.66.0.2")
    lost = changed("link set f1 down")
    changed("link del f0")
    assert "link f0 lost its carrier" in texts(lost)
    assert (set(lost.networks), lost.everything) == ({"10.66.0.0/24", "10.67.0.0/16"}, False)


def test_burst_of_routes_stays_bounded(pair: tuple[Namespace, Namespace]) -> None:
    """A routing daemon that brings 500 routes at once is one clause, and every destination is taken to be affected."""
    here, _ = pair
    batch = "".join(f"route add 10.{100 + n // 250}.{n % 250}.0/24 via 10.77.0.2\n" for n in range(500))
    before = look(here)
    here.run("ip -batch -", stdin=batch)
    after = look(here)
    here.run("ip -batch -", stdin=batch.replace("add", "del"))
    difference = compare(before, after)
    ((_, text),) = difference.said
    assert text.endswith(" and 496 more were added")
    assert len(text) < 300
    assert len(difference.networks) <= MAX_PARSED
    assert difference.beyond


def snapshot(generator: random.Random) -> Snapshot:
    """Make tables out of pieces of real lines and of anything else."""
    pieces = [
        "v0",
        "00000000",
        "0202A8C0",
        "0003",
        "0",
        "00FFFFFF",
        "fe80",
        "ff",
        "8" + "0" * 31,
        "\x1b",
        "é",
        "\t",
        " ",
    ]

    def line() -> str:
        return generator.choice("\t ").join(generator.choice(pieces) for _ in range(generator.randrange(14)))

    addresses = tuple(generator.choice(["10.0.0.1", "::1", "rubbish"]) for _ in range(generator.randrange(3)))
    up = generator.random() < 0.5
    interface = Interface(name="v0", up=up, running=up, loopback=False, addresses=addresses)
    return Snapshot(
        ipv4=frozenset(line() for _ in range(9)),
        ipv6=frozenset(line() for _ in range(9)),
        interfaces=MappingProxyType({"v0": interface}),
    )


def test_rubbish_is_no_fault() -> None:
    """Whatever the tables look like, comparing them raises nothing and says a bounded number of things."""
    generator = random.Random(4)
    for _ in range(2000):
        difference = compare(snapshot(generator), snapshot(generator))
        assert len(difference.said) <= 12
