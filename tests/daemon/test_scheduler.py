import asyncio
import contextlib
import time
from collections import Counter
from itertools import pairwise

import pytest

from daemon.jobs import Job
from daemon.phase import phase
from daemon.scheduler import START_SPREAD_S, Limits, RunKind, Scheduler
from tests.support.scheduling import ROOM, SLACK_S, Probe, job, scheduling, unconfirmable
from tests.support.virtual import virtual_time


@virtual_time
async def test_each_job_runs_once_in_each_interval_at_its_phase() -> None:
    """After the first runs, each job runs in each interval once, at its phase, whatever its interval."""
    jobs = [job(f"j{n}", interval_s=interval) for n, interval in enumerate([7.0, 30.0, 30.0, 64.0])]
    probe = Probe()
    async with scheduling(probe, jobs):
        await asyncio.sleep(640)
    for each in jobs:
        times = probe.times(each.target)
        assert len(times) >= 640 / each.interval_s - 2
        for at in times[1:]:
            assert (at - phase(each.id, each.interval_s) + 1e-6) % each.interval_s <= SLACK_S
        assert all(each.interval_s - SLACK_S <= b - a <= each.interval_s + SLACK_S for a, b in pairwise(times[1:]))


@virtual_time
async def test_first_runs_come_soon_and_the_second_a_whole_interval_later() -> None:
    """First runs come within the start-up spread, evenly, and no job is asked again before its interval is over."""
    jobs = [job(f"j{n}", interval_s=60.0) for n in range(1000)]
    probe = Probe()
    async with scheduling(probe, jobs) as scheduler:
        begin = asyncio.get_running_loop().time()
        await asyncio.sleep(START_SPREAD_S + SLACK_S)
        assert len(probe.starts) == len(jobs)
        by_second = Counter(int(at - begin) for at, _, _ in probe.starts)
        assert max(by_second.values()) < 150
        await asyncio.sleep(120)
        assert scheduler.missed == 0
    for each in jobs:
        first, second = probe.times(each.target)[:2]
        assert 60.0 - SLACK_S <= second - first <= 120.0


@virtual_time
async def test_a_short_interval_starts_in_its_first_interval() -> None:
    """A job whose interval is shorter than the spread starts within its interval, on its phase."""
    probe = Probe()
    async with scheduling(probe, [job("a", interval_s=2.0)]):
        begin = asyncio.get_running_loop().time()
        await asyncio.sleep(9.9)
    times = probe.times("a")
    assert times[0] - begin <= 2.0 + SLACK_S
    assert all(b - a == pytest.approx(2.0, abs=SLACK_S) for a, b in pairwise(times))


@virtual_time
async def test_max_rate_bounds_new_connections_also_at_start() -> None:
    """No second sees more new connections than max_rate and its small burst, and nothing is missed for it."""
    jobs = [job(f"j{n}", interval_s=60.0, connections=4) for n in range(500)]
    probe = Probe()
    async with scheduling(probe, jobs, Limits(concurrency=1000, per_host=16, max_rate=50.0)) as scheduler:
        await asyncio.sleep(200)
        assert scheduler.missed == 0
        assert sum(scheduler.lag.counts[7:]) == 0, "first runs are spread so that none waits long for the rate"
    times = [at for at, _, _ in probe.starts]
    windows = [sum(start <= at < start + 1.0 for at in times) * 4 for start in times[::20]]
    assert max(windows) <= 50 * 1.1 + 4


@virtual_time
async def test_jobs_without_connections_pass_those_that_wait_for_the_rate() -> None:
    """A DNS question does not wait behind connections that max_rate holds back."""
    jobs = [job(f"j{n}", connections=8) for n in range(20)] + [job("free", connections=0)]
    probe = Probe()
    async with scheduling(probe, jobs, Limits(concurrency=100, per_host=16, max_rate=1.0)) as scheduler:
        await asyncio.sleep(50.0)
        begin = asyncio.get_running_loop().time()
        scheduler.confirm("tcp:free", 0.0)
        await asyncio.sleep(1.0)
        (confirmed,) = probe.times("free", RunKind.CONFIRM)
        assert confirmed - begin <= SLACK_S
        assert scheduler.missed > 0, "connections did wait"


@virtual_time
async def test_a_job_never_overlaps_itself_and_what_it_missed_is_counted() -> None:
    """A job that takes 2½ intervals runs in every third slot; the slots between are counted, not made up for."""
    probe = Probe(lambda _: 25.0)
    async with scheduling(probe, [job("slow", interval_s=10.0)]) as scheduler:
        await asyncio.sleep(301)
        assert len(probe.starts) == pytest.approx(10, abs=1)
        assert scheduler.missed == pytest.approx(20, abs=1)
    assert probe.most["tcp:slow"] == 1


@virtual_time
async def test_a_full_pool_skips_slots_instead_of_queueing_them() -> None:
    """With room for a tenth of the work, a tenth is done, the rest is counted, and the lag stays under an interval."""
    jobs = [job(f"j{n}", interval_s=10.0) for n in range(100)]
    probe = Probe(lambda _: 10.0)
    async with scheduling(probe, jobs, Limits(concurrency=10, per_host=16, max_rate=1000.0)) as scheduler:
        await asyncio.sleep(400)
        assert len(probe.starts) == pytest.approx(400, abs=20)
        assert scheduler.missed == pytest.approx(3600, abs=200)
        assert scheduler.lag.counts[-1] == 0
    assert probe.most["all"] == 10
    assert min(Counter(name for _, name, _ in probe.starts).values()) >= 3


@virtual_time
async def test_a_black_holed_host_does_not_stall_the_others() -> None:
    """A hundred jobs of a host that never answers take its sixteen places; every other job keeps its slots."""
    dead = [job(f"dead{n}", interval_s=10.0, host="10.9.9.9") for n in range(100)]
    alive = [job(f"alive{n}", interval_s=10.0, host=f"10.0.0.{n}") for n in range(50)]
    probe = Probe(lambda j: 5.0 if j.host == "10.9.9.9" else 0.01)
    async with scheduling(probe, dead + alive, Limits(concurrency=20, per_host=16, max_rate=1000.0)) as scheduler:
        await asyncio.sleep(100)
        assert scheduler.missed > 0
    assert probe.most["host 10.9.9.9"] == 16
    for each in alive:
        assert all(b - a <= 20.0 for a, b in pairwise(probe.times(each.target)[:2]))
        assert all(b - a <= 10.0 + SLACK_S for a, b in pairwise(probe.times(each.target)[1:]))
    dead_runs = Counter(name for _, name, _ in probe.starts if "dead" in name)
    assert len(dead_runs) == 100, "within the dead host each job has its turn"


@virtual_time
async def test_confirm_runs_once_after_its_delay() -> None:
    """A confirmation asked for twice runs once, after its delay, and the slots stay where they are."""
    probe = Probe()
    async with scheduling(probe, [job("a", interval_s=100.0)]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        asked = asyncio.get_running_loop().time()
        scheduler.confirm("tcp:a", 2.0)
        await asyncio.sleep(1)
        scheduler.confirm("tcp:a", 2.0)
        await asyncio.sleep(4)
        (confirmed,) = probe.times("a", RunKind.CONFIRM)
        assert 2.0 <= confirmed - asked <= 2.0 + SLACK_S
        await asyncio.sleep(300)
        assert len(probe.times("a", RunKind.CONFIRM)) == 1
    for at in probe.times("a", RunKind.SCHEDULED)[1:]:
        assert (at - phase("tcp:a", 100.0) + 1e-6) % 100.0 <= SLACK_S


@virtual_time
async def test_confirm_asked_for_from_within_the_run_is_kept() -> None:
    """The run that saw the failure asks for its confirmation itself."""
    asked: list[str] = []
    holder: list[Scheduler] = []

    async def run(job: Job, kind: RunKind) -> None:
        await asyncio.sleep(0.1)
        asked.append(kind)
        if kind is RunKind.SCHEDULED:
            holder[0].confirm(job.id, 2.0)

    holder.append(Scheduler(run, ROOM))
    holder[0].update([job("a", interval_s=60.0)])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_SPREAD_S + 3):
            await holder[0].run()
    assert asked == [RunKind.SCHEDULED, RunKind.CONFIRM]


@virtual_time
@pytest.mark.parametrize("target", ["forbidden", "running", "gone"])
async def test_confirm_is_dropped_where_it_must_not_run(target: str) -> None:
    """No confirmation of a port with a policy, of a job that runs anyway, or of one that is gone."""
    jobs = [unconfirmable("forbidden", 300.0), job("running", interval_s=300.0)]
    probe = Probe(lambda j: 200.0 if j.target == "running" else 0.0)
    async with scheduling(probe, jobs) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        scheduler.confirm(f"tcp:{target}", 2.0)
        await asyncio.sleep(20)
    assert all(kind is RunKind.SCHEDULED for _, _, kind in probe.starts)


@virtual_time
async def test_a_run_in_between_is_the_second_look() -> None:
    """When the next slot comes before the confirmation, that run takes its place."""
    probe = Probe()
    async with scheduling(probe, [job("a", interval_s=10.0)]) as scheduler:
        await asyncio.sleep(15)
        scheduler.confirm("tcp:a", 15.0)
        await asyncio.sleep(60)
    assert probe.times("a", RunKind.CONFIRM) == []


@virtual_time
async def test_confirm_obeys_the_limits() -> None:
    """A confirmation waits for room at its host like any other run, and runs when there is."""
    jobs = [job("a", interval_s=300.0, host="h"), job("b", interval_s=300.0, host="h")]
    probe = Probe(lambda _: 5.0)
    async with scheduling(probe, jobs, Limits(concurrency=10, per_host=1, max_rate=100.0)) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 11)
        scheduler.confirm("tcp:a", 2.0)
        scheduler.confirm("tcp:b", 2.0)
        await asyncio.sleep(13)
    (one,), (two,) = probe.times("a", RunKind.CONFIRM), probe.times("b", RunKind.CONFIRM)
    assert 5.0 <= abs(two - one) <= 5.0 + SLACK_S
    assert probe.most["host h"] == 1


@virtual_time
async def test_lag_is_observed_for_each_start() -> None:
    """With room for all, each start is observed, and comes at most a tick after its time."""
    probe = Probe()
    async with scheduling(probe, [job(f"j{n}", interval_s=10.0) for n in range(200)]) as scheduler:
        await asyncio.sleep(60)
        assert sum(scheduler.lag.counts) == len(probe.starts)
        assert sum(scheduler.lag.counts[:4]) == len(probe.starts)


async def test_a_standstill_of_the_process_counts_the_slots_it_ate() -> None:
    """Slots that pass while the process stands still are missed; each job then runs once, not once for each of them."""
    stood_still: list[float] = []

    async def run(_job: Job, _kind: RunKind) -> None:
        starts.append(asyncio.get_running_loop().time())
        if len(starts) == 3:
            time.sleep(1.1)  # noqa: ASYNC251 - the fault under test
            stood_still.append(asyncio.get_running_loop().time())

    starts: list[float] = []
    scheduler = Scheduler(run, ROOM)
    scheduler.update([job("a", interval_s=0.2)])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.4):
            await scheduler.run()
    assert scheduler.missed >= 4
    assert len(starts) + scheduler.missed <= 13, "no slot counts twice"
    assert sum(stood_still[0] <= at < stood_still[0] + 0.2 for at in starts) <= 2


@virtual_time
@pytest.mark.parametrize("connections", [1, 3, 8])
@pytest.mark.parametrize("max_rate", [2.0, 10.0, 45.0])
async def test_max_rate_is_used_in_full(max_rate: float, connections: int) -> None:
    """With more to do than the rate allows, nearly all of the rate is used, however many connections a job opens."""
    probe = Probe()
    jobs = [job(f"j{n}", interval_s=10.0, connections=connections) for n in range(600)]
    async with scheduling(probe, jobs, Limits(concurrency=1000, per_host=16, max_rate=max_rate)):
        await asyncio.sleep(START_SPREAD_S)
        before = len(probe.starts)
        await asyncio.sleep(100)
    opened = (len(probe.starts) - before) * connections
    assert 0.94 * max_rate * 100 - connections <= opened <= max_rate * 100 * 1.02 + connections
