"""Runs that need no task, on a clock that jumps: `Scheduler(begin=…)`."""

import asyncio
from dataclasses import replace

import pytest

from daemon.jobs import Job
from daemon.scheduler import START_SPREAD_S, Limits, RunKind, Scheduler
from tests.support.scheduling import ROOM, SLACK_S, Flights, Probe, half_open, job, scheduling
from tests.support.virtual import virtual_time


@virtual_time
async def test_what_flies_has_no_task() -> None:
    """A run that `begin` sends off makes no task, is counted while it is in the air, and observed as any other."""
    flights, probe = Flights(lambda _: 3.0), Probe()
    before = asyncio.all_tasks()
    async with scheduling(probe, [job(f"j{n}") for n in range(20)], begin=flights.begin) as scheduler:
        await asyncio.sleep(START_SPREAD_S + SLACK_S)
        assert len(flights.starts) == 20
        assert scheduler.in_flight == sum(flights.in_air[f"tcp:j{n}"] for n in range(20)) > 0
        assert len(asyncio.all_tasks() - before) == 1, "the scheduler itself"
        await asyncio.sleep(4)
        assert scheduler.in_flight == 0
        await asyncio.sleep(86)
        assert sum(scheduler.lag.counts) == len(flights.starts) >= 60
        assert scheduler.missed == 0
    assert probe.starts == []


@virtual_time
async def test_what_cannot_fly_runs_as_a_task() -> None:
    """Where `begin` returns None the job runs as ever."""
    flights, probe = Flights(), Probe()
    flights.walks = {"tcp:a"}
    async with scheduling(probe, [job("a"), job("b")], begin=flights.begin):
        await asyncio.sleep(START_SPREAD_S + 1)
    assert [name for _, name, _ in probe.starts] == ["tcp:a"]
    assert [name for _, name, _ in flights.starts] == ["tcp:b"]


@virtual_time
async def test_rest_belongs_to_the_same_run() -> None:
    """What is left to do after a flight runs as the job's task: the job keeps its one place until that is done."""
    flights = Flights(lambda _: 1.0)
    done: list[float] = []

    async def rest() -> None:
        await asyncio.sleep(5.0)
        done.append(asyncio.get_running_loop().time())

    flights.rest = lambda _: rest()
    one = Limits(concurrency=100, per_host=1, max_rate=1000.0)
    jobs = [job("a", interval_s=300.0, host="h"), job("b", interval_s=300.0, host="h")]
    async with scheduling(Probe(), jobs, one, begin=flights.begin) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 20)
        assert scheduler.in_flight == 0
    first, second = sorted(at for at, _, _ in flights.starts)
    assert done[0] == pytest.approx(first + 6.0, abs=SLACK_S)
    assert second >= done[0], "the host has room for one"


@virtual_time
async def test_confirmation_flies_too() -> None:
    """A confirmation is sent off the same way, and the run that takes its place keeps it from coming."""
    flights = Flights()
    async with scheduling(Probe(), [job("a", interval_s=100.0)], begin=flights.begin) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        scheduler.confirm("tcp:a", 2.0)
        await asyncio.sleep(5)
    assert len(flights.times("a", RunKind.CONFIRM)) == 1


@virtual_time
async def test_slot_that_comes_in_the_air_is_missed() -> None:
    """A flight never overlaps itself: a slot that comes while it is in the air is counted, not made up for."""
    flights = Flights(lambda _: 25.0)
    async with scheduling(Probe(), [job("slow", interval_s=10.0)], begin=flights.begin) as scheduler:
        await asyncio.sleep(301)
        assert scheduler.missed == pytest.approx(20, abs=1)
    assert flights.most["tcp:slow"] == 1


@virtual_time
@pytest.mark.parametrize("changed", [False, True], ids=["removed", "changed"])
async def test_withdrawn_job_is_called_off(changed: bool) -> None:
    """A job that goes, or becomes another, has its flight called off; its place is free at once."""
    flights = Flights(lambda _: 1000.0)
    old = job("a", host="h")
    async with scheduling(Probe(), [old], Limits(concurrency=9, per_host=1, max_rate=99.0), begin=flights.begin) as s:
        await asyncio.sleep(START_SPREAD_S + 1)
        s.update([replace(old, timeout_s=6.0)] if changed else [])
        assert flights.cancelled == ["tcp:a"]
        assert s.in_flight == 0
        await asyncio.sleep(START_SPREAD_S + 1)
        assert s.in_flight == changed
    assert len(flights.starts) == 1 + changed


@virtual_time
async def test_the_end_calls_off_all_flights() -> None:
    """A scheduler that is cancelled leaves nothing in the air, nor what is left to do of it."""
    flights = Flights(lambda _: 1000.0)
    async with scheduling(Probe(), [job(f"j{n}") for n in range(20)], begin=flights.begin) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        assert scheduler.in_flight == 20
    assert len(flights.cancelled) == 20
    assert scheduler.in_flight == 0


@virtual_time
async def test_rest_of_a_flight_that_lands_in_the_fall_is_dropped() -> None:
    """While a faulty task takes the scheduler down, what lands leaves no coroutine that nobody awaits."""
    flights = Flights()
    made: list[Scheduler] = []

    async def run(_job: Job, _kind: RunKind) -> None:
        loop = asyncio.get_running_loop()
        # After the group has begun to fall, and before the scheduler hears of that.
        loop.call_soon(loop.call_soon, lambda: made[0].landed(made[0]._entries["tcp:b"], rest()))
        raise ZeroDivisionError

    async def rest() -> None:
        raise AssertionError("nobody is there to wait for it")

    flights.seconds = lambda _: 1000.0
    flights.walks = {"tcp:a"}
    made.append(Scheduler(run, ROOM, begin=flights.begin))
    made[0].update([job("a", interval_s=2.0), job("b", interval_s=1.0)])
    with pytest.raises(ExceptionGroup) as caught:
        await made[0].run()
    assert caught.group_contains(ZeroDivisionError)
    assert made[0].in_flight == 0


@virtual_time
async def test_half_open_needs_no_place_in_the_pool() -> None:
    """A pool full of connects that wait holds up no half-open look, and half-open looks take nobody's place."""
    flights, probe = Flights(lambda _: 4.0), Probe(lambda _: 1000.0)
    connects = [job(f"c{n}", interval_s=10.0) for n in range(10)]
    flights.walks = {one.id for one in connects}
    looks = [half_open(f"h{n}", interval_s=10.0, host=f"10.0.{n}.1") for n in range(100)]
    few = Limits(concurrency=5, per_host=16, max_rate=1000.0)
    async with scheduling(probe, connects + looks, few, begin=flights.begin):
        await asyncio.sleep(100)
        assert probe.most["all"] == 5
    assert flights.most["all"] > 20
    assert all(len(flights.times(f"h{n}")) >= 9 for n in range(100))


@virtual_time
async def test_half_open_counts_at_its_host_and_in_the_rate() -> None:
    """Half-open looks obey `per_host` and `max_rate`: a firewall counts what is not answered."""
    flights = Flights(lambda _: 5.0)
    jobs = [half_open(f"j{n}", interval_s=60.0, host="10.0.0.1" if n < 50 else f"10.0.1.{n}") for n in range(250)]
    async with scheduling(Probe(), jobs, Limits(concurrency=5, per_host=4, max_rate=20.0), begin=flights.begin):
        await asyncio.sleep(60)
    assert flights.most["host 10.0.0.1"] == 4
    times = [at for at, _, _ in flights.starts]
    assert max(sum(start <= at < start + 1.0 for at in times) for start in times[::10]) <= 20 * 1.1 + 1


@virtual_time
async def test_timer_that_comes_a_nanosecond_early_is_no_endless_wait() -> None:
    """A due time just past what the clock can tell is taken as come: the loop goes on instead of spinning."""
    probe = Probe()
    async with scheduling(probe, [job("a", interval_s=1000.0)]) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        scheduler.confirm("tcp:a", 2.0 + 5e-10)
        await asyncio.sleep(20)
    assert len(probe.starts) == 2


@virtual_time
async def test_next_of_a_host_that_is_taken_out_leaves_its_place_to_another() -> None:
    """A job that was about to have its host's only place, and is taken out just then, keeps no other waiting."""
    flights = Flights(lambda _: 20.0)
    jobs = [job(name, interval_s=300.0, host="h") for name in "abc"]
    one = Limits(concurrency=100, per_host=1, max_rate=1000.0)
    async with scheduling(Probe(), jobs, one, begin=flights.begin) as scheduler:
        await asyncio.sleep(START_SPREAD_S + 1)
        (first,) = [name for _, name, _ in flights.starts]

        def over(_: Job) -> None:
            flights.rest = lambda _: None
            asyncio.get_running_loop().call_soon(lambda: scheduler.change((), [scheduler._admission._paced[0].job.id]))

        flights.rest = over
        await asyncio.sleep(60)
        left = {entry.job.id for entry in scheduler._entries.values()} - {first}
        assert len(left) == 1
        assert [name for _, name, _ in flights.starts] == [first, *left]
