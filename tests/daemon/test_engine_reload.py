"""Another configuration while the engine works: only what differs is touched, the loop goes on, nothing stays half."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from checks.model import CheckName
from checks.net.endpoint import Endpoint
from checks.tcp_spec import TcpSpec
from daemon import changeover
from daemon.config.schema import Config
from daemon.engine import LEARN_S
from daemon.jobs import Job, Result
from daemon.plan import PlanChange
from daemon.scheduler import START_SPREAD_S, Limits, Scheduler
from daemon.slices import Steps
from daemon.vantage.seats import Seats
from tests.support.half_open_fake import FakeHalfOpen
from tests.support.recheck_rig import Rig, addresses, config, rig

MANY, CHANGED = 400, 10
OTHER_PORT = 8443


def _changed(number: int) -> str:
    """Write MANY Resources, the first `number` of them with another port."""
    lines = addresses(MANY).splitlines(keepends=True)
    return "".join(addresses(MANY, OTHER_PORT).splitlines(keepends=True)[:number] + lines[number:])


def _held(made: Rig) -> dict[str, tuple[object, ...]]:
    """Return all that is held of each port: job, row, the probe's memory, timeline, the scheduler's entry."""
    engine = made.engine
    keepers = (
        engine.plan.by_id, engine.board.rows, engine.runner._memory, engine.insight.truth._lines,
        engine.scheduler._entries,
    )  # fmt: skip
    return {
        job.id: tuple(keeper.get(job.id) for keeper in keepers)
        for job in engine.plan.jobs
        if job.check is CheckName.TCP
    }


@pytest.mark.looptime
async def test_ten_of_hundreds_touch_ten() -> None:
    """A reload with 10 changed Resources takes out theirs and lets all else be: rows, memory, history, slots, runs."""
    async with rig(config(_changed(0))) as made:
        await asyncio.sleep(START_SPREAD_S + 31)
        for job_id in _held(made):
            made.runner._memory[job_id] = object()
        before = _held(made)
        assert all(None not in held for held in before.values())
        made.runner.takes_s[CheckName.TCP] = 20.0
        await asyncio.sleep(15)
        running = made.engine.scheduler.in_flight
        assert running > MANY / 4
        touched = await made.engine.reload(config(_changed(CHANGED)))
        after = _held(made)
        gone, new = before.keys() - after.keys(), after.keys() - before.keys()
        same = [job_id for job_id in before.keys() & after.keys() if _same(before[job_id], after[job_id])]
        assert (len(gone), len(new), len(same), touched) == (CHANGED, CHANGED, MANY - CHANGED, CHANGED)
        await asyncio.sleep(0.1)
        assert running - CHANGED <= made.engine.scheduler.in_flight <= running + CHANGED
        await asyncio.sleep(60)
    for job_id in same:
        times = made.times(job_id)
        assert {round((later - times[1]) % 30.0, 1) % 30.0 for later in times[1:]} == {0.0}, job_id


def _same(before: tuple[object, ...], after: tuple[object, ...]) -> bool:
    """Tell whether the very same objects are held; a row may have reported in between, so it may be another."""
    return all(one is other for one, other in zip(before[:1] + before[2:], after[:1] + after[2:], strict=True))


def _whole(made: Rig, configured: Config | None = None) -> bool:
    """Tell whether all parts have the same jobs in force, and only rows of them."""
    engine = made.engine
    made_for = engine.plan.made_for
    return (
        engine.board.jobs is engine.plan.by_id
        and made_for is not None
        and made_for.config is engine.config
        and (configured is None or engine.config == configured)
        and all(row.result.job in engine.board.jobs for row in engine.board.rows.values())
    )


def _asked(made: Rig) -> bool:
    """Tell whether just what the plan has is asked."""
    wanted = {job.id for job in made.engine.plan.jobs if job.fixed is None}
    return {job_id for job_id, entry in made.engine.scheduler._entries.items() if entry.wanted} == wanted


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop go after each step, however short it was."""
    monkeypatch.setattr("daemon.slices.SLICE_S", 0.0)


@pytest.mark.looptime
@pytest.mark.usefixtures("short_slices")
async def test_the_loop_goes_on_and_sees_one_plan_or_the_other() -> None:
    """While all is replaced others have their turns, in each of which configuration, plan and rows fit together."""
    async with rig(config(_changed(0))) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        turns, in_force = list[bool](), list[bool]()
        wanted = config(_changed(MANY))
        task = asyncio.get_running_loop().create_task(
            made.engine.reload(wanted, lambda: in_force.append(made.engine.config == wanted))
        )
        while not task.done():
            turns.append(_whole(made))
            await asyncio.sleep(0)
        assert len(turns) > 20
        assert all(turns)
        assert in_force == [True]
        assert _whole(made, wanted)
        assert _asked(made)
        await asyncio.sleep(START_SPREAD_S + 1)
        assert len([row for row in made.board.rows if row.endswith(f":{OTHER_PORT}")]) == MANY


@pytest.mark.looptime
@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize("after", [1, 10, 20, 30])
async def test_one_who_goes_away_leaves_no_half_plan(after: int) -> None:
    """When whoever asked for the reload is cancelled, at any moment of it, it is done all the same."""
    async with rig(config(_changed(0))) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        wanted = config(_changed(MANY))
        task = asyncio.get_running_loop().create_task(made.engine.reload(wanted))
        for _ in range(after):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert _whole(made, wanted)
        assert _asked(made)


@pytest.mark.looptime
@pytest.mark.usefixtures("short_slices")
async def test_reloads_at_the_same_time_follow_one_another() -> None:
    """Two who reload at once don't meet: the second finds the work of the first done."""
    async with rig(config(_changed(0))) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        last = config(_changed(3))
        async with asyncio.TaskGroup() as group:
            group.create_task(made.engine.reload(config(_changed(MANY))))
            group.create_task(made.engine.reload(last))
        assert _whole(made, last)
        assert _asked(made)


@pytest.mark.looptime
@pytest.mark.usefixtures("short_slices")
async def test_planning_anew_brings_no_older_configuration_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned while a reload is under way is planned by the new configuration, not by the one before."""
    monkeypatch.setattr("daemon.engine.LEARN_S", 0.0)
    async with rig(config(_changed(0))) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        wanted = config(_changed(MANY))
        reload = asyncio.get_running_loop().create_task(made.engine.reload(wanted))
        await asyncio.sleep(0)
        seats = made.engine.watch.seats
        made.engine.watch.seats = Seats(replace(seats.first, half_open=FakeHalfOpen()), seats.host)
        learning = asyncio.get_running_loop().create_task(made.engine.learn())
        await reload
        monkeypatch.setattr("daemon.engine.LEARN_S", LEARN_S)
        await asyncio.sleep(2 * LEARN_S)
        learning.cancel()
        assert made.engine.plan.made_for is not None
        assert made.engine.plan.made_for.half_open
        assert _whole(made, wanted)


@pytest.mark.looptime
@pytest.mark.usefixtures("short_slices")
async def test_look_that_ends_during_the_reload_is_not_held_of_what_is_probed_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A port that may not be touched from now on shows that, not what a look found that ended a moment later."""
    resource = "  - {{name: R, address: 10.0.0.1, tcp: [443]{}}}\n"
    began, go_on = asyncio.Event(), asyncio.Event()

    def take_up(scheduler: Scheduler, change: PlanChange, limits: Limits, forget: Callable[[str], None]) -> Steps[None]:
        go_on.set()
        for _ in range(10):
            yield
        yield from changeover.take_up(scheduler, change, limits, forget)

    async with rig(config(resource.format(""))) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        (port,) = made.jobs(CheckName.TCP)
        run = made.runner.run

        async def held_up(job: Job, **given: bool) -> tuple[Result, ...]:
            del given
            if job.id == port:
                began.set()
            await go_on.wait()
            return await run(job)

        monkeypatch.setattr(made.runner, "run", held_up)
        monkeypatch.setattr("daemon.engine.take_up", take_up)
        await began.wait()
        await made.engine.reload(config(resource.format(", probe: half_open")))
        await asyncio.sleep(30)
        job = made.engine.plan.by_id[port]
        assert job.fixed is not None
        assert made.board.rows[port].result.outcome == job.fixed


@pytest.mark.looptime
async def test_limits_hold_from_then_on_also_when_no_job_changes() -> None:
    """A reload that changes no job puts its limits in force all the same, and begins no run."""
    resources = addresses(3)
    async with rig(config(resources)) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        runs = {job_id: list(times) for job_id, times in made.runner.began.items()}
        configured = config(resources)
        schedule = structs.replace(configured.schedule, max_rate=7.0)
        assert await made.engine.reload(structs.replace(configured, schedule=schedule)) == 0
        assert made.engine.scheduler._admission.limits.max_rate == 7.0
        assert made.runner.began == runs


@pytest.mark.looptime
async def test_the_method_follows_the_right_to_it() -> None:
    """Where half-open probes become possible, or no longer are, the plan is made anew for that."""
    async with rig(config(addresses(2))) as made:
        learning = asyncio.get_running_loop().create_task(made.engine.learn())
        seats = made.engine.watch.seats
        methods = []
        for way in (FakeHalfOpen(), None):
            made.engine.watch.seats = Seats(replace(seats.first, half_open=way), seats.host)
            await asyncio.sleep(LEARN_S + 0.1)
            job = made.engine.plan.by_id[f"tcp:{Endpoint('10.0.0.1', 443)}"]
            methods.append(job.spec.method if isinstance(job.spec, TcpSpec) else "")
        learning.cancel()
    assert methods == ["half_open", "connect"]
