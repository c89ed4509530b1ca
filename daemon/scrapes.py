"""Whether Prometheus reads our metrics: then it may carry our alerts as well, and ends them later than we do."""

from collections.abc import Callable

LATELY_S = 300.0  # five scrapes at the slowest usual pace


class Scrapes:
    """Notes when `/metrics` was last read. What was before this process started is not known, and taken for a yes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at = clock()

    def note(self) -> None:
        """Note that it is being read."""
        self._at = self._clock()

    def lately(self) -> bool:
        """Tell whether it was read within the last five minutes, or may have been."""
        return self._clock() - self._at < LATELY_S
