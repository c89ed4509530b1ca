import dataclasses
from typing import Any

import pytest

from checks import names
from checks.model import Event, Reason, Status
from checks.net.seat import Context, Seat
from checks.tcp import CRITICAL_REASONS
from tests.support.fakes import context
from tests.support.servers import free_port
from tests.support.tcp import FailingResolver, listening, look, port_of, spec


@pytest.mark.parametrize(
    ("expect", "up", "ever_up", "status", "reason"),
    [
        ("up", True, False, Status.OK, None),
        ("up", False, False, Status.CRITICAL, Reason.REFUSED),
        ("any", True, False, Status.OK, None),
        ("any", False, False, Status.OK, None),
        ("down", True, False, Status.WARNING, Reason.UNEXPECTEDLY_UP),
        ("down", False, True, Status.OK, None),
        ("learned", True, False, Status.OK, None),
        ("learned", False, False, Status.SKIPPED, Reason.NEVER_UP),
        ("learned", False, True, Status.CRITICAL, Reason.REFUSED),
    ],
)
async def test_what_is_expected_decides_what_it_means(
    expect: str, up: bool, ever_up: bool, status: Status, reason: Reason | None
) -> None:
    """The contract's "Never up", row by row."""
    with listening() as server:
        port = port_of(server) if up else free_port()
        outcome = await look(spec("127.0.0.1", port, expect=expect), dataclasses.replace(context(), ever_up=ever_up))
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.event is {Status.CRITICAL: Event.UNABLE_TO_CONNECT, Status.SKIPPED: None}.get(status, Event.NONE)
    assert outcome.facts.get("expected_down") is (True if expect == "down" and not up else None)


@pytest.mark.parametrize("reason", [
    Reason.NXDOMAIN, Reason.NO_ADDRESS, Reason.QUERY_REFUSED, Reason.SERVFAIL, Reason.MALFORMED_ANSWER, Reason.TIMEOUT,
])  # fmt: skip
async def test_when_dns_is_not_run_the_port_carries_the_event(reason: Reason) -> None:
    """A name that tcp had to resolve itself, in vain: critical with the reason from DNS and the event of DNS."""
    where = Context(seat=Seat(resolver=FailingResolver(reason)))
    outcome = await look(spec("db.example", 5432), where)
    assert (outcome.status, outcome.reason, outcome.event) == (Status.CRITICAL, reason, Event.DNS_LOOKUP_ERROR)
    assert reason in CRITICAL_REASONS
    assert outcome.action.endswith("dig db.example A")


@pytest.mark.parametrize(
    ("expect", "reason", "status", "said"),
    [
        ("any", Reason.NXDOMAIN, Status.OK, None),
        ("down", Reason.NXDOMAIN, Status.OK, None),
        ("learned", Reason.NXDOMAIN, Status.SKIPPED, Reason.NEVER_UP),
        ("up", Reason.PROBER_STARVED, Status.UNKNOWN, Reason.PROBER_STARVED),
    ],
)
async def test_a_failing_name_follows_what_is_expected(
    expect: str, reason: Reason, status: Status, said: Reason | None
) -> None:
    """Expectations hold for names as for ports; our own limits stay unknown."""
    outcome = await look(spec("db.example", 1, expect=expect), Context(seat=Seat(resolver=FailingResolver(reason))))
    assert (outcome.status, outcome.reason) == (status, said)


async def test_the_addresses_that_dns_found_are_used_and_none_means_its_row_says_why() -> None:
    """With `dns` run before, nothing is resolved again, and a failed name makes the port dependency_failed."""
    where = Context(seat=Seat(resolver=FailingResolver(Reason.NXDOMAIN)))
    with listening() as server:
        wanted = spec("db.example", port_of(server))
        given = await look(wanted, dataclasses.replace(where, addresses=("127.0.0.1",)))
        empty = await look(wanted, dataclasses.replace(where, addresses=()))
    assert given.status is Status.OK
    assert (empty.status, empty.reason, empty.event) == (Status.SKIPPED, Reason.DEPENDENCY_FAILED, None)


async def test_text_from_outside_is_quoted_in_the_command() -> None:
    """A name that is shell syntax can't leave its quotes."""
    outcome = await look(spec("a;reboot", 1), Context(seat=Seat(resolver=FailingResolver(Reason.NXDOMAIN))))
    assert outcome.action.endswith("dig 'a;reboot' A")


LEARNED = {"expect": "learned", "learned_sample": True}


@pytest.mark.parametrize(
    ("kind", "ever_up", "user_failed", "status", "reason"),
    [
        ({"expect": "learned"}, False, True, Status.CRITICAL, Reason.REFUSED),
        ({"expect": "learned"}, True, True, Status.CRITICAL, Reason.REFUSED),
        (LEARNED, False, False, Status.SKIPPED, Reason.NEVER_UP),
        (LEARNED, True, False, Status.WARNING, Reason.REFUSED),
        (LEARNED, False, True, Status.CRITICAL, Reason.REFUSED),
        (LEARNED, True, True, Status.CRITICAL, Reason.REFUSED),
        ({"expect": "any", "learned_sample": True}, True, True, Status.OK, None),
        ({"expect": "down", "learned_sample": True}, True, True, Status.OK, None),
    ],
)
async def test_a_user_who_fails_makes_it_matter(
    kind: dict[str, Any], ever_up: bool, user_failed: bool, status: Status, reason: Reason | None
) -> None:
    """A closed port that nobody wrote is critical once a user fails there; one from the log is a warning until then."""
    where = dataclasses.replace(context(), ever_up=ever_up, user_failed=user_failed)
    outcome = await look(spec("127.0.0.1", free_port(), **kind), where)
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.event is {Status.CRITICAL: Event.UNABLE_TO_CONNECT, Status.SKIPPED: None}.get(status, Event.NONE)
    assert outcome.facts.get("only_learned") is (True if status is Status.WARNING else None)
    assert ("log" in outcome.action) is (status is Status.WARNING)


@pytest.mark.parametrize(
    ("ever_up", "user_failed", "status"),
    [(False, False, Status.SKIPPED), (True, False, Status.WARNING), (False, True, Status.CRITICAL)],
)
async def test_a_learned_name_that_fails_follows_its_users(ever_up: bool, user_failed: bool, status: Status) -> None:
    """Where `dns` is not run, the same holds for the name of a learned port; the fact that it was the name stays."""
    where = Context(seat=Seat(resolver=FailingResolver(Reason.NXDOMAIN)), ever_up=ever_up, user_failed=user_failed)
    outcome = await look(spec("db.example", 5432, **LEARNED), where)
    assert outcome.status is status
    assert outcome.facts["name_failed"] == "nxdomain"


async def test_a_learned_port_that_accepts_is_as_good_as_any() -> None:
    """The cap takes nothing from ok."""
    with listening() as server:
        outcome = await look(spec("127.0.0.1", port_of(server), **LEARNED))
    assert (outcome.status, outcome.event) == (Status.OK, Event.NONE)


@pytest.mark.parametrize(
    ("learned", "user_failed", "status", "event"),
    [
        (False, False, Status.CRITICAL, Event.DNS_LOOKUP_ERROR),
        (True, False, Status.WARNING, Event.NONE),
        (True, True, Status.CRITICAL, Event.DNS_LOOKUP_ERROR),
    ],
)
async def test_the_row_of_a_learned_name(learned: bool, user_failed: bool, status: Status, event: Event) -> None:
    """The `dns` row of a name from the log is a warning at most, unless a user fails at it too."""
    where = dataclasses.replace(context({}), user_failed=user_failed)
    (outcome,) = (await names.probe(names.NameSpec(name="gone.test", learned_sample=learned), where)).values()
    assert (outcome.status, outcome.reason, outcome.event) == (status, Reason.NXDOMAIN, event)
