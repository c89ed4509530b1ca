"""The verdict on a name: every sentence of the rules is a row."""

import pytest

from checks import names
from checks.model import Event, Outcome, Reason, Status
from checks.name_story import MAX_SUMMARY
from checks.name_verdict import judge
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.endpoint import Endpoint

NAME = "orders-db.corp.internal"

NXDOMAIN = (AnswerClass.NXDOMAIN, Reason.NXDOMAIN)
EMPTY = (AnswerClass.NO_ADDRESS, Reason.NO_ADDRESS)
REFUSED = (AnswerClass.ERROR, Reason.QUERY_REFUSED)
SERVFAIL = (AnswerClass.ERROR, Reason.SERVFAIL)
MALFORMED = (AnswerClass.ERROR, Reason.MALFORMED_ANSWER)
TIMEOUT = (AnswerClass.TIMEOUT, Reason.TIMEOUT)
CLOSED = (AnswerClass.TIMEOUT, Reason.REFUSED)
STARVED = (AnswerClass.UNASKED, Reason.PROBER_STARVED)
PUBLIC = "203.0.113.7"
PRIVATE = "10.1.2.3"

Said = str | tuple[AnswerClass, Reason]


def _answer(number: int, said: Said) -> Answer:
    """Make the answer of nameserver 10.0.0.NUMBER: an address (or several, by comma), or a class and its reason."""
    nameserver = Endpoint(f"10.0.0.{number}", 53)
    if isinstance(said, str):
        kind = "AAAA" if ":" in said else "A"
        return Answer(
            nameserver=nameserver, name=NAME + ".", kind=kind, klass=AnswerClass.ADDRESS,
            addresses=tuple(said.split(",")), ttl=60, rcode="NOERROR", seconds=0.25, evidence=said,
        )  # fmt: skip
    klass, reason = said
    return Answer(
        nameserver=nameserver, name=NAME + ".", kind="A", klass=klass, reason=reason, evidence=f"saw {reason}"
    )


def _lookup(*said: Said) -> Lookup:
    answers = tuple(_answer(number, one) for number, one in enumerate(said, 1))
    return Lookup(name=NAME, answers=answers, nameservers=tuple(answer.nameserver for answer in answers))


def _judged(*said: Said) -> Outcome:
    return judge(_lookup(*said), 8)


@pytest.mark.parametrize(
    ("said", "status", "reason", "event"),
    [
        # A decides: an A record is ok.
        ([PRIVATE], Status.OK, None, Event.NONE),
        ([PRIVATE, PRIVATE], Status.OK, None, Event.NONE),
        # Different address sets are a fact.
        ([PRIVATE, "10.9.9.9"], Status.OK, None, Event.NONE),
        # Only AAAA.
        (["fd00::1"], Status.WARNING, Reason.ADDRESS_FAMILY_UNAVAILABLE, Event.NONE),
        (["fd00::1", "fd00::1"], Status.WARNING, Reason.ADDRESS_FAMILY_UNAVAILABLE, Event.NONE),
        (["fd00::1", PRIVATE], Status.OK, None, Event.NONE),
        # All fail.
        ([NXDOMAIN], Status.CRITICAL, Reason.NXDOMAIN, Event.DNS_LOOKUP_ERROR),
        ([EMPTY], Status.CRITICAL, Reason.NO_ADDRESS, Event.DNS_LOOKUP_ERROR),
        ([REFUSED], Status.CRITICAL, Reason.QUERY_REFUSED, Event.DNS_LOOKUP_ERROR),
        ([SERVFAIL], Status.CRITICAL, Reason.SERVFAIL, Event.DNS_LOOKUP_ERROR),
        ([MALFORMED], Status.CRITICAL, Reason.MALFORMED_ANSWER, Event.DNS_LOOKUP_ERROR),
        ([TIMEOUT], Status.CRITICAL, Reason.TIMEOUT, Event.DNS_LOOKUP_ERROR),
        ([CLOSED], Status.CRITICAL, Reason.TIMEOUT, Event.DNS_LOOKUP_ERROR),
        # The most specific reason: nxdomain > no_address > query_refused > servfail > malformed_answer > timeout.
        ([TIMEOUT, MALFORMED, SERVFAIL, REFUSED, EMPTY, NXDOMAIN], Status.CRITICAL, Reason.NXDOMAIN,
         Event.DNS_LOOKUP_ERROR),
        ([TIMEOUT, MALFORMED, SERVFAIL, REFUSED, EMPTY], Status.CRITICAL, Reason.NO_ADDRESS, Event.DNS_LOOKUP_ERROR),
        ([TIMEOUT, MALFORMED, SERVFAIL, REFUSED], Status.CRITICAL, Reason.QUERY_REFUSED, Event.DNS_LOOKUP_ERROR),
        ([TIMEOUT, MALFORMED, SERVFAIL], Status.CRITICAL, Reason.SERVFAIL, Event.DNS_LOOKUP_ERROR),
        ([CLOSED, MALFORMED], Status.CRITICAL, Reason.MALFORMED_ANSWER, Event.DNS_LOOKUP_ERROR),
        # Classes differ, one of them address.
        ([PRIVATE, NXDOMAIN], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([PRIVATE, REFUSED], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([PRIVATE, SERVFAIL], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([PRIVATE, MALFORMED], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([TIMEOUT, PRIVATE], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([EMPTY, PUBLIC], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        (["fd00::1", NXDOMAIN], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        # no_address from one and a private address from another.
        ([EMPTY, "10.1.2.3"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        (["172.16.0.1", EMPTY], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, "192.168.0.1"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, "100.64.0.1"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, "127.0.0.1"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, "169.254.1.1"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, "fd00::1"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, f"{PUBLIC},10.1.2.3"], Status.WARNING, Reason.REBIND_PROTECTED, Event.NONE),
        ([EMPTY, "172.32.0.1"], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([EMPTY, "100.128.0.1"], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        ([EMPTY, "2001:db8::1"], Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE),
        # Our own limits are never the name's fault.
        ([STARVED], Status.UNKNOWN, Reason.PROBER_STARVED, None),
        ([STARVED, STARVED], Status.UNKNOWN, Reason.PROBER_STARVED, None),
        ([STARVED, NXDOMAIN], Status.UNKNOWN, Reason.PROBER_STARVED, None),
        ([STARVED, PRIVATE], Status.OK, None, Event.NONE),
    ],
)  # fmt: skip
def test_verdicts(said: list[Said], status: Status, reason: Reason | None, event: Event | None) -> None:
    """Each sentence of the rules holds."""
    outcome = _judged(*said)
    assert (outcome.status, outcome.reason, outcome.event) == (status, reason, event)
    assert (outcome.action == "") is (status is Status.OK)
    assert ("lookup_seconds" in outcome.measurements) is any(isinstance(one, str) for one in said)
    assert outcome.status is not Status.CRITICAL or outcome.reason in names.CRITICAL_REASONS


def test_failing_share() -> None:
    """The share of nameservers that fail counts those that could be asked."""
    assert _judged(PRIVATE, NXDOMAIN, TIMEOUT, STARVED).facts["failing_share"] == 0.667
    assert "failing_share" not in _judged(PRIVATE, PRIVATE).facts


def test_facts() -> None:
    """Addresses, and what each nameserver said, side by side."""
    outcome = _judged("10.0.0.9,10.0.0.8", "10.0.0.9", NXDOMAIN)
    assert outcome.facts["addresses"] == ("10.0.0.9", "10.0.0.8")
    assert outcome.facts["address_count"] == 2
    assert outcome.facts["address_sets_differ"] is True
    assert outcome.facts["ttl"] == 60
    assert outcome.facts["matrix"] == {
        "10.0.0.1": {"class": "address", "ms": 250.0, "addresses": ("10.0.0.9", "10.0.0.8")},
        "10.0.0.2": {"class": "address", "ms": 250.0, "addresses": ("10.0.0.9",)},
        "10.0.0.3": {"class": "nxdomain", "ms": 0.0, "reason": "nxdomain", "evidence": "saw nxdomain"},
    }


def test_order_of_addresses_is_no_difference() -> None:
    """Round robin within one set is no difference."""
    assert "address_sets_differ" not in _judged("10.0.0.9,10.0.0.8", "10.0.0.8,10.0.0.9").facts


def test_addresses_are_bounded() -> None:
    """At most as many addresses are kept as asked for; all are counted."""
    outcome = judge(_lookup(",".join(f"10.0.0.{number}" for number in range(20))), 8)
    assert len(outcome.facts["addresses"]) == 8  # type: ignore[arg-type]
    assert outcome.facts["address_count"] == 20


@pytest.mark.parametrize(("seconds", "slow"), [(5.0, False), (5.1, True)])
def test_slow_lookup_is_marked(seconds: float, slow: bool) -> None:
    """A lookup over 5 s is marked: the Connector would have given that attempt up."""
    answer = Answer(
        nameserver=Endpoint("10.0.0.1", 53), name=NAME, kind="A", klass=AnswerClass.ADDRESS, addresses=(PRIVATE,),
        seconds=seconds,
    )  # fmt: skip
    assert ("slower_than_5s" in judge(Lookup(name=NAME, answers=(answer,)), 8).facts) is slow


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([NXDOMAIN], "dig @10.0.0.1 orders-db.corp.internal A"),
        ([NXDOMAIN], "misspelt"),
        ([NXDOMAIN, TIMEOUT], "every nameserver: 10.0.0.1, 10.0.0.2"),
        ([TIMEOUT, NXDOMAIN], "dig @10.0.0.2 "),
        ([NXDOMAIN] * 5, "10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 more"),
        ([REFUSED], "access list"),
        ([SERVFAIL], "forwards"),
        ([EMPTY], "rebind protection"),
        ([PRIVATE, NXDOMAIN], "whenever the Connector asks 10.0.0.2"),
        ([EMPTY, PRIVATE], "rebind protection"),
    ],
)
def test_actions(said: list[Said], expected: str) -> None:
    """The action names the command to repeat, the fix, and the nameservers that fail."""
    assert expected in _judged(*said).action


def test_local_names_mention_multicast() -> None:
    """For a name in .local the action says who else could know it."""
    answer = Answer(nameserver=Endpoint("10.0.0.1", 5353), name="nas.local.", kind="A", klass=AnswerClass.NXDOMAIN,
                    reason=Reason.NXDOMAIN)  # fmt: skip
    outcome = judge(Lookup(name="nas.local", answers=(answer,)), 8)
    assert "mDNS" in outcome.action
    assert "dig @10.0.0.1 -p 5353 nas.local A" in outcome.action
    assert "mDNS" not in _judged(NXDOMAIN).action


def test_names_are_quoted_for_the_shell() -> None:
    """A name from outside can't break out of the command that people paste."""
    answer = Answer(nameserver=Endpoint("10.0.0.1", 53), name="a;reboot.", kind="A", klass=AnswerClass.NXDOMAIN,
                    reason=Reason.NXDOMAIN)  # fmt: skip
    assert "'a;reboot'" in judge(Lookup(name="a;reboot", answers=(answer,)), 8).action


def test_summary_is_one_line() -> None:
    """However long the name, the summary keeps its bound."""
    name = ".".join(["x" * 60] * 4)
    answer = Answer(nameserver=Endpoint("10.0.0.1", 53), name=name, kind="A", klass=AnswerClass.NXDOMAIN,
                    reason=Reason.NXDOMAIN)  # fmt: skip
    assert len(judge(Lookup(name=name, answers=(answer,)), 8).summary) == MAX_SUMMARY


@pytest.mark.parametrize(
    ("addresses", "status", "reason"),
    [
        ((PRIVATE,), Status.OK, None),
        (("fd00::1",), Status.WARNING, Reason.ADDRESS_FAMILY_UNAVAILABLE),
    ],
)
def test_hosts_file_decides(addresses: tuple[str, ...], status: Status, reason: Reason | None) -> None:
    """A name in the hosts file needs no nameserver, and the fact says so."""
    outcome = judge(Lookup(name=NAME, local=addresses, hosts_file=True), 8)
    assert (outcome.status, outcome.reason, outcome.event) == (status, reason, Event.NONE)
    assert outcome.facts["hosts_file"] is True
    assert outcome.facts["addresses"] == addresses


def test_unreadable_settings_are_unknown() -> None:
    """Settings that can't be read are our ignorance."""
    outcome = judge(Lookup(name=NAME, problems=("/etc/resolv.conf can't be read: Permission denied",)), 8)
    assert (outcome.status, outcome.reason, outcome.event) == (Status.UNKNOWN, Reason.PERMISSION_DENIED, None)
    assert "Permission denied" in outcome.summary


def test_impossible_name() -> None:
    """A text that can't be a DNS name never resolves, for the user neither."""
    outcome = judge(Lookup(name="a..b", impossible="it can't be a DNS name: A DNS label is empty."), 8)
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.NXDOMAIN)
    assert outcome.event is Event.DNS_LOOKUP_ERROR
