"""Every check once: order, confirmation, bounds."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.model import CheckName, Event, Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from checks.net.seat import Seat
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.glimpse import Glimpse
from daemon.jobs import Job, Result
from daemon.known import Known
from daemon.limits import Slots
from daemon.oneshot import OneShot, check_once
from daemon.runner import Runner
from daemon.store import Store
from daemon.storefile import Past
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch
from daemon.view import View
from tests.support.fakes import FakeResolver
from tests.support.servers import free_port

RESOURCES_ONLY = frozenset({CheckName.DNS, CheckName.TCP})


def _config(text: str, tmp_path: Path) -> Config:
    state = f"state: {{path: {tmp_path / 'state.db'}}}\n"
    return parse_config((state + text).encode(), "test.yaml").config


def _outcomes(view: View) -> dict[str, tuple[Status, Reason | None, Event | None]]:
    rows = view.board.rows.values()
    return {r.id: (r.result.outcome.status, r.result.outcome.reason, r.result.outcome.event) for r in rows}


@pytest.fixture
def listener() -> Iterator[Endpoint]:
    """A port that accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Endpoint("127.0.0.1", server.getsockname()[1])


async def test_table_of_verdicts(listener: Endpoint, tmp_path: Path) -> None:
    """An open port is ok, a closed one refused; each row is reported as it is settled."""
    closed = free_port()
    config = _config(
        f"resources: [{{name: A, address: 127.0.0.1, tcp: [{listener.port}]}},"
        f" {{name: B, address: 127.0.0.1, tcp: [{closed}]}}]\nschedule: {{confirm: {{interval: 10ms}}}}",
        tmp_path,
    )
    heard: list[Result] = []
    view = await check_once(config, only=RESOURCES_ONLY, on_result=heard.append)
    assert _outcomes(view) == {
        f"tcp:{listener}": (Status.OK, None, Event.NONE),
        f"tcp:127.0.0.1:{closed}": (Status.CRITICAL, Reason.REFUSED, Event.UNABLE_TO_CONNECT),
    }
    assert {r.id for r in heard} == set(view.board.rows)
    assert view.engine.duration_s is not None
    assert not (tmp_path / "state.db").exists(), "check writes no state"


class _Scripted(Runner):
    """Answers from a list of statuses for each job, a second a run, and writes down when each began."""

    def __init__(self, script: dict[str, list[Status]]) -> None:
        seats = Seats(Seat(resolver=FakeResolver()))
        super().__init__(seats, RESOURCES_ONLY, _nothing_known(), lambda _start, _end: 0.0)
        self.script = script
        self.runs: list[tuple[str, float]] = []

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        assert thorough
        assert seen is None
        assert confirming is (job.id in [job_id for job_id, _ in self.runs])
        self.runs.append((job.id, asyncio.get_running_loop().time()))
        status = self.script[job.id].pop(0)
        await asyncio.sleep(1)
        reason = None if status is Status.OK else Reason.TIMEOUT
        outcome = Outcome(status=status, reason=reason, summary="scripted")
        return (
            Result(
                id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome, started_at=0, duration_s=1
            ),
        )


def _nothing_known() -> Known:
    return Known(latest=lambda _: None, rows=lambda _: (), ever_up=lambda _: False)


def _job(check: CheckName, target: str, name: str | None = None, *, confirmable: bool = True) -> Job:
    return Job(
        id=f"{check}:{target}", check=check, target=target, spec=None, interval_s=30, timeout_s=9,
        name=name, resources=("R",), confirmable=confirmable,
    )  # fmt: skip


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("script", "confirmable", "began", "status"),
    [
        pytest.param([Status.OK], True, [0], Status.OK, id="ok-once"),
        pytest.param([Status.WARNING], True, [0], Status.WARNING, id="warning-once"),
        pytest.param([Status.UNKNOWN], True, [0], Status.UNKNOWN, id="unknown-once"),
        pytest.param([Status.SKIPPED], True, [0], Status.SKIPPED, id="skipped-once"),
        pytest.param([Status.CRITICAL, Status.CRITICAL], True, [0, 3], Status.CRITICAL, id="critical-twice"),
        pytest.param([Status.CRITICAL, Status.OK], True, [0, 3], Status.OK, id="recovered"),
        pytest.param([Status.CRITICAL], False, [0], Status.CRITICAL, id="port-with-a-policy-once"),
    ],
)
async def test_critical_is_repeated_once(
    script: list[Status], confirmable: bool, began: list[int], status: Status
) -> None:
    """What would be critical is repeated once after confirm.interval, and nothing else is."""
    job = _job(CheckName.TCP, "a:1", confirmable=confirmable)
    runner = _Scripted({job.id: list(script)})
    run = OneShot([job], Slots(10, 10, 1000.0), 2.0)
    await run.run(runner, None, lambda _: None)
    assert [at for _, at in runner.runs] == pytest.approx(began)
    assert run.results[job.id].outcome.status is status


@pytest.mark.looptime
async def test_children_wait_for_their_parents_verdict() -> None:
    """A port is asked after its name has its verdict (confirmed); the way out before NAT; the provider last."""
    jobs = [
        _job(CheckName.PROVIDER, "status"),
        _job(CheckName.NAT, "udp"),
        _job(CheckName.TCP, "a:1", name="a"),
        _job(CheckName.TCP, "10.0.0.1:1"),
        _job(CheckName.DNS, "a"),
        _job(CheckName.RELAY, "r"),
        _job(CheckName.HOST, "network"),
    ]
    script = {job.id: [Status.OK] for job in jobs} | {"dns:a": [Status.CRITICAL, Status.CRITICAL]}
    runner = _Scripted(script)
    await OneShot(jobs, Slots(10, 10, 1e6), 2.0).run(runner, None, lambda _: None)
    first = dict(reversed(runner.runs))
    assert first["host:network"] == first["relay:r"] == 0
    assert first["dns:a"] == pytest.approx(1)
    assert first["tcp:10.0.0.1:1"] == pytest.approx(1)
    assert first["tcp:a:1"] == pytest.approx(1 + 1 + 2 + 1)
    assert first["nat:udp"] == pytest.approx(1)
    assert first["provider:status"] == pytest.approx(2)


async def test_port_with_a_policy_is_not_asked_twice(tmp_path: Path) -> None:
    """The fast confirmation never connects to a port with a policy."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = _config(
            f"resources: [{{name: B, address: 127.0.0.1, tcp: [{port}]}}]\n"
            f"probing: {{ports: {{{port}: 5m}}}}\nschedule: {{confirm: {{interval: 1h}}}}",
            tmp_path,
        )
        async with asyncio.timeout(5):
            view = await check_once(config, only=RESOURCES_ONLY)
    assert _outcomes(view)[f"tcp:127.0.0.1:{port}"][0] is Status.CRITICAL


async def test_timeout_bounds_the_whole_command(tmp_path: Path) -> None:
    """`--timeout` bounds everything; what is unfinished is unknown, never critical."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = _config(
            f"dns: {{nameservers: ['127.0.0.1:{silent.getsockname()[1]}']}}\n"
            "resources: [{name: A, address: a.test, tcp: [443]}]",
            tmp_path,
        )
        view = await check_once(config, only=RESOURCES_ONLY, timeout_s=0.2)
    unknown = (Status.UNKNOWN, Reason.TIMEOUT, None)
    assert _outcomes(view) == {"dns:a.test": unknown, "tcp:a.test:443": unknown}
    assert view.engine.duration_s is not None
    assert view.engine.duration_s < 2


async def test_named_resources_narrow_the_run(listener: Endpoint, tmp_path: Path) -> None:
    """With Resource names only what stands behind these is looked at."""
    config = _config(
        f"resources: [{{name: A, address: 127.0.0.1, tcp: [{listener.port}]}},"
        " {name: B, address: b.test, tcp: [443]}]",
        tmp_path,
    )
    view = await check_once(config, only=RESOURCES_ONLY, resources=("A",))
    assert set(view.board.rows) == {f"tcp:{listener}"}
    assert [r.name for r in view.plan.resources] == ["A"]


async def test_nothing_is_left_open(listener: Endpoint, tmp_path: Path) -> None:
    """After a run there is neither a task nor a socket of it."""
    config = _config(f"resources: [{{name: A, address: 127.0.0.1, tcp: [{listener.port}]}}]", tmp_path)
    before = set(Path("/proc/self/fd").iterdir())
    await check_once(config, only=RESOURCES_ONLY)
    assert len(set(Path("/proc/self/fd").iterdir())) <= len(before)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_timeout_bounds_the_search_for_the_connector(tmp_path: Path) -> None:
    """`--timeout` also bounds a Docker that does not answer: the rows are unknown, long before Docker's own bound."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen(8)
        config = _config(
            f"connector: {{runtime: docker, docker_host: 'unix://{tmp_path}/docker.sock'}}\n"
            "resources: [{name: A, address: 127.0.0.1, tcp: [443]}]",
            tmp_path,
        )
        view = await check_once(config, only=RESOURCES_ONLY, timeout_s=0.1)
    assert _outcomes(view) == {"tcp:127.0.0.1:443": (Status.UNKNOWN, Reason.TIMEOUT, None)}
    assert view.engine.duration_s is not None
    assert view.engine.duration_s < 3.0


async def test_timeout_bounds_a_state_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not answer costs no more than `--timeout` either."""

    async def hang(_: str) -> Past:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(Store, "read_only", hang)
    config = _config("resources: [{name: A, address: 127.0.0.1, tcp: [443]}]", tmp_path)
    async with asyncio.timeout(20):
        view = await check_once(config, only=RESOURCES_ONLY, timeout_s=0.05)
    assert [outcome[1] for outcome in _outcomes(view).values()] == [Reason.TIMEOUT]


async def test_seat_is_taken_whatever_is_asked_for(listener: Endpoint, tmp_path: Path) -> None:
    """`--only tcp` looks from the Connector's seat too, and reads neither its log nor judges its process."""
    asked: list[str] = []

    async def find(watch: ConnectorWatch) -> None:
        asked.append(watch.connector.vantage)

    config = _config(f"resources: [{{name: A, address: 127.0.0.1, tcp: [{listener.port}]}}]", tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.oneshot.with_own_helper", find)
        view = await check_once(config, only=frozenset({CheckName.TCP}))
    assert asked == ["auto"]
    assert set(view.board.rows) == {f"tcp:{listener}"}
