"""The longest prefix wins, then the least metric."""

import ipaddress

import pytest

from checks import nexthop
from checks.hostnet import Route
from checks.nexthop import BREATH, NextHops, number_of


def route(network: str, gateway: str = "", metric: int = 0) -> Route:
    """Make a route."""
    return Route(network=ipaddress.ip_network(network), interface="eth0", gateway=gateway, metric=metric)


TABLE = NextHops.of(
    [
        route("0.0.0.0/0", "192.0.2.1", 100),
        route("0.0.0.0/0", "192.0.2.2", 50),
        route("192.0.2.0/24"),
        route("10.0.0.0/8", "192.0.2.3"),
        route("10.1.0.0/16", "192.0.2.4"),
        route("10.1.2.3/32", "192.0.2.5"),
        route("2001:db8::/32", "fe80::1"),
    ]
)


@pytest.mark.parametrize(
    ("address", "gateway"),
    [
        ("198.51.100.1", "192.0.2.2"),
        ("192.0.2.77", ""),
        ("10.9.9.9", "192.0.2.3"),
        ("10.1.9.9", "192.0.2.4"),
        ("10.1.2.3", "192.0.2.5"),
        ("2001:db8::1", "fe80::1"),
        ("2001:db9::1", ""),
        ("db.corp.internal", ""),
        ("fe80::1%eth0", ""),
    ],
)
def test_an_address_is_reached_by_its_most_specific_route(address: str, gateway: str) -> None:
    """Each address has the gateway of the longest prefix that holds it, and of the least metric among equals."""
    assert TABLE.gateway(address) == gateway


def test_nothing_is_known_without_routes() -> None:
    """An empty table leads nowhere, and has no default gateway."""
    assert NextHops().route("192.0.2.1") is None
    assert NextHops().default_gateways == frozenset()


def test_the_halves_of_a_vpn_are_a_default_route() -> None:
    """Two routes of half the world each lead everywhere, as VPNs install them."""
    table = NextHops.of([route("0.0.0.0/1", "10.8.0.1"), route("128.0.0.0/1", "10.8.0.1")])
    assert table.default_gateways == {"10.8.0.1"}
    assert table.gateway("203.0.113.1") == "10.8.0.1"


def test_a_long_table_is_sorted_in_pieces() -> None:
    """Ten thousand routes do not hold the loop: there is a pause after every few hundred."""
    routes = [route(f"10.{n // 256}.{n % 256}.0/24", "192.0.2.1") for n in range(10_000)]
    table = NextHops()
    assert sum(1 for _ in table.sorted_in(routes)) == 10_000 // BREATH
    assert table.gateway("10.39.15.1") == "192.0.2.1"


@pytest.mark.parametrize(("text", "number"), [("0.0.0.1", (4, 1)), ("::2", (6, 2)), ("name", None), ("1.2.3", None)])
def test_only_literal_addresses_are_numbers(text: str, number: tuple[int, int] | None) -> None:
    """A name, or half an address, has no number."""
    assert number_of(text) == number


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nameserver that gives other addresses each time does not fill the memory, and the way stays right."""
    monkeypatch.setattr(nexthop, "MAX_KNOWN", 100)
    table = NextHops.of([route("10.0.0.0/8", "192.0.2.3")])
    for address in map(str, ipaddress.ip_network("10.1.0.0/22")):
        assert table.gateway(address) == "192.0.2.3"
        assert len(table.prefixes(address)) == 3
    assert [len(getattr(table, kept)) <= 100 for kept in ("_known", "_prefixes")] == [True, True]
