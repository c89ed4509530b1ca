"""What is kept of what changed: bounded, merged, harmless, in order."""

from daemon.causes import ChangeKind
from daemon.changes.ring import MAX_CHANGES, Changes


class Clock:
    """A wall clock that is one second later each time it is read."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_newest_last_and_stamped() -> None:
    """Changes are kept in order, with the moment at which they were noted."""
    changes = Changes(Clock())
    changes.note(ChangeKind.LINK, "link eth0 went down")
    changes.note(ChangeKind.ROUTE, "the IPv4 default route was removed")
    assert [(c.at, c.kind, c.text) for c in changes.recent()] == [
        (1001.0, "link", "link eth0 went down"),
        (1002.0, "route", "the IPv4 default route was removed"),
    ]


def test_the_same_again_is_counted() -> None:
    """The same change right after itself is one entry with a count, of the last time; after another it is a new one."""
    changes = Changes(Clock())
    for text in ("a", "a", "a", "b", "a"):
        changes.note(ChangeKind.CONNECTOR, text)
    changes.note(ChangeKind.LINK, "a")
    assert [(c.at, c.text) for c in changes.recent()] == [
        (1003.0, "a (3 times in a row)"), (1004.0, "b"), (1005.0, "a"), (1006.0, "a"),
    ]  # fmt: skip


def test_bounded() -> None:
    """A hundred are kept, the newest; what floods drowns only its own kind."""
    changes = Changes(Clock())
    changes.note(ChangeKind.CONNECTOR, "the Connector has stopped")
    for number in range(1000):
        changes.note(ChangeKind.LINK, f"link veth{number} appeared")
    recent = changes.recent()
    assert len(recent) == MAX_CHANGES
    assert recent[0].kind is ChangeKind.CONNECTOR
    assert [c.text for c in recent[-2:]] == ["link veth998 appeared", "link veth999 appeared"]


def test_text_from_outside_is_harmless() -> None:
    """Names of links and runtimes' words are escaped and cut before anybody sees them."""
    changes = Changes(Clock())
    changes.note(ChangeKind.LINK, "link \x1b[31m\u202e went down" + "x" * 10_000)
    (change,) = changes.recent()
    assert change.text.startswith(r"link \x1b[31m\u202e went down")
    assert len(change.text) <= 600
