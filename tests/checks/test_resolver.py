"""The `resolver` check: every sentence of its rules is a row, and real nameservers."""

import contextlib
import errno
import socket
from pathlib import Path

import dns.rcode
import pytest

from checks import resolver as check
from checks.model import Outcome, Reason, Status
from checks.net.answers import Answer, AnswerClass
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Context, Seat, SocketFactory, open_socket
from checks.net.stub import StubResolver
from checks.resolver import ResolverSpec, judge, probe
from tests.support.cancel import check_cancellation
from tests.support.nameservers import local, says, scripted, silent, unbound
from tests.support.servers import free_port

NAME = "orders-db.corp.internal"
SPEC = ResolverSpec(question=NAME, timeout_s=0.3)

Said = tuple[str | None, AnswerClass, Reason | None]
FOUND: Said = ("NOERROR", AnswerClass.ADDRESS, None)
EMPTY: Said = ("NOERROR", AnswerClass.NO_ADDRESS, Reason.NO_ADDRESS)
NXDOMAIN: Said = ("NXDOMAIN", AnswerClass.NXDOMAIN, Reason.NXDOMAIN)
SERVFAIL: Said = ("SERVFAIL", AnswerClass.ERROR, Reason.SERVFAIL)
NOTIMP: Said = ("NOTIMP", AnswerClass.ERROR, Reason.SERVFAIL)
REFUSED: Said = ("REFUSED", AnswerClass.ERROR, Reason.QUERY_REFUSED)
MALFORMED: Said = (None, AnswerClass.ERROR, Reason.MALFORMED_ANSWER)
SILENT: Said = (None, AnswerClass.TIMEOUT, Reason.TIMEOUT)
CLOSED: Said = (None, AnswerClass.TIMEOUT, Reason.REFUSED)
BLOCKED: Said = (None, AnswerClass.TIMEOUT, Reason.BLOCKED_LOCALLY)
STARVED: Said = (None, AnswerClass.UNASKED, Reason.PROBER_STARVED)

OK = (Status.OK, None)


def _answer(number: int, said: Said) -> Answer:
    rcode, klass, reason = said
    nameserver = Endpoint(f"10.0.0.{number}", 53)
    return Answer(
        nameserver=nameserver, name=NAME + ".", kind="A", klass=klass, reason=reason, rcode=rcode, seconds=0.2
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # A valid reply with NOERROR or NXDOMAIN is ok.
        ([FOUND], [OK]),
        ([EMPTY], [OK]),
        ([NXDOMAIN], [OK]),
        # SERVFAIL or REFUSED is a warning with that reason; other codes count as servfail.
        ([SERVFAIL], [(Status.WARNING, Reason.SERVFAIL)]),
        ([NOTIMP], [(Status.WARNING, Reason.SERVFAIL)]),
        ([REFUSED], [(Status.WARNING, Reason.QUERY_REFUSED)]),
        # No valid reply is critical if no nameserver answers.
        ([SILENT], [(Status.CRITICAL, Reason.TIMEOUT)]),
        ([MALFORMED], [(Status.CRITICAL, Reason.MALFORMED_ANSWER)]),
        ([SILENT, CLOSED], [(Status.CRITICAL, Reason.TIMEOUT), (Status.CRITICAL, Reason.REFUSED)]),
        ([BLOCKED], [(Status.CRITICAL, Reason.BLOCKED_LOCALLY)]),
        # Else warning.
        ([SILENT, FOUND], [(Status.WARNING, Reason.TIMEOUT), OK]),
        ([NXDOMAIN, MALFORMED], [OK, (Status.WARNING, Reason.MALFORMED_ANSWER)]),
        ([SILENT, SERVFAIL], [(Status.WARNING, Reason.TIMEOUT), (Status.WARNING, Reason.SERVFAIL)]),
        # Our own limits are never the nameserver's fault.
        ([STARVED], [(Status.UNKNOWN, Reason.PROBER_STARVED)]),
        ([STARVED, FOUND], [(Status.UNKNOWN, Reason.PROBER_STARVED), OK]),
    ],
)
def test_verdicts(said: list[Said], expected: list[tuple[Status, Reason | None]]) -> None:
    """Each sentence of the rules holds."""
    rows = judge([_answer(number, one) for number, one in enumerate(said, 1)])
    assert list(rows) == [f"10.0.0.{number}" for number in range(1, len(said) + 1)]
    assert [(outcome.status, outcome.reason) for outcome in rows.values()] == expected
    for (rcode, _, _), outcome in zip(said, rows.values(), strict=True):
        assert outcome.event is None
        assert ("reply_seconds" in outcome.measurements) is bool(rcode)
        assert (outcome.action == "") is (outcome.status is Status.OK)
        assert outcome.status is not Status.CRITICAL or outcome.reason in check.CRITICAL_REASONS


def test_action_repeats_the_question() -> None:
    """The action holds the same question for a person's hands."""
    (outcome,) = judge([_answer(1, SILENT)]).values()
    assert f"dig @10.0.0.1 {NAME} A" in outcome.action


def _context(*nameservers: Endpoint, factory: SocketFactory = open_socket) -> Context:
    settings = SystemSettings(hosts="/nonexistent", nameservers=nameservers, search=())
    return Context(seat=Seat(resolver=StubResolver(settings, factory, 0.5)))


async def _one(context: Context, spec: ResolverSpec = SPEC) -> Outcome:
    (outcome,) = (await probe(spec, context)).values()
    return outcome


async def test_real_nameservers(tmp_path: Path) -> None:
    """Unbound that knows the name, one that does not, one that refuses, and a closed port, side by side."""
    zone = local("corp.internal", f"{NAME}. 60 IN A 10.1.2.3")
    with (
        unbound(tmp_path, *zone) as knowing,
        unbound(tmp_path, *local("corp.internal")) as ignorant,
        unbound(tmp_path, access="refuse") as refusing,
    ):
        closed = Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM))
        rows = await probe(ResolverSpec(question=NAME, timeout_s=5), _context(knowing, ignorant, refusing, closed))
    assert {name: (row.status, row.reason, row.facts.get("rcode")) for name, row in rows.items()} == {
        str(knowing): (Status.OK, None, "NOERROR"),
        str(ignorant): (Status.OK, None, "NXDOMAIN"),
        str(refusing): (Status.WARNING, Reason.QUERY_REFUSED, "REFUSED"),
        str(closed): (Status.WARNING, Reason.REFUSED, None),
    }


async def test_silent_nameserver_is_critical_alone() -> None:
    """A nameserver that never answers, and is the only one, is critical."""
    async with scripted(silent) as server:
        outcome = await _one(_context(server.endpoint))
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.TIMEOUT)
    assert "no answer within 0.3 s" in outcome.summary


@pytest.mark.parametrize(
    ("question", "asked"),
    [(NAME, (f"{NAME}.", "A")), ("db", ("db.", "A")), (None, (".", "NS")), ("a..b", (".", "NS"))],
)
async def test_what_is_asked(question: str | None, asked: tuple[str, str]) -> None:
    """The first configured name is asked for, absolutely; without one, or without a possible one, the root's NS."""
    async with scripted(says(rcode=dns.rcode.NXDOMAIN)) as server:
        outcome = await _one(_context(server.endpoint), ResolverSpec(question=question, timeout_s=5))
    assert server.asked == [("udp", *asked)]
    assert outcome.status is Status.OK
    assert outcome.facts["question"] == " ".join(asked)


async def test_root_nameservers_are_a_valid_reply() -> None:
    """The nameservers of the root are an answer like any other."""
    async with scripted(says(". 60 IN NS a.root-servers.net.")) as server:
        outcome = await _one(_context(server.endpoint), ResolverSpec(timeout_s=5))
    assert (outcome.status, outcome.facts["rcode"]) == (Status.OK, "NOERROR")


async def test_unreadable_settings_are_one_unknown_row(tmp_path: Path) -> None:
    """Settings that can't be read are one row that says so."""
    (tmp_path / "resolv.conf").mkdir()
    settings = SystemSettings(resolv_conf=str(tmp_path / "resolv.conf"))
    resolver = StubResolver(settings, open_socket, 0.5)
    outcome = await _one(Context(seat=Seat(resolver=resolver)))
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PERMISSION_DENIED)


async def test_starved_host_is_unknown() -> None:
    """Without a free descriptor nothing is said about the nameserver."""

    def starved(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    outcome = await _one(_context(Endpoint("127.0.0.1", 53), factory=starved))
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PROBER_STARVED)


async def test_cancellation_leaves_nothing() -> None:
    """Cancelled at any await, the probe leaves no socket and no task."""
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(scripted(says()))
        two = await stack.enter_async_context(scripted(silent))
        context = _context(one.endpoint, two.endpoint)
        await check_cancellation(lambda: probe(ResolverSpec(timeout_s=0.1), context))


def test_documentation_names_every_reason() -> None:
    """What `explain resolver` prints names every reason with which the check can be critical."""
    assert check.__doc__
    assert all(reason in check.__doc__ for reason in check.CRITICAL_REASONS)
