import asyncio
from collections import Counter
from dataclasses import replace

from daemon.jobs import Job
from daemon.limits import Slots
from tests.support.scheduling import half_open, job
from tests.support.virtual import virtual_time


async def held(slots: Slots, jobs: list[Job], seconds: float = 5.0) -> Counter[str]:
    """Hold a place for each of these for so long; return how many had one at once, in all and of each host."""
    now, most = Counter[str](), Counter[str]()

    async def hold(one: Job) -> None:
        keys = ("all", f"host {one.host}")
        async with slots.hold(one):
            now.update(keys)
            for key in keys:
                most[key] = max(most[key], now[key])
            await asyncio.sleep(seconds)
            now.subtract(keys)

    async with asyncio.TaskGroup() as group:
        for one in jobs:
            group.create_task(hold(one))
    return most


def of_resource(one: Job) -> Job:
    """Put a Resource behind a job: others are never held up."""
    return replace(one, resources=("R",))


@virtual_time
async def test_a_pool_bounds_connects() -> None:
    """No more connects are under way than the pool has places, and no more to a host than it may have."""
    jobs = [of_resource(job(f"j{n}", host="h" if n < 50 else f"h{n}")) for n in range(100)]
    most = await held(Slots(10, 4, 1000.0), jobs)
    assert most["all"] == 10
    assert most["host h"] == 4


@virtual_time
async def test_half_open_looks_need_no_place() -> None:
    """Half-open looks go past a full pool, bounded by their host and the rate; connects beside them keep the pool."""
    slots = Slots(1, 4, 1000.0)
    looks = [of_resource(half_open(f"j{n}", host="h" if n < 50 else f"h{n}")) for n in range(100)]
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(held(slots, [of_resource(job(f"c{n}")) for n in range(5)], 50.0))]
        both.append(group.create_task(held(slots, looks)))
    assert both[0].result()["all"] == 1
    assert both[1].result()["all"] > 50
    assert both[1].result()["host h"] == 4


@virtual_time
async def test_half_open_looks_are_paced() -> None:
    """A hundred half-open looks at ten a second take ten seconds."""
    begin = asyncio.get_running_loop().time()
    await held(Slots(1, 4, 10.0), [of_resource(half_open(f"j{n}", host=f"h{n}")) for n in range(100)], 0.0)
    assert 9.5 <= asyncio.get_running_loop().time() - begin <= 10.5
