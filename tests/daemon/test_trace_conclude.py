"""From facts to a conclusion: a pure function, so every rule is a row of a table."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from checks.connlog.model import ConnectionKind, LogState
from checks.connlog.summary import LogSummary
from checks.model import CheckName, Event, Outcome, Reason, Status
from checks.net.hops import Hop, HopTrace
from checks.net.icmp import Stop
from daemon.causes import Cause, Domain
from daemon.jobs import Result
from daemon.trace.conclude import RULES, conclude
from daemon.trace.conclusion import CANNOT_KNOW, Code
from daemon.trace.facts import EventCount, NameSeen, PortSeen, RouteSeen, Target, TraceFacts, UsersSeen
from daemon.trace.words import end_of

NOW = 1_767_323_045.0
NAME, ADDRESS, PORT = "db.corp.test", "10.1.2.3", 5432
DNS, TCP = f"dns:{NAME}", f"tcp:{NAME}:{PORT}"
OK = Outcome(status=Status.OK, summary="fine", event=Event.NONE)
UP = PortSeen(address=ADDRESS, port=PORT, verdict="accepted", seconds=0.001)
READS = UsersSeen(readable=True)
GATEWAY = Cause(
    code="NextHopDown", target="10.0.0.1", domain=Domain.HOST, severity="critical", title="Nothing answers", since=NOW,
    text="The kernel asked in vain.", action="See that it is up. By hand: `ip neigh show 10.0.0.1`",
)  # fmt: skip


def bad(reason: Reason, status: Status = Status.CRITICAL, **facts: object) -> Outcome:
    """Make an outcome that is not ok."""
    action = "Mend it. Repeat it by hand on this host: nc -vz db 5432"
    return Outcome(status=status, reason=reason, summary=f"it is {reason}", action=action, facts=facts)  # type: ignore[arg-type]


def row(row_id: str, outcome: Outcome) -> Result:
    """Make a row around the Resource."""
    check, _, target = row_id.partition(":")
    return Result(
        id=row_id, job=row_id, check=CheckName(check), target=target, outcome=outcome, started_at=NOW, duration_s=0.1
    )


def facts(
    *,
    around: Mapping[str, Outcome] = MappingProxyType({}),
    dns: Outcome | None = OK,
    tcp: Outcome | None = OK,
    ports: tuple[PortSeen, ...] = (UP,),
    users: UsersSeen = READS,
    **more: object,
) -> TraceFacts:
    """Make the facts of a Resource with one name and one port; all is well unless something else is said."""
    rows = {DNS: dns, TCP: tcp}
    made = TraceFacts(
        target=Target(resource="Orders DB", address=NAME, port=PORT),
        seat="connector",
        started_at=NOW,
        around={i: row(i, o) for i, o in around.items()},
        rows={i: o for i, o in rows.items() if o is not None},
        name=NameSeen(name=NAME, outcome=dns),
        ports=ports,
        users=users,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def events(*seen: tuple[ConnectionKind, float]) -> UsersSeen:
    """Make what the log shows: kinds, and how many seconds ago."""
    return UsersSeen(
        readable=True, events=tuple(EventCount(kind=k, count=1, users=1, last_at=NOW - ago) for k, ago in seen)
    )


def failed(reason: Reason = Reason.TIMEOUT, **more: object) -> tuple[PortSeen, ...]:
    """Make a port that does not accept."""
    return (replace(UP, verdict="failed", reason=reason, why="no answer", **more),)  # type: ignore[arg-type]


EST, DNS_ERROR, CONNECT, DENIED, CLOSED = (
    ConnectionKind.ESTABLISHED,
    ConnectionKind.DNS_LOOKUP_ERROR,
    ConnectionKind.UNABLE_TO_CONNECT,
    ConnectionKind.DENIED,
    ConnectionKind.CLOSED,
)
TIMEOUT, NX = bad(Reason.TIMEOUT), bad(Reason.NXDOMAIN)
HOST_DOWN = {"host:network": bad(Reason.NO_ROUTE)}
DOWN = {"connector:process": bad(Reason.NOT_RUNNING, running=False)}
CLOCK = {"clock:system": bad(Reason.OFFSET_EXCEEDED)}
NO_CONTROLLER = {"control_plane:a": TIMEOUT}
BLIND = UsersSeen(readable=False, advice=("add TWINGATE_LOG_ANALYTICS=v2",))
SILENT_WAY = HopTrace(method="tcp", hops=(Hop(ttl=1, address="10.0.0.1", seconds=0.001),))

TABLE: list[tuple[str, TraceFacts, Code, Status, Domain | None]] = [
    ("all well, no event", facts(), Code.USER_SIDE, Status.OK, None),
    ("all well, log blind", facts(users=BLIND), Code.UNKNOWN, Status.OK, None),
    ("log not read to its end", facts(users=UsersSeen(readable=True, whole=False)), Code.UNKNOWN, Status.OK, None),
    ("log unreadable", facts(users=UsersSeen(problem="no permission")), Code.UNKNOWN, Status.OK, None),
    ("users connect", facts(users=events((EST, 60))), Code.APPLICATION, Status.OK, None),
    ("a long connection ended", facts(users=events((CLOSED, 60))), Code.APPLICATION, Status.OK, None),
    ("users connected yesterday", facts(users=events((EST, 86_400))), Code.USER_SIDE, Status.OK, None),
    ("denied", facts(users=events((DENIED, 60))), Code.POLICY, Status.OK, None),
    ("denied, then let in", facts(users=events((DENIED, 60), (EST, 10))), Code.APPLICATION, Status.OK, None),
    ("let in, then denied", facts(users=events((EST, 60), (DENIED, 10))), Code.POLICY, Status.OK, None),
    ("users fail, we don't", facts(users=events((CONNECT, 60))), Code.CONNECTOR_CONNECT, Status.WARNING,
     Domain.NETWORK),
    ("users' names fail", facts(users=events((DNS_ERROR, 60))), Code.CONNECTOR_DNS, Status.WARNING, Domain.RESOLVER),
    ("users failed within the hour", facts(users=events((CONNECT, 3500))), Code.CONNECTOR_CONNECT, Status.WARNING,
     Domain.NETWORK),
    ("users failed long ago", facts(users=events((CONNECT, 3700))), Code.USER_SIDE, Status.OK, None),
    ("failed and recovered", facts(users=events((CONNECT, 60), (EST, 5))), Code.APPLICATION, Status.OK, None),
    ("name fails", facts(dns=NX, tcp=None, ports=()), Code.CONNECTOR_DNS, Status.CRITICAL, Domain.RESOLVER),
    ("name fails, users were denied", facts(dns=NX, tcp=None, users=events((DENIED, 5))), Code.CONNECTOR_DNS,
     Status.CRITICAL, Domain.RESOLVER),
    ("nameservers disagree", facts(dns=bad(Reason.RESOLVERS_DISAGREE, Status.WARNING)), Code.CONNECTOR_DNS,
     Status.WARNING, Domain.RESOLVER),
    ("only IPv6", facts(dns=bad(Reason.ADDRESS_FAMILY_UNAVAILABLE, Status.WARNING)), Code.USER_SIDE, Status.WARNING,
     None),
    ("refused", facts(tcp=bad(Reason.REFUSED), ports=failed(Reason.REFUSED)), Code.CONNECTOR_CONNECT, Status.CRITICAL,
     Domain.RESOURCE),
    ("blocked here", facts(tcp=TIMEOUT, ports=failed(Reason.BLOCKED_LOCALLY)), Code.CONNECTOR_CONNECT, Status.CRITICAL,
     Domain.HOST),
    ("dropped on the way", facts(tcp=TIMEOUT, ports=failed(way=SILENT_WAY)), Code.CONNECTOR_CONNECT, Status.CRITICAL,
     Domain.NETWORK),
    ("host up, port filtered", facts(tcp=TIMEOUT, ports=failed(way=replace(SILENT_WAY, stop=Stop.REACHED))),
     Code.CONNECTOR_CONNECT, Status.CRITICAL, Domain.RESOURCE),
    ("no ARP on the link", facts(tcp=TIMEOUT, ports=failed(), routes=(RouteSeen(address=ADDRESS, gateway="",
     silent=True),)), Code.CONNECTOR_CONNECT, Status.CRITICAL, Domain.RESOURCE),
    ("one address of two", facts(ports=(UP, *failed(Reason.REFUSED, address="10.1.2.4"))), Code.CONNECTOR_CONNECT,
     Status.WARNING, Domain.RESOURCE),
    ("never up", facts(tcp=bad(Reason.NEVER_UP, Status.SKIPPED), ports=failed()), Code.CONNECTOR_CONNECT,
     Status.WARNING, Domain.NETWORK),
    ("expected down", facts(tcp=OK.but(facts={"expected_down": True}), ports=failed()), Code.CONNECTOR_CONNECT,
     Status.OK, Domain.NETWORK),
    ("not probeable", facts(tcp=bad(Reason.NOT_PROBEABLE, Status.SKIPPED), ports=()), Code.NOT_PROBEABLE,
     Status.UNKNOWN, None),
    ("not probeable, users connect", facts(tcp=bad(Reason.NOT_PROBEABLE, Status.SKIPPED), ports=(),
     users=events((EST, 60))), Code.APPLICATION, Status.OK, None),
    ("our own limits", facts(tcp=bad(Reason.PROBER_STARVED, Status.UNKNOWN), ports=()), Code.UNKNOWN, Status.UNKNOWN,
     None),
    ("port not allowed", facts(tcp=TIMEOUT, ports=failed(), target=Target(resource="DB", address=NAME, port=1,
     not_allowed=True)), Code.POLICY, Status.OK, None),
    ("host down", facts(around=HOST_DOWN, dns=NX), Code.HOST_NETWORK, Status.CRITICAL, Domain.HOST),
    ("no default route, Controller answers", facts(around=HOST_DOWN | {"control_plane:a": OK}), Code.USER_SIDE,
     Status.WARNING, None),
    ("Connector down", facts(around=DOWN, tcp=TIMEOUT), Code.CONNECTOR_DOWN, Status.CRITICAL, Domain.CONNECTOR),
    ("clock", facts(around=CLOCK), Code.CLOCK, Status.CRITICAL, Domain.CLOCK),
    ("clock and token", facts(around=CLOCK | {"connector:process": bad(Reason.TOKEN_INVALID)}), Code.CLOCK,
     Status.CRITICAL, Domain.CLOCK),
    ("token", facts(around={"connector:process": bad(Reason.TOKEN_GONE)}), Code.CONNECTOR_DOWN, Status.CRITICAL,
     Domain.CONNECTOR),
    ("Controller", facts(around=NO_CONTROLLER), Code.CONTROL_PLANE, Status.CRITICAL, Domain.CONTROL_PLANE),
    ("nameservers, and all behind them", facts(around=NO_CONTROLLER | {"resolver:a": TIMEOUT}, dns=TIMEOUT),
     Code.CONNECTOR_DNS, Status.CRITICAL, Domain.RESOLVER),
    ("the gateway, and all behind it",
     facts(around=NO_CONTROLLER | {"resolver:a": TIMEOUT}, dns=TIMEOUT, causes=(GATEWAY,)), Code.HOST_NETWORK,
     Status.CRITICAL, Domain.HOST),
    ("another next hop", facts(causes=(replace(GATEWAY, domain=Domain.NETWORK),)), Code.USER_SIDE, Status.OK, None),
    ("one nameserver of two", facts(around={"resolver:a": TIMEOUT, "resolver:b": OK}), Code.USER_SIDE,
     Status.WARNING, None),
    ("one Controller of two", facts(around=NO_CONTROLLER | {"control_plane:b": OK}), Code.USER_SIDE, Status.WARNING,
     None),
    ("intercepted", facts(around={"control_plane:a": bad(Reason.TLS_INTERCEPTED)}), Code.CONTROL_PLANE,
     Status.CRITICAL, Domain.CONTROL_PLANE),
    ("Relays", facts(around={"relay:a": TIMEOUT, "relay:b": TIMEOUT}), Code.RELAYS, Status.CRITICAL, Domain.RELAY),
    ("one Relay of two", facts(around={"relay:a": TIMEOUT, "relay:b": OK}), Code.USER_SIDE, Status.WARNING, None),
    ("its log says Offline", facts(log=LogSummary(state=LogState.OFFLINE)), Code.CONNECTOR_DOWN, Status.CRITICAL,
     Domain.CONNECTOR),
    ("its resolver gave up", facts(log=LogSummary(nameservers_down={"all": NOW - 60})), Code.CONNECTOR_DNS,
     Status.WARNING, Domain.CONNECTOR),
    ("clock unknown", facts(around={"clock:system": bad(Reason.NO_TIME_SOURCE, Status.UNKNOWN)}), Code.USER_SIDE,
     Status.OK, None),
    ("nothing is known", TraceFacts(target=Target(resource=None, address=ADDRESS, port=1)), Code.NOT_PROBEABLE,
     Status.UNKNOWN, None),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "code", "status", "link"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
def test_conclusions(seen: TraceFacts, code: Code, status: Status, link: Domain | None) -> None:
    """Each set of facts has one conclusion, one status and one broken link, and tells what to do about it."""
    found = conclude(seen)
    assert (found.code, found.status, found.link) == (code, status, link)
    assert found.title
    assert found.text
    assert found.next_step
    assert found.cannot_know == CANNOT_KNOW[code]


def test_every_code_occurs() -> None:
    """No conclusion without a row of the table, none without a word on what a host can't know."""
    assert {r[2] for r in TABLE} == set(Code) == set(CANNOT_KNOW)
    assert len(set(RULES)) == len(RULES)


def test_what_is_also_wrong_is_named() -> None:
    """Behind a fault of the whole Connector the Resource's own one is not forgotten."""
    found = conclude(facts(around=CLOCK, tcp=TIMEOUT, ports=failed()))
    assert found.code is Code.CLOCK
    assert [also.code for also in found.also] == [Code.CONNECTOR_CONNECT]


def test_what_follows_from_the_conclusion_is_not_said_again() -> None:
    """Where no nameserver answers, that this one name does not resolve is no further fault."""
    found = conclude(facts(around=NO_CONTROLLER | {"resolver:a": TIMEOUT}, dns=TIMEOUT))
    assert found.code is Code.CONNECTOR_DNS
    assert Code.CONNECTOR_DNS not in [also.code for also in found.also]


def test_disagreements_of_log_and_probe() -> None:
    """Each way round, and only while it is fresh."""
    ours = conclude(facts(tcp=TIMEOUT, ports=failed(), users=events((EST, 60)))).disagreements
    theirs = conclude(facts(users=events((CONNECT, 60)))).disagreements
    old = conclude(facts(tcp=TIMEOUT, ports=failed(), users=events((EST, 3000)))).disagreements
    assert "a user connected 1 minute ago" in ours[0]
    assert "users fail" in theirs[0]
    assert old == ()


def test_next_step_carries_the_command() -> None:
    """What to do and the command that repeats it stand apart."""
    found = conclude(facts(tcp=TIMEOUT, ports=failed()))
    assert (found.next_step, found.commands) == ("Mend it.", ("nc -vz db 5432",))


def test_only_the_connectors_network_fails() -> None:
    """A port that this host's own place reaches says where to look."""
    found = conclude(facts(tcp=TIMEOUT, ports=failed(host="ok")))
    assert "only the Connector's network fails" in found.text


@pytest.mark.parametrize("stop", list(Stop))
def test_every_end_of_a_way_has_words(stop: Stop) -> None:
    """Whatever stops packets is told in a sentence, also when nobody answered."""
    assert end_of(replace(SILENT_WAY, stop=stop, by="10.0.0.1", icmp=(3, 1)), "this host")
    assert end_of(HopTrace(method="udp", stop=stop), "this host")
