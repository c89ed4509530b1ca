"""Who gets the last places of a pool: what nobody answers never starves what is well."""

import asyncio
from itertools import pairwise

import pytest

from daemon.admission import RESERVE
from daemon.jobs import Job
from daemon.neighbours import subnet_of
from daemon.scheduler import Limits, Scheduler
from tests.support.scheduling import SLACK_S, Flights, Probe, job, scheduling
from tests.support.virtual import in_virtual_time, virtual_time

INTERVAL_S, TIMEOUT_S, CONFIRM_S, ANSWER_S = 30.0, 5.0, 2.0, 0.02
POOL = Limits(concurrency=204, per_host=16, max_rate=200.0)  # a tenth of 1,000 a second with 2,040 places
TARGETS = 3000  # 100 a second


@pytest.mark.parametrize(
    ("address", "subnet"),
    [
        ("10.1.2.3", "10.1.2.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("db.corp.test", None),
        ("10.corp", None),
        ("a.b.c.d5", None),
        ("1.2.3", None),
        ("1.2.3.4.5", None),
        ("1::2::3", None),
        ("::\0", None),
        ("", None),
    ],
)
def test_subnet_of_an_address(address: str, subnet: str | None) -> None:
    """Neighbours share a /24 or a /64; a name has none."""
    assert subnet_of(address) == subnet


def targets(dead: float, *, named: bool = False) -> tuple[list[Job], list[Job]]:
    """Make targets of which this share is going to be silent: whole subnets, or names."""
    jobs = []
    for n in range(TARGETS):
        host = f"h{n}.test" if named else f"10.0.{n // 25}.{n % 25 + 1}"
        jobs.append(job(f"{host}:443", interval_s=INTERVAL_S, host=host))
    first = round(TARGETS * dead)
    return jobs[:first], jobs[first:]


class Outage:
    """Some targets fall silent; each is asked again, as if nobody could speak for it."""

    def __init__(self, silent: list[Job]) -> None:
        self.silent = {one.id for one in silent}
        self.fallen = False
        self.scheduler: Scheduler | None = None
        self.flights = Flights(self._seconds)
        self.flights.rest = self._heard
        self.failed: dict[str, int] = {}

    def _seconds(self, one: Job) -> float:
        return TIMEOUT_S if self.fallen and one.id in self.silent else ANSWER_S

    def _heard(self, one: Job) -> None:
        if self.fallen and one.id in self.silent and self.scheduler is not None:
            self.failed[one.id] = self.failed.get(one.id, 0) + 1
            if self.failed[one.id] == 1:
                self.scheduler.confirm(one.id, CONFIRM_S)


@pytest.mark.parametrize(
    ("dead", "named", "late_s"),
    [
        pytest.param(0.3, False, SLACK_S, id="a-third-of-the-subnets"),
        pytest.param(0.3, True, SLACK_S, id="a-third-of-the-names"),
        pytest.param(0.9, False, 3.0, id="nearly-all"),
    ],
)
def test_silent_targets_starve_nobody(dead: float, named: bool, late_s: float) -> None:
    """When whole subnets fall silent, each target that is well keeps its slots, from the first moment on."""
    silent, well = targets(dead, named=named)

    async def main() -> None:
        outage = Outage(silent)
        async with scheduling(Probe(), silent + well, POOL, begin=outage.flights.begin) as scheduler:
            outage.scheduler = scheduler
            await asyncio.sleep(2.2 * INTERVAL_S)
            outage.fallen = True
            begin = asyncio.get_running_loop().time()
            await asyncio.sleep(2.5 * INTERVAL_S)
        assert outage.flights.most["all"] <= POOL.concurrency
        starts: dict[str, list[float]] = {}
        for at, job_id, _ in outage.flights.starts:
            if at >= begin - INTERVAL_S:
                starts.setdefault(job_id, []).append(at)
        for one in well:
            assert all(b - a <= INTERVAL_S + late_s for a, b in pairwise(starts[one.id])), one.id
        assert dead > 0.5 or len(outage.failed) == len(silent), "and those are asked, too"

    in_virtual_time(main())


@virtual_time
async def test_the_reserve_is_for_quick_ones() -> None:
    """Seven eighths of a pool are everybody's; the rest goes to jobs whose last run was quick."""
    slow = [job(f"s{n}", interval_s=60.0) for n in range(160)]
    quick = [job(f"q{n}", interval_s=60.0) for n in range(20)]
    probe = Probe(lambda one: 50.0 if one.target.startswith("s") else 0.1)
    limits = Limits(concurrency=80, per_host=16, max_rate=1000.0)
    async with scheduling(probe, slow + quick, limits) as scheduler:
        await asyncio.sleep(300)
        probe.most.clear()
        begin = asyncio.get_running_loop().time()
        before = len(probe.starts)
        await asyncio.sleep(300)
        assert scheduler.missed > 0
        assert probe.most["all"] <= 80 - 80 * RESERVE + len(quick)
        assert scheduler.in_flight >= 80 - 80 * RESERVE - 1, "and the rest is used in full"
    for one in quick:
        times = [at for at in probe.times(one.target) if at >= begin]
        assert len(times) >= 4
        assert all(b - a <= 60.0 + SLACK_S for a, b in pairwise(times))
    assert len({name for _, name, _ in probe.starts[before:] if ":s" in name}) == 160, "each has its turn"


@virtual_time
async def test_small_pool_has_no_reserve() -> None:
    """Of a pool of ten all ten are used, whoever asks."""
    probe = Probe(lambda _: 10.0)
    jobs = [job(f"j{n}", interval_s=10.0) for n in range(100)]
    async with scheduling(probe, jobs, Limits(concurrency=10, per_host=16, max_rate=1000.0)):
        await asyncio.sleep(100)
        probe.most.clear()
        await asyncio.sleep(100)
    assert probe.most["all"] == 10


@virtual_time
async def test_withdrawn_while_it_stands_aside() -> None:
    """A job that is taken out while it waits outside of the reserve never runs, and holds up nobody."""
    probe = Probe(lambda _: 50.0)
    jobs = [job(f"j{n}", interval_s=60.0) for n in range(200)]
    limits = Limits(concurrency=80, per_host=16, max_rate=1000.0)
    async with scheduling(probe, jobs, limits) as scheduler:
        await asyncio.sleep(300)
        assert scheduler._admission._long
        scheduler.update([job("new", interval_s=60.0)])
        await asyncio.sleep(120)
        before = len(probe.starts)
        await asyncio.sleep(120)
        assert {name for _, name, _ in probe.starts[before:]} == {"tcp:new"}
        assert not scheduler._admission._long
    assert scheduler.in_flight == 0


@virtual_time
async def test_throttle_takes_a_share_of_the_rate() -> None:
    """A quarter of the rate is used while that is asked for, and all of it again afterwards."""
    probe = Probe()
    jobs = [job(f"j{n}", interval_s=10.0) for n in range(400)]
    async with scheduling(probe, jobs, Limits(concurrency=1000, per_host=16, max_rate=40.0)) as scheduler:
        await asyncio.sleep(20)
        for share, expected in ((0.25, 10.0), (1.0, 40.0)):
            scheduler.throttle(share)
            await asyncio.sleep(1)
            before = len(probe.starts)
            await asyncio.sleep(50)
            assert len(probe.starts) - before == pytest.approx(50 * expected, rel=0.1)
