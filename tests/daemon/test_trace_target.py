"""What a word on the command line means, which of the Connector's events concern it, and what a document may hold."""

import json

import pytest

from checks.connlog.model import ConnectionKind, ConnectionSeen
from checks.connlog.summary import Capability, LogSummary
from daemon.config.load import Loaded, parse_config
from daemon.trace.document import harmless
from daemon.trace.facts import Target
from daemon.trace.target import UnknownTargetError, find_target
from daemon.trace.users import UserEvents

NOW = 1_767_323_045.0
FILE = parse_config(
    b"""
resources:
  - {name: Orders DB, address: db.corp.test, tcp: [5432]}
  - {name: Reports, address: db.corp.test, tcp: [8080]}
  - {name: "Odd:80", address: 10.0.0.9, tcp: [22, "8000-8010"]}
  - {name: Wide, address: "*.corp.test", tcp: [443], samples: [wiki.corp.test]}
  - {name: Net, address: 10.9.0.0/16}
  - {name: Six, address: "2001:db8::1", tcp: [443]}
""",
    "test.yaml",
)


@pytest.mark.parametrize(
    ("word", "resource", "address", "rule", "port", "ports", "not_allowed"),
    [
        ("Orders DB", "Orders DB", "db.corp.test", "", None, "5432", False),
        ("orders db", "Orders DB", "db.corp.test", "", None, "5432", False),
        ("db.corp.test", "Orders DB", "db.corp.test", "", None, "5432", False),
        ("DB.corp.test:8080", "Reports", "db.corp.test", "", 8080, "8080", False),
        ("Orders DB:22", "Orders DB", "db.corp.test", "", 22, "22", True),
        ("Odd:80", "Odd:80", "10.0.0.9", "", None, "22 8000-8010", False),
        ("Odd:80:8003", "Odd:80", "10.0.0.9", "", 8003, "8003", False),
        ("[2001:db8::1]:443", "Six", "2001:db8::1", "", 443, "443", False),
        ("2001:db8::1", "Six", "2001:db8::1", "", None, "443", False),
        ("wiki.corp.test:443", "Wide", "wiki.corp.test", "*.corp.test", 443, "443", False),
        ("wiki.corp.test", "Wide", "wiki.corp.test", "*.corp.test", None, "443", False),
        ("git.corp.test:22", "Wide", "git.corp.test", "*.corp.test", 22, "22", True),
        ("10.9.1.2:5000", "Net", "10.9.1.2", "10.9.0.0/16", 5000, "5000", False),
        ("192.0.2.1:5000", None, "192.0.2.1", "", 5000, "5000", False),
        ("[2001:db8::2]:22", None, "2001:db8::2", "", 22, "22", False),
    ],
)
def test_words(
    word: str, resource: str | None, address: str, rule: str, port: int | None, ports: str, not_allowed: bool
) -> None:
    """A Resource by name or address, with or without a port; an address behind one; and any other with its port."""
    wanted = find_target(FILE, word)
    target = wanted.target
    assert (target.resource, target.address, target.rule, target.port) == (resource, address, rule, port)
    assert target.not_allowed is not_allowed
    (only,) = wanted.config.resources
    assert " ".join(map(str, only.tcp or ())) == ports


NOTHING = (
    "", ":", "nobody", "nobody.test", "192.0.2.1", "a b:1", "*.x.test:1", "10.8.0.0/16:1", "x.test:0", "x.test:70000",
    "x.test:1,2", "x" * 300 + ":1", "\x1b[31m:1",
)  # fmt: skip


@pytest.mark.parametrize("loaded", [FILE, None])
@pytest.mark.parametrize("word", NOTHING)
def test_what_can_not_be_traced_is_refused(loaded: Loaded | None, word: str) -> None:
    """No crash and no guess, with a file or without."""
    with pytest.raises(UnknownTargetError):
        find_target(loaded, word)


def test_without_a_file_any_address_can_be_traced() -> None:
    """A host without a configuration is no reason not to look."""
    assert find_target(None, "192.0.2.1:22").target.port == 22


def _event(kind: ConnectionKind, ago: float, **more: object) -> ConnectionSeen:
    fields = {"address": "db.corp.test", "rule": "db.corp.test", "port": 5432, "user": 1} | more
    return ConnectionSeen(at=NOW - ago, kind=kind, **fields)  # type: ignore[arg-type]


def test_events_of_this_resource_are_counted() -> None:
    """By kind and distinct user within the last hour; older ones are only dated; other Resources do not count."""
    users = UserEvents(Target(resource="A", address="db.corp.test", port=5432), ["db.corp.test"], [5432], NOW)
    established, dns = ConnectionKind.ESTABLISHED, ConnectionKind.DNS_LOOKUP_ERROR
    for event in (
        _event(established, 10, user=1), _event(established, 20, user=1), _event(established, 30, user=2),
        _event(established, 9000, user=3), _event(established, 5, port=8080),
        _event(established, 5, address="b", rule=""), _event(dns, 7200, port=None), _event(dns, -86_400, port=None),
    ):  # fmt: skip
        users.note(event)
    seen = users.seen(LogSummary(capability=Capability(analytics=False)), whole=True, since=None)
    assert seen.readable is True  # what is seen can be seen, whatever the settings say
    assert [(e.kind, e.count, e.users, NOW - e.last_at) for e in seen.events] == [
        (established, 3, 2, 10.0), (dns, 1, 1, 0.0)
    ]  # fmt: skip


def test_events_behind_a_pattern() -> None:
    """Of a traced pattern all that it covers counts; of one address behind it only that address."""
    event = _event(ConnectionKind.ESTABLISHED, 5, address="x.corp.test", rule="*.corp.test")
    whole = UserEvents(Target(resource="W", address="*.corp.test"), ["wiki.corp.test"], [], NOW)
    one = UserEvents(Target(resource="W", address="y.corp.test", rule="*.corp.test"), ["y.corp.test"], [], NOW)
    for users in (whole, one):
        users.note(event)
    log = LogSummary(capability=Capability(analytics=True))
    assert len(whole.seen(log, whole=True, since=None).events) == 1
    assert one.seen(log, whole=True, since=None).events == ()


def test_without_a_log_nothing_is_known() -> None:
    """Silence of a log that nobody reads is no evidence."""
    seen = UserEvents(Target(resource=None, address="a"), ["a"], [], NOW).seen(None, whole=True, since=None)
    assert (seen.readable, seen.whole) == (None, False)
    assert seen.problem


def test_documents_can_not_be_broken_from_outside() -> None:
    """Control characters, bidi marks, endless lists and numbers that JSON lacks."""
    made = harmless({"a\x1b": "\u202e\x07", "b": ["x" * 10_000] * 1000, "c": float("nan"), "d": float("inf")})
    text = json.dumps(made, allow_nan=False)
    assert "\\u202e" not in text.replace("\\\\u202e", "")
    assert len(text) < 200_000
