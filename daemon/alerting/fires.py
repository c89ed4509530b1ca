"""How often each alert has fired of late: who comes and goes is let go later each time."""

from collections import deque

from daemon.alert import AlertKey
from daemon.slices import Steps, batches

WINDOW_S = 3600.0
QUIET_S = 300.0  # for each time but the first within the hour, longer than most things that come and go are away
MAX_QUIET_S = 1800.0
MAX_FIRES = int(MAX_QUIET_S / QUIET_S) + 1  # more change nothing
MAX_KEYS = 50_000  # more alerts than there can be checks; the ones that fired least lately are forgotten first


class Fires:
    """Moments on the loop's clock, by key."""

    def __init__(self) -> None:
        self._at: dict[AlertKey, deque[float]] = {}

    def add(self, key: AlertKey, *moments: float) -> None:
        """Note that an alert fired, the earliest first."""
        if not moments:
            return
        held = self._at.pop(key, None) or deque(maxlen=MAX_FIRES)
        held.extend(moments)
        self._at[key] = held
        if len(self._at) > MAX_KEYS:
            del self._at[next(iter(self._at))]

    def of(self, key: AlertKey, now: float) -> list[float]:
        """Return when an alert fired within the last hour."""
        return [at for at in self._at.get(key, ()) if now - at <= WINDOW_S]

    def quiet_s(self, key: AlertKey, now: float) -> float:
        """Return for how many seconds its condition must be away before the alert may resolve: 0 the first time."""
        return min(max(0, len(self.of(key, now)) - 1) * QUIET_S, MAX_QUIET_S)

    def forget(self, now: float) -> Steps[None]:
        """Forget, in steps, what is older than an hour."""
        for batch in batches(list(self._at.items())):
            for key, held in batch:
                if now - held[-1] > WINDOW_S:
                    del self._at[key]
            yield
