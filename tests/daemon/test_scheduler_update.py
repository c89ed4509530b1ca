import asyncio
import contextlib
from dataclasses import replace
from itertools import pairwise

import pytest

from checks.model import CheckName, Outcome, Reason, Status
from daemon.jobs import Job
from daemon.scheduler import START_SPREAD_S, RunKind, Scheduler
from tests.support.scheduling import ROOM, SLACK_S, Probe, job, scheduling, unconfirmable
from tests.support.virtual import virtual_time


@virtual_time
async def test_update_leaves_equal_jobs_alone() -> None:
    """A reload with an equal job neither cancels its run nor moves its slot nor runs it an extra time."""
    probe = Probe(lambda _: 3.0)
    async with scheduling(probe, [job("a")]) as scheduler:
        await asyncio.sleep(START_SPREAD_S)
        for _ in range(50):
            scheduler.update([job("a")])
            await asyncio.sleep(1)
        await asyncio.sleep(60)
    assert probe.cancelled == []
    assert 4 <= len(probe.starts) <= 5
    assert all(b - a == pytest.approx(30.0, abs=SLACK_S) for a, b in pairwise(probe.times("a")[1:]))


@virtual_time
async def test_update_cancels_what_is_gone_and_starts_what_is_new() -> None:
    """A removed job is cancelled in flight and never runs again; an added one runs soon."""
    probe = Probe(lambda _: 1000.0)
    async with scheduling(probe, [job("old")]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        scheduler.update([job("new")])
        await asyncio.sleep(START_SPREAD_S + 1)
        assert probe.cancelled == ["tcp:old"]
        assert len(probe.times("new")) == 1
        assert scheduler.in_flight == 1
        await asyncio.sleep(100)
        assert len(probe.times("old")) == 1


@virtual_time
async def test_update_of_a_changed_job_replaces_its_run_without_overlap() -> None:
    """A changed job's old run is cancelled, and the new one starts only when that has ended."""
    probe = Probe(lambda _: 1000.0)
    async with scheduling(probe, [job("a", interval_s=30.0)]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        scheduler.update([job("a", interval_s=31.0)])
        await asyncio.sleep(START_SPREAD_S + 1)
    assert len(probe.starts) == 2
    assert probe.cancelled == ["tcp:a", "tcp:a"]
    assert probe.most["tcp:a"] == 1


@virtual_time
async def test_update_of_a_changed_policy_port_keeps_its_distance() -> None:
    """Reloads do not make a port with a policy be asked more often than its policy allows."""
    probe = Probe()
    async with scheduling(probe, [unconfirmable("ssh", 300.0)]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        for n in range(20):
            scheduler.update([unconfirmable("ssh", 300.0, timeout_s=6.0 + n)])
            await asyncio.sleep(30)
    assert len(probe.starts) >= 2
    assert all(b - a >= 300.0 - SLACK_S for a, b in pairwise(probe.times("ssh")))


@virtual_time
async def test_removed_and_added_again_while_it_ends_is_still_one() -> None:
    """A job that comes back while its cancelled run is still tidying up waits for the end of that."""
    running, most = 0, 0

    async def run(_job: Job, _kind: RunKind) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(START_SPREAD_S * 2)
            running -= 1

    scheduler = Scheduler(run, ROOM)
    scheduler.update([job("a", interval_s=15.0)])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            async with asyncio.TaskGroup() as group:
                group.create_task(scheduler.run())
                await asyncio.sleep(START_SPREAD_S + 1)
                scheduler.update([])
                await asyncio.sleep(0.1)
                scheduler.update([job("a", interval_s=15.0)])
                scheduler.update([job("a", interval_s=15.0)])
    assert most == 1
    assert scheduler.missed >= 1


@virtual_time
async def test_cancelling_leaves_no_task() -> None:
    """When the scheduler is cancelled, all runs in flight are cancelled, and no task is left."""
    probe = Probe(lambda _: 1000.0)
    before = asyncio.all_tasks()
    async with scheduling(probe, [job(f"j{n}") for n in range(20)]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        assert scheduler.in_flight == 20
    assert len(probe.cancelled) == 20
    assert asyncio.all_tasks() == before
    assert scheduler.in_flight == 0


@virtual_time
async def test_a_fault_in_a_run_ends_the_scheduler() -> None:
    """An exception that the runner let through is a bug: the scheduler ends with it instead of going on half dead."""

    async def run(_job: Job, _kind: RunKind) -> None:
        raise ZeroDivisionError

    scheduler = Scheduler(run, ROOM)
    scheduler.update([job("a")])
    with pytest.raises(ExceptionGroup) as caught:
        await scheduler.run()
    assert caught.group_contains(ZeroDivisionError)


@virtual_time
async def test_fixed_jobs_are_never_started() -> None:
    """A target that is never probed is not run."""
    outcome = Outcome(status=Status.SKIPPED, reason=Reason.NOT_PROBEABLE, summary="not probeable")
    fixed = Job(
        id="tcp:*.corp", check=CheckName.TCP, target="*.corp", spec=None, interval_s=0.0, timeout_s=0.0, fixed=outcome
    )
    probe = Probe()
    async with scheduling(probe, [fixed]):
        await asyncio.sleep(100)
    assert probe.starts == []


class Touchy(Job):
    """A job that can't bear being compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError("the same object is equal without a look at it")

    __hash__ = None  # type: ignore[assignment]


@virtual_time
async def test_update_touches_what_changed() -> None:
    """Jobs that are the very same objects are not compared, and the alarms stay where they are for a few changes."""
    same: list[Job] = [
        Touchy(id=f"tcp:s{n}", check=CheckName.TCP, target="a", spec=None, interval_s=30.0, timeout_s=5.0)
        for n in range(500)
    ]
    others = [job(f"o{n}") for n in range(10)]
    probe = Probe()
    async with scheduling(probe, [*same, *others]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        alarms = scheduler._alarms
        scheduler.update([*same, *(job(f"o{n}", interval_s=40.0) for n in range(10)), job("new")])
        assert scheduler._alarms is alarms
        await asyncio.sleep(START_SPREAD_S + 1)
        assert all(len(probe.times(f"o{n}")) == 2 for n in range(10))
        assert len(probe.times("new")) == 1
        scheduler.update([])
        assert scheduler._alarms == []
        assert scheduler._entries == {}


@virtual_time
async def test_void_alarms_never_pile_up() -> None:
    """However often a few jobs change, no more than a tenth of the alarms are void ones."""
    async with scheduling(Probe(), [job(f"j{n}") for n in range(100)]) as scheduler:
        for round_ in range(200):
            scheduler.update([job(f"j{n}", interval_s=30.0 + (round_ if n < 5 else 0)) for n in range(100)])
        assert len(scheduler._alarms) <= 120


@virtual_time
async def test_change_names_only_what_differs() -> None:
    """With `change` what is not named goes on; what is gone is cancelled, and so is what is no longer probed."""
    outcome = Outcome(status=Status.SKIPPED, reason=Reason.NOT_PROBEABLE, summary="not probeable")
    probe = Probe(lambda _: 1000.0)
    async with scheduling(probe, [job("a"), job("b"), job("c"), job("d")]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        changed = [job("b", interval_s=31.0), job("new"), replace(job("d"), fixed=outcome)]
        scheduler.change(changed, ["tcp:c", "tcp:unheard-of"])
        await asyncio.sleep(START_SPREAD_S + 1)
        assert sorted(probe.cancelled) == ["tcp:b", "tcp:c", "tcp:d"]
        assert sorted(name for _, name, _ in probe.starts[4:]) == ["tcp:b", "tcp:new"]
        assert scheduler.in_flight == 3
