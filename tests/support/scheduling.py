"""A scheduler at work for one test: jobs, a probe that records its runs, and the task that ends with the block."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

from checks.model import CheckName
from checks.tcp_spec import TcpSpec
from daemon.entry import Ended, Rest
from daemon.jobs import Job
from daemon.scheduler import TICK_S, Begin, Limits, RunKind, Scheduler

ROOM = Limits(concurrency=10_000, per_host=10_000, max_rate=100_000.0)
SLACK_S = 2 * TICK_S  # two ticks: one to notice, one batch before


def job(name: str = "a", *, interval_s: float = 30.0, host: str | None = None, connections: int = 1) -> Job:
    """Make a job that may be confirmed."""
    return Job(
        id=f"tcp:{name}", check=CheckName.TCP, target=name, spec=None, interval_s=interval_s, timeout_s=5.0,
        host=host, connections=connections,
    )  # fmt: skip


def half_open(name: str = "a", *, interval_s: float = 30.0, host: str | None = None) -> Job:
    """Make a job that sends a SYN and opens no connection."""
    return Job(
        id=f"tcp:{name}", check=CheckName.TCP, target=name, interval_s=interval_s, timeout_s=5.0, host=host,
        spec=TcpSpec(address="10.0.0.1", port=443, target=name, method="half_open"), connections=1,
    )  # fmt: skip


def unconfirmable(name: str, interval_s: float, timeout_s: float = 5.0) -> Job:
    """Make a job of a port with a policy."""
    return Job(
        id=f"tcp:{name}", check=CheckName.TCP, target=name, spec=None, interval_s=interval_s, timeout_s=timeout_s,
        connections=1, confirmable=False,
    )  # fmt: skip


class Probe:
    """Records each run, and takes as long as `seconds(job)` says."""

    def __init__(self, seconds: Callable[[Job], float] = lambda _: 0.0) -> None:
        self.seconds = seconds
        self.starts: list[tuple[float, str, RunKind]] = []
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.cancelled: list[str] = []

    async def __call__(self, job: Job, kind: RunKind) -> None:
        keys = (job.id, f"host {job.host}", "all")
        self.starts.append((asyncio.get_running_loop().time(), job.id, kind))
        for key in keys:
            self.running[key] += 1
            self.most[key] = max(self.most[key], self.running[key])
        try:
            await asyncio.sleep(self.seconds(job))
        except asyncio.CancelledError:
            self.cancelled.append(job.id)
            raise
        finally:
            self.running.subtract(keys)

    def times(self, name: str, kind: RunKind | None = None) -> list[float]:
        return [at for at, started, k in self.starts if started == f"tcp:{name}" and kind in (None, k)]


class Flight:
    """One run without a task."""

    def __init__(self, made: "Flights", job: Job, timer: asyncio.TimerHandle) -> None:
        self._made, self._job, self._timer = made, job, timer

    def cancel(self) -> None:
        """Hear nothing more of it."""
        self._timer.cancel()
        self._made.cancelled.append(self._job.id)
        self._made.over(self._job)


class Flights:
    """Sends off each job without a task but those of `walks`; what lands has the rest of `rest(job)` to do."""

    def __init__(self, seconds: Callable[[Job], float] = lambda _: 0.0) -> None:
        self.seconds = seconds
        self.rest: Callable[[Job], Rest | None] = lambda _: None
        self.walks: set[str] = set()
        self.starts: list[tuple[float, str, RunKind]] = []
        self.cancelled: list[str] = []
        self.in_air: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def begin(self, job: Job, kind: RunKind, ended: Ended) -> Flight | None:
        """Begin a run."""
        if job.id in self.walks:
            return None
        loop = asyncio.get_running_loop()
        self.starts.append((loop.time(), job.id, kind))
        for key in (job.id, f"host {job.host}", "all"):
            self.in_air[key] += 1
            self.most[key] = max(self.most[key], self.in_air[key])
        return Flight(self, job, loop.call_later(self.seconds(job), self._land, job, ended))

    def over(self, job: Job) -> None:
        """Count one less in the air."""
        self.in_air.subtract((job.id, f"host {job.host}", "all"))

    def times(self, name: str, kind: RunKind | None = None) -> list[float]:
        """When a job was sent off."""
        return [at for at, started, k in self.starts if started == f"tcp:{name}" and kind in (None, k)]

    def _land(self, job: Job, ended: Ended) -> None:
        self.over(job)
        ended(self.rest(job))


@contextlib.asynccontextmanager
async def scheduling(
    probe: Probe,
    jobs: list[Job],
    limits: Limits = ROOM,
    *,
    begin: Begin | None = None,
    pace: Callable[[Job], float] | None = None,
) -> AsyncIterator[Scheduler]:
    """Run a scheduler over `jobs` for the block, and end it as the daemon does."""
    scheduler = Scheduler(probe, limits, begin=begin, pace=pace)
    scheduler.update(jobs)
    task = asyncio.get_running_loop().create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
