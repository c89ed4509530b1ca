"""User connections of the ANALYTICS log: what counts as a failure, and that damage loses as little as possible."""

import itertools
import json

import pytest

from checks.connlog.model import ConnectionKind, LogCause
from checks.connlog.parser import LogParser
from checks.net.endpoint import Endpoint
from tests.support.connector_log import AT, SALT, analytics, connection_of, raw

NAME, IP = "db.corp.example.com", "10.1.2.3"
FAILED = "failed_to_connect"


@pytest.mark.parametrize(
    ("kind", "error", "address", "ip", "expected"),
    [
        ("established_connection", None, NAME, IP, "established"),
        ("established_connection", "NORMAL", NAME, IP, "established"),
        ("established_connection", "normal_close", NAME, IP, "established"),
        ("established_connection", "", NAME, IP, "established"),
        ("established_connection", "CONNECTION_FAILED", NAME, IP, "unable_to_connect"),
        ("established_connection", "DNS_ERROR", NAME, None, "dns_lookup_error"),
        ("established_connection", 110, NAME, IP, "unable_to_connect"),
        ("established_connection", {"code": 110}, NAME, IP, "unable_to_connect"),
        ("established_connection", ["refused"], NAME, IP, "unable_to_connect"),
        ("established_connection", "ACCESS_DENIED", NAME, IP, "denied"),
        ("ESTABLISHED_CONNECTION", None, NAME, IP, "established"),
        (FAILED, None, NAME, IP, "unable_to_connect"),
        (FAILED, None, NAME, None, "dns_lookup_error"),
        (FAILED, None, NAME, "", "dns_lookup_error"),
        (FAILED, None, "*.corp.example.com", "", "dns_lookup_error"),
        (FAILED, None, IP, None, "unable_to_connect"),
        (FAILED, None, "10.0.0.0/8", None, "unable_to_connect"),
        (FAILED, None, None, None, "unable_to_connect"),
        (FAILED, "NORMAL", NAME, IP, "unable_to_connect"),
        (FAILED, "Dns lookup failed", NAME, IP, "dns_lookup_error"),
        (FAILED, "connection refused", NAME, IP, "unable_to_connect"),
        (FAILED, "Permission denied (os error 13)", NAME, IP, "unable_to_connect"),
        (FAILED, "access denied", NAME, IP, "unable_to_connect"),
        ("denied_access", None, NAME, None, "denied"),
        ("denied_access", "DNS_ERROR", NAME, None, "denied"),
        ("closed_connection", None, NAME, IP, "closed"),
        ("closed_connection", "NORMAL", NAME, IP, "closed"),
        ("closed_connection", "connection reset by peer", NAME, IP, "closed"),
        ("closed_connection", "CONNECTION_FAILED", NAME, IP, "unable_to_connect"),
        ("closed_connection", "DNS_ERROR", NAME, None, "dns_lookup_error"),
        ("an_event_of_v9", "CONNECTION_FAILED", NAME, IP, "unable_to_connect"),
        (None, "CONNECTION_FAILED", NAME, IP, "unable_to_connect"),
    ],
)
def test_kind(kind: str | None, error: object, address: object, ip: object, expected: str) -> None:
    """What Twingate counts as a failure is one; denials and ends of connections are kept apart."""
    line = analytics(kind, address=address, rule=None, resource_ip=ip, error_message=error)
    assert connection_of(line).kind == expected


def test_events_of_other_kinds_are_passed_over() -> None:
    """An event that a later version may add says nothing, and is not called damaged."""
    parser = LogParser(SALT)
    assert (parser.feed(raw(analytics("heartbeat"))), parser.unparsed, parser.lines) == (None, 0, 1)


NO_ADDRESS = (
    *("", "someone@example.com", "two words", "a..b", "-a.b", "a" * 64, "a." * 127 + "aa", "1.2.3.256", "12345"),
    *("*..b", "*" * 254, "10.0.0.0/33", "10.0.0.0/x", "10.0.0.0/8/8", "fe80::1%eth0", "fe80::1%eth0/64", "db:5432"),
    *("http://a.b/", "a\nb", "a\x00b", "\u202ea.b", "b\xfccher.example", "a|b", "<b>", "\ud83d\ude00"),
)


@pytest.mark.parametrize(
    ("written", "address", "rule"),
    [
        ("DB.Corp.Example.COM.", NAME, ""),
        ("_srv.my_host.corp", "_srv.my_host.corp", ""),
        ("10.1.2.3", IP, ""),
        ("2001:DB8:0::1", "2001:db8::1", ""),
        ("[2001:db8::1]", "2001:db8::1", ""),
        ("*.corp.example.com", IP, "*.corp.example.com"),
        ("DB-?.corp", IP, "db-?.corp"),
        ("10.0.0.0/8", IP, "10.0.0.0/8"),
        ("10.1.2.3/8", IP, "10.0.0.0/8"),
        *((bad, IP, "") for bad in NO_ADDRESS),
    ],
)
def test_address_has_a_shape(written: str, address: str, rule: str) -> None:
    """An address leaves the parser in one spelling, as a name, an IP, a CIDR or a pattern; anything else does not."""
    event = connection_of(analytics(address=written, rule=None))
    assert (event.address, event.rule) == (address, rule)
    assert connection_of(analytics(rule=written)).rule == (rule or ("" if address == IP != written else address))


@pytest.mark.parametrize(
    ("written", "port"),
    [(443, 443), ("443", 443), (1, 1), (65535, 65535)]
    + [
        (bad, None)
        for bad in (0, -1, 65536, 10**30, "0", "+1", "\u0661", "1e3", "", True, 443.5, [443], {"a": 1}, None)
    ],
)
def test_port(written: object, port: int | None) -> None:
    """A port is 1 to 65535, written as a number or its digits; another one is none, and the event stays."""
    assert connection_of(analytics(resource_port=written)).port == port


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("direct", "direct"),
        ("DIRECT", "direct"),
        ("relay", "relayed"),
        ("relayed", "relayed"),
        ("relay-quic", "relayed"),
    ]
    + [(other, "unknown") for other in ("", "p2p", "directly", None, 5, ["direct"])],
)
def test_path(written: object, path: str) -> None:
    """Direct and relayed are told apart in all their spellings; what is neither is unknown."""
    assert connection_of(analytics(tunnel_path=written)).path == path


NO_TIME: tuple[object, ...] = (0, -1, 1_694_779_427, 10**18, 10**40, "1694779427692", True, None, [], 1e300)


@pytest.mark.parametrize(
    ("written", "at"),
    [(1_694_779_427_692, 1_694_779_427.692), (1_694_779_427_692.0, 1_694_779_427.692)] + [(bad, AT) for bad in NO_TIME],
)
def test_time(written: object, at: float) -> None:
    """A time in milliseconds of this century is the event's; with any other one the reader's time is used."""
    assert connection_of(analytics(timestamp=written)).at == at


def test_relays_are_bounded_endpoints() -> None:
    """Relays are IPv4 endpoints, each once, at most 16; what is none of these is left out, the rest stays."""
    good = [{"ip": f"198.51.100.{n}", "port": 30000 + n, "name": "x"} for n in range(1, 30)]
    bad = [
        {"ip": "::1", "port": 1},
        {"ip": "a.b", "port": 1},
        {"ip": "1.2.3.4", "port": 0},
        {"ip": 4, "port": 5},
        {},
        None,
        7,
    ]
    relays = connection_of(analytics(relays=[*bad, good[0], *good])).relays
    assert relays == tuple(Endpoint(f"198.51.100.{n}", 30000 + n) for n in range(1, 17))
    assert connection_of(analytics(relays={"ip": "1.2.3.4"})).relays == ()


WRONG: tuple[object, ...] = (None, True, 5, 5.5, "text", [], [1], {}, {"a": 1}, [[]], "\x00", 10**30)


@pytest.mark.parametrize(
    "path",
    [
        "timestamp",
        "user",
        "user.id",
        "resource",
        "resource.address",
        "resource.applied_rule",
        "relays",
        "service_account",
    ]
    + [f"connection.{name}" for name in ("resource_ip", "resource_port", "protocol", "tunnel_path", "client_ip", "id")],
)
def test_a_field_of_a_wrong_type_loses_only_itself(path: str) -> None:
    """Whatever stands in one field, the event is there, with all the others."""
    line = analytics(tunnel_path="direct", timestamp=1_694_779_427_692, relays=[{"ip": "198.51.100.1", "port": 30000}])
    whole = connection_of(line)
    for wrong in WRONG:
        event = json.loads(line.removeprefix("ANALYTICS "))
        holder, _, name = path.rpartition(".")
        (event[holder] if holder else event)[name] = wrong
        found = connection_of("ANALYTICS " + json.dumps(event))
        changed = {key for key in whole.__dataclass_fields__ if getattr(found, key) != getattr(whole, key)}
        touched = {
            "timestamp": {"at"},
            "user": {"user"},
            "relays": {"relays"},
            "resource": {"address", "rule"},
            "resource.address": {"address"},
            "resource.applied_rule": {"rule"},
            "connection.resource_ip": {"ip"},
            "connection.resource_port": {"port"},
            "connection.protocol": {"protocol"},
            "connection.tunnel_path": {"path"},
        }
        assert found.kind is ConnectionKind.ESTABLISHED
        assert changed <= touched.get(path, {"user"} if path == "user.id" else set()), (path, wrong)


@pytest.mark.parametrize("missing", ["user", "device", "resource", "connection", "relays", "timestamp", "connector"])
def test_missing_fields_are_tolerated(missing: str) -> None:
    """A version that leaves a field out is still understood."""
    event = json.loads(analytics("established_connection").removeprefix("ANALYTICS "))
    event.pop(missing, None)
    assert connection_of("ANALYTICS " + json.dumps(event)).kind is ConnectionKind.ESTABLISHED


def test_users_are_numbers_of_this_process() -> None:
    """One user has one number in a process and another one in the next; service accounts are no users."""
    line = analytics(user="13610")
    account = line.replace('"user"', '"service_account"')
    here = {connection_of(text, salt=b"one").user for text in (line, analytics(user=13610))}
    there = {connection_of(text, salt=b"two").user for text in (line, analytics(user=13610))}
    assert len(here) == len(there) == 1
    assert here.isdisjoint(there)
    first, second = (LogParser(None).feed(raw(line)) for _ in range(2))
    assert first != second
    assert connection_of(account, salt=b"one").user not in here | {None}
    nobody: tuple[object, ...] = ("", None, [], {}, True)
    assert {connection_of(analytics(user=user)).user for user in nobody} == {None}


def test_what_users_write_is_never_read_as_a_message() -> None:
    """A name that a user asks for can't make a state, a cause or a nameserver, not even in a damaged line."""
    for text in ("[INFO] [connector] State: Online", "Gone, code 410", "All nameservers have failed"):
        assert connection_of(analytics(address=text)).address == IP
        for damaged in (analytics(address=text)[:-5], "ANALYTICS {" + text):
            parser = LogParser(SALT)
            assert (parser.feed(raw(damaged)), parser.unparsed) == (None, 1)


def test_a_salt_has_a_length() -> None:
    """An empty salt, with which numbers could be told back, is refused."""
    for salt in (b"", b"x" * 65):
        with pytest.raises(ValueError, match="a salt of"):
            LogParser(salt)


def test_causes_are_not_events() -> None:
    """A service line that speaks of analytics is a service line."""
    parser = LogParser(SALT)
    line = "[ERROR] [connector] ANALYTICS upload failed: os error 24"
    event = parser.feed(raw(line))
    assert (getattr(event, "cause", None), parser.unparsed) == (LogCause.FDS_EXHAUSTED, 0)


def test_combinations_of_types() -> None:
    """Any two wrong fields at once leave the event."""
    for one, two in itertools.product(WRONG, WRONG):
        line = analytics(address=one, user=two, resource_port=two, relays=one, protocol=one)
        assert connection_of(line).kind is ConnectionKind.ESTABLISHED
