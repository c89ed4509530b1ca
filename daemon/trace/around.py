"""What concerns the whole Connector, asked once beside the Resource: host, clock, Controller, Relays, its process."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from checks.model import CheckName, Outcome, Reason, Status
from daemon.jobs import Job, Result
from daemon.known import OUTWARD_CHECKS, TROUBLE_CHECKS
from daemon.runner import Runner

_AFTER: Mapping[CheckName, frozenset[CheckName]] = MappingProxyType(
    {CheckName.NAT: OUTWARD_CHECKS, CheckName.PROVIDER: TROUBLE_CHECKS - {CheckName.CLOCK}}
)
"""Checks whose verdict stands on others. The clock is the slowest of all: a trace does not wait for it."""
UNFINISHED = "not finished within the time of a trace"


class Around:
    """Runs jobs once each, nothing twice; `results` grow as they come in."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = tuple(job for job in jobs if job.check not in (CheckName.DNS, CheckName.TCP))
        self.results: dict[str, Result] = {}
        self._over = {job.id: asyncio.Event() for job in self.jobs}

    def of(self, check: CheckName) -> tuple[Result, ...]:
        """Return what is known of a check so far."""
        return tuple(r for r in self.results.values() if r.check is check and not r.second)

    async def run(self, runner: Runner, log_read: asyncio.Event) -> None:
        """Run all jobs; returns when the last one has ended."""
        async with asyncio.TaskGroup() as group:
            for job in self.jobs:
                group.create_task(self._run(job, runner, log_read), name=job.id)

    def complete(self, now: Callable[[], float]) -> tuple[str, ...]:
        """Give each job that has not ended a row that says so; return their ids."""
        late = tuple(job for job in self.jobs if not self._over[job.id].is_set())
        for job in late:
            outcome = Outcome(status=Status.UNKNOWN, reason=Reason.TIMEOUT, summary=UNFINISHED)
            self.results[job.id] = Result(
                id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome, started_at=now(),
                duration_s=0.0,
            )  # fmt: skip
        return tuple(job.id for job in late)

    async def _run(self, job: Job, runner: Runner, log_read: asyncio.Event) -> None:
        for other in self.jobs:
            if other.check in _AFTER.get(job.check, ()):
                await self._over[other.id].wait()
        if job.check is CheckName.CONNECTOR:
            await log_read.wait()
        for result in await runner.run(job, thorough=True):
            self.results[result.id] = result
        self._over[job.id].set()
