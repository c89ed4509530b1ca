"""What changed around us lately: the newest hundred, for the diagnosis and for people."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from checks.net.text import printable
from daemon.causes import Change, ChangeKind

MAX_CHANGES = 100  # an hour of trouble fits; nobody reads more


class Changes:
    """Keeps changes in the order in which they came. `wall_clock` (Unix seconds) stamps them."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self.wall_clock = wall_clock
        self._held: list[tuple[Change, int]] = []  # with the number of times in a row

    def note(self, kind: ChangeKind, text: str) -> None:
        """Note a change of just now; the same again right after is counted with it, and moves it to now."""
        change = Change(at=self.wall_clock(), kind=kind, text=printable(text))
        if self._held and (self._held[-1][0].kind, self._held[-1][0].text) == (kind, change.text):
            self._held[-1] = change, self._held[-1][1] + 1
            return
        self._held.append((change, 1))
        if len(self._held) > MAX_CHANGES:
            self._make_room()

    def recent(self) -> tuple[Change, ...]:
        """Return what is held, oldest first."""
        return tuple(
            change if times == 1 else replace(change, text=f"{change.text} ({times} times in a row)")
            for change, times in self._held
        )

    def _make_room(self) -> None:
        """Drop the oldest of the kind that takes most room: what floods (links of containers) drowns only itself."""
        kind = Counter(change.kind for change, _ in self._held).most_common(1)[0][0]
        del self._held[next(i for i, (change, _) in enumerate(self._held) if change.kind is kind)]
