"""The one place that holds what is known now: metrics, page, API and alerts are views of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from checks.model import CheckName, Reason
from daemon.jobs import Job, Result
from daemon.state import Policy, TargetState, Transition

BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)
STALE_AFTER_INTERVALS = 3  # a verdict older than this is no longer shown: nobody knows any more


@dataclass(slots=True)
class Histogram:
    """Counts per upper bound (not cumulative; the last one is +Inf), and the sum of what was observed."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in seconds."""
        raise NotImplementedError


@dataclass(slots=True)
class Counters:
    """What only ever grows, since this process started."""

    conclusive: dict[CheckName, int] = field(default_factory=dict)
    failures: dict[tuple[CheckName, Reason], int] = field(default_factory=dict)
    inconclusive: dict[tuple[CheckName, Reason], int] = field(default_factory=dict)
    duration: dict[CheckName, Histogram] = field(default_factory=dict)
    last_run: dict[CheckName, float] = field(default_factory=dict)
    target_seconds: dict[str, float] = field(default_factory=dict)


class Board:
    """Holds every row's state and the counters. Not thread-safe: it lives on the event loop."""

    def __init__(self, policy: Policy, wall_clock: Callable[[], float]) -> None:
        self.policy = policy
        self.wall_clock = wall_clock
        self.counters = Counters()
        self.jobs: Mapping[str, Job] = {}
        self.rows: dict[str, TargetState] = {}

    def load(self, jobs: Iterable[Job]) -> None:
        """Replace the jobs: rows of jobs that are gone vanish at once; fixed outcomes are recorded."""
        raise NotImplementedError

    def record(self, results: Iterable[Result]) -> list[Transition]:
        """Take the results of one run into account; return the rows whose state changed."""
        raise NotImplementedError

    def present(self, row: TargetState) -> bool:
        """Tell whether this row's verdict may be shown as a gauge: it was conclusive, within 3 intervals."""
        raise NotImplementedError
