"""Where users failed lately, and how many distinct ones: bounded in targets, in users and in time."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

WINDOW_S = 15 * 60.0  # a failure that old says nothing about now
MAX_TARGETS = 200  # more failing targets are one failure of something else
MAX_USERS = 250  # of one target: beyond that "250" is said, which is everybody for whoever is on call


@dataclass(slots=True)
class _Target:
    """`users`: when each one failed here last, the one that failed least lately first."""

    last_at: float
    users: OrderedDict[int | None, float] = field(default_factory=OrderedDict)


class FailingTargets:
    """Failures of users by target, over the last 15 minutes."""

    def __init__(self) -> None:
        self._targets: OrderedDict[str, _Target] = OrderedDict()

    def note(self, target: str, user: int | None, at: float) -> None:
        """Note that `user` (None: not named; all those count as one) failed at `target` at `at` (Unix seconds)."""
        held = self._targets.get(target)
        if held is None:
            if len(self._targets) >= MAX_TARGETS:
                self._targets.popitem(last=False)
            held = self._targets[target] = _Target(last_at=at)
        held.last_at = max(held.last_at, at)
        self._targets.move_to_end(target)
        if user not in held.users and len(held.users) >= MAX_USERS:
            held.users.popitem(last=False)
        held.users[user] = max(held.users.get(user, at), at)
        held.users.move_to_end(user)

    def last_at(self, target: str, now: float) -> float | None:
        """Return when a user failed at `target` last (Unix seconds), None when not in the last 15 minutes."""
        held = self._targets.get(target)
        return held.last_at if held is not None and now - held.last_at <= WINDOW_S else None

    def counts(self, now: float) -> Iterator[tuple[str, int]]:
        """Yield each target that failed in the last 15 minutes, with its number of distinct users; forget the rest."""
        for target, held in list(self._targets.items()):
            # From the one that failed least lately: a summary is asked for often, and must not look at everybody.
            while held.users and now - next(iter(held.users.values())) > WINDOW_S:
                held.users.popitem(last=False)
            if held.users:
                yield target, len(held.users)
            else:
                del self._targets[target]
