import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.net.endpoint import Endpoint
from daemon.config.addresses import endpoint, matches, parse_host, parse_name, parse_network, parse_resource_address
from daemon.config.nodes import plain_value
from daemon.config.ports import PortRange, parse_ports
from daemon.config.problems import BadValueError
from daemon.config.values import MAX_DURATION, parse_duration, parse_moment, show_duration


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("FALSE", False), ("no", "no"), ("on", "on"),
        ("0", 0), ("-12", -12), ("+7", 7), ("0x1F", 31), ("0o17", 15), ("017", 17), ("1_000", "1_000"),
        ("22:30", "22:30"), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("-.inf", float("-inf")),
        ("2026-02-01", "2026-02-01"), ("0b11", "0b11"), ("1.2.3", "1.2.3"), ("<<", "<<"), ("=", "="), ("tRuE", "tRuE"),
    ],
)  # fmt: skip
def test_scalars_are_typed_by_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    """Only null, true, false and the numbers of YAML 1.2 are more than text."""
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        (1, 1),
        (0.25, 0.25),
        ("1.5s", 1.5),
        ("720h", MAX_DURATION),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    """A duration has one unit, or is a number of seconds."""
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "5", "5d", "1h30m", "-5s", " 5s", "5 s", "\u0665s", "5S", True, None, -1, float("nan")]
)
def test_what_is_no_duration(written: object) -> None:
    """Units are not guessed."""
    with pytest.raises(BadValueError, match="not a duration"):
        parse_duration(written)


@given(st.floats(0, MAX_DURATION) | st.integers(0, int(MAX_DURATION * 1000)).map(lambda ms: ms / 1000))
def test_a_duration_is_shown_exactly(seconds: float) -> None:
    """What `config show` writes is the very same duration."""
    assert parse_duration(show_duration(seconds)) == seconds


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_port_ranges_are_shown_exactly(one: int, two: int) -> None:
    """A range reads as it is written, and contains exactly its ports."""
    first, last = sorted((one, two))
    ports = parse_ports(f"{first}-{last}")
    assert ports == PortRange(first, last)
    assert parse_ports(str(ports)) == ports
    assert [port in ports for port in (first - 1, first, last, last + 1)] == [False, True, True, False]


@pytest.mark.parametrize(
    "name", ["a", "A.b.", "_ldap._tcp.corp", "xn--bcher-kva.example", "a-b.c", "1a", "3com.com", "a" * 63]
)
def test_host_names(name: str) -> None:
    """Host names are lower case without the final dot; underscores are tolerated."""
    assert parse_name(name) == name.lower().removesuffix(".")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "-a",
        "a-",
        "a b",
        "a" * 64,
        "a." * 127 + "a",
        "1.2.3",
        "10.0.0.256",
        "a:1",
        "a/b",
        "ä.de",
        "a\n",
    ],
)
def test_what_is_no_host_name(name: str) -> None:
    """What no nameserver could be asked for is refused."""
    with pytest.raises(BadValueError):
        parse_name(name)


@pytest.mark.parametrize(
    ("written", "host"),
    [("10.0.0.1", "10.0.0.1"), ("2001:DB8:0::1", "2001:db8::1"), ("[::1]", "::1"), ("Db.Corp.", "db.corp")],
)
def test_hosts_have_one_form(written: str, host: str) -> None:
    """However an address is written, it is one target."""
    assert parse_host(written) == host


def test_networks_are_strict() -> None:
    """Host bits are a mistake whose message names the network; a single address is a network of one."""
    assert parse_network("10.0.0.0/8") == ipaddress.ip_network("10.0.0.0/8")
    assert parse_network("10.0.0.1") == ipaddress.ip_network("10.0.0.1/32")
    with pytest.raises(BadValueError) as caught:
        parse_network("fd00::1/64")
    assert caught.value.expected == "fd00::/64, or the address alone"
    for wrong in ("10.0.0.0/255.0.0.0", "10.0.0.0/", "10.0.0.0/-1", "10/8", "fe80::1%eth0", "a/8", "10.0.0.0/8/8"):
        with pytest.raises(BadValueError):
            parse_network(wrong)


def test_addresses_of_resources() -> None:
    """Names, addresses, networks and patterns, each in one form."""
    written = ("DB.corp.", "10.1.2.3", "FD00::1", "10.0.0.0/8", "*.Corp.", "db?.corp", "*")
    assert [parse_resource_address(text) for text in written] == [
        "db.corp", "10.1.2.3", "fd00::1", "10.0.0.0/8", "*.corp", "db?.corp", "*",
    ]  # fmt: skip


def test_endpoints_take_the_port_of_their_key() -> None:
    """A port may be left out where the protocol has a usual one."""
    assert endpoint(123).parse("NTP.corp.") == Endpoint("ntp.corp", 123)
    assert endpoint(53, literal=True).parse("2001:db8::53") == Endpoint("2001:db8::53", 53)
    assert endpoint(None).parse("[::]:19440") == Endpoint("::", 19440)
    for leaf, wrong in (
        (endpoint(None), "[::]"),
        (endpoint(53, literal=True), "dns.corp"),
        (endpoint(443), "a:b:443"),
        (endpoint(443), "a:00001999999"),
    ):
        with pytest.raises(BadValueError):
            leaf.parse(wrong)


@given(st.text("ab*?.", max_size=8), st.text("abAB.", max_size=10))
def test_patterns_match_as_the_same_regular_expression(pattern: str, name: str) -> None:
    """`*` is any text, `?` one character, and case does not matter."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    assert matches(pattern, name) == bool(re.fullmatch(expression, name, re.IGNORECASE | re.DOTALL))


@pytest.mark.parametrize("written", ["2026-02-01T22:00Z", "2026-02-01t22:00:00z", "2026-02-01 23:00+01:00"])
def test_times_have_a_zone(written: str) -> None:
    """RFC 3339, with or without seconds, is one moment."""
    assert parse_moment(written).isoformat() == "2026-02-01T22:00:00+00:00"


@pytest.mark.parametrize(
    "written", ["2026-02-01", "22:00Z", "2026-02-01T22:00", "2026-02-01T25:00Z", "0001-01-01T00:00Z", 20260201]
)
def test_what_is_no_moment(written: object) -> None:
    """A time without date or zone, or outside of the calendar, is refused."""
    with pytest.raises(BadValueError):
        parse_moment(written)
