"""One configuration at work: schedule → runner → board. Replaced piece by piece when the configuration changes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import NoReturn
from zlib import crc32

from checks.model import CheckName, Status
from checks.net.seat import Flight
from daemon.board import Board
from daemon.changeover import let_go, prepare, take_up
from daemon.changes.network import NO_DIFFERENCE, Difference
from daemon.config.schema import Config, Schedule
from daemon.entry import Ended
from daemon.glimpse import Glimpse
from daemon.headroom import Headroom
from daemon.insight import Insight, Memory
from daemon.jobs import Job, Result
from daemon.known import CONNECTOR_ROW, Known
from daemon.limits import concurrency, raise_fd_limit
from daemon.looplag import LoopLag
from daemon.pace import pace_s
from daemon.plan import NO_PLAN
from daemon.rechecks import Rechecks
from daemon.runner import STARVED_LAG_S, Runner
from daemon.scheduler import Limits, RunKind, Scheduler
from daemon.slices import Steps, at_once, in_slices
from daemon.state import Policy, Transition
from daemon.vantage.orphan import Orphans
from daemon.vantage.watch import ConnectorWatch

log = logging.getLogger("connector_health.engine")

LEARN_S = 1.0  # how often what users met is settled; no probe waits for it
PLAN_REST = 50  # times what it took, until what was learned is planned again: 10,000 Resources take 0.2 s, in slices
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
        self.plan = NO_PLAN
        self._loading = asyncio.Lock()
        self.on_gone: Callable[[Iterable[str]], None] = lambda _: None  # hears the ids of rows that no job has any more
        self.ready = False
        self._lag = lag
        self._observe = observe
        self._fd_limit = raise_fd_limit()
        self._runs: dict[str, int] = {}
        self._asked: frozenset[CheckName] = frozenset()
        self.scheduler = Scheduler(self._run, self._limits(config.schedule), begin=self._begin, pace=self._pace)
        self.headroom = Headroom(self.scheduler.throttle)
        known = Known(
            latest=self._latest,
            rows=self._rows,
            ever_up=board.ever_up.__contains__,
            user_failed=self.insight.user_failed,
            log=self.insight.log,
            connector=self.watch,
            connector_seat=lambda: self.watch.connector_seat,
            refusal=self.headroom.refusal,
            version=lambda: board.version,
        )
        self.runner = Runner(self.watch.seats, frozenset(), known, lag.between)
        self.rechecks = Rechecks(self.scheduler, board, self._clock, self._vouch)
        self.load(config)

    def load(self, config: Config) -> None:
        """Put a configuration in force at once: jobs that are the same go on undisturbed."""
        at_once(self._load(config, lambda: None))

    async def reload(self, config: Config | None = None, in_force: Callable[[], None] = lambda: None) -> int:
        """Put a configuration in force while the loop goes on; return how many jobs are new, or not what they were.

        None: plan anew by the one that is in force then. `in_force` is called in the moment when it is.
        """
        async with self._loading:
            steps = self._load(config or self.config, in_force)
            try:
                return await in_slices(steps)
            except asyncio.CancelledError:
                at_once(steps)  # whoever asked has gone, but half a plan would leave targets unasked
                raise

    def _load(self, config: Config, in_force: Callable[[], None]) -> Steps[int]:
        """Make the plan beside the one in force, let go of what is gone, change over in one step, take up what is new.

        A job without a row, or one that waits for its first slot, is nothing special: just so the daemon starts.
        """
        before, learning = self.config, self.insight.learning
        after = yield from prepare(config, before=before, plan=self.plan, learning=learning, half_open=self._half_open)
        config, plan, change, self._learned = after.config, after.plan, after.change, after.learned
        yield from let_go(self.scheduler, change, self._drop)
        yield from self.board.take_out(change)
        self.config, self.plan, self.board.jobs = config, plan, plan.by_id
        self.watch.reconfigure(config)
        self.runner.take(self.watch.seats)
        self.runner.enabled = after.enabled
        if config.connector != before.connector:
            self.scheduler.confirm(CONNECTOR_ROW, 0.0)
        limits, confirm = self._limits(config.schedule), config.schedule.confirm
        self.scheduler.change((), (), limits)
        self.rechecks.load(plan, config.schedule)
        self.board.policy = Policy(failures=confirm.failures, successes=confirm.successes)
        self._asked = after.asked
        in_force()
        yield from self.insight.truth.take(config, plan, change)
        yield from self.board.put_in(change)
        yield from take_up(self.scheduler, change, limits, self._forget)
        self._latch()
        return len(change.added) + len(change.changed)

    def _drop(self, job_id: str) -> None:
        self.on_gone([row.id for row in self.board.rows_of(job_id)])
        self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        self.runner.forget(job_id)
        self._runs.pop(job_id, None)

    @property
    def _half_open(self) -> bool:
        """Tell whether ports can be probed half-open from where we stand."""
        way = self.watch.seats.of(CheckName.TCP).half_open
        return way is not None and way.available

    @property
    def orphaned(self) -> bool:
        """Tell whether we are a sidecar that was left alone in a dead network namespace: only a restart helps."""
        return self._orphans.alone

    @property
    def starved(self) -> bool:
        """Tell whether this process is kept from working in time: its verdicts about time are not to be trusted."""
        return self.headroom.starved or self._lag.largest() > STARVED_LAG_S

    @property
    def settled(self) -> bool:
        """Tell whether each job has reported and no verdict waits for its confirmation."""
        if self.board.pending:
            return False
        reported = {row.result.job for row in self.board.rows.values()}
        return len(reported) == len(self.plan.jobs)

    async def look_around(self) -> None:
        """Before all others: where the Connector stands, and whether that place has a network at all.

        A host without network, and a Connector that is not running, must not accuse what can't be reached then.
        """
        for check in (CheckName.CONNECTOR, CheckName.HOST):
            for job in self.plan.jobs:
                if job.check is check:
                    await self._run(job, RunKind.SCHEDULED)

    def _vouch(self, row_ids: Iterable[str]) -> list[Transition]:
        """Take failures as confirmed by others of their kind."""
        transitions = self.board.vouch(row_ids)
        self._observe((), transitions)
        return transitions

    def _pace(self, job: Job) -> float:
        return pace_s(job, self.board.rows.get(job.id), self.board.wall_clock())

    def _begin(self, job: Job, kind: RunKind, ended: Ended) -> Flight | None:
        """Begin a run that needs no task, if that may be; see `Scheduler`."""
        if job.check is not CheckName.TCP:
            return None
        flight = self.runner.begin(Glimpse(job, kind, ended, self._landed))
        if flight is not None:
            self.rechecks.began(job.id)
        return flight

    def _landed(self, seen: Glimpse) -> None:
        result = self.runner.judged(seen)
        if result is None:
            seen.ended(self._run(seen.job, seen.kind, seen))
            return
        try:
            self._record(seen.job, (result,))
        finally:
            seen.ended(None)

    async def _run(self, job: Job, kind: RunKind, seen: Glimpse | None = None) -> None:
        confirming = kind is RunKind.CONFIRM
        if seen is None:
            self.rechecks.began(job.id)
        thorough = confirming or self._thorough(job)
        results = await self.runner.run(job, thorough=thorough, confirming=confirming, seen=seen)
        self._record(job, self._orphans.judged(results, shared=self.watch.shared))

    def _record(self, job: Job, results: tuple[Result, ...]) -> None:
        transitions = self.board.record(results)
        self.insight.note_results(results, self._pace(job) if results[0].outcome.status is Status.CRITICAL else None)
        self._observe(results, transitions)
        if job.check is CheckName.CONNECTOR:
            self._connector_was_seen()
        self.rechecks.ended(job, results, transitions)
        if not self.ready:
            self._latch()

    async def learn(self) -> NoReturn:
        """Settle what users met against what was predicted, and probe what was learned; until cancelled."""
        rested_at = self._clock()
        while True:
            await asyncio.sleep(LEARN_S)
            self.insight.tick()
            began = self._clock()
            made_for = self.plan.made_for
            other = made_for is not None and made_for.half_open is not self._half_open
            if (other or self.insight.learning.version != self._learned) and began >= rested_at:
                await self.reload()
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
        self.watch.seats.network_changed()
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
