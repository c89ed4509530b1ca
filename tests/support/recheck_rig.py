"""A real engine on the loop's clock whose probes answer from a script: when each job ran, and what is held of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from daemon.board import Board
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.glimpse import Glimpse
from daemon.jobs import Job, Result
from daemon.looplag import LoopLag
from daemon.runner import Runner
from daemon.state import Policy, State
from daemon.vantage.watch import ConnectorWatch
from tests.support.sightings import RUNNING, Looks

QUIET = """
connector: {name: t, vantage: host, runtime: docker, network: acme}
clock: {servers: ["192.0.2.1"], controller_date: false}
relays: {endpoints: ["192.0.2.7:443"]}
dns: {nameservers: ["127.0.0.1:9"], search: []}
provider: {enabled: never}
checks: {nat: false}
"""
HOST, CONNECTOR, RESOLVER = "host:network", "connector:process", "resolver:nameservers"
CLOCK, RELAY, CONTROL_PLANE = "clock:system", "relay:192.0.2.7", "control_plane:acme.twingate.com"
OK = Outcome(status=Status.OK, summary="fine", event=Event.NONE, facts={"accepted": ("10.0.0.1",)})
BAD = Outcome(status=Status.CRITICAL, reason=Reason.TIMEOUT, summary="x", event=Event.UNABLE_TO_CONNECT)


def cut_off(parent: str) -> Outcome:
    """Make the outcome of what was not asked because of its parent."""
    facts: dict[str, Json] = {"parent": parent}
    return Outcome(status=Status.SKIPPED, reason=Reason.DEPENDENCY_FAILED, summary="x", facts=facts)


def config(resources: str, interval: str = "30s") -> Config:
    """Make a configuration with every kind of parent; the slots of host, Connector, control plane, Relay are rare."""
    rare = "intervals: {host: 1h, connector: 1h, control_plane: 1h, relay: 1h}"
    text = f"{QUIET}schedule: {{interval: {interval}, {rare}}}\nresources:\n{resources}"
    return parse_config(text.encode(), "test.yaml").config


def addresses(number: int, port: int = 443) -> str:
    """Write so many Resources by address, 100 of them in each /24 from 10.0.0.0 on."""
    rows = (f"  - {{name: R{n}, address: 10.0.{n // 100}.{n % 100 + 1}, tcp: [{port}]}}\n" for n in range(number))
    return "".join(rows)


def names(number: int) -> str:
    """Write so many Resources by name."""
    return "".join(f"  - {{name: N{n}, address: h{n}.test, tcp: [443]}}\n" for n in range(number))


class Scripted(Runner):
    """Answers with what `outcome(job)` says, after `takes_s` seconds, and writes down when each run began."""

    def __init__(self, real: Runner, outcome: Callable[[Job], Outcome]) -> None:
        super().__init__(real.seats, real.enabled, real.known, lambda _start, _end: 0.0)
        self.outcome = outcome
        self.takes_s: dict[CheckName, float] = {}
        self.began: dict[str, list[float]] = {}

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        del thorough, confirming, seen
        loop = asyncio.get_running_loop()
        wall = loop.time()
        self.began.setdefault(job.id, []).append(wall)
        outcome, seconds = self.outcome(job), self.takes_s.get(job.check, 0.0)
        if seconds:
            await asyncio.sleep(seconds)
        target = "127.0.0.1:9" if job.check is CheckName.RESOLVER else job.target
        return (
            Result(
                id=f"{job.check}:{target}", job=job.id, check=job.check, target=target, resources=job.resources,
                outcome=outcome, started_at=wall, duration_s=seconds,
            ),
        )  # fmt: skip


class Rig:
    """One engine at work. `ill` holds the outcomes of jobs (by id or by check) that are not ok."""

    def __init__(self, configured: Config) -> None:
        loop = asyncio.get_running_loop()
        self.ill: dict[str, Outcome] = {}

        async def find(_: object) -> Looks:
            return Looks(RUNNING)

        confirm = configured.schedule.confirm
        policy = Policy(failures=confirm.failures, successes=confirm.successes)
        self.board = Board(policy, loop.time, clock=loop.time)
        watch = ConnectorWatch(configured, find=find)
        self.engine = Engine(configured, self.board, LoopLag(), lambda _results, _changes: None, watch)
        self.runner = self.engine.runner = Scripted(self.engine.runner, self._outcome)
        self.now = loop.time

    def _outcome(self, job: Job) -> Outcome:
        return self.ill.get(job.id) or self.ill.get(job.check) or OK

    def times(self, job_id: str, since: float = float("-inf")) -> list[float]:
        """When a job ran, seconds after `since`."""
        return [at - max(since, 0.0) for at in self.runner.began.get(job_id, []) if at >= since]

    def state(self, row_id: str) -> State:
        """What is held of a row."""
        return self.board.rows[row_id].state

    def jobs(self, check: CheckName) -> list[str]:
        """The ids of the jobs of a check."""
        return [job.id for job in self.engine.plan.jobs if job.check is check]

    @contextlib.contextmanager
    def counted(self) -> Iterator[dict[str, list[float]]]:
        """Collect the runs of the block: seconds since it began, by job."""
        began, found = self.now(), dict[str, list[float]]()
        yield found
        for job_id in self.runner.began:
            if times := self.times(job_id, began):
                found[job_id] = times


@contextlib.asynccontextmanager
async def rig(configured: Config) -> AsyncIterator[Rig]:
    """Run an engine for the block, as the daemon does."""
    made = Rig(configured)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(t) for t in (made.engine.scheduler.run(), made.engine.follow())]
            yield made
            for task in tasks:
                task.cancel()
