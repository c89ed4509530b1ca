"""What the Connector's log can show, and the environment line that would let it show more."""

import pytest

from checks.connlog.book import LogBook
from checks.connlog.capability import Seen, capability
from checks.connlog.model import CauseSeen, ConnectionKind, ConnectionSeen, LogCause, LogState, StateSeen
from checks.connlog.summary import Capability
from tests.support.connector_log import AT

LEVEL, ANALYTICS = "TWINGATE_LOG_LEVEL", "TWINGATE_LOG_ANALYTICS"
KNOWN = {"TWINGATE_NETWORK": "acme"}


@pytest.mark.parametrize(
    ("level", "errors", "states"),
    [
        (None, True, False),
        ("", True, False),
        ("-1", False, False),
        ("0", False, False),
        ("2", False, False),
        ("3", True, False),
        ("4", True, False),
        ("5", True, True),
        (" 7 ", True, True),
        ("error", True, False),
        ("Warning", True, False),
        ("INFO", True, True),
        ("debug", True, True),
        *((bad, None, None) for bad in ("8", "-2", "loud", "3.5", "\u0663", "--1", "-", "9" * 5000)),
    ],
)
def test_level(level: str | None, errors: bool | None, states: bool | None) -> None:
    """Errors are shown at level 3 and above, states at 5 and above; what is no level is not known."""
    found = capability(KNOWN if level is None else KNOWN | {LEVEL: level}, readable=True)
    assert (found.errors, found.states) == (errors, states)
    assert any(f"add {LEVEL}=5 " in advice for advice in found.advice) is (states is False)


@pytest.mark.parametrize(
    ("setting", "shown"),
    [(None, False), ("", False), ("v1", True), ("v2", True), ("V3", True), ("v17", True), ("true", None), ("v", None)],
)
def test_analytics(setting: str | None, shown: bool | None) -> None:
    """User connections are shown when a version is set, and the advice says how to set it."""
    found = capability(KNOWN if setting is None else KNOWN | {ANALYTICS: setting}, readable=True)
    assert found.analytics is shown
    assert any(f"add {ANALYTICS}=v2 " in advice for advice in found.advice) is (shown is False)


def test_an_unknown_environment_is_not_known() -> None:
    """Without the environment and without a line nothing is claimed, and nothing advised."""
    assert capability({}, readable=True) == Capability()


def test_a_log_that_cannot_be_read_shows_nothing() -> None:
    """What a log would show is not known while it can't be read."""
    everything = {LEVEL: "7", ANALYTICS: "v2"}
    assert capability(everything, readable=False, seen=Seen(states=True)) == Capability()


@pytest.mark.parametrize("environment", [{}, KNOWN, {LEVEL: "0"}, {LEVEL: "3", ANALYTICS: "nonsense"}])
def test_what_was_seen_is_stronger(environment: dict[str, str]) -> None:
    """A line that was seen proves that such lines are shown, whatever the environment says; INFO shows ERROR too."""
    assert capability(environment, readable=True, seen=Seen(states=True)).states is True
    assert capability(environment, readable=True, seen=Seen(states=True)).errors is True
    assert capability(environment, readable=True, seen=Seen(errors=True)).errors is True
    assert capability(environment, readable=True, seen=Seen(analytics=True)).analytics is True


def test_the_book_tells_it() -> None:
    """The book puts together the environment and what it saw of this process, and forgets the latter with it."""
    book = LogBook(lambda: AT)
    assert book.summary(AT).capability == Capability()
    book.environment(KNOWN)
    before = book.summary(AT).capability
    assert (before.errors, before.states, before.analytics, len(before.advice)) == (True, False, False, 2)
    book.note(StateSeen(at=AT - 1, state=LogState.ONLINE))
    book.note(CauseSeen(at=AT - 1, cause=LogCause.OTHER))
    book.note(ConnectionSeen(at=AT - 1, kind=ConnectionKind.CLOSED, address=""))
    assert book.summary(AT).capability == Capability(errors=True, states=True, analytics=True)
    book.process_started(AT)
    assert book.summary(AT).capability == before
    book.unreadable("no")
    assert book.summary(AT).capability == Capability()
