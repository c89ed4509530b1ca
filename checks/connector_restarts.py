"""How often the Connector was started anew, counted from one look to the next.

A runtime's own count is not enough: Docker's starts at 0 again with `docker restart`, a bare process has none, and none
of them says when. So what is counted is the change between two looks; the first look counts nothing.
"""

from collections import deque

from checks.runtime.model import Sighting

WINDOW_S = 900.0  # "3 restarts in 15 min": the contract's ConnectorRestarting
MAX_KEPT = 64  # restarts within the window that are remembered; from 3 on more make no difference
SAME_START_S = 2.0  # two readings of one start may differ so much: a clock step or rounding is no restart


class Restarts:
    """What is remembered of earlier looks. Times are of the loop's clock, in seconds."""

    def __init__(self) -> None:
        self.total = 0
        self._recent: deque[float] = deque(maxlen=MAX_KEPT)
        self._looked_at: float | None = None
        self._running: Sighting | None = None  # the last look that saw it run
        self._count: int | None = None  # the last count of the runtime's own
        self._counted = 0  # of that, since it was last seen running

    def note(self, sighting: Sighting, now: float) -> None:
        """Compare a look with those before; one that saw nothing changes nothing."""
        if sighting.problem is not None or sighting.running is None:
            return
        more = self._grown(sighting)
        if sighting.running:
            # A start that the runtime had already counted while it did not run yet is not another one.
            more = max(more, 1 - self._counted) if self._is_another(sighting) else more
            self._running, self._counted = sighting, 0
        else:
            self._counted += more
        self._add(more, now)

    def lately(self, now: float) -> int:
        """Return how many there were in the last 15 minutes."""
        while self._recent and self._recent[0] < now - WINDOW_S:
            self._recent.popleft()
        return len(self._recent)

    def _grown(self, sighting: Sighting) -> int:
        """Return by how much the runtime's own count has grown; it begins at 0 again when it is started by hand."""
        if sighting.restarts is None:
            return 0
        before, self._count = self._count, sighting.restarts
        if before is None:
            return 0
        if sighting.restarts < before:
            return sighting.restarts + 1 if sighting.running and self._is_another(sighting) else 0
        return sighting.restarts - before

    def _is_another(self, sighting: Sighting) -> bool:
        """Tell whether this is another process than the one that was last seen running."""
        before = self._running
        if before is None:
            return False
        if before.id and sighting.id:
            return before.id != sighting.id
        if before.started_at is not None and sighting.started_at is not None:
            return abs(sighting.started_at - before.started_at) > SAME_START_S
        return False

    def _add(self, more: int, now: float) -> None:
        self.total += more
        # When each of them happened is not known: they are spread evenly over the time in which nobody looked.
        gap, kept = now - (now if self._looked_at is None else self._looked_at), min(more, MAX_KEPT)
        self._recent.extend(now - gap * (kept - 1 - step) / more for step in range(kept))
        self._looked_at = now
