import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checks import clock
from checks.clock import TARGET, ClockMemory, ClockSpec, longest_run_s, probe
from checks.model import CheckName, Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from checks.net.seat import Context
from checks.registry import CHECKS
from checks.timesources import TimeSources
from tests.support.cancel import check_cancellation
from tests.support.fakes import context
from tests.support.ntp_server import chronyd, reply, scripted, sources_of

wall = time.time  # noqa: TID251 - the true clock of the test


def spec(*ports: int, controllers: tuple[str, ...] = (), timeout_s: float = 0.3) -> ClockSpec:
    """Compare with servers on these ports of this host."""
    return ClockSpec(
        servers=tuple(Endpoint("127.0.0.1", port) for port in ports),
        controllers=controllers,
        ca_file=None,
        max_offset_s=5.0,
        warn_offset_s=1.0,
        timeout_s=timeout_s,
    )


def at(memory: ClockMemory, now: Callable[[], float] = wall) -> Context:
    """Stand on this host, with a memory and a wall clock."""
    here = context()
    return replace(here, memory=memory, seat=replace(here.seat, wall_clock=now))


async def look(what: ClockSpec, where: Context | None = None) -> Outcome:
    """Run the check once."""
    rows = await probe(what, where or at(ClockMemory()))
    assert list(rows) == [TARGET]
    return rows[TARGET]


def source_states(outcome: Outcome) -> list[object]:
    """Return the final state of each source."""
    return [s["state"] for s in sources_of(outcome)]


async def test_in_time_by_real_servers(tmp_path: Path) -> None:
    """Two real servers with the right time make the clock ok, with a measured offset and bound."""
    with chronyd(tmp_path, "a") as a, chronyd(tmp_path, "b") as b:
        seen = await look(spec(a, b, timeout_s=2))
    assert (seen.status, seen.reason, seen.action) == (Status.OK, None, "")
    assert abs(seen.measurements["offset_seconds"]) <= seen.measurements["error_bound_seconds"] + 0.01
    assert source_states(seen) == ["used", "used"]
    assert "2 of 2 sources agree); the Controller tolerates ± 5 s" in seen.summary


@pytest.mark.parametrize(("wrong_by", "word"), [("+6s", "behind"), ("-6s", "ahead")])
async def test_out_of_tolerance_by_real_servers(tmp_path: Path, wrong_by: str, word: str) -> None:
    """By two real servers that are 6 s ahead this host is behind, critically; and the other way round."""
    with chronyd(tmp_path, "a", wrong_by=wrong_by) as a, chronyd(tmp_path, "b", wrong_by=wrong_by) as b:
        seen = await look(spec(a, b, timeout_s=2))
    assert (seen.status, seen.reason) == (Status.CRITICAL, Reason.OFFSET_EXCEEDED)
    assert seen.measurements["offset_seconds"] == pytest.approx(-6 if word == "behind" else 6, abs=0.2)
    assert word in seen.summary
    assert "In a container, correct the clock of the host that runs it." in seen.action
    assert "Invalid token" in seen.action
    assert f"chronyd -Q -t 10 'server 127.0.0.1 port {a} iburst'" in seen.action


async def test_a_lying_real_server_is_outvoted(tmp_path: Path) -> None:
    """Two real servers outvote a third whose clock is wrong; it is named as a falseticker."""
    with chronyd(tmp_path, "a") as a, chronyd(tmp_path, "b") as b, chronyd(tmp_path, "c", wrong_by="-60s") as c:
        seen = await look(spec(a, b, c, timeout_s=2))
    assert seen.status is Status.OK
    assert source_states(seen) == ["used", "used", "falseticker"]
    assert (seen.facts["usable"], seen.facts["agreeing"]) == (3, 2)


async def test_one_server_alone(tmp_path: Path) -> None:
    """One NTP server with nothing to confirm it never makes the clock critical."""
    with chronyd(tmp_path, wrong_by="+1h") as port:
        seen = await look(spec(port, timeout_s=2))
    assert (seen.status, seen.reason) == (Status.WARNING, Reason.OFFSET_EXCEEDED)
    assert "3600 s behind" in seen.summary
    assert "one NTP server, nothing to confirm it" in seen.summary


async def test_contradiction() -> None:
    """One against one is nobody's majority: unknown, with both offsets in sight."""
    async with scripted(lambda q: [reply(q, wall())]) as (a, _), scripted(lambda q: [reply(q, wall() + 6)]) as (b, _):
        seen = await look(spec(a, b))
    assert (seen.status, seen.reason) == (Status.UNKNOWN, Reason.SOURCES_DISAGREE)
    assert seen.summary == "the 2 usable time sources contradict each other: offsets from -6.00 to +0.00 s"
    assert seen.measurements == {}


async def test_nobody_answers() -> None:
    """Silence is our ignorance, not a wrong clock, and the way to fix it is told."""
    async with scripted(lambda _: []) as (port, _):
        seen = await look(spec(port))
    assert (seen.status, seen.reason) == (Status.UNKNOWN, Reason.NO_TIME_SOURCE)
    assert seen.summary == f"no time source is usable: 127.0.0.1:{port} silent"
    assert "UDP port 123" in seen.action


async def test_everybody_asks_for_peace() -> None:
    """While all servers ask to be left alone, it is said, and nobody is asked."""
    memory = ClockMemory()
    async with scripted(lambda q: [reply(q, wall(), stratum=0, code=b"RATE")]) as (port, asked):
        await look(spec(port), at(memory))
        seen = await look(spec(port), at(memory))
        assert len(asked) == 1
    assert (seen.status, seen.reason) == (Status.UNKNOWN, Reason.NO_TIME_SOURCE)
    assert seen.summary.startswith("all time servers asked us to wait (1): the next question is due in 12")
    assert source_states(seen) == ["backing_off: RATE"]


async def test_a_kiss_beside_a_usable_server() -> None:
    """A kiss code is a fact, never an offset, and does not hinder the others."""
    async with (
        scripted(lambda q: [reply(q, wall() + 99, stratum=0, code=b"DENY")]) as (a, _),
        scripted(lambda q: [reply(q, wall())]) as (b, _),
    ):
        seen = await look(spec(a, b))
    assert seen.status is Status.OK
    assert source_states(seen) == ["kiss:DENY", "used"]


async def test_nothing_to_ask() -> None:
    """Without servers and Controller there is nothing to probe."""
    seen = await look(spec())
    assert (seen.status, seen.reason) == (Status.SKIPPED, Reason.NOT_PROBEABLE)


async def test_servers_of_this_host() -> None:
    """With `system` the servers that this host uses are asked, looked up at each run."""
    async with scripted(lambda q: [reply(q, wall())]) as (port, asked):
        found = [
            TimeSources(daemon="chrony", running=True, servers=(Endpoint("127.0.0.1", port),)),
            TimeSources(problems=("no time daemon was found",)),
        ]
        memory = ClockMemory(discover=lambda: found.pop(0))
        system = replace(spec(), servers=None)
        first = await look(system, at(memory))
        second = await look(system, at(memory))
    assert first.status is Status.OK
    assert first.facts["time_daemon"] == {"name": "chrony", "running": True, "problems": []}
    assert (second.status, second.reason) == (Status.UNKNOWN, Reason.NO_TIME_SOURCE)
    assert second.summary == "no time source is known: none is configured, and none was found on this host"
    assert len(asked) == 1


async def test_kernel_state_is_a_fact() -> None:
    """What the kernel says of its clock is shown and decides nothing."""
    async with scripted(lambda q: [reply(q, wall())]) as (port, _):
        seen = await look(spec(port), at(ClockMemory(kernel=lambda: {"synchronised": False, "maxerror_seconds": 16.0})))
        denied = await look(spec(port), at(ClockMemory(kernel=lambda: {"error": "adjtimex: forbidden"})))
    assert seen.status is Status.OK
    assert seen.facts["synchronised"] is False
    assert denied.facts["kernel"] == {"error": "adjtimex: forbidden"}
    assert "synchronised" not in denied.facts


async def test_memory_is_optional() -> None:
    """Without a memory the check looks once, with none of what needs two runs."""
    async with scripted(lambda q: [reply(q, wall())]) as (port, _):
        assert (await probe(spec(port), context()))[TARGET].status is Status.OK


async def test_all_at_once() -> None:
    """Silent servers are waited for together: a run never takes longer than it promises."""
    async with scripted(lambda _: []) as (a, _), scripted(lambda _: []) as (b, _), scripted(lambda _: []) as (c, _):
        what = spec(a, b, c)
        async with asyncio.timeout(longest_run_s(what)):
            assert source_states(await look(what)) == ["silent"] * 3


async def test_cancelling() -> None:
    """Cancelling at any wait leaves no socket and no task."""
    async with scripted(lambda q: [reply(q, wall())]) as (a, _), scripted(lambda _: []) as (b, _):
        assert await check_cancellation(lambda: probe(spec(a, b, timeout_s=0.05), at(ClockMemory()))) >= 2


def test_registered() -> None:
    """The check is found by its name, makes its own memory and can be critical for one reason."""
    check = CHECKS[CheckName.CLOCK]
    assert check.module is clock
    assert isinstance(check.new_memory(), ClockMemory)
    assert check.reasons == {Reason.OFFSET_EXCEEDED}
