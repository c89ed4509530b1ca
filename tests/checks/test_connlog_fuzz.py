"""Whatever stands in a log, the parser and the book go on, and what they say stays small and well formed."""

import ipaddress
import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.connlog.analytics import MAX_RELAYS
from checks.connlog.analytics_line import MAX_BODY
from checks.connlog.book import LogBook
from checks.connlog.model import CauseSeen, ConnectionSeen, LogEvent, NameserverSeen
from checks.connlog.parser import LogParser
from checks.net.endpoint import Endpoint, is_address
from tests.support.connector_log import AT, SALT, raw, recorded

LINES = [line.encode() for _, line in recorded()]
NAME = re.compile(r"(?!.{254})[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
RULE = re.compile(r"[a-z0-9_.*?:/-]{1,253}")

PIECES = (
    *(b"ANALYTICS ", b"{", b"}", b'"', b"\\", b",", b"\xff", b'"event_type":', b'"failed_to_connect"', b"[ERROR] "),
    *(
        b"State: ",
        b"Nameserver ",
        b":53 has failed",
        b"relay ",
        b" is not available",
        b"Gone, code 410",
        b"invalid token",
    ),
)
words = st.sampled_from(PIECES)
noise = st.lists(st.binary(max_size=40) | words | st.sampled_from(LINES), max_size=12).map(b"".join)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.ip_addresses().map(str)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def loose(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Make objects in which each field may be missing, right, or anything."""
    return st.fixed_dictionaries({}, optional={name: good | values for name, good in fields.items()})


kinds = ["established_connection", "closed_connection", "failed_to_connect", "denied_access"]
events = loose(
    event_type=st.sampled_from(kinds),
    timestamp=st.integers(0, 5 * 10**12),
    user=loose(id=st.text(max_size=20) | st.integers(), email=st.emails()),
    resource=loose(address=st.text(max_size=300), applied_rule=st.from_regex(r"[a-z*?./0-9]{0,20}")),
    relays=st.lists(loose(ip=st.ip_addresses(v=4).map(str), port=st.integers(0, 70_000)), max_size=40),
    connection=loose(
        resource_ip=st.ip_addresses().map(str),
        resource_port=st.integers(-1, 70_000),
        protocol=st.sampled_from(["tcp", "udp", "icmp"]),
        tunnel_path=st.sampled_from(["direct", "relay", "relayed"]),
        error_message=st.sampled_from(["NORMAL", "DNS_ERROR", "CONNECTION_FAILED"]),
    ),
)


def check(event: LogEvent | None) -> None:
    """Assert that what left the parser is small and well formed."""
    assert len(repr(event)) < 4000
    match event:
        case ConnectionSeen():
            assert event.address == "" or NAME.fullmatch(event.address) or is_address(event.address)
            assert event.rule == "" or RULE.fullmatch(event.rule)
            assert event.ip is None or is_address(event.ip)
            assert event.port is None or 1 <= event.port <= 65535
            assert event.user is None or 0 <= event.user < 1 << 64
            assert len(event.relays) <= MAX_RELAYS
            for relay in event.relays:
                check_endpoint(relay)
        case CauseSeen(endpoint=Endpoint() as endpoint) | NameserverSeen(nameserver=Endpoint() as endpoint):
            check_endpoint(endpoint)
        case _:
            pass


def check_endpoint(endpoint: Endpoint) -> None:
    """Assert that an endpoint is a literal address without a zone, and a port."""
    assert "%" not in str(ipaddress.ip_address(endpoint.host))
    assert 1 <= endpoint.port <= 65535


def go_through(*lines: bytes) -> None:
    """Feed lines and note what they say."""
    parser, book = LogParser(SALT), LogBook(lambda: AT)
    for line in lines:
        event = parser.feed(raw(line))
        check(event)
        if event is not None:
            book.note(event)
    assert parser.lines == len(lines)
    assert len(repr(book.summary(AT))) < 20_000


@settings(max_examples=300, deadline=None)
@given(st.lists(noise, max_size=5))
def test_any_bytes(lines: list[bytes]) -> None:
    """Any bytes, and pieces of real lines in any order, are read without an exception."""
    go_through(*lines)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=4), st.booleans())
def test_any_object(objects: list[object], ascii_only: bool) -> None:
    """Any JSON after ANALYTICS is read without an exception, and only well-formed fields come out."""
    texts = [json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for value in objects]
    go_through(*(b"ANALYTICS " + text for text in texts))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LINES), st.data())
def test_any_damage(line: bytes, data: st.DataObject) -> None:
    """A real line, cut, doubled, or with bytes changed, is read without an exception."""
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    go_through(line[:start], line[start:end] + line, line[:start] + data.draw(st.binary(max_size=8)) + line[end:])


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(LINES), st.integers(1, 3 * MAX_BODY))
def test_any_length(line: bytes, length: int) -> None:
    """A line of any length is read, or dropped, without an exception."""
    go_through(line + b" " * length, line + b"x" * length, (line + b" ") * (1 + length // (len(line) + 1)))
