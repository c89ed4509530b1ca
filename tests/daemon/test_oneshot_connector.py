"""`healthctl check` and the Connector: found, looked at first, its log read, and all of it let go of."""

import asyncio
from pathlib import Path

import pytest

from checks.half_open import HalfOpen
from checks.model import CheckName, Outcome, Reason, Status
from checks.runtime.model import Runtime, Wanted
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.jobs import Job, Result
from daemon.known import CONNECTOR_ROW
from daemon.limits import Slots
from daemon.logwatch import LogWatch
from daemon.oneshot import LOG_S, OneShot, check_once
from daemon.store import Store
from daemon.vantage.watch import ConnectorWatch
from tests.support.servers import free_port
from tests.support.sightings import Looks, stopped


class Seen:
    """What became of the watch, and how long the log was read."""

    def __init__(self) -> None:
        self.read: list[float] = []
        self.closed = 0


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Find a Connector that does not run, whose log is not really read."""
    told = Seen()

    class Watch(ConnectorWatch):
        def __init__(self, config: Config, here: HalfOpen | None = None) -> None:
            async def find(_: Wanted) -> Runtime:
                return Looks(stopped())

            super().__init__(config, find=find, here=here)

        async def close(self) -> None:
            told.closed += 1
            await super().close()

    async def read_for(_: LogWatch, seconds: float) -> None:
        told.read.append(seconds)

    monkeypatch.setattr("daemon.oneshot.ConnectorWatch", Watch)
    monkeypatch.setattr(LogWatch, "read_for", read_for)
    return told


def _config(tmp_path: Path, port: int) -> Config:
    return parse_config(
        f"connector: {{name: t, runtime: docker}}\nstate: {{path: {tmp_path / 'state.db'}}}\n"
        f"resources: [{{name: A, address: 127.0.0.1, tcp: [{port}]}}]\n".encode(),
        "test.yaml",
    ).config


async def test_connector_that_is_down_is_the_cause(seen: Seen, tmp_path: Path) -> None:
    """Its row comes first: what it cuts off is skipped, not failing; its log was read, and the watch is closed."""
    only = frozenset({CheckName.CONNECTOR, CheckName.TCP})
    view = await check_once(_config(tmp_path, free_port()), only=only)
    statuses = {row.id.partition(":")[0]: row.result.outcome.status for row in view.board.rows.values()}
    assert statuses == {"connector": Status.CRITICAL, "tcp": Status.SKIPPED}
    assert view.engine.runtime == "docker"
    assert (seen.read, seen.closed) == ([LOG_S], 1)


async def test_log_is_not_read_for_ports_alone(seen: Seen, tmp_path: Path) -> None:
    """`--only tcp` does not spend its time on a log, and lets go of the Connector all the same."""
    view = await check_once(_config(tmp_path, free_port()), only=frozenset({CheckName.TCP}))
    assert [row.result.outcome.reason for row in view.board.rows.values()] == [Reason.REFUSED]
    assert (seen.read, seen.closed) == ([], 1)


async def test_what_was_up_before_counts(seen: Seen, tmp_path: Path) -> None:
    """A port of a range that a daemon has seen up fails when it refuses; without that memory it never was up."""
    port = free_port()
    config = parse_config(
        f"state: {{path: {tmp_path / 'state.db'}}}\n"
        f"resources: [{{name: A, address: 127.0.0.1, tcp: ['{port}-{port + 1}']}}]\n".encode(),
        "test.yaml",
    ).config
    only = frozenset({CheckName.TCP})
    row_id = f"tcp:127.0.0.1:{port}"
    before = await check_once(config, only=only)
    row = before.board.rows[row_id]
    assert row.result.outcome.reason is Reason.NEVER_UP
    store = Store(config.state.path)
    await store.open()
    store.note_result(
        Result(
            id=row_id, job=row_id, check=CheckName.TCP, target=f"127.0.0.1:{port}", started_at=1.0, duration_s=0.1,
            outcome=Outcome(status=Status.OK, summary="up", facts={"accepted": ("127.0.0.1",)}),
        )
    )  # fmt: skip
    await store.close()
    after = await check_once(config, only=only)
    assert after.board.rows[row_id].result.outcome.reason is Reason.REFUSED
    assert seen.closed == 2


def test_parents() -> None:
    """Names and ports wait for the Connector's row, and rows of the second seat are nobody's parent."""
    jobs = [
        Job(id=CONNECTOR_ROW, check=CheckName.CONNECTOR, target="process", spec=None, interval_s=1.0, timeout_s=1.0),
        Job(id="dns:a", check=CheckName.DNS, target="a", spec=None, interval_s=1.0, timeout_s=1.0),
        Job(id="tcp:a:1", check=CheckName.TCP, target="a:1", name="a", spec=None, interval_s=1.0, timeout_s=1.0),
    ]

    async def made() -> OneShot:
        return OneShot(jobs, Slots(1, 1, 1.0), 1.0)

    run = asyncio.run(made())
    assert [run._parents(job) for job in jobs] == [[], [CONNECTOR_ROW], [CONNECTOR_ROW, "dns:a"]]
