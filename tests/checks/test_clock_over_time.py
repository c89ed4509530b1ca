"""The clock check over several runs: steps, drift and recovery."""

from dataclasses import replace

import pytest

from checks.clock import TARGET, ClockMemory, ClockSpec, probe
from checks.model import Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from tests.support.fakes import context
from tests.support.ntp_server import reply, scripted


async def look(host: "Host", memory: ClockMemory, *ports: int) -> Outcome:
    """Run the check once on that host, against servers on these ports."""
    spec = ClockSpec(
        servers=tuple(Endpoint("127.0.0.1", port) for port in ports),
        controllers=(),
        ca_file=None,
        max_offset_s=5.0,
        warn_offset_s=1.0,
        timeout_s=0.3,
    )
    here = context()
    where = replace(here, memory=memory, seat=replace(here.seat, wall_clock=host.wall))
    return (await probe(spec, where))[TARGET]


class Host:
    """A host's two clocks, the one of which a test may set."""

    def __init__(self) -> None:
        self.elapsed = 5000.0
        self.set_by = 0.0

    def wall(self) -> float:
        return 1_800_000_000.0 + self.elapsed + self.set_by

    def memory(self) -> ClockMemory:
        return ClockMemory(elapsed=lambda: self.elapsed)


@pytest.mark.parametrize("set_by", [2.0, -2.0])
async def test_a_step_between_runs(set_by: float) -> None:
    """Setting the clock is a warning for one run, whether it made the clock better or worse; the first run has none."""
    host = Host()
    memory = host.memory()
    async with scripted(lambda q: [reply(q, 1_800_000_000.0 + host.elapsed + host.set_by)]) as (port, _):
        seen = []
        for step in (0.0, set_by, 0.0):
            host.elapsed += 64
            host.set_by += step
            seen.append(await look(host, memory, port))
    assert [(s.status, s.reason) for s in seen] == [
        (Status.OK, None), (Status.WARNING, Reason.CLOCK_STEPPED), (Status.OK, None)
    ]  # fmt: skip
    assert seen[1].facts["step_seconds"] == pytest.approx(set_by)
    direction = "forward" if set_by > 0 else "back"
    assert seen[1].summary.startswith(f"clock was set {direction} by 2.00 s since the last look; now 0.000 s")


async def test_a_step_during_a_run() -> None:
    """A clock that is set between question and answer is judged as it stands at the end of the run."""
    host = Host()

    def set_the_clock(question: bytes) -> list[bytes]:
        packet = reply(question, 1_800_000_000.0 + host.elapsed)
        host.set_by = 6.0
        return [packet]

    async with scripted(set_the_clock) as (a, _), scripted(set_the_clock) as (b, _):
        seen = await look(host, host.memory(), a, b)
    assert (seen.status, seen.reason) == (Status.CRITICAL, Reason.OFFSET_EXCEEDED)
    assert seen.measurements["offset_seconds"] == pytest.approx(6, abs=1e-3)
    assert seen.facts["step_seconds"] == pytest.approx(6)


async def runs(host: Host, per_run: float, count: int = 8, start: float = 0.0) -> Outcome:
    """Run the check `count` times on a host whose clock moves by `per_run` seconds from run to run."""
    memory = host.memory()
    truth = [start]
    async with scripted(lambda q: [reply(q, host.wall() - truth[0])]) as (port, _):
        seen = None
        for _ in range(count):
            host.elapsed += 64
            truth[0] += per_run
            seen = await look(host, memory, port)
    assert seen is not None
    return seen


async def test_drift() -> None:
    """A clock that runs away is told with the time at which it reaches the tolerance."""
    seen = await runs(Host(), 0.064)
    assert seen.status is Status.OK
    assert seen.measurements["drift_seconds_per_second"] == pytest.approx(0.001, rel=0.01)
    assert seen.facts["recovering"] is False
    assert seen.facts["hours_to_tolerance"] == pytest.approx((5 - 0.512) / 0.001 / 3600, rel=0.01)
    assert seen.summary.endswith("; drifting, it reaches ± 5 s in 1 h")


async def test_recovery() -> None:
    """A clock that comes back is told as recovering, and no time to the tolerance is invented."""
    seen = await runs(Host(), -0.064, start=3.0)
    assert seen.reason is Reason.OFFSET_EXCEEDED
    assert seen.facts["recovering"] is True
    assert "hours_to_tolerance" not in seen.facts


async def test_a_small_step_is_not_drift() -> None:
    """A clock that was set by less than a second warns nobody, but what was measured before it counts no more."""
    host = Host()
    memory = host.memory()
    async with scripted(lambda q: [reply(q, 1_800_000_000.0 + host.elapsed)]) as (port, _):
        for run in range(12):
            host.elapsed += 64
            host.set_by = 0.5 if run >= 6 else 0.0
            seen = await look(host, memory, port)
            assert seen.status is Status.OK
            assert ("step_seconds" in seen.facts) is (run == 6)
            assert "drift_seconds_per_second" not in seen.measurements


async def test_no_drift() -> None:
    """A steady clock has no drift measurement at all."""
    assert "drift_seconds_per_second" not in (await runs(Host(), 0.0)).measurements
