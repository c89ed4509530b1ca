"""What is learned from the Connector's log, and what never is."""

import pytest

from checks.connlog.model import ConnectionKind, ConnectionSeen
from checks.net.endpoint import Endpoint
from tests.support.learning_desk import CORP, DAY, DB, HOUR, NOON, RELAY, LearningDesk
from tests.support.lines import established, failed


def test_ten_uses_make_a_sample_active() -> None:
    """An endpoint counts from its tenth use on, not from the ninth, and the plan is told by `version`."""
    desk = LearningDesk()
    desk.use(times=9)
    before = desk.learning.version
    assert desk.samples == {DB: False}
    desk.now += 1
    desk.use()
    assert desk.samples == {DB: True}
    assert desk.learning.version > before
    (sample,) = desk.learning.learned.samples
    assert (sample.rule, sample.count, sample.days) == ("*.corp.internal", 10, 1)


@pytest.mark.parametrize(("later", "active"), [(11.9 * HOUR, False), (12.1 * HOUR, True), (3 * DAY, True)])
def test_two_days_make_a_sample_active(later: float, active: bool) -> None:
    """Two uses are enough when they are on two UTC dates, however near to midnight."""
    desk = LearningDesk()
    desk.use()
    desk.now += later
    desk.use()
    assert desk.samples == {DB: active}


def test_what_is_not_used_for_seven_days_is_forgotten() -> None:
    """A sample goes after 7 days without use, with nothing more said in the log, and from the store as well."""
    desk = LearningDesk()
    desk.use(times=10)
    assert desk.kept
    desk.now += 7 * DAY - 2
    desk.learning.tick()
    assert desk.samples == {DB: True}
    version = desk.learning.version
    desk.now += 2
    desk.learning.tick()
    assert desk.samples == {}
    assert desk.learning.version > version
    assert desk.kept == {}


def test_a_relay_is_proven_for_a_day_after_its_last_use() -> None:
    """A Relay seen often enough is proven within 24 h of its last use, then only known, and proven again when used."""
    desk = LearningDesk()
    desk.relays(9)
    assert desk.proven == {str(RELAY): False}
    desk.now += 1
    desk.relays(1)
    assert desk.proven == {str(RELAY): True}
    desk.now += DAY - 2
    desk.learning.tick()
    assert desk.proven == {str(RELAY): True}
    version = desk.learning.version
    desk.now += 2
    desk.learning.tick()
    assert desk.proven == {str(RELAY): False}
    assert desk.learning.version > version
    desk.relays(1)
    assert desk.proven == {str(RELAY): True}
    desk.now += 7 * DAY + 2
    desk.learning.tick()
    assert desk.proven == {}


@pytest.mark.parametrize("kind", [kind for kind in ConnectionKind if kind is not ConnectionKind.ESTABLISHED])
def test_only_established_connections_teach(kind: ConnectionKind) -> None:
    """Failures, denials and ends of connections teach nothing."""
    desk = LearningDesk()
    for second in range(20):
        event = ConnectionSeen(
            at=NOON + second, kind=kind, address="db.corp.internal", port=5432, protocol="tcp", relays=(RELAY,)
        )
        desk.note(event)
    assert (desk.samples, desk.proven) == ({}, {})


@pytest.mark.parametrize(
    ("address", "port", "rule"),
    [
        ("db.corp.internal", 1, "*.corp.internal"),
        ("a.b.corp.internal", 1, "*.corp.internal"),
        ("DB.corp.internal", 1, "*.corp.internal"),
        ("corp.internal", 1, None),
        ("corp.internal.evil.test", 1, None),
        ("10.200.3.4", 443, "10.0.0.0/8"),
        ("10.200.3.4", 8010, "10.0.0.0/8"),
        ("10.200.3.4", 8011, None),
        ("11.0.0.1", 443, None),
        ("app.example.com", 8443, "app.example.com"),
        ("web.example.com", 443, None),
    ],
)
def test_the_address_of_a_resource_decides(address: str, port: int, rule: str | None) -> None:
    """A pattern, a network and a Resource with all ports take in what Twingate would let through them, no more."""
    desk = LearningDesk()
    desk.use(address, port, rule="*.corp.internal")
    assert [sample.rule for sample in desk.learning.learned.samples] == ([rule] if rule else [])


def test_the_named_rule_wins_if_it_fits_and_else_the_most_precise() -> None:
    """Where several Resources fit, the one that the line names is taken, else the one whose address says most."""
    desk = LearningDesk(
        '[{name: Any, address: "*"}, {name: Corp, address: "*.corp.internal"}, {name: I, address: "*.internal"}]'
    )
    desk.use("a.corp.internal", rule="*.internal")
    desk.use("b.corp.internal", rule="*.nowhere.test")
    desk.use("c.test")
    rules = {s.address: s.rule for s in desk.learning.learned.samples}
    assert rules == {"a.corp.internal": "*.internal", "b.corp.internal": "*.corp.internal", "c.test": "*"}


@pytest.mark.parametrize(
    "resource",
    [
        "{name: Own, address: db.corp.internal, tcp: [5432]}",
        '{name: Own, address: db.corp.internal, tcp: ["5000-6000"]}',
        "{name: Own, address: db.corp.internal, probe_ports: [5432]}",
        '{name: Own, address: "db*.corp.internal", samples: [db.corp.internal], tcp: [5432]}',
        "{name: Own, address: db.corp.internal, probe: never}",
        "{name: Own, address: db.corp.internal, tcp: [5432], probe: dns}",
        '{name: Own, address: "*b.corp.internal", probe: never}',
    ],
)
def test_what_the_configuration_speaks_of_is_not_learned(resource: str) -> None:
    """A port that is configured already, or that nobody may probe, is not learned behind another Resource."""
    desk = LearningDesk(f"[{CORP}, {resource}]")
    desk.use(rule="*.corp.internal")
    assert desk.samples == {}
    desk.use("db.corp.internal", 22, rule="*.corp.internal")
    assert (("db.corp.internal", 22) in desk.samples) is ("tcp" in resource or "probe_ports" in resource)


@pytest.mark.parametrize(
    ("address", "ip", "rest", "learned"),
    [
        ("127.0.0.9", None, "", False),
        ("127.0.0.9", None, "probing: {allow: [127.0.0.9]}", True),
        ("db.corp.internal", "127.0.0.1", "", False),
        ("db.corp.internal", "169.254.169.254", "", False),
        ("db.corp.internal", "10.1.2.3", "", True),
        ("db.corp.internal", "10.1.2.3", "probing: {deny: [10.1.0.0/16]}", False),
        ("db.corp.internal", "::ffff:127.0.0.1", "", False),
        ("db.corp.internal", None, "", True),
    ],
)
def test_the_deny_list_holds(address: str, ip: str | None, rest: str, learned: bool) -> None:
    """Nothing in `probing.deny` is learned, neither as it was asked for nor where a name led."""
    desk = LearningDesk('[{name: Any, address: "*"}]', rest)
    desk.use(address, ip=ip)
    assert bool(desk.samples) is learned


def test_an_address_that_the_operator_wrote_is_allowed() -> None:
    """A literal address is allowed by being written in the file: a port learned there is no way past the deny list."""
    desk = LearningDesk("[{name: Here, address: 127.0.0.1}]")
    desk.use("127.0.0.1", 8080, ip="127.0.0.1")
    assert desk.samples == {("127.0.0.1", 8080): False}


@pytest.mark.parametrize(
    ("relay", "rest", "learned"),
    [
        (RELAY, "", True),
        (RELAY, "relays: {learn: false}", False),
        (RELAY, 'relays: {endpoints: ["198.51.100.7:30001"]}', False),
        (RELAY, "relays: {endpoints: []}", True),
        (RELAY, "probing: {deny: [198.51.100.0/24]}", False),
        (Endpoint("127.0.0.1", 30001), "", False),
        (Endpoint("2001:db8::1", 30001), "", False),
        (Endpoint("relays.twingate.com", 443), "", True),
        (Endpoint("relays.example.com", 443), "", False),
        (Endpoint(RELAY.host, 3306), "", False),
        (Endpoint("twingate.com.example.com", 443), "", False),
        (Endpoint("a b", 443), "", False),
        (Endpoint("198.51.100.7", 0), "", False),
    ],
)
def test_which_relays_are_learned(relay: Endpoint, rest: str, learned: bool) -> None:
    """A Relay is learned by its IPv4 address or Twingate's own name, unless it is denied, named or switched off."""
    desk = LearningDesk(rest=rest)
    desk.relays(10, relay)
    assert bool(desk.proven) is learned


@pytest.mark.parametrize(
    "event",
    [
        established(NOON, "", 443),
        established(NOON, "db.corp.internal", None),
        established(NOON, "db.corp.internal", 0),
        established(NOON, "db.corp.internal", 70000),
        established(NOON, "a b.corp.internal"),
        established(NOON, "-.corp.internal"),
        established(NOON, "x" * 300 + ".corp.internal"),
        established(NOON, "db.corp.internal", protocol="udp"),
        established(NOON, "10.0.0.1%eth0"),
        established(float("nan"), "db.corp.internal"),
        established(float("-inf"), "db.corp.internal"),
        established(NOON - 7 * DAY - 1, "db.corp.internal"),
        failed(NOON, "db.corp.internal"),
    ],
)
def test_what_makes_no_sense_teaches_nothing(event: ConnectionSeen) -> None:
    """Addresses, ports and times that can't be, and what is too old, are passed over."""
    desk = LearningDesk()
    desk.note(event)
    assert desk.samples == {}


def test_an_address_stands_in_for_a_missing_name() -> None:
    """Where the line names no address, what was connected to is taken."""
    desk = LearningDesk()
    desk.use("", 443, ip="10.0.0.5")
    assert desk.samples == {("10.0.0.5", 443): False}
