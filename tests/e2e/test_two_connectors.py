"""Two Connectors on one Docker host: two daemons, two helpers, each in its own seat and with its own truth."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.dockerd import DockerHost, dockerd
from tests.support.process import Process, daemon
from tests.support.seat_helper import HELPER
from tests.support.servers import require, running

SITES = {"left": "172.29.10", "right": "172.29.11"}
CONNECTOR = "connector:process"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerHost]:
    """Two networks that Docker keeps apart, a Connector and a database in each."""
    require("root", "dockerd", "nsenter")
    with dockerd() as host:
        host.import_image("lab/db:1")
        for side, net in SITES.items():
            host.network(side, f"{net}.0/24")
            host.run(side, env={"TWINGATE_LABEL_HOSTNAME": f"edge-{side}"}, network_mode=side)
            command = ["/bin/nc", "-ll", "-p", "5432", "-e", "/bin/cat"]
            host.run(f"db-{side}", command, image="lab/db:1", network_mode=side)
            assert host.address(f"db-{side}", side)
        yield host


def _enter(host: DockerHost) -> tuple[str, ...]:
    assert host.inside is not None
    return ("nsenter", f"--net=/run/netns/{host.inside.name}")


def _row(host: DockerHost, side: str) -> str:
    return f"tcp:{host.address(f'db-{side}', side)}:5432"


def _config(host: DockerHost, folder: Path, side: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(
        f"connector: {{remote_network: Lab, runtime: docker, container: {side}, docker_host: '{host.url}',"
        f" helper: {folder / 'helper.sock'}}}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        "provider: {enabled: never}\n"
        "checks: {resolver: false, control_plane: false, nat: false}\n"
        f"state: {{path: {folder / 'state.db'}}}\n"
        "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 200ms},"
        " intervals: {connector: 1s, host: 1s}}\n"
        "resources:\n"
        + "".join(
            f"  - {{name: DB {each}, address: {host.address(f'db-{each}', each)}, tcp: [5432]}}\n" for each in SITES
        )
    )
    return file


@contextlib.contextmanager
def _watched(host: DockerHost, folder: Path, side: str) -> Iterator[Process]:
    folder = folder / side
    folder.mkdir()
    assert host.inside is not None
    path = folder / "helper.sock"
    argv = [*_enter(host), *HELPER, "--container", side, "--docker-host", host.url, "--socket", str(path)]
    with (
        running(argv, folder / "helper.log", path.exists),
        daemon(_config(host, folder, side), before=_enter(host), dial=host.inside.entered) as process,
    ):
        yield process


def _is(process: Process, row: str, **wanted: object) -> bool:
    found = process.rows().get(row)
    return found is not None and all(found[key] == value for key, value in wanted.items())


def test_each_daemon_stands_in_its_own_seat(docker: DockerHost, tmp_path: Path) -> None:
    """What one Connector reaches the other does not: two daemons say opposite things, and both are right."""
    with _watched(docker, tmp_path, "left") as left, _watched(docker, tmp_path, "right") as right:
        both = {"left": left, "right": right}
        for side, process in both.items():
            other = "right" if side == "left" else "left"
            mine, theirs = _row(docker, side), _row(docker, other)
            process.until(partial(_is, process, mine, status="ok"), f"{side} found its own")
            process.until(partial(_is, process, theirs, status="critical", state="failing"), f"{side} missed {other}'s")
            whole, rows = process.status(), process.rows()
            assert (whole["vantage"], whole["connector"]) == ("connector", f"edge-{side}")
            assert rows[_row(docker, other)]["facts"]["seen_from_host"] == "ok"
            assert rows[CONNECTOR]["facts"]["pid"] == docker.pid(side)

        docker.stop_container("left")
        try:
            left.until(lambda: _is(left, CONNECTOR, reason="not_running", state="failing"), "saw it stop")
            left.until(lambda: _is(left, _row(docker, "left"), reason="dependency_failed"), "named the cause")
            assert _is(right, CONNECTOR, status="ok", state="ok"), "the other Connector is another story"
            assert _is(right, _row(docker, "right"), status="ok", state="ok")
        finally:
            docker.start_container("left")
        left.until(lambda: _is(left, _row(docker, "left"), status="ok", state="ok"), "recovered")
        assert right.metric("connector_health_connector_restarts_total") == {"": 0}
        for process in both.values():
            assert "Traceback" not in process.log
