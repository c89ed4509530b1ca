"""What only ever grows since this process started: runs, their outcomes and how long they took."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from checks.model import CheckName, Reason, Status
from checks.registry import CHECKS
from daemon.jobs import Result

BUCKETS_S = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class Histogram:
    """Counts per upper bound (not cumulative; the last one is +Inf), and the sum of what was observed."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in seconds."""
        self.counts[bisect_left(BUCKETS_S, value)] += 1
        self.total += value


@dataclass(slots=True)
class Counters:
    """Made once; what it counts is never taken back.

    - `conclusive`, `failures` and `inconclusive` count rows: a run that looks at two nameservers counts two, so that
      failures never exceed the conclusive. Each of them is present, at 0, from the moment its check has a job.
    - `duration` has one observation for each run of a job, not one for each of its rows (they were looked at together),
      and none for a run of which all was skipped: nothing was done, and 0 s would only flatter the distribution.
    - `last_run` is the Unix time at which the last run of the check began, skipped or not.
    - `target_seconds` by ok, failing, unknown: see `Board.record`.
    """

    conclusive: dict[CheckName, int] = field(default_factory=dict)
    failures: dict[tuple[CheckName, Reason], int] = field(default_factory=dict)
    inconclusive: dict[tuple[CheckName, Reason], int] = field(default_factory=dict)
    duration: dict[CheckName, Histogram] = field(default_factory=dict)
    last_run: dict[CheckName, float] = field(default_factory=dict)
    target_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("ok", "failing", "unknown"), 0.0))

    def begin(self, check: CheckName, reasons: Iterable[Reason]) -> None:
        """Let the counters of a check exist, at 0; `reasons` are those with which it can be critical."""
        if check in self.conclusive:
            return
        self.conclusive[check] = 0
        self.duration[check] = Histogram()
        for reason in reasons:
            self.failures.setdefault((check, reason), 0)

    def count(self, run: Sequence[Result]) -> None:
        """Count the rows of one run; second looks count nowhere."""
        check = run[0].check
        if len(run) == 1 and run[0].outcome.status is Status.OK and not run[0].second and check in self.duration:
            self.conclusive[check] += 1  # nearly all of them
            self.last_run[check] = run[0].started_at
            self.duration[check].observe(run[0].duration_s)
            return
        began, longest, looked = float("-inf"), 0.0, False
        for result in run:
            if result.second:
                continue
            status, reason = result.outcome.status, result.outcome.reason
            if status.conclusive:
                self.conclusive[check] = self.conclusive.get(check, 0) + 1
            if reason is not None and status is not Status.WARNING:
                kind = self.failures if status is Status.CRITICAL else self.inconclusive
                kind[check, reason] = kind.get((check, reason), 0) + 1
            began, longest = max(began, result.started_at), max(longest, result.duration_s)
            looked = looked or status is not Status.SKIPPED
        self.last_run[check] = began
        if looked:
            if check not in self.duration:
                self.duration[check] = Histogram()
            self.duration[check].observe(longest)


def declared_reasons(check: CheckName) -> frozenset[Reason]:
    """Return every reason with which a check can be critical; this imports its module."""
    found = CHECKS.get(check)
    return found.reasons if found else frozenset()
