"""A target that has failed for long is asked less often, and as ever again from its first success on."""

import asyncio
from itertools import pairwise

import pytest

from checks.model import CheckName, Outcome, Reason, Status
from daemon.jobs import Job, Result
from daemon.pace import SLOW_AFTER_S, SLOWEST_S, pace_s
from daemon.phase import fraction, slot_after, slot_at
from daemon.scheduler import START_SPREAD_S
from daemon.state import Policy, State, TargetState, advance
from tests.support.recheck_rig import BAD, CLOCK, RELAY, addresses, config, names, rig
from tests.support.scheduling import SLACK_S, Flights, Probe, job, scheduling
from tests.support.virtual import virtual_time

CONFIRM_S, INTERVAL_S = 2.0, 30.0
GOOD = Outcome(status=Status.OK, summary="x")
NO_VERDICT = Outcome(status=Status.UNKNOWN, reason=Reason.PROBER_STARVED, summary="x")


def asked(check: CheckName = CheckName.TCP, interval_s: float = INTERVAL_S, *resources: str) -> Job:
    """Make a job of a Resource."""
    return Job(
        id=f"{check}:a", check=check, target="a", spec=None, interval_s=interval_s, timeout_s=5.0, resources=resources
    )


def held(one: Job, *outcomes: Outcome) -> TargetState:
    """Return what is held after these results, a second apart from 0 on."""
    row: TargetState | None = None
    for at, outcome in enumerate(outcomes):
        result = Result(
            id=one.id, job=one.id, check=one.check, target="a", outcome=outcome, started_at=float(at), duration_s=0.0
        )
        row, _ = advance(row, result, Policy())
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("interval_s", "outcomes", "now", "expected"),
    [
        pytest.param(30.0, (BAD, BAD), SLOW_AFTER_S - 1, 30.0, id="not-yet"),
        pytest.param(30.0, (BAD, BAD), SLOW_AFTER_S, 120.0, id="slow"),
        pytest.param(10.0, (BAD, BAD), SLOW_AFTER_S, 40.0, id="four-times"),
        pytest.param(50.0, (BAD, BAD), SLOW_AFTER_S, 120.0, id="two-minutes-at-most"),
        pytest.param(300.0, (BAD, BAD), SLOW_AFTER_S, 300.0, id="slow-by-itself"),
        pytest.param(30.0, (BAD,), SLOW_AFTER_S, 30.0, id="pending"),
        pytest.param(30.0, (BAD, BAD, GOOD), SLOW_AFTER_S, 30.0, id="first-success"),
        pytest.param(30.0, (BAD, BAD, GOOD, BAD), SLOW_AFTER_S, 120.0, id="only-one"),
        pytest.param(30.0, (BAD, BAD, NO_VERDICT), SLOW_AFTER_S, 120.0, id="frozen"),
        pytest.param(30.0, (GOOD, NO_VERDICT), SLOW_AFTER_S, 30.0, id="unknown"),
    ],
)
def test_pace(interval_s: float, outcomes: tuple[Outcome, ...], now: float, expected: float) -> None:
    """Slow means four times the interval and two minutes at most, from ten minutes of failing until a success."""
    one = asked(CheckName.TCP, interval_s, "R")
    assert pace_s(one, held(one, *outcomes), now) == expected


@pytest.mark.parametrize("check", [check for check in CheckName if check not in (CheckName.DNS, CheckName.TCP)])
def test_the_path_is_never_slowed(check: CheckName) -> None:
    """What all Resources depend on keeps its pace, however long it has failed."""
    one = asked(check, INTERVAL_S, "R")
    assert pace_s(one, held(one, BAD, BAD), 1e6) == INTERVAL_S


def test_new_targets_have_their_own_pace() -> None:
    """A job without a row, or behind no Resource, is asked at its interval."""
    assert pace_s(asked(CheckName.TCP, INTERVAL_S, "R"), None, 1e6) == INTERVAL_S
    nobodys = asked()
    assert pace_s(nobodys, held(nobodys, BAD, BAD), 1e6) == INTERVAL_S


@pytest.mark.parametrize(("own_s", "slow_s"), [(30.0, 120.0), (50.0, 120.0), (100.0, 120.0), (7.0, 28.0)])
def test_slots_of_a_slow_pace(own_s: float, slow_s: float) -> None:
    """On the way to the slow slots no gap is shorter than the interval or longer than the slow one; they stay put."""
    for n in range(200):
        part = fraction(f"tcp:{n}")
        slots = [slot_at(part, own_s, 1e6)]
        for _ in range(12):
            slots.append(slot_after(part, slow_s, own_s, slots[-1]))
        gaps = [b - a for a, b in pairwise(slots)]
        assert all(own_s - 1e-3 <= gap <= slow_s + 1e-3 for gap in gaps)
        assert gaps[-5:] == pytest.approx([slow_s] * 5)
        assert slots[-1] % slow_s == pytest.approx(part * slow_s, abs=1e-3)
        assert own_s - 1e-3 <= slot_after(part, own_s, own_s, slots[-1]) - slots[-1] <= 2 * own_s


@virtual_time
async def test_slowed_job_misses_nothing_and_hears_events() -> None:
    """Slots that a slow pace leaves out are not missed, and a confirmation comes at once all the same."""
    slow: set[str] = set()
    probe = Probe()
    jobs = [job(f"j{n}") for n in range(20)]
    async with scheduling(probe, jobs, pace=lambda one: SLOWEST_S if one.id in slow else INTERVAL_S) as scheduler:
        await asyncio.sleep(100)
        slow |= {one.id for one in jobs}
        await asyncio.sleep(SLOWEST_S)
        begin = asyncio.get_running_loop().time()
        await asyncio.sleep(1200)
        asked_at = asyncio.get_running_loop().time()
        scheduler.confirm("tcp:j0", 0.0)
        await asyncio.sleep(1)
        assert scheduler.missed == 0
    for n in range(1, 20):
        times = [at for at in probe.times(f"j{n}") if at > begin]
        assert [b - a for a, b in pairwise(times)] == pytest.approx([SLOWEST_S] * (len(times) - 1), abs=SLACK_S)
    assert probe.times("j0")[-1] - asked_at <= SLACK_S


@virtual_time
@pytest.mark.parametrize("flies", [False, True], ids=["task", "flight"])
async def test_first_success_brings_the_old_pace_back(flies: bool) -> None:
    """When a run of a slowed job shows that it is well again, its next slot is the next of its own interval."""
    slow, probe, flights = {"tcp:a"}, Probe(lambda _: 0.1), Flights(lambda _: 0.1)
    begin = flights.begin if flies else None
    async with scheduling(
        probe, [job("a")], begin=begin, pace=lambda one: SLOWEST_S if one.id in slow else INTERVAL_S
    ) as scheduler:
        await asyncio.sleep(400)
        times = (flights if flies else probe).times("a")
        await asyncio.sleep(times[-1] + SLOWEST_S - asyncio.get_running_loop().time() - 1.0)
        slow.clear()
        await asyncio.sleep(100)
        assert scheduler.missed == 0
    later = [at for at in (flights if flies else probe).times("a") if at > times[-1]]
    assert later[0] - times[-1] == pytest.approx(SLOWEST_S, abs=SLACK_S)
    assert INTERVAL_S - SLACK_S <= later[1] - later[0] <= 2 * INTERVAL_S + SLACK_S
    assert later[2] - later[1] == pytest.approx(INTERVAL_S, abs=SLACK_S)


@virtual_time
@pytest.mark.parametrize("check", [CheckName.TCP, CheckName.DNS])
async def test_what_heals_is_seen_within_the_slow_interval(check: CheckName) -> None:
    """After half an hour a target is asked each two minutes and shown all the while; it is ok two minutes after."""
    async with rig(config(addresses(5) if check is CheckName.TCP else names(5))) as made:
        await asyncio.sleep(START_SPREAD_S + 60)
        jobs = made.jobs(check)
        made.ill |= dict.fromkeys((*jobs, RELAY, CLOCK), BAD)
        await asyncio.sleep(1800)
        began = made.now()
        with made.counted() as ran:
            for _ in range(120):
                await asyncio.sleep(5)
                assert all(made.board.present(made.board.rows[job_id]) for job_id in jobs), "a slow row is not stale"
        assert all(5 <= len(ran[job_id]) <= 6 for job_id in jobs)
        assert made.engine.scheduler.missed == 0
        made.ill.clear()
        healed = made.now()
        await asyncio.sleep(SLOWEST_S + CONFIRM_S + SLACK_S)
        assert {made.state(job_id) for job_id in jobs} == {State.OK}
        await asyncio.sleep(2 * INTERVAL_S)
        with made.counted() as ran:
            await asyncio.sleep(10 * INTERVAL_S)
        assert all(len(ran[job_id]) >= 9 for job_id in jobs)
    assert healed > began


@virtual_time
async def test_standstill_in_a_slow_pace() -> None:
    """A process that stood still while all is slow misses slow slots, not those that were left out."""
    probe = Probe()
    async with scheduling(probe, [job("a")], pace=lambda _: SLOWEST_S) as scheduler:
        await asyncio.sleep(300)
        entry = scheduler._entries["tcp:a"]
        assert entry.next_at is not None
        scheduler._slot_came(entry, entry.next_at, entry.next_at + 2.5 * SLOWEST_S)
        assert scheduler.missed == 2
