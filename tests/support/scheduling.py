"""A scheduler at work for one test: jobs, a probe that records its runs, and the task that ends with the block."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

from checks.model import CheckName
from daemon.jobs import Job
from daemon.scheduler import TICK_S, Limits, RunKind, Scheduler

ROOM = Limits(concurrency=10_000, per_host=10_000, max_rate=100_000.0)
SLACK_S = 2 * TICK_S  # two ticks: one to notice, one batch before


def job(name: str = "a", *, interval_s: float = 30.0, host: str | None = None, connections: int = 1) -> Job:
    """Make a job that may be confirmed."""
    return Job(
        id=f"tcp:{name}", check=CheckName.TCP, target=name, spec=None, interval_s=interval_s, timeout_s=5.0,
        host=host, connections=connections,
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


@contextlib.asynccontextmanager
async def scheduling(probe: Probe, jobs: list[Job], limits: Limits = ROOM) -> AsyncIterator[Scheduler]:
    """Run a scheduler over `jobs` for the block, and end it as the daemon does."""
    scheduler = Scheduler(probe, limits)
    scheduler.update(jobs)
    task = asyncio.get_running_loop().create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
