"""The log book: what holds, what is over, and that nothing in it grows without end."""

import tracemalloc

import pytest

from checks.connlog.book import MAX_NAMESERVERS, LogBook
from checks.connlog.failing import MAX_TARGETS, MAX_USERS, WINDOW_S
from checks.connlog.model import (
    CauseSeen,
    ConnectionKind,
    ConnectionSeen,
    LogCause,
    LogState,
    NameserverSeen,
    Path,
    StateSeen,
)
from checks.connlog.summary import CauseCount, LogSummary
from checks.connlog.token_error import PROOF_S
from checks.net.endpoint import Endpoint
from tests.support.connector_log import AT

DB = "db.corp.example.com"
INVALID, GONE = LogCause.TOKEN_INVALID, LogCause.TOKEN_GONE


class Clock:
    """The wall clock of these tests."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Make the clock of a test."""
    return Clock()


@pytest.fixture
def book(clock: Clock) -> LogBook:
    """Make an empty book."""
    return LogBook(clock)


def connection(
    kind: ConnectionKind,
    at: float = AT,
    *,
    address: str = DB,
    port: int | None = 5432,
    user: int | None = 1,
    path: Path = "direct",
) -> ConnectionSeen:
    """Make what became of a user's connection."""
    return ConnectionSeen(at=at, kind=kind, address=address, port=port, user=user, path=path)


def failed(at: float = AT, *, address: str = DB, port: int | None = 5432, user: int | None = 1) -> ConnectionSeen:
    """Make a connection that could not be made."""
    return connection(ConnectionKind.UNABLE_TO_CONNECT, at, address=address, port=port, user=user)


def test_an_empty_book_knows_nothing(book: LogBook) -> None:
    """Before a line was read there is nothing: no state, no trouble, and no claim that all is well."""
    assert book.summary(AT) == LogSummary()


def test_states(book: LogBook) -> None:
    """The last state holds since it was first said, and saying it again does not make it younger."""
    book.note(StateSeen(at=AT, state=LogState.OFFLINE))
    book.note(StateSeen(at=AT + 1, state=LogState.ONLINE))
    book.note(StateSeen(at=AT + 2, state=LogState.ONLINE))
    summary = book.summary(AT + 3)
    assert (summary.state, summary.state_at) == (LogState.ONLINE, AT + 1)


STATE = {"s": LogState.OFFLINE, "E": LogState.ERROR, "O": LogState.ONLINE}
CAUSE = {"i": INVALID, "g": GONE, "r": LogCause.RELAY_UNREACHABLE, "x": LogCause.OTHER}


@pytest.mark.parametrize(
    ("story", "token", "since"),
    [
        ("i", INVALID, 0),
        ("ii", INVALID, 0),
        ("iO", None, None),
        ("Oi", INVALID, 1),
        ("iOi", INVALID, 2),
        ("isE", INVALID, 0),
        ("irx", INVALID, 0),
        ("g", GONE, 0),
        ("gO", GONE, 0),
        ("ig", GONE, 1),
        ("gi", GONE, 0),
        ("gP", None, None),
        ("iP", None, None),
        ("gPg", GONE, 2),
        ("gPO", None, None),
        ("rxO", None, None),
    ],
)
def test_token(book: LogBook, clock: Clock, story: str, token: LogCause | None, since: int | None) -> None:
    """A refused token holds until Online; one that is gone until the process is started anew (P)."""
    for n, step in enumerate(story):
        clock.now = at = AT + n
        if step == "P":
            book.process_started(at)
        else:
            seen = StateSeen(at=at, state=STATE[step]) if step in STATE else CauseSeen(at=at, cause=CAUSE[step])
            book.note(seen)
    summary = book.summary(clock.now)
    assert (summary.token, summary.token_at) == (token, None if since is None else AT + since)


def test_a_working_connection_proves_a_token(book: LogBook, clock: Clock) -> None:
    """At a level without states, a user connected long after the last refusal ends it; soon after, it does not."""
    clock.now = AT + 10 * PROOF_S
    for cause, over in ((INVALID, True), (GONE, False)):
        book.note(CauseSeen(at=AT, cause=cause))
        book.note(connection(ConnectionKind.ESTABLISHED, AT + PROOF_S - 1))
        book.note(failed(AT + 2 * PROOF_S))
        assert book.summary(clock.now).token is cause
        book.note(connection(ConnectionKind.ESTABLISHED, AT + PROOF_S))
        assert (book.summary(clock.now).token is None) is over


def test_a_new_process_is_a_new_beginning(book: LogBook, clock: Clock) -> None:
    """What the old process said is over, also where it is read late; what the new one said before we knew stays."""
    v4, v6 = Endpoint("10.0.0.2", 53), Endpoint("2001:db8::53", 53)
    clock.now = AT + 100
    for at in (AT, AT + 20):
        book.note(StateSeen(at=at, state=LogState.ERROR))
        book.note(CauseSeen(at=at, cause=GONE))
        book.note(NameserverSeen(at=at, nameserver=v4, up=False))
    book.note(NameserverSeen(at=AT, nameserver=v6, up=False))
    book.process_started(AT + 10)
    summary = book.summary(clock.now)
    assert (summary.state, summary.state_at) == (LogState.ERROR, AT + 10)
    assert (summary.token, summary.token_at, dict(summary.nameservers_down)) == (GONE, AT + 10, {"10.0.0.2": AT + 10})
    book.process_started(AT + 30)
    late = AT + 29
    book.note(StateSeen(at=late, state=LogState.ERROR))
    book.note(CauseSeen(at=late, cause=GONE))
    book.note(NameserverSeen(at=late, nameserver=None, up=False))
    summary = book.summary(clock.now)
    assert (summary.state, summary.state_at, summary.token, summary.nameservers_down) == (None, None, None, {})
    assert summary.causes[GONE] == CauseCount(count=3, last_at=late)


def test_nameservers(book: LogBook) -> None:
    """A nameserver is down from when it failed until it is back up; "all" ends with the first that is back."""
    first, second = Endpoint("10.0.0.2", 53), Endpoint("2001:db8::53", 5353)
    for at, nameserver in ((AT, first), (AT + 1, first), (AT + 2, second), (AT + 3, None)):
        book.note(NameserverSeen(at=at, nameserver=nameserver, up=False))
    summary = book.summary(AT + 4)
    assert summary.nameservers_down == {"10.0.0.2": AT, "[2001:db8::53]:5353": AT + 2, "all": AT + 3}
    assert summary.causes[LogCause.NAMESERVER_FAILED] == CauseCount(count=3, last_at=AT + 2)
    assert summary.causes[LogCause.ALL_NAMESERVERS_FAILED] == CauseCount(count=1, last_at=AT + 3)
    book.note(NameserverSeen(at=AT + 5, nameserver=first, up=True))
    assert book.summary(AT + 6).nameservers_down == {"[2001:db8::53]:5353": AT + 2}
    assert book.summary(AT + 6).causes == summary.causes


def test_nameservers_are_bounded(book: LogBook) -> None:
    """However many nameservers a log names, the last 16 are kept."""
    for n in range(100):
        book.note(NameserverSeen(at=AT + n / 10, nameserver=Endpoint(f"10.0.0.{n}", 53), up=False))
    assert list(book.summary(AT).nameservers_down) == [f"10.0.0.{n}" for n in range(100 - MAX_NAMESERVERS, 100)]


def test_counts(book: LogBook) -> None:
    """Events are counted by kind, and paths only of connections that came to be."""
    for kind, times in zip(ConnectionKind, (5, 4, 3, 2, 1), strict=True):
        for n in range(times):
            book.note(connection(kind, path="direct" if n else "relayed"))
    summary = book.summary(AT)
    assert [summary.events[kind] for kind in ConnectionKind] == [5, 4, 3, 2, 1]
    assert summary.paths == {"direct": 4, "relayed": 1}


def test_a_summary_is_a_moment(book: LogBook) -> None:
    """What is noted later does not change a summary that was given away."""
    book.note(failed())
    book.note(CauseSeen(at=AT, cause=LogCause.OTHER))
    book.note(NameserverSeen(at=AT, nameserver=None, up=False))
    before = book.summary(AT)
    copy = (dict(before.events), dict(before.causes), dict(before.failing), dict(before.nameservers_down))
    book.note(failed(user=2))
    book.note(CauseSeen(at=AT, cause=LogCause.OTHER))
    book.note(NameserverSeen(at=AT, nameserver=Endpoint("10.0.0.2", 53), up=True))
    assert (before.events, before.causes, before.failing, before.nameservers_down) == copy


def test_distinct_users_are_counted(book: LogBook, clock: Clock) -> None:
    """Of a failing target distinct users are counted, of the last 15 minutes; denials and ends are no failures."""
    for user in (1, 2, 2, None, None):
        book.note(failed(user=user))
    book.note(failed(port=None, user=9))
    book.note(failed(address="2001:db8::1", port=443))
    book.note(failed(address="", port=443))
    book.note(connection(ConnectionKind.DNS_LOOKUP_ERROR, user=7))
    book.note(connection(ConnectionKind.DENIED, user=8))
    book.note(connection(ConnectionKind.CLOSED, user=8))
    assert book.summary(AT).failing == {f"{DB}:5432": 3, DB: 2, "[2001:db8::1]:443": 1}
    clock.now = AT + 60
    book.note(failed(AT + 60, user=2))
    assert book.summary(AT + WINDOW_S).failing == {f"{DB}:5432": 3, DB: 2, "[2001:db8::1]:443": 1}
    assert book.summary(AT + WINDOW_S + 1).failing == {f"{DB}:5432": 1}
    assert book.summary(AT + WINDOW_S + 61).failing == {}


def test_last_failure(book: LogBook, clock: Clock) -> None:
    """A failure is remembered for 15 minutes: of the port, or of the name that was not found."""
    book.note(failed(AT - 5))
    book.note(failed(AT - 9))
    assert book.last_failure(DB.upper(), 5432) == AT - 5
    assert [book.last_failure(DB, port) for port in (None, 443)] == [None, None]
    book.note(connection(ConnectionKind.DNS_LOOKUP_ERROR, AT - 3))
    assert [book.last_failure(DB, port) for port in (None, 5432)] == [AT - 3, AT - 5]
    clock.now = AT - 5 + WINDOW_S
    assert book.last_failure(DB, 5432) == AT - 5
    clock.now += 0.1
    assert book.last_failure(DB, 5432) is None


def test_a_time_in_the_future_is_now(book: LogBook, clock: Clock) -> None:
    """An event that says it is of next year can't stand in the book until then."""
    book.note(failed(AT + 1e7))
    assert book.last_failure(DB, 5432) == AT
    clock.now += WINDOW_S + 1
    assert (book.last_failure(DB, 5432), book.summary(clock.now).failing) == (None, {})


def test_the_book_is_bounded(book: LogBook, clock: Clock) -> None:
    """A flood of failures at made-up names by made-up users stays within its bounds, and the latest are kept."""
    full, grown = 10, 0
    tracemalloc.start()
    try:
        for target in range(MAX_TARGETS + full):
            for user in range(MAX_USERS + 100 if target < full else 1):
                clock.now += 0.001
                book.note(failed(clock.now, address=f"host-{target}.example.com", user=(user << 40) + target))
            if target == full - 1:
                grown = tracemalloc.get_traced_memory()[0]
                assert set(book.summary(clock.now).failing.values()) == {MAX_USERS}
    finally:
        tracemalloc.stop()
    assert set(book.summary(clock.now).failing) == {
        f"host-{n}.example.com:5432" for n in range(full, MAX_TARGETS + full)
    }
    assert grown / full * MAX_TARGETS < 40 << 20


def test_the_target_that_failed_last_is_kept(book: LogBook, clock: Clock) -> None:
    """Where too many targets fail, the one that goes is the one that failed least lately, not the first ever."""
    for n in range(MAX_TARGETS):
        book.note(failed(clock.now, address=f"host-{n}.example.com"))
    book.note(failed(clock.now, address="host-0.example.com", user=2))
    book.note(failed(clock.now))
    failing = book.summary(clock.now).failing
    assert (failing["host-0.example.com:5432"], failing[f"{DB}:5432"]) == (2, 1)
    assert "host-1.example.com:5432" not in failing


def test_lines_and_problems(book: LogBook) -> None:
    """A log that can't be read says why, harmlessly, until it is read again or is known to be readable."""
    book.note_lines(3, AT)
    book.unreadable("the log driver \x1b[31mnone keeps no log" + "x" * 5000)
    summary = book.summary(AT)
    assert (summary.lines, summary.last_line_at) == (3, AT)
    assert summary.problem.startswith("the log driver \\x1b[31mnone keeps no log")
    assert len(summary.problem) <= 500
    book.note_lines(0, AT)
    assert book.summary(AT).problem
    book.note_lines(2, AT + 1)
    assert (book.summary(AT).problem, book.summary(AT).lines) == ("", 5)
    book.unreadable("no")
    book.unreadable("")
    assert book.summary(AT).problem == ""
