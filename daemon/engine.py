"""One configuration at work: schedule → runner → board. Replaced piece by piece when the configuration changes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NoReturn
from zlib import crc32

from checks.model import CheckName, Status
from daemon.board import Board
from daemon.changes.network import NO_DIFFERENCE, Difference
from daemon.config.schema import Config, Schedule
from daemon.insight import Insight, Memory
from daemon.jobs import Job, Result
from daemon.known import CONNECTOR_ROW, Known
from daemon.limits import concurrency, raise_fd_limit
from daemon.looplag import LoopLag
from daemon.plan import Plan
from daemon.rechecks import Rechecks
from daemon.runner import STARVED_LAG_S, Runner
from daemon.scheduler import Limits, RunKind, Scheduler
from daemon.state import Policy, State, Transition
from daemon.targets import enabled_checks, make_plan
from daemon.vantage.orphan import Orphans
from daemon.vantage.watch import ConnectorWatch

log = logging.getLogger("connector_health.engine")

_UNHURRIED = frozenset(
    {CheckName.CLOCK, CheckName.PROVIDER}
)  # never asked again at once, and after a reload no sooner than usual: public servers
_LASTING = frozenset({CheckName.CLOCK})  # what it remembers is of this host and of its servers' wishes, not of the spec
LEARN_S = 1.0  # how often what users met is settled; no probe waits for it
PLAN_REST = (
    50  # times what it took, until what was learned is planned again: 10,000 Resources take a second of the loop
)
Observer = Callable[[Iterable[Result], Iterable[Transition]], None]


class Engine:
    """Keeps the board true. Made on the event loop on which it runs; `observe` hears every result and transition.

    `watch` follows the Connector.
    """

    def __init__(
        self,
        config: Config,
        board: Board,
        lag: LoopLag,
        observe: Observer,
        watch: ConnectorWatch | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.board = board
        self.watch = watch or ConnectorWatch(config)
        self.insight = Insight(config, board.wall_clock, self._recheck, memory or Memory())
        self._learned = self.insight.learning.version
        self._ended = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._orphans = Orphans()
        self.config = config
        self.plan = Plan(jobs=(), resources=(), rows_of={})
        self.ready = False
        self._lag = lag
        self._observe = observe
        self._fd_limit = raise_fd_limit()
        self._runs: dict[str, int] = {}
        self._asked: frozenset[CheckName] = frozenset()
        known = Known(
            latest=self._latest,
            rows=self._rows,
            ever_up=board.ever_up.__contains__,
            user_failed=self.insight.user_failed,
            log=self.insight.log,
            connector=self.watch,
            connector_seat=lambda: self.watch.connector_seat,
        )
        self.runner = Runner(self.watch.seats, frozenset(), known, lag.between)
        self.scheduler = Scheduler(self._run, self._limits(config.schedule))
        self.rechecks = Rechecks(self.scheduler, board, self._clock)
        self.load(config)

    def load(self, config: Config) -> None:
        """Put a configuration in force: jobs that are the same go on undisturbed."""
        enabled = enabled_checks(config)
        self.insight.learning.load(config)
        self._learned = self.insight.learning.version
        plan = make_plan(config, enabled, self.insight.learned)
        before = {job.id: job for job in self.plan.jobs}
        after = {job.id: job for job in plan.jobs}
        for job_id, job in before.items():
            changed = job_id not in after or after[job_id].spec != job.spec
            if changed and not (job_id in after and job.check in _LASTING):
                self.runner.forget(job_id)
                self._runs.pop(job_id, None)
        self.watch.reconfigure(config)
        self.runner.take(self.watch.seats)
        self.runner.enabled = enabled
        if config.connector != self.config.connector:
            self.scheduler.confirm(CONNECTOR_ROW, 0.0)
        self.config, self.plan = config, plan
        self.insight.truth.load(config, plan)
        self._asked = frozenset(job.check for job in plan.jobs if job.fixed is None)
        confirm = config.schedule.confirm
        self.board.policy = Policy(failures=confirm.failures, successes=confirm.successes)
        self.board.load(plan.jobs)
        jobs = [replace(job, confirmable=False) if job.check in _UNHURRIED else job for job in plan.jobs]
        self.scheduler.update(jobs, self._limits(config.schedule))
        self.rechecks.load(jobs, config.schedule)
        self._latch()

    @property
    def orphaned(self) -> bool:
        """Tell whether we are a sidecar that was left alone in a dead network namespace: only a restart helps."""
        return self._orphans.alone

    @property
    def starved(self) -> bool:
        """Tell whether this process is kept from working in time: its verdicts about time are not to be trusted."""
        return self._lag.largest() > STARVED_LAG_S

    @property
    def settled(self) -> bool:
        """Tell whether each job has reported and no verdict waits for its confirmation."""
        rows = [row for row in self.board.rows.values() if not row.result.second]
        reported = {row.result.job for row in rows}
        return len(reported) == len(self.plan.jobs) and not any(row.state is State.PENDING for row in rows)

    async def look_around(self) -> None:
        """Before all others: where the Connector stands, and whether that place has a network at all.

        A host without network, and a Connector that is not running, must not accuse what can't be reached then.
        """
        for check in (CheckName.CONNECTOR, CheckName.HOST):
            for job in self.plan.jobs:
                if job.check is check:
                    await self._run(job, RunKind.SCHEDULED)

    async def _run(self, job: Job, kind: RunKind) -> None:
        confirming = kind is RunKind.CONFIRM
        self.rechecks.began(job.id)
        results = await self.runner.run(job, thorough=confirming or self._thorough(job), confirming=confirming)
        results = self._orphans.judged(results, shared=self.watch.shared)
        transitions = self.board.record(results)
        self.insight.note_results(results)
        self._observe(results, transitions)
        if job.check is CheckName.CONNECTOR:
            self._connector_was_seen()
        self.rechecks.ended(job, results, transitions)
        self._latch()

    async def learn(self) -> NoReturn:
        """Settle what users met against what was predicted, and probe what was learned; until cancelled."""
        rested_at = self._clock()
        while True:
            await asyncio.sleep(LEARN_S)
            self.insight.tick()
            began = self._clock()
            if self.insight.learning.version != self._learned and began >= rested_at:
                self.load(self.config)
                rested_at = began + (PLAN_REST + 1) * (self._clock() - began)

    async def follow(self) -> NoReturn:
        """Where the Connector's own check is switched off, look when it would: its seat and log move with it."""
        while True:
            self._ended.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.config.schedule.intervals.connector):
                    await self._ended.wait()
            if CheckName.CONNECTOR not in self._asked:
                await self.watch.look()
                self._connector_was_seen()

    def network_changed(self, difference: Difference = NO_DIFFERENCE, *, outward: bool = True) -> None:
        """Links, addresses or routes changed: ask at once what that may break, or mend."""
        self.rechecks.network_changed(difference, outward=outward)

    def nameservers_changed(self) -> None:
        """Other nameservers are in use: ask them and the names at once."""
        self.rechecks.nameservers_changed()

    def connector_ended(self) -> None:
        """The Connector's process has ended: look at once."""
        self._ended.set()
        self.rechecks.connector_ended()

    def _connector_was_seen(self) -> None:
        self.rechecks.looked_at(CONNECTOR_ROW)
        self.runner.take(self.watch.seats)
        if self.watch.sighting is not None:
            self.insight.note_sighting(self.watch.sighting)

    def _recheck(self, job_id: str) -> None:
        self.rechecks.at_once(job_id)

    def _latch(self) -> None:
        """Be ready once each check has reported, and for ever after; with nothing to ask that is at once."""
        self.ready = self.ready or self._asked <= self.board.counters.last_run.keys()

    def _thorough(self, job: Job) -> bool:
        """Tell whether this run asks every source: each job in its own turn, so that not all do so together."""
        if job.check is not CheckName.DNS:
            return True
        every = max(1, round(self.config.schedule.intervals.dns_matrix / job.interval_s))
        run = self._runs.get(job.id, crc32(job.id.encode()))
        self._runs[job.id] = run + 1
        return run % every == 0

    def _latest(self, row_id: str) -> Result | None:
        """Return what to stand on: the last verdict, while it is fresh."""
        row = self.board.rows.get(row_id)
        return row.result if row is not None and self.board.present(row) else None

    def _rows(self, check: CheckName) -> tuple[Result, ...]:
        """Return the fresh verdicts of a check: what the host's seat saw is none."""
        rows = (r for r in self.board.rows.values() if r.result.check is check and not r.result.second)
        return tuple(row.result for row in rows if self.board.present(row))

    def _limits(self, schedule: Schedule) -> Limits:
        most = self.config.probing.max_addresses_per_name
        return Limits(
            concurrency=concurrency(schedule, self._fd_limit, most),
            per_host=schedule.per_host,
            max_rate=schedule.max_rate,
        )

    def verdicts(self) -> dict[Status, int]:
        """Count the rows by the status of their last result."""
        counts: dict[Status, int] = {}
        for row in (row for row in self.board.rows.values() if not row.result.second):
            counts[row.result.outcome.status] = counts.get(row.result.outcome.status, 0) + 1
        return counts
