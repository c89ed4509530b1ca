"""What is asked again at once, on a clock that jumps: after changes around us, failures and recoveries."""

import asyncio
from itertools import pairwise

import pytest

from checks.model import CheckName
from daemon.changes.network import NO_DIFFERENCE, Difference
from daemon.rechecks import AFFECTED_MOST, AGAIN_PER_S
from daemon.scheduler import START_SPREAD_S
from daemon.state import State
from tests.support.recheck_rig import (
    BAD,
    CLOCK,
    CONNECTOR,
    CONTROL_PLANE,
    HOST,
    RELAY,
    RESOLVER,
    Rig,
    addresses,
    config,
    cut_off,
    names,
    rig,
)  # fmt: skip
from tests.support.scheduling import SLACK_S
from tests.support.virtual import virtual_time

CONFIRM_S = 2.0
WAY_OUT = Difference(way_out=True)
SUBNET = Difference(networks=frozenset({"10.0.3.0/24"}))


async def begun(made: Rig) -> None:
    """Let every job have run; the parents' own slots are rare in these tests."""
    await asyncio.sleep(START_SPREAD_S + 62)
    assert made.runner.began.keys() >= {HOST, CONNECTOR, RESOLVER, CONTROL_PLANE, RELAY, CLOCK}


@virtual_time
@pytest.mark.parametrize("named", [False, True], ids=["addresses", "names"])
async def test_parents_are_asked_once_for_800_failures(named: bool) -> None:
    """800 Resources begin to fail within an interval: each parent is asked once in confirm.interval."""
    async with rig(config(names(800) if named else addresses(800))) as made:
        await begun(made)
        with made.counted() as ran:
            made.ill[CheckName.DNS if named else CheckName.TCP] = BAD
            await asyncio.sleep(34)
    failed = made.jobs(CheckName.DNS if named else CheckName.TCP)
    assert all(made.state(row) is State.FAILING for row in failed)
    for parent in (HOST, CONNECTOR, *([RESOLVER] if named else [])):
        times = ran[parent]
        assert times[0] <= CONFIRM_S + SLACK_S, "before the first of them is failing"
        assert len(times) <= 34 / CONFIRM_S + 4, "and its own slots"
    assert named or len(ran[RESOLVER]) <= 2, "an address needs no nameserver: its slots only"


@virtual_time
async def test_parent_is_asked_before_the_verdict() -> None:
    """One Resource begins to fail: its parents are asked before it is failing, and then left alone."""
    async with rig(config(addresses(1))) as made:
        await begun(made)
        (port,) = made.jobs(CheckName.TCP)
        made.ill[port] = BAD
        made.engine.scheduler.confirm(port, 0.0)
        with made.counted() as ran:
            await asyncio.sleep(4)
    assert len(ran[port]) == 2
    for parent in (HOST, CONNECTOR):
        assert ran[parent][0] <= ran[port][1]
        assert len(ran[parent]) <= 2, "when it was pending, and when it was failing"


@virtual_time
async def test_network_event_has_the_host_failing_within_three_seconds() -> None:
    """A link that goes down: the host is asked at once and confirmed, whatever was to be asked later anyway."""
    async with rig(config(addresses(3))) as made:
        await begun(made)
        made.engine.rechecks.looked_at(HOST)
        made.engine.rechecks._ask_parent(HOST)  # a Resource that times out has asked for it: to come in two seconds
        made.ill[HOST] = BAD
        with made.counted() as ran:
            made.engine.network_changed(WAY_OUT)
            await asyncio.sleep(2.5)
        assert made.state(HOST) is State.FAILING
    assert ran[HOST] == pytest.approx([0, CONFIRM_S], abs=2 * SLACK_S)


@virtual_time
async def test_who_is_asked_at_a_network_event() -> None:
    """Nameservers, control plane, Relays and what is affected are asked within a second; the clock and a policy not."""
    resources = addresses(100) + "  - {name: S, address: 10.0.3.77, tcp: [22]}\n"
    async with rig(config(resources)) as made:
        await begun(made)
        with made.counted() as ran:
            made.engine.network_changed(WAY_OUT)
            await asyncio.sleep(1.0)
        for job_id in (HOST, RESOLVER, CONTROL_PLANE, RELAY):
            assert len(ran[job_id]) == 1, job_id
        assert len([job_id for job_id in ran if job_id.startswith("tcp:")]) == 100
        assert CLOCK not in ran
        assert "tcp:10.0.3.77:22" not in ran


@virtual_time
async def test_second_look_is_not_hurried() -> None:
    """A verdict that waits for its confirmation keeps its distance: an event in between makes it no sooner."""
    async with rig(config(addresses(1))) as made:
        await begun(made)
        made.ill[CONTROL_PLANE] = BAD
        with made.counted() as ran:
            for _ in range(4):
                made.engine.network_changed(WAY_OUT)
                await asyncio.sleep(0.5)
            await asyncio.sleep(1)
    assert ran[CONTROL_PLANE] == pytest.approx([0, CONFIRM_S], abs=2 * SLACK_S)


@virtual_time
@pytest.mark.parametrize("asked", [CONTROL_PLANE, "tcp:10.0.0.1:443"])
async def test_run_that_began_before_the_event_does_not_answer_for_it(asked: str) -> None:
    """What is being asked when the network changes is asked once more when that ends, and again at the next change."""
    async with rig(config(addresses(1), interval="10m")) as made:
        await begun(made)
        made.runner.takes_s[made.engine.plan.by_id[asked].check] = 3.0
        with made.counted() as ran:
            made.engine.scheduler.confirm(asked, 0.0)
            await asyncio.sleep(1)
            made.engine.network_changed(WAY_OUT)
            await asyncio.sleep(9)
            made.engine.network_changed(WAY_OUT)
            await asyncio.sleep(6)
    assert ran[asked] == pytest.approx([0, 3.0, 10.0], abs=3 * SLACK_S)


@virtual_time
async def test_change_without_a_visible_effect_asks_the_host_alone() -> None:
    """Links of containers that come and go concern the host's own row, which sends nothing, and nobody else."""
    async with rig(config(addresses(30))) as made:
        await begun(made)
        with made.counted() as ran:
            made.engine.network_changed(NO_DIFFERENCE, outward=False)
            await asyncio.sleep(0.3)
    slots = sum(len(times) for job_id, times in ran.items() if job_id != HOST)
    assert ran[HOST][0] <= SLACK_S
    assert slots <= 3, "what had its slot just then"


@virtual_time
async def test_affected_are_a_bounded_number_at_a_bounded_pace() -> None:
    """Of 5,000 ports behind a default route that changed 200 are asked within a second, whatever rings."""
    async with rig(config(addresses(5000), interval="10m")) as made:
        await asyncio.sleep(START_SPREAD_S + 10)
        with made.counted() as ran:
            made.engine.network_changed(WAY_OUT)
            made.engine.network_changed(WAY_OUT)
            await asyncio.sleep(1.0)
    asked = [times for job_id, times in ran.items() if job_id.startswith("tcp:")]
    assert AFFECTED_MOST * 0.9 <= len(asked) <= AFFECTED_MOST + 30, "and the slots of that second"


@virtual_time
async def test_nothing_is_asked_twice_while_it_is_coming() -> None:
    """An event after the other, before what they ask for had its turn: everyone is asked once."""
    async with rig(config(names(600))) as made:
        await begun(made)
        made.ill[CheckName.DNS] = BAD
        await asyncio.sleep(40)
        with made.counted() as ran:
            for _ in range(30):
                made.engine.nameservers_changed()
                made.engine.network_changed(WAY_OUT)
                await asyncio.sleep(0.1)
            assert made.engine.rechecks._next_at - made.now() <= 5, "600 take 3 s: nobody waits behind the same twice"
            await asyncio.sleep(1)
    asked = [times for job_id, times in ran.items() if job_id.startswith("dns:")]
    assert len(asked) == 600
    assert sum(map(len, asked)) <= 600 * (1 + 4 / 30) + 300, "once, and the slots of four seconds"
    assert sum(map(len, asked)) <= AGAIN_PER_S * 4 + 600 * 4 / 30 + 20


@virtual_time
async def test_connector_that_ended_is_looked_at_at_once() -> None:
    """The end of its process has the Connector's row failing in less than three seconds."""
    async with rig(config(addresses(1))) as made:
        await begun(made)
        made.ill[CONNECTOR] = BAD
        with made.counted() as ran:
            made.engine.connector_ended()
            await asyncio.sleep(2.5)
        assert made.state(CONNECTOR) is State.FAILING
    assert ran[CONNECTOR] == pytest.approx([0.1, 0.1 + CONFIRM_S], abs=2 * SLACK_S)


@virtual_time
async def test_name_that_heals_has_its_ports_asked() -> None:
    """A name resolves again: its ports, which were not asked because of it, are within a second."""
    async with rig(config("  - {name: A, address: a.test, tcp: [443, 444]}\n")) as made:
        await begun(made)
        ports = made.jobs(CheckName.TCP)
        made.ill |= {"dns:a.test": BAD} | dict.fromkeys(ports, cut_off("dns:a.test"))
        await asyncio.sleep(40)
        assert {made.state(port) for port in ports} == {State.SUPPRESSED}
        made.ill.clear()
        made.engine.scheduler.confirm("dns:a.test", 0.0)
        await asyncio.sleep(1)
        assert {made.state(port) for port in ports} == {State.OK}


@virtual_time
@pytest.mark.parametrize(("parent", "check"), [(HOST, CheckName.TCP), (CONNECTOR, CheckName.TCP)])
async def test_parent_that_heals_has_its_dependents_asked(parent: str, check: CheckName) -> None:
    """The host's network (the Connector) is back: 800 Resources are asked within seconds, at most 200 in each."""
    async with rig(config(addresses(800), interval="60s")) as made:
        await begun(made)
        made.ill |= {parent: BAD, check: cut_off(parent)}
        made.engine.rechecks.at_once(parent)
        await asyncio.sleep(70)
        assert all(made.state(row) is State.SUPPRESSED for row in made.jobs(check))
        made.ill.clear()
        made.engine.rechecks.at_once(parent)
        with made.counted() as ran:
            await asyncio.sleep(5)
        assert all(made.state(row) is State.OK for row in made.jobs(check))
    asked = sorted(at for job_id, times in ran.items() if job_id.startswith("tcp:") for at in times)
    slots = 800 / 60
    assert all(late - early >= 0.9 for early, late in zip(asked, asked[int(AGAIN_PER_S + 2 * slots) :], strict=False))


@virtual_time
async def test_nameservers_that_heal_have_names_and_outward_checks_asked() -> None:
    """A nameserver answers again: the names that fail, the control plane and the Relays are asked within seconds."""
    async with rig(config(names(100), interval="60s")) as made:
        await begun(made)
        made.ill |= dict.fromkeys((CheckName.RESOLVER, CheckName.DNS, CheckName.CONTROL_PLANE), BAD)
        await asyncio.sleep(130)
        made.ill.clear()
        made.engine.rechecks.at_once(RESOLVER)
        await asyncio.sleep(5)
        rows = (*made.jobs(CheckName.DNS), CONTROL_PLANE, "resolver:127.0.0.1:9")
        assert {made.state(row) for row in rows} == {State.OK}


@virtual_time
async def test_other_nameservers_are_asked_and_the_names_that_fail_first() -> None:
    """Other nameservers are in use: they are asked at once, then names that fail, then the others."""
    async with rig(config(names(100), interval="60s")) as made:
        await begun(made)
        made.ill |= dict.fromkeys((f"dns:h{n}.test" for n in range(90, 100)), BAD)
        await asyncio.sleep(70)
        with made.counted() as ran:
            made.engine.nameservers_changed()
            await asyncio.sleep(1)
    assert ran[RESOLVER][0] <= SLACK_S
    failing = max(ran[f"dns:h{n}.test"][0] for n in range(90, 100))
    others = sorted(ran[f"dns:h{n}.test"][0] for n in range(90))
    assert failing <= 0.1 + SLACK_S
    assert others[10] >= failing - SLACK_S
    assert others[-1] <= 1


@virtual_time
async def test_nothing_to_heal_is_nothing_to_ask() -> None:
    """A parent's hiccup that nobody felt has nobody asked, and quiet days have their slots alone."""
    async with rig(config(addresses(50))) as made:
        await begun(made)
        made.ill[HOST] = BAD
        made.engine.rechecks.at_once(HOST)
        await asyncio.sleep(0.5)
        made.ill.clear()
        await asyncio.sleep(60)
        for port in made.jobs(CheckName.TCP):
            times = made.times(port)[1:]
            assert [b - a for a, b in pairwise(times)] == pytest.approx([30.0] * (len(times) - 1), abs=SLACK_S)


@virtual_time
async def test_reload_takes_what_is_gone_off_the_list() -> None:
    """What was to be asked again and is configured no more is forgotten; what is new has its turn."""
    async with rig(config(addresses(100))) as made:
        await begun(made)
        made.engine.network_changed(WAY_OUT)
        made.engine.load(config(addresses(50)))
        await asyncio.sleep(1)
        made.engine.load(config(addresses(100)))
        with made.counted() as ran:
            made.engine.network_changed(WAY_OUT)
            await asyncio.sleep(1)
    assert len([job_id for job_id in ran if job_id.startswith("tcp:")]) >= 50
