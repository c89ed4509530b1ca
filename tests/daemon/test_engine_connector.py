"""The engine and the Connector: its restarts, its log, what is learned; on a clock that jumps."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from checks.connlog.model import ConnectionKind, ConnectionSeen
from checks.model import CheckName, Event, Outcome, Reason, Status
from checks.runtime.model import Runtime, Sighting, Wanted
from daemon.board import Board
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.glimpse import Glimpse
from daemon.jobs import SECOND_SEAT, Job, Result
from daemon.looplag import LoopLag
from daemon.metrics.collection import Metrics
from daemon.runner import Runner
from daemon.scheduler import START_SPREAD_S
from daemon.state import Policy
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch
from daemon.view import EngineFigures, View
from tests.support.scheduling import SLACK_S
from tests.support.sightings import RUNNING

OK = Outcome(status=Status.OK, summary="fine", event=Event.NONE, facts={"accepted": ("10.0.0.1",)})
CUT_OFF = Outcome(
    status=Status.SKIPPED, reason=Reason.DEPENDENCY_FAILED, summary="x", facts={"parent": "connector:process"}
)
BAD = Outcome(status=Status.CRITICAL, reason=Reason.REFUSED, summary="x", event=Event.UNABLE_TO_CONNECT)
CONNECTOR, PORT = "connector:process", "tcp:10.0.0.1:443"
QUIET = """
clock: {servers: [], controller_date: false}
relays: {endpoints: []}
dns: {nameservers: ["127.0.0.1:9"], search: []}
provider: {enabled: never}
"""
ONE_PORT = "resources: [{name: A, address: 10.0.0.1, tcp: [443]}]\n"


def config(resources: str = ONE_PORT, *, connector: str = "runtime: docker", looked_at: bool = True) -> Config:
    """Make a configuration of a Connector and Resources alone."""
    off = f"checks: {{host: false, resolver: false, control_plane: false, connector: {str(looked_at).lower()}}}\n"
    text = f"connector: {{name: t, vantage: host, {connector}}}\n{QUIET}{off}{resources}"
    return parse_config(text.encode(), "test.yaml").config


class Counting:
    """A runtime that counts how often it is looked at."""

    def __init__(self, sighting: Sighting) -> None:
        self.sighting = sighting
        self.looks: list[float] = []
        self.name = sighting.runtime

    async def look(self) -> Sighting:
        """Count it."""
        self.looks.append(asyncio.get_running_loop().time())
        return self.sighting

    async def close(self) -> None:
        """Do nothing."""


class Scripted(Runner):
    """Answers with what `outcome(job)` says, after `takes_s` seconds, and writes down when each run began."""

    def __init__(self, real: Runner, outcome: Callable[[Job], Outcome]) -> None:
        super().__init__(real.seats, real.enabled, real.known, lambda _start, _end: 0.0)
        self.outcome = outcome
        self.takes_s = 0.0
        self.second: Outcome | None = None
        self.began: dict[str, list[float]] = {}

    def take(self, seats: Seats) -> None:
        """Stay: this seat has the clock of the test."""

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        del seen
        del thorough, confirming
        wall = self.seats.first.wall_clock()
        self.began.setdefault(job.id, []).append(asyncio.get_running_loop().time())
        outcome = self.outcome(job)
        await asyncio.sleep(self.takes_s)
        result = Result(
            id=job.id, job=job.id, check=job.check, target=job.target, resources=job.resources, outcome=outcome,
            started_at=wall, duration_s=self.takes_s,
        )  # fmt: skip
        if self.second is None:
            return (result,)
        return result, replace(result, id=job.id + SECOND_SEAT, outcome=self.second)


class Rig:
    """An engine on the loop's clock; `ahead_s` sets the wall clock forward."""

    def __init__(self, configured: Config, outcome: Callable[[Job], Outcome], sighting: Sighting = RUNNING) -> None:
        loop = asyncio.get_running_loop()
        self.ahead_s = 1_767_000_000.0
        self.board = Board(Policy(failures=2, successes=2), self.now, clock=loop.time)
        self.runtimes: list[Counting] = []

        async def find(_: Wanted) -> Runtime:
            self.runtimes.append(Counting(sighting))
            return self.runtimes[-1]

        self.watch = ConnectorWatch(configured, find=find)
        self.engine = Engine(configured, self.board, LoopLag(), lambda _results, _changes: None, self.watch)
        self.runner = Scripted(self.engine.runner, outcome)
        self.runner.seats = replace(self.runner.seats, first=replace(self.runner.seats.first, wall_clock=self.now))
        self.engine.runner = self.runner

    def now(self) -> float:
        """The wall clock."""
        return asyncio.get_running_loop().time() + self.ahead_s

    def saw(self, kind: ConnectionKind, address: str, port: int, **more: object) -> None:
        """Let the log tell of a user's connection that was just made."""
        event = ConnectionSeen(at=self.now(), kind=kind, address=address, port=port, protocol="tcp", **more)  # type: ignore[arg-type]
        self.engine.insight.note([event], lines=1, at=event.at)

    def metrics(self) -> str:
        """The exposition of now."""
        engine = self.engine
        observed = engine.insight.observed(None)
        view = View(
            config=engine.config, plan=engine.plan, board=self.board, engine=EngineFigures(connector="t"),
            observed=observed,
        )  # fmt: skip
        return Metrics(process=lambda: ()).render(view, openmetrics=False).decode()


@contextlib.asynccontextmanager
async def rig(
    configured: Config, outcome: Callable[[Job], Outcome] = lambda _: OK, *, begun: bool = True
) -> AsyncIterator[Rig]:
    """Run an engine for the block as the daemon does."""
    made = Rig(configured, outcome)
    if begun:
        await made.watch.begin()
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            engine = made.engine
            tasks = [group.create_task(t) for t in (engine.scheduler.run(), engine.learn(), engine.follow())]
            yield made
            for task in tasks:
                task.cancel()


@pytest.mark.looptime
async def test_connector_that_is_down_is_not_asked_by_each_of_its_resources() -> None:
    """With 800 Resources cut off the Connector's row is refreshed every confirm.interval, not 27 times a second."""
    many = "".join(f"  - {{name: R{n}, address: 10.0.{n // 200}.{n % 200 + 1}, tcp: [443]}}\n" for n in range(800))
    async with rig(config("resources:\n" + many), lambda job: OK if job.check is CheckName.CONNECTOR else CUT_OFF) as m:
        await asyncio.sleep(START_SPREAD_S + 60)
    times = m.runner.began[CONNECTOR]
    every_s = m.engine.config.schedule.confirm.interval
    assert 15 <= len(times) <= (START_SPREAD_S + 60) * (1 / every_s + 1 / 15) + 2, "and its own slots"


@pytest.mark.looptime
async def test_seat_and_log_follow_the_connector_without_its_check() -> None:
    """`checks: {connector: false}` gives no row; where the Connector stands is still looked up as often."""
    async with rig(config(looked_at=False)) as made:
        await asyncio.sleep(100)
    (runtime,) = made.runtimes
    assert CONNECTOR not in made.board.rows
    assert [b - a for a, b in pairwise(runtime.looks)] == pytest.approx([15.0] * 6)


@pytest.mark.looptime
async def test_connector_with_its_check_is_looked_at_by_that_alone() -> None:
    """Who has the row is not looked at twice."""
    async with rig(config()) as made:
        await asyncio.sleep(100)
    assert len(made.runtimes[0].looks) == 1, "by begin; the scripted runner looks at nothing"


@pytest.mark.looptime
async def test_other_connector_of_a_reload_is_looked_at_at_once() -> None:
    """A reload that names another Connector has its row asked at once; one that does not, at its slot."""
    async with rig(config()) as made:
        await asyncio.sleep(START_SPREAD_S + 16)
        began = made.runner.began[CONNECTOR]
        for connector, more in (("runtime: docker", 0), ("runtime: docker, container: other", 1)):
            slot, before = began[-1] + 15.0, len(began)
            made.engine.load(config(connector=connector))
            await asyncio.sleep(2 * SLACK_S)
            assert len(began) - before == more, slot


@pytest.mark.looptime
async def test_user_who_fails_has_the_port_asked_at_once() -> None:
    """A failure that was not predicted: the port is asked within a second, and what it says settles the matter."""
    async with rig(config()) as made:
        await asyncio.sleep(START_SPREAD_S + 5)
        began, at = made.runner.began[PORT], asyncio.get_running_loop().time()
        made.saw(ConnectionKind.UNABLE_TO_CONNECT, "10.0.0.1", 443)
        await asyncio.sleep(1.0)
        assert at <= began[-1] <= at + 1.0
        assert [d.id for d in made.engine.insight.truth.predictions.disagreements] == [PORT]
        await asyncio.sleep(62)
        assert made.engine.insight.truth.predictions.counts["none", "unable_to_connect"] == 1


@pytest.mark.looptime
async def test_run_that_began_before_the_user_failed_does_not_answer_for_it() -> None:
    """A user fails while the port is being asked: it is asked once more when that ends, for it began too early."""
    async with rig(config()) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        made.runner.takes_s = 3.0
        ran = len(made.runner.began[PORT])
        while len(made.runner.began[PORT]) == ran:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.1)
        began = made.runner.began[PORT]
        await asyncio.sleep(1)
        made.saw(ConnectionKind.UNABLE_TO_CONNECT, "10.0.0.1", 443)
        await asyncio.sleep(4)
        assert [b - a for a, b in pairwise(began[-2:])] == pytest.approx([3.0], abs=2 * SLACK_S)
        await asyncio.sleep(10)
        assert len(began) == ran + 2, "and no more"


WIDE = "resources: [{name: A, address: 10.0.0.1, tcp: [443]}, {name: W, address: '*.corp.test', tcp: [443]}]\n"
LEARNED = "tcp:db.corp.test:443"


@pytest.mark.looptime
async def test_learned_target_comes_and_goes() -> None:
    """What users use is probed, shown and counted within seconds, and gone when nobody uses it; nothing else moves."""
    async with rig(config(WIDE)) as made:
        await asyncio.sleep(START_SPREAD_S + 40)
        conclusive, began = made.board.counters.conclusive[CheckName.TCP], made.runner.began[PORT]
        first, memory = began[0], made.board.rows[PORT].since
        for _ in range(10):
            made.saw(ConnectionKind.ESTABLISHED, "db.corp.test", 443, rule="*.corp.test", ip="10.1.1.1")
        await asyncio.sleep(2)
        assert LEARNED in {job.id for job in made.engine.plan.jobs}
        assert LEARNED in made.engine.plan.rows_of["W"]
        await asyncio.sleep(START_SPREAD_S + 31)
        assert made.board.rows[LEARNED].result.outcome.status is Status.OK
        assert "db.corp.test" in made.metrics()
        assert made.board.counters.conclusive[CheckName.TCP] > conclusive
        slots = [at - first for at in began[1:]]
        assert all(gap == pytest.approx(30, abs=SLACK_S) for gap in [b - a for a, b in pairwise(slots)])
        assert made.board.rows[PORT].since == memory
        made.ahead_s += 8 * 86400
        await asyncio.sleep(2)
        assert LEARNED not in {job.id for job in made.engine.plan.jobs}
        assert not any("db.corp.test" in row_id for row_id in made.board.rows)
        assert "db.corp.test" not in made.metrics()
        await asyncio.sleep(60)
        assert began[-1] > made.runner.began[LEARNED][-1]


@pytest.mark.looptime
async def test_planning_what_is_learned_takes_little_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a new plan costs 0.2 s, a log that teaches something each second has it made every 10 s at most."""
    async with rig(config(WIDE)) as made:
        loop, spent, loads = asyncio.get_running_loop(), 0.0, list[float]()
        real = made.engine.reload

        async def reload() -> None:
            nonlocal spent
            loads.append(loop.time())
            spent += 0.2
            await real()

        monkeypatch.setattr(made.engine, "_clock", lambda: loop.time() + spent)
        monkeypatch.setattr(made.engine, "reload", reload)
        for second in range(25):
            for _ in range(10):
                made.saw(ConnectionKind.ESTABLISHED, f"h{second}.corp.test", 443, rule="*.corp.test", ip="10.1.1.1")
            await asyncio.sleep(1)
        await asyncio.sleep(12)
        assert "tcp:h24.corp.test:443" in {job.id for job in made.engine.plan.jobs}
    assert 3 <= len(loads) <= 4


@pytest.mark.looptime
async def test_what_the_host_saw_counts_nowhere() -> None:
    """Rows of the second seat are no verdict, wait for nothing, and tell nobody that the way out is open."""
    async with rig(config(), lambda job: OK if job.check is CheckName.CONNECTOR else BAD) as made:
        made.runner.second = OK
        await asyncio.sleep(START_SPREAD_S + 20)
        assert PORT + SECOND_SEAT in made.board.rows
        assert {r.id for r in made.engine.runner.known.rows(CheckName.TCP)} == {PORT}
        assert sum(made.board.statuses.values()) == len([r for r in made.board.rows if not r.endswith(SECOND_SEAT)])
        assert made.engine.settled
        made.runner.second = BAD
        made.engine.board.policy = Policy(failures=99, successes=2)
        await asyncio.sleep(31)
        pending = Counter(row.state for row in made.board.rows.values() if row.result.second)
        assert pending == {"pending": 2}, "both rows were seen from the host too"
        assert made.engine.settled
