"""What the Connector's log teaches: its own state, what users met, what can be learned of it, and how right we were."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from checks.connlog.book import LogBook
from checks.connlog.model import ConnectionSeen, LogEvent
from checks.connlog.summary import LogSummary
from checks.model import CheckName, Json
from checks.runtime.model import Sighting
from checks.tcp import TcpSpec
from daemon.config.schema import Config
from daemon.jobs import Job, Result
from daemon.learning import Learning
from daemon.observed import Learned, Observed, Predictions
from daemon.truth import Truth


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept over restarts, by key: the store's `recall` and `remember`, or nothing."""

    recall: Callable[[str], Json] = lambda _: None
    remember: Callable[[str, Json], None] = lambda _key, _value: None


class Insight:
    """Takes what the log says and what the probes found; never judges a target itself.

    `memory` keeps what was learned over restarts; `recheck` is asked to run a job at once, because a user failed where
    nothing had predicted it. Times: Unix seconds, by `wall_clock`.
    """

    def __init__(
        self,
        config: Config,
        wall_clock: Callable[[], float],
        recheck: Callable[[str], None],
        memory: Memory,
    ) -> None:
        self.book = LogBook(wall_clock)
        self.learning = Learning(memory.recall, memory.remember, config, wall_clock)
        self.truth = Truth(config, wall_clock, recheck)
        self._wall_clock = wall_clock
        self._whose: tuple[str, str] | None = None
        self._process: str | float | None = None
        self._read = False

    def note(self, events: Iterable[LogEvent], *, lines: int, at: float) -> None:
        """Take what was read: `lines` of the log, the last one written at `at`, and the events in them."""
        self._read = True
        self.book.note_lines(lines, at)
        for event in events:
            self.book.note(event)
            if isinstance(event, ConnectionSeen):
                self.learning.note(event)
                self.truth.note_event(event)

    def tick(self) -> None:
        """Let the time pass: what users met is settled, what was learned long ago expires."""
        self.truth.tick()
        self.learning.tick()

    def close(self) -> None:
        """Have what was learned written, before the store is closed."""
        self.learning.flush()

    def unreadable(self, problem: str) -> None:
        """Note why the log can't be read; empty: there is none to read."""
        self.book.unreadable(problem)

    def reading(self) -> None:
        """Note that the log is followed now; it may be silent, and what it can show is known all the same."""
        self._read = True

    def note_sighting(self, sighting: Sighting) -> None:
        """Note how the Connector's process is: what an earlier process said of itself is over.

        Another Connector begins a new book. A look that saw nothing tells nothing.
        """
        if sighting.problem is not None:
            return
        whose = (sighting.runtime, sighting.name)
        if self._whose not in (None, whose):
            self.book, self._read, self._process = LogBook(self._wall_clock), False, None
        self._whose = whose
        self.book.environment(sighting.environment)
        process = sighting.id or sighting.started_at
        if sighting.started_at is not None and process != self._process:
            # A clock that was set back since must not make all that the process says seem older than itself.
            self.book.process_started(min(sighting.started_at, self._wall_clock()))
            self._process = process

    def note_results(self, results: Iterable[Result], interval_s: float | None = None) -> None:
        """Note what the probes found; their rows are asked again in `interval_s` (None: as usual)."""
        for result in results:
            if not result.second:
                self.truth.note_result(result, interval_s)

    def user_failed(self, job: Job) -> bool:
        """Tell whether the log lately showed a user failing on the target of a job, in the way that it looks for."""
        if job.check is CheckName.DNS:
            return self.book.last_failure(job.target, None) is not None
        if isinstance(job.spec, TcpSpec):
            return self.book.last_failure(job.spec.address, job.spec.port) is not None
        return False

    def log(self) -> LogSummary | None:
        """Return what the log has told; None: it was not read, and nothing is known of why."""
        summary = self.book.summary(self._wall_clock())
        return summary if self._read or summary.problem else None

    @property
    def learned(self) -> Learned:
        """What was learned."""
        return self.learning.learned

    def observed(self, sighting: Sighting | None, *, predictions: bool = True) -> Observed:
        """Return all of it for the views."""
        held: Predictions | None = self.truth.predictions if predictions else None
        return Observed(sighting=sighting, log=self.log(), learned=self.learned, predictions=held)
