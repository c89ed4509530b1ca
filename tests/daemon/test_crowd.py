"""Many failures of one cause, on a clock that jumps: a few are asked again, for all."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from msgspec import structs

from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from daemon.crowd import ALONE_MOST, SAMPLES
from daemon.scheduler import START_SPREAD_S
from daemon.state import State
from tests.support.recheck_rig import OK, Rig, addresses, config, names, rig
from tests.support.scheduling import SLACK_S
from tests.support.virtual import virtual_time

TIMEOUT_S, CONFIRM_S, INTERVAL_S = 5.0, 2.0, 30.0
BOUND_S = INTERVAL_S + 2 * TIMEOUT_S + CONFIRM_S + 1.0
STARVED = Outcome(status=Status.UNKNOWN, reason=Reason.PROBER_STARVED, summary="x")


def silent(job_id: str, reason: Reason = Reason.TIMEOUT) -> Outcome:
    """Make the failure of a port."""
    address = job_id.removeprefix("tcp:").rpartition(":")[0]
    facts: dict[str, Json] = {"addresses": (address,), "accepted": (), "failed": {address: reason.value}}
    return Outcome(status=Status.CRITICAL, reason=reason, summary="x", event=Event.UNABLE_TO_CONNECT, facts=facts)


def unanswered(_: str) -> Outcome:
    """Make the failure of a name."""
    facts: dict[str, Json] = {"matrix": {"127.0.0.1:9": {"class": "timeout"}}}
    event = Event.DNS_LOOKUP_ERROR
    return Outcome(status=Status.CRITICAL, reason=Reason.TIMEOUT, summary="x", event=event, facts=facts)


async def settled(made: Rig, slots_s: float = 0.0) -> None:
    """Let every job have run (and had two slots of `slots_s`); failures take their time from now on."""
    await asyncio.sleep(START_SPREAD_S + 1 + 2 * slots_s)
    made.runner.takes_s[CheckName.TCP] = made.runner.takes_s[CheckName.DNS] = TIMEOUT_S


def fail(made: Rig, jobs: Iterable[str], how: Callable[[str], Outcome] = silent) -> None:
    """Have these fail from now on."""
    made.ill |= {job_id: how(job_id) for job_id in jobs}


async def all_at_once(made: Rig, jobs: Iterable[str]) -> None:
    """Ask all of these now, and wait until they have failed once."""
    for job_id in jobs:
        made.engine.rechecks.at_once(job_id)
    await asyncio.sleep(TIMEOUT_S + 1.0)


def looks(ran: dict[str, list[float]], jobs: Iterable[str]) -> int:
    """Count the runs of these jobs."""
    return sum(len(ran.get(job_id, ())) for job_id in jobs)


@virtual_time
@pytest.mark.parametrize("number", [60, 600])
async def test_all_are_failing_in_time_and_few_are_asked_twice(number: int) -> None:
    """A subnet falls silent under its slots: each target is failing within the promised bound, by few second looks."""
    resources = "".join(
        f"  - {{name: R{n}, address: 10.0.3.{n % 250 + 1}, tcp: [{443 + n // 250}]}}\n" for n in range(number)
    )
    async with rig(config(resources)) as made:
        await settled(made, INTERVAL_S)
        ports = made.jobs(CheckName.TCP)
        began = made.now()
        fail(made, ports)
        failing_at: dict[str, float] = {}
        with made.counted() as ran:
            while made.now() - began < BOUND_S:
                await asyncio.sleep(0.5)
                for port in ports:
                    if port not in failing_at and made.state(port) is State.FAILING:
                        failing_at[port] = made.now()
        assert len(failing_at) == number
        for port in ports:
            first = next(at for at in made.times(port) if at >= began)
            assert failing_at[port] - first <= 2 * TIMEOUT_S + CONFIRM_S + 1.5, "one that was not asked is not later"
    slots = number * BOUND_S / INTERVAL_S
    rounds = INTERVAL_S / CONFIRM_S
    assert looks(ran, ports) - slots <= ALONE_MOST + SAMPLES * rounds + number / 10


@virtual_time
async def test_up_to_twenty_are_confirmed_one_by_one() -> None:
    """Twenty that fail at once are asked again each, and none before its time."""
    async with rig(config(addresses(ALONE_MOST))) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        fail(made, ports)
        with made.counted() as ran:
            await all_at_once(made, ports)
            await asyncio.sleep(TIMEOUT_S + CONFIRM_S)
        assert {made.state(port) for port in ports} == {State.FAILING}
    for port in ports:
        first, second = ran[port][:2]
        assert second - first >= TIMEOUT_S + CONFIRM_S - SLACK_S


@virtual_time
@pytest.mark.parametrize("check", [CheckName.TCP, CheckName.DNS])
async def test_two_hundred_at_once_take_three_more(check: CheckName) -> None:
    """Two hundred fail in one moment, behind a subnet or a nameserver: beyond the first twenty, three speak for all."""
    hosts = "".join(f"  - {{name: R{n}, address: 10.0.3.{n + 1}, tcp: [443]}}\n" for n in range(200))
    async with rig(config(hosts if check is CheckName.TCP else names(200), interval="10m")) as made:
        await settled(made)
        jobs = made.jobs(check)
        fail(made, jobs, silent if check is CheckName.TCP else unanswered)
        with made.counted() as ran:
            await all_at_once(made, jobs)
            await asyncio.sleep(TIMEOUT_S + CONFIRM_S + 1.0)
        assert {made.state(job_id) for job_id in jobs} == {State.FAILING}
    assert 200 + ALONE_MOST + SAMPLES <= looks(ran, jobs) <= 200 + ALONE_MOST + SAMPLES + 10, "and a few slots"


@virtual_time
async def test_nobody_is_failing_after_a_hiccup() -> None:
    """All fail once, and are well when the samples are asked: each is asked after all, and none was failing."""
    async with rig(config(addresses(200), interval="10m")) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        fail(made, ports)
        with made.counted() as ran:
            await all_at_once(made, ports)
            made.ill.clear()
            await asyncio.sleep(2 * TIMEOUT_S + CONFIRM_S + 3.0)
        assert {made.state(port) for port in ports} == {State.OK}
        assert all(len(ran[port]) >= 2 for port in ports)
        assert not any(made.board.rows[port].held.failures for port in ports)


@virtual_time
@pytest.mark.parametrize("reason", [Reason.REFUSED, None], ids=["refused", "starved"])
async def test_samples_that_fail_otherwise_confirm_nobody(reason: Reason | None) -> None:
    """What samples show for another reason than the crowd's, or what is no verdict at all, is not held of others."""
    async with rig(config(addresses(100), interval="10m")) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        fail(made, ports)
        with made.counted() as ran:
            await all_at_once(made, ports)
            fail(made, ports, lambda job_id: STARVED if reason is None else silent(job_id, reason))
            await asyncio.sleep(2 * TIMEOUT_S + CONFIRM_S + 3.0)
        asked = [port for port in ports if len(ran[port]) >= 2]
        assert not any(made.state(port) is State.FAILING for port in ports if port not in asked)
        assert reason is None or len(asked) == len(ports)


@virtual_time
async def test_half_of_a_subnet_is_told_from_the_other() -> None:
    """Where half of a crowd is well again, the one half fails and the other does not."""
    async with rig(config(addresses(100), interval="10m")) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        fail(made, ports)
        await all_at_once(made, ports)
        well = ports[1::2]
        for port in well:
            made.ill[port] = OK
        await asyncio.sleep(3 * TIMEOUT_S + CONFIRM_S + 3.0)
        assert {made.state(port) for port in well} == {State.OK}
        assert {made.state(port) for port in ports[::2]} == {State.FAILING}


@virtual_time
async def test_other_subnets_are_other_crowds() -> None:
    """Twenty in each of two subnets that fail at once are no crowd of forty."""
    hosts = "".join(f"  - {{name: R{n}, address: 10.0.{n % 2}.{n + 1}, tcp: [443]}}\n" for n in range(40))
    async with rig(config(hosts, interval="10m")) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        fail(made, ports)
        with made.counted() as ran:
            await all_at_once(made, ports)
            await asyncio.sleep(TIMEOUT_S + CONFIRM_S)
    assert all(len(ran[port]) >= 2 for port in ports)


@virtual_time
async def test_port_with_a_policy_neither_speaks_nor_is_spoken_for() -> None:
    """A port that may be asked only now and then waits for its own next look, however many fail beside it."""
    resources = addresses(60) + "".join(
        f"  - {{name: S{n}, address: 10.0.0.{n + 100}, tcp: [22]}}\n" for n in range(30)
    )
    async with rig(config(resources, interval="4m")) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        ports = made.jobs(CheckName.TCP)
        shells = [port for port in ports if port.endswith(":22")]
        fail(made, ports)
        await asyncio.sleep(500)
        pending = [port for port in shells if made.state(port) is State.PENDING]
        assert len(pending) > 10
        assert {made.state(port) for port in ports if port not in shells} == {State.FAILING}


@virtual_time
async def test_reload_that_takes_the_samples_away() -> None:
    """The targets that were asked for others are taken out of the configuration: others are asked instead."""
    async with rig(config(addresses(100), interval="10m")) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        fail(made, ports)
        with made.counted() as ran:
            await all_at_once(made, ports)
            await asyncio.sleep(CONFIRM_S)
        asked = [port for port in ports if len(ran[port]) > 1]
        assert len(asked) >= ALONE_MOST + SAMPLES
        left = [n for n in range(100) if f"tcp:10.0.{n // 100}.{n % 100 + 1}:443" not in asked]
        resources = "".join(f"  - {{name: R{n}, address: 10.0.0.{n + 1}, tcp: [443]}}\n" for n in left)
        made.engine.load(config(resources, interval="10m"))
        await asyncio.sleep(3 * (TIMEOUT_S + CONFIRM_S))
        assert {made.state(port) for port in made.jobs(CheckName.TCP)} == {State.FAILING}


@virtual_time
async def test_sample_that_was_well_already_keeps_nobody_waiting() -> None:
    """One who failed twice and is ok again tells, when asked for others, that they are to be asked themselves."""
    configured = config(addresses(40), interval="10m")
    confirm = structs.replace(configured.schedule.confirm, successes=1)
    configured = structs.replace(configured, schedule=structs.replace(configured.schedule, confirm=confirm))
    async with rig(configured) as made:
        await settled(made)
        made.runner.takes_s[CheckName.TCP] = 1.0
        ports, begin = made.jobs(CheckName.TCP), made.now()

        async def at(after_s: float, jobs: list[str], *, ill: bool = True) -> None:
            await asyncio.sleep(begin + after_s - made.now())
            made.ill |= {job_id: silent(job_id) if ill else OK for job_id in jobs}
            for job_id in jobs:
                made.engine.rechecks.at_once(job_id)

        await at(0.0, ports[:30])
        await at(3.0, ports[30:32])  # these fail while the first round is under way, and begin the second
        await at(4.6, [ports[32]])  # too late to be asked in the second round
        await asyncio.sleep(begin + 4.7 - made.now())
        assert {made.state(port) for port in ports[:30]} == {State.FAILING}
        await at(4.7, ports[:30], ill=False)
        await asyncio.sleep(begin + 10.0 - made.now())
        assert {made.state(port) for port in ports[:30]} == {State.OK}
        assert made.state(ports[32]) is State.FAILING
        crowds = made.engine.rechecks._crowds
        assert (crowds._groups, crowds._group_of, crowds._rounds) == ({}, {}, {})


@virtual_time
async def test_nothing_is_kept_when_all_is_told() -> None:
    """A crowd that has failed, or is well again, leaves nothing behind."""
    async with rig(config(addresses(100), interval="10m")) as made:
        await settled(made)
        ports = made.jobs(CheckName.TCP)
        crowds = made.engine.rechecks._crowds
        for outcome in (State.FAILING, State.OK):
            fail(made, ports)
            await all_at_once(made, ports)
            if outcome is State.OK:
                made.ill.clear()
            await asyncio.sleep(4 * TIMEOUT_S)
            assert {made.state(port) for port in ports} == {outcome}
            assert (crowds._groups, crowds._group_of, crowds._rounds) == ({}, {}, {})
            made.ill.clear()
            for _ in range(2):
                await all_at_once(made, ports)
                await asyncio.sleep(4 * TIMEOUT_S)
