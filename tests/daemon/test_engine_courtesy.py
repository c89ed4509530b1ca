"""What the daemon owes to other people's time servers, whatever is reloaded."""

import asyncio

import pytest

from checks.model import CheckName, Outcome, Status
from daemon.board import Board
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.glimpse import Glimpse
from daemon.jobs import Job, Result
from daemon.looplag import LoopLag
from daemon.runner import Runner
from daemon.scheduler import START_SPREAD_S
from daemon.state import Policy

CLOCK = "clock:system"
INTERVAL_S = 64.0


class Recorder(Runner):
    """Writes down when the clock was asked, and is given a memory as any probe."""

    def __init__(self, real: Runner) -> None:
        super().__init__(real.seats, real.enabled, real.known, lambda _start, _end: 0.0)
        self.asked: list[float] = []
        self.memories: list[object] = []

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        del seen
        context = self._context(job, self.seats.of(job.check), thorough=thorough, confirming=confirming)
        if job.check is CheckName.CLOCK:
            self.asked.append(asyncio.get_running_loop().time())
            self.memories.append(context.memory)
        outcome = Outcome(status=Status.OK, summary="scripted")
        return (
            Result(
                id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome, started_at=0.0,
                duration_s=0.0,
            ),
        )  # fmt: skip


def config(warn_offset: str) -> Config:
    """Make a configuration with a time server and little else."""
    return parse_config(
        f"clock: {{servers: [192.0.2.1], controller_date: false, warn_offset: {warn_offset}}}\n"
        "checks: {host: false, resolver: false, connector: false, control_plane: false, relay: false}\n"
        "provider: {enabled: never}\n"
        'dns: {nameservers: ["127.0.0.1:9"], search: []}'.encode(),
        "test.yaml",
    ).config


@pytest.mark.looptime
async def test_reload_asks_no_time_server_sooner_and_forgets_no_kiss_code() -> None:
    """However often the clock's settings are changed: 64 s between two questions, and what a server asked for holds."""
    loop = asyncio.get_running_loop()
    engine = Engine(config("1s"), Board(Policy(), loop.time, clock=loop.time), LoopLag(), lambda *_: None)
    engine.runner = recorder = Recorder(engine.runner)
    task = loop.create_task(engine.scheduler.run())
    await asyncio.sleep(START_SPREAD_S + 1)
    for number in range(2, 5):
        engine.load(config(f"{number}s"))
        await asyncio.sleep(START_SPREAD_S + 1)
    await asyncio.sleep(4 * INTERVAL_S)
    task.cancel()
    await asyncio.wait([task])
    gaps = [later - earlier for earlier, later in zip(recorder.asked, recorder.asked[1:], strict=False)]
    assert len(gaps) >= 3
    assert min(gaps) >= INTERVAL_S - 0.1
    assert len({id(memory) for memory in recorder.memories}) == 1
