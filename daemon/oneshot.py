"""Every check once: `healthctl check`. The daemon's jobs and runner, ordered by who depends on whom."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from checks.half_open import HalfOpen
from checks.model import CheckName, Outcome, Reason, Status
from daemon.board import Board
from daemon.changes.facts import FactReader
from daemon.config.schema import Config
from daemon.identity import shown_name
from daemon.insight import Insight, Memory
from daemon.jobs import Job, Result
from daemon.known import CLOCK_ROW, CONNECTOR_ROW, HOST_ROW, OUTWARD_CHECKS, TROUBLE_CHECKS, Known
from daemon.limits import Slots, concurrency, raise_fd_limit
from daemon.looplag import LoopLag
from daemon.plan import Plan
from daemon.runner import Runner
from daemon.state import Policy
from daemon.store import Store
from daemon.storefile import Past
from daemon.targets import enabled_checks, make_plan
from daemon.vantage.own_helper import with_own_helper
from daemon.vantage.watch import ConnectorWatch
from daemon.view import EngineFigures, View

LOG_S = 1.5  # what a single look spends on the Connector's log at most: its token errors are worth a moment
_LAST = CheckName.PROVIDER  # asked when all else is known: only trouble makes it worth asking
_BY_THE_CLOCK = frozenset({Reason.TLS_EXPIRED, Reason.TLS_NOT_YET_VALID})  # true only if this host's clock is right


class OneShot:
    """Runs each job once, its parents first, and once more after a pause if it was critical."""

    def __init__(self, jobs: Iterable[Job], slots: Slots, confirm_after_s: float) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.results: dict[str, Result] = {}
        self._done = {job_id: asyncio.Event() for job_id in self.jobs}
        self._slots = slots
        self._confirm_after_s = confirm_after_s

    def known(self, ever_up: AbstractSet[str], watch: ConnectorWatch, insight: Insight) -> Known:
        """Tell the runner what this run has found so far, which rows were up before it, and where the Connector is."""
        return Known(
            latest=self.results.get,
            rows=lambda check: tuple(r for r in self.results.values() if r.check is check and not r.second),
            ever_up=ever_up.__contains__,
            user_failed=insight.user_failed,
            log=insight.log,
            connector=watch,
            connector_seat=lambda: watch.connector_seat,
        )

    async def run(self, runner: Runner, until: float | None, on_result: Callable[[Result], None]) -> None:
        """Run until each job has its verdict; what is cut off at `until` (on the loop's clock) is unknown."""
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(until), asyncio.TaskGroup() as group:
                for job in self.jobs.values():
                    group.create_task(self._settle(job, runner, on_result), name=job.id)
        except TimeoutError:
            self._give_up(runner.seats.first.wall_clock(), asyncio.get_running_loop().time() - began)

    async def _settle(self, job: Job, runner: Runner, on_result: Callable[[Result], None]) -> None:
        for parent in self._parents(job):
            await self._done[parent].wait()
        results = await self._run(job, runner, confirming=False)
        if job.confirmable and any(r.outcome.status is Status.CRITICAL for r in results):
            await asyncio.sleep(self._confirm_after_s)
            if CLOCK_ROW in self._done and any(r.outcome.reason in _BY_THE_CLOCK for r in results):
                await self._done[CLOCK_ROW].wait()  # the slowest check of all, and perhaps the cause of this
            results = await self._run(job, runner, confirming=True)
        for result in results:
            self.results[result.id] = result
            if not result.second:
                on_result(result)
        self._done[job.id].set()

    async def _run(self, job: Job, runner: Runner, *, confirming: bool) -> tuple[Result, ...]:
        async with self._slots.hold(job):
            return await runner.run(job, thorough=True, confirming=confirming)

    def _parents(self, job: Job) -> list[str]:
        if job.fixed is not None:
            return []
        if job.check is _LAST:
            return [j.id for j in self.jobs.values() if j.check in TROUBLE_CHECKS]
        if job.check is CheckName.NAT:
            return [j.id for j in self.jobs.values() if j.check in OUTWARD_CHECKS]
        above = [HOST_ROW, CONNECTOR_ROW]
        wanted = {CheckName.DNS: above, CheckName.TCP: [*above, f"dns:{job.name}"]}.get(job.check, [])
        return [job_id for job_id in wanted if job_id in self.jobs]

    def _give_up(self, wall: float, took_s: float) -> None:
        """Record what the time-out of the whole command cut off."""
        summary = "not finished within --timeout"
        outcome = Outcome(status=Status.UNKNOWN, reason=Reason.TIMEOUT, summary=summary)
        for job in self.jobs.values():
            if not self._done[job.id].is_set():
                result = Result(
                    id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome,
                    started_at=wall, duration_s=took_s, resources=job.resources,
                )  # fmt: skip
                self.results[job.id] = result


async def check_once(
    config: Config,
    *,
    only: frozenset[CheckName] | None = None,
    resources: tuple[str, ...] = (),
    timeout_s: float | None = None,
    on_result: Callable[[Result], None] = lambda _: None,
    here: HalfOpen | None = None,
) -> View:
    """Run every job of the configuration once, those of `resources` alone if any are named; return what was found.

    Nothing is written. What a daemon on this host knows to have been up before is taken into account. `here` probes
    half-open from this process's own network, and is closed at the end.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    enabled = enabled_checks(config, only)
    pool = concurrency(config.schedule, raise_fd_limit(), config.probing.max_addresses_per_name)
    slots = Slots(pool, config.schedule.per_host, config.schedule.max_rate)
    lag = LoopLag()
    watch = ConnectorWatch(config, here=here)
    try:
        wall_clock = watch.seats.first.wall_clock
        wall = wall_clock()
        past = Past()
        insight = Insight(config, wall_clock, lambda _: None, Memory())
        with contextlib.suppress(TimeoutError):  # then its rows say what is not known
            async with asyncio.timeout(timeout_s):
                past = await Store.read_only(config.state.path)
                insight = Insight(config, wall_clock, lambda _: None, Memory(recall=past.recall))
                await _find(watch, insight, enabled)
        method = watch.method
        plan = _narrowed(make_plan(config, enabled, insight.learned, half_open=watch.half_open), resources)
        run = OneShot(plan.jobs, slots, config.schedule.confirm.interval)
        board = Board(Policy(failures=1, successes=1), wall_clock, clock=loop.time)
        runner = Runner(watch.seats, enabled, run.known(past.ever_up, watch, insight), lag.between)
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(lag.run(), name="loop lag")
            await run.run(runner, None if timeout_s is None else begin + timeout_s, on_result)
            watcher.cancel()
        routes, dead = FactReader(loop.time).network_facts(watch.seats.first)
    finally:
        await watch.close()
    board.load(plan.jobs)
    board.record(run.results.values())
    engine = EngineFigures(
        connector=shown_name(config, watch.environment),
        vantage=watch.seats.first.name,
        runtime=watch.name,
        started_at=wall,
        duration_s=loop.time() - begin,
        event_loop_lag_s=lag.largest(),
        method=method,
    )
    observed = insight.observed(watch.sighting, predictions=False)
    from daemon.diagnosis.diagnostician import diagnose_once  # noqa: PLC0415 - no probe waits for what judges them
    from daemon.diagnosis.scene import scene_of  # noqa: PLC0415

    view = View(config=config, plan=plan, board=board, engine=engine, observed=observed)
    return replace(view, diagnosis=diagnose_once(scene_of(view, routes=routes, dead_next_hops=dead)))


async def _find(watch: ConnectorWatch, insight: Insight, enabled: frozenset[CheckName]) -> None:
    """Find the Connector, take its seat, and read what its log tells already."""
    await watch.begin()
    await with_own_helper(watch)
    if watch.sighting is not None and CheckName.CONNECTOR in enabled:
        from daemon.logwatch import LogWatch  # noqa: PLC0415 - many a host has no Connector

        insight.note_sighting(watch.sighting)
        await LogWatch(watch, insight, Memory()).read_for(LOG_S)


def _narrowed(plan: Plan, resources: tuple[str, ...]) -> Plan:
    """Leave out the jobs that stand behind other Resources only."""
    if not resources:
        return plan
    wanted = frozenset(resources)
    jobs = tuple(job for job in plan.jobs if not job.resources or wanted & set(job.resources))
    return Plan(
        jobs=jobs,
        resources=tuple(r for r in plan.resources if r.name in wanted),
        rows_of={name: ids for name, ids in plan.rows_of.items() if name in wanted},
    )
