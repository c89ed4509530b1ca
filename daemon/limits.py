"""How many probes may be under way: in all, towards one host, and started within a second."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator

from checks.model import CheckName
from daemon.config.schema import Schedule
from daemon.entry import is_half_open
from daemon.jobs import Job

RESERVED_FDS = 64  # for the web server, the store, logs and the interpreter itself
MAX_CONCURRENCY = 4096  # more connects in flight than this only fill tables of the kernel
FDS_WANTED = 16384  # the soft limit is raised to this where the hard limit allows it


def raise_fd_limit() -> int:
    """Raise this process's soft limit of open files as far as wanted and allowed; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FDS_WANTED if hard == resource.RLIM_INFINITY else min(FDS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return soft if soft != resource.RLIM_INFINITY else FDS_WANTED


def concurrency(schedule: Schedule, fd_limit: int, addresses_per_probe: int) -> int:
    """Return how many probes may be in flight: as configured, else what the open-file limit carries."""
    if schedule.concurrency != "auto":
        return schedule.concurrency
    return max(1, min(MAX_CONCURRENCY, (fd_limit - RESERVED_FDS) // max(1, addresses_per_probe)))


class Slots:
    """Hands out places to probes of Resources: waits until the pool, the host and the rate have room.

    Connections and questions are paced apart, each at most `max_rate` a second. A half-open look needs no descriptor,
    and so no place in the pool.
    """

    def __init__(self, pool: int, per_host: int, max_rate: float) -> None:
        self._pool = asyncio.Semaphore(pool)
        self._per_host = per_host
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._seconds_each = 1.0 / max_rate
        self._next_start: dict[CheckName, float] = {}

    @contextlib.asynccontextmanager
    async def hold(self, job: Job) -> AsyncIterator[None]:
        """Hold a place for one run of `job`."""
        if not job.resources or job.fixed is not None:
            yield
            return
        host = self._hosts.setdefault(job.host or job.id, asyncio.Semaphore(self._per_host))
        pool = contextlib.nullcontext() if is_half_open(job) else self._pool
        async with host, pool:
            now = asyncio.get_running_loop().time()
            start = max(now, self._next_start.get(job.check, 0.0))
            self._next_start[job.check] = start + self._seconds_each
            if start > now:
                await asyncio.sleep(start - now)
            yield
