"""The engine's policy on a clock that jumps: what is asked again, how thoroughly, and what a reload leaves alone."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import pairwise

import pytest

from checks.model import Outcome, Reason, Status
from daemon.board import Board
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.glimpse import Glimpse
from daemon.jobs import Job, Result
from daemon.looplag import LoopLag
from daemon.metrics.collection import Metrics
from daemon.runner import Runner
from daemon.scheduler import START_SPREAD_S
from daemon.state import Policy, State, Transition
from daemon.view import EngineFigures, View
from tests.support.scheduling import SLACK_S

CONFIRM_S = 2.0
QUIET = """
connector: {name: test-1, runtime: none}
clock: {servers: [], controller_date: false}
relays: {endpoints: []}
dns: {nameservers: ["127.0.0.1:9"], search: []}
provider: {enabled: never}
checks: {host: false, resolver: false, control_plane: false, connector: false}
"""


def config(text: str) -> Config:
    """Make a configuration; `text` replaces whole sections of QUIET."""
    given = {line.partition(":")[0] for line in text.splitlines()}
    kept = [line for line in QUIET.splitlines() if line.partition(":")[0] not in given]
    return parse_config("\n".join([*kept, text]).encode(), "test.yaml").config


class Scripted(Runner):
    """Answers at once with what `status(job, run)` says (run 0 is the first), and writes down each run."""

    def __init__(self, real: Runner, status: Callable[[Job, int], Status]) -> None:
        super().__init__(real.seats, real.enabled, real.known, lambda _start, _end: 0.0)
        self.status = status
        self.runs: list[tuple[float, str, bool, bool]] = []  # when, job, thorough, confirming
        self.counts: Counter[str] = Counter()

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        del seen
        self.runs.append((asyncio.get_running_loop().time(), job.id, thorough, confirming))
        status = self.status(job, self.counts[job.id])
        self.counts[job.id] += 1
        self._memory.setdefault(job.id, object())
        reason = None if status is Status.OK else Reason.TIMEOUT
        return (
            Result(
                id=job.id, job=job.id, check=job.check, target=job.target, resources=job.resources, duration_s=0.0,
                started_at=self.seats.first.wall_clock(),
                outcome=Outcome(status=status, reason=reason, summary="scripted"),
            ),
        )  # fmt: skip

    def times(self, job_id: str) -> list[float]:
        """When a job ran."""
        return [at for at, ran, _, _ in self.runs if ran == job_id]

    def memory(self, job_id: str) -> object:
        """What is remembered for a job, or None."""
        return self._memory.get(job_id)


def _all_ok(_job: Job, _run: int) -> Status:
    return Status.OK


class Rig:
    """One engine on the loop's clock, and what it told."""

    def __init__(self, configured: Config, status: Callable[[Job, int], Status] = _all_ok) -> None:
        loop = asyncio.get_running_loop()
        confirm = configured.schedule.confirm
        self.board = Board(Policy(failures=confirm.failures, successes=confirm.successes), loop.time, clock=loop.time)
        self.transitions: list[tuple[str, State | None, State]] = []
        self.first: asyncio.Future[None] = loop.create_future()
        self.engine = Engine(configured, self.board, LoopLag(), self._hear)
        self.runner = Scripted(self.engine.runner, status)
        self.engine.runner = self.runner

    def _hear(self, results: Iterable[Result], transitions: Iterable[Transition]) -> None:
        assert list(results)
        if not self.first.done():
            self.first.set_result(None)
        self.transitions += [(change.id, change.before, change.after) for change in transitions]

    def states(self) -> dict[str, State]:
        """The state of each row that was looked at."""
        return {row.id: row.state for row in self.board.rows.values() if row.result.duration_s == 0 and row.judged}

    def metrics(self) -> str:
        """The exposition of now."""
        engine = self.engine
        view = View(config=engine.config, plan=engine.plan, board=self.board, engine=EngineFigures(connector="test-1"))
        return Metrics(process=lambda: ()).render(view, openmetrics=False).decode()


@contextlib.asynccontextmanager
async def rig(text: str, status: Callable[[Job, int], Status] = _all_ok) -> AsyncIterator[Rig]:
    """Run an engine for the block, and end it as the daemon does."""
    made = Rig(config(text), status)
    task = asyncio.get_running_loop().create_task(made.engine.scheduler.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


ONE_PORT = "resources: [{name: A, address: 10.0.0.1, tcp: [443]}]\n"
PORT = "tcp:10.0.0.1:443"


def _script(letters: str) -> Callable[[Job, int], Status]:
    """Return a script: one letter a run (o, c, u), the last one for ever."""
    table = {"o": Status.OK, "c": Status.CRITICAL, "u": Status.UNKNOWN, "w": Status.WARNING}
    return lambda _, run: table[letters[min(run, len(letters) - 1)]]


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("letters", "soon", "states"),
    [
        pytest.param("o", [], [State.OK], id="ok"),
        pytest.param("w", [], [State.OK], id="warning"),
        pytest.param("u", [], [State.UNKNOWN], id="unknown"),
        pytest.param("c", [1], [State.PENDING, State.FAILING], id="critical"),
        pytest.param("co", [1], [State.PENDING, State.OK], id="a-hiccup"),
        pytest.param("cuc", [1], [State.PENDING, State.UNKNOWN, State.FAILING], id="unsure-in-between"),
    ],
)
async def test_what_turns_critical_is_asked_again_soon(letters: str, soon: list[int], states: list[State]) -> None:
    """Only a verdict that waits for its confirmation is asked for again after confirm.interval."""
    async with rig(ONE_PORT, _script(letters)) as made:
        await asyncio.sleep(START_SPREAD_S + 60 + CONFIRM_S)
    times = made.runner.times(PORT)
    quick = [number for number, (a, b) in enumerate(pairwise(times), 1) if b - a <= CONFIRM_S + SLACK_S]
    assert quick == soon
    assert [confirming for _, _, _, confirming in made.runner.runs] == [
        False,
        *(n in quick for n in range(1, len(times))),
    ]
    assert [after for _, _, after in made.transitions] == states


@pytest.mark.looptime
async def test_recovery_is_confirmed_soon_too() -> None:
    """What was failing and answers again is asked again as soon: ok after confirm.interval, not a slot later."""
    async with rig(ONE_PORT, _script("cco")) as made:
        await asyncio.sleep(START_SPREAD_S + 60)
    assert [after for _, _, after in made.transitions] == [State.PENDING, State.FAILING, State.RECOVERING, State.OK]
    times = made.runner.times(PORT)
    assert times[1] - times[0] == pytest.approx(CONFIRM_S, abs=SLACK_S)
    assert times[3] - times[2] == pytest.approx(CONFIRM_S, abs=SLACK_S)


@pytest.mark.looptime
async def test_public_servers_and_ports_with_a_policy_wait_for_their_slot() -> None:
    """Clock and status page are public servers, a policy protects its port: none is ever asked again at once."""
    text = (
        'clock: {servers: ["192.0.2.1"]}\nprovider: {enabled: always}\n'
        "resources: [{name: A, address: 10.0.0.1, tcp: [22, 443]}]\n"
        "schedule: {intervals: {provider: 64s}}\n"
    )
    async with rig(text, lambda _job, _run: Status.CRITICAL) as made:
        await asyncio.sleep(400)
    assert not any(confirming for _, job_id, _, confirming in made.runner.runs if job_id != PORT)
    assert any(confirming for _, job_id, _, confirming in made.runner.runs if job_id == PORT)
    assert made.states()["clock:system"] == State.FAILING, "two runs at their slots make it so"
    for job_id, least_s in (("clock:system", 64), ("tcp:10.0.0.1:22", 300), ("provider:status.twingate.com", 64)):
        times = made.runner.times(job_id)
        assert times
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(gap >= least_s - SLACK_S for gap in gaps), (job_id, gaps)


@pytest.mark.looptime
async def test_all_nameservers_are_asked_in_turns() -> None:
    """Each name asks every nameserver once in dns_matrix, the names spread over it; on failure at once."""
    names, every = 50, 10  # 30 s and 5 min
    lines = "".join(f"  - {{name: R{n}, address: host-{n}.test, tcp: []}}\n" for n in range(names))
    async with rig(f"resources:\n{lines}") as made:
        await asyncio.sleep(START_SPREAD_S + 30 * 3 * every)
    per_job: dict[str, list[bool]] = {}
    for _, job_id, thorough, _ in made.runner.runs:
        per_job.setdefault(job_id, []).append(thorough)
    assert len(per_job) == names
    for turns in per_job.values():
        assert all(sum(turns[start : start + every]) == 1 for start in range(len(turns) - every + 1)), turns
    per_round = Counter(turns.index(True) for turns in per_job.values())
    assert max(per_round.values()) <= names / 2, "their turns are spread over the rounds"
    assert len(per_round) >= every / 2


@pytest.mark.looptime
async def test_failing_name_asks_every_nameserver_at_its_confirmation() -> None:
    """The second look at a name is thorough, whatever its turn."""
    text = "resources: [{name: A, address: a.test, tcp: []}]\nschedule: {intervals: {dns_matrix: 720h}}\n"
    async with rig(text, _script("oc")) as made:
        await asyncio.sleep(START_SPREAD_S + 30 + CONFIRM_S + 1)
    thorough = [(confirming, asked_all) for _, _, asked_all, confirming in made.runner.runs]
    assert (True, True) in thorough
    assert all(not asked_all for confirming, asked_all in thorough if not confirming)


TWO = "resources: [{name: A, address: 10.0.0.1, tcp: [443]}, {name: B, address: 10.0.0.2, tcp: [443]}]\n"
OTHER = "tcp:10.0.0.2:443"


@pytest.mark.looptime
async def test_reload_leaves_alone_what_is_the_same() -> None:
    """A job that stays keeps its memory, state and slots over a reload; one that is gone leaves nothing."""
    async with rig(TWO, lambda job, _: Status.CRITICAL if job.id == PORT else Status.OK) as made:
        await asyncio.sleep(START_SPREAD_S + CONFIRM_S + 1)
        since, memory, seat = made.board.rows[PORT].since, made.runner.memory(PORT), made.runner.seats.first
        assert made.states() == {PORT: State.FAILING, OTHER: State.OK}
        assert 'resource="B"' in made.metrics()
        made.engine.load(config(ONE_PORT))
        assert made.states() == {PORT: State.FAILING}
        assert OTHER not in made.board.rows
        assert made.runner.memory(OTHER) is None
        assert 'resource="B"' not in made.metrics()
        ran = len(made.runner.times(PORT))
        await asyncio.sleep(90)
    assert made.board.rows[PORT].since == since
    assert made.runner.memory(PORT) is memory
    assert made.runner.seats.first is seat
    slots = made.runner.times(PORT)[ran:]
    assert [b - a for a, b in pairwise(slots)] == pytest.approx([30.0] * (len(slots) - 1), abs=SLACK_S)
    assert (slots[0] - made.runner.times(PORT)[0]) % 30 == pytest.approx(
        (slots[1] - made.runner.times(PORT)[0]) % 30, abs=SLACK_S
    )
    assert made.runner.times(OTHER)[-1] < slots[0]


@pytest.mark.looptime
async def test_reload_starts_afresh_what_asks_something_else() -> None:
    """A job that asks something else now forgets what its probe remembered; new nameservers are a new seat."""
    async with rig(ONE_PORT) as made:
        await asyncio.sleep(START_SPREAD_S + 1)
        memory, seat = made.runner.memory(PORT), made.runner.seats.first
        made.engine.load(config(ONE_PORT + "schedule: {timeout: 1s}\n"))
        assert made.runner.memory(PORT) is None
        assert made.runner.seats.first is seat
        made.engine.load(config(ONE_PORT + 'dns: {nameservers: ["127.0.0.2:9"], search: []}\n'))
        assert made.runner.seats.first is not seat
        await asyncio.sleep(START_SPREAD_S + 31)
        assert made.runner.memory(PORT) not in (None, memory)


@pytest.mark.looptime
async def test_ready_when_each_check_has_reported_and_ever_after() -> None:
    """Ready is when every check that is run has reported; a reload that adds one does not take it back."""
    text = ONE_PORT + 'clock: {servers: ["192.0.2.1"]}\n'
    async with rig(text) as made:
        ready = [made.engine.ready]
        await asyncio.sleep(START_SPREAD_S + 1)
        ready.append(made.engine.ready)
        made.engine.load(config(text + "checks: {host: true, resolver: false, control_plane: false}\n"))
        ready.append(made.engine.ready)
    assert ready == [False, True, True]


@pytest.mark.looptime
async def test_nothing_to_probe_is_ready_at_once() -> None:
    """Where no job is ever run there is nothing to wait for."""
    async with rig('resources: [{name: All, address: "*.test"}]\n') as made:
        assert made.engine.ready
        await asyncio.sleep(100)
        assert made.runner.runs == []


@pytest.mark.looptime
async def test_settled_when_nothing_is_pending() -> None:
    """The first verdicts are there when each job has reported and what was critical was confirmed."""
    async with rig(ONE_PORT, _script("c")) as made:
        await made.first
        assert not made.engine.settled
        await asyncio.sleep(CONFIRM_S + SLACK_S)
        assert made.engine.settled


@pytest.mark.looptime
async def test_this_host_is_looked_at_before_all_else() -> None:
    """At start the host check has its row before any Resource is asked: a host without network accuses nobody."""
    text = ONE_PORT + "checks: {resolver: false, control_plane: false, connector: false}\n"
    made = Rig(config(text))
    await made.engine.look_around()
    assert [job_id for _, job_id, _, _ in made.runner.runs] == ["host:network"]
    assert "host:network" in made.board.rows
