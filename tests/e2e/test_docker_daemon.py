"""The daemon beside a Connector in Docker: it looks from the container's place, follows it, and keeps its secrets out.

A real dockerd in a network namespace that stands for the host; the Connector's image is a stand-in.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dockerd import DockerHost, dockerd
from tests.support.netns import Namespace
from tests.support.process import HEALTHCTL, Process, daemon
from tests.support.servers import require, running

HOST_ONLY = "10.98.0.1"  # an address of the host that its firewall keeps the containers from
TOKENS = {"TWINGATE_ACCESS_TOKEN": "planted-access-4711", "TWINGATE_REFRESH_TOKEN": "planted-refresh-4712"}
LOGGED = {"TWINGATE_LOG_LEVEL": "5", "TWINGATE_LOG_ANALYTICS": "v2", "TWINGATE_LABEL_HOSTNAME": "edge-7"}
DB, ADMIN = "tcp:db:5432", f"tcp:{HOST_ONLY}:8080"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerHost]:
    """A Docker host with a Connector on a network of its own, a database beside it, and a service on the host."""
    require("root", "dockerd", "nft")
    with dockerd() as host, contextlib.ExitStack() as stack:
        inside = _inside(host)
        inside.run(f"ip addr add {HOST_ONLY}/32 dev lo")
        host.network("site", "172.29.7.0/24")
        host.import_image("lab/db:1")
        host.run("db", ["/bin/nc", "-ll", "-p", "5432", "-e", "/bin/cat"], image="lab/db:1", network_mode="site")
        host.run("connector", env={**TOKENS, **LOGGED}, network_mode="site")
        rule = f"ip saddr 172.29.7.0/24 ip daddr {HOST_ONLY} tcp dport 8080 reject with tcp reset"
        inside.nft(f"table inet lab {{ chain in {{ type filter hook input priority 0; {rule}\n}}\n}}\n")
        stack.enter_context(_listener(inside))
        yield host


def _inside(host: DockerHost) -> Namespace:
    assert host.inside is not None
    return host.inside


def _enter(host: DockerHost) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{_inside(host).name}")


@contextlib.contextmanager
def _listener(inside: Namespace) -> Iterator[None]:
    with inside.entered():
        sock = socket.create_server((HOST_ONLY, 8080))
    with sock:
        yield


@contextlib.contextmanager
def helper(host: DockerHost, folder: Path, name: str = "connector") -> Iterator[Path]:
    """Run the privileged helper for one container; yield its socket."""
    path = folder / "helper.sock"
    argv = [
        *_enter(host), sys.executable, "-c", "from daemon.netns import main; main()", "--container", name,
        "--docker-host", host.url, "--socket", str(path),
    ]  # fmt: skip
    with running(argv, folder / f"helper-{name}.log", path.exists):
        yield path


def _config(host: DockerHost, folder: Path, more: str = "", *, container: str = "connector") -> Path:
    file = folder / "config.yaml"
    file.write_text(
        f"connector: {{remote_network: Lab, runtime: docker, container: {container}, docker_host: '{host.url}',"
        f" helper: {folder / 'helper.sock'}}}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        "dns: {timeout: 1s}\n"
        "provider: {enabled: never}\n"
        "checks: {resolver: false, control_plane: false}\n"
        f"state: {{path: {folder / 'state.db'}}}\n"
        "schedule: {interval: 1s, timeout: 1s, confirm: {interval: 200ms}, intervals: {connector: 1s, host: 1s}}\n"
        "resources:\n"
        "  - {name: Database, address: db, tcp: [5432]}\n"
        f"  - {{name: Admin, address: {HOST_ONLY}, tcp: [8080]}}\n{more}"
    )
    return file


@contextlib.contextmanager
def watched(host: DockerHost, folder: Path, more: str = "") -> Iterator[Process]:
    """Run helper and daemon; enter when it has looked at everything."""
    with (
        helper(host, folder),
        daemon(_config(host, folder, more), before=_enter(host), dial=_inside(host).entered) as process,
    ):
        process.until_ready()
        yield process


def _is(process: Process, row: str, **wanted: object) -> bool:
    found = process.rows().get(row)
    return found is not None and all(found[key] == value for key, value in wanted.items())


def test_each_place_is_judged_from_the_connectors_seat(docker: DockerHost, tmp_path: Path) -> None:
    """What only the container reaches is ok, what only the host reaches is critical and says which network fails."""
    with watched(docker, tmp_path) as process:
        process.until(lambda: _is(process, DB, status="ok"), "found the database")
        process.until(lambda: _is(process, ADMIN, status="critical", state="failing"), "missed the host's service")
        whole, rows = process.status(), process.rows()
        assert (whole["vantage"], whole["confidence"], whole["connector"]) == ("connector", "exact", "edge-7")
        assert rows[ADMIN]["reason"] == "refused"
        assert rows[ADMIN]["facts"]["seen_from_host"] == "ok"
        assert rows[f"{ADMIN}@host"]["status"] == "ok"
        assert rows["dns:db"]["status"] == "ok"
        row = rows["connector:process"]
        assert (row["status"], row["facts"]["running"], row["facts"]["version"]) == ("ok", True, "1.80.0")
        assert process.metric("connector_health_vantage") == {'vantage="connector"': 1, 'vantage="host"': 0}
        assert process.metric("connector_health_runtime")['runtime="docker"'] == 1


def test_check_as_root_brings_its_own_helper(docker: DockerHost, tmp_path: Path) -> None:
    """`healthctl check` as root needs no running helper to stand where the Connector stands."""
    done = _check(docker, _config(docker, tmp_path))
    assert '"vantage": "connector"' in done
    assert '"id": "tcp:db:5432"' in done


def _check(host: DockerHost, config: Path) -> str:
    argv = [
        "nsenter",
        f"--net=/run/netns/{_inside(host).name}",
        *HEALTHCTL,
        "check",
        "--config",
        str(config),
        "-o",
        "json",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    return done.stdout


def test_restart_meanwhile_loses_nothing(docker: DockerHost, tmp_path: Path) -> None:
    """`docker restart` with the daemon running: no Resource fails for it, and then it looks from the new place."""
    with watched(docker, tmp_path) as process:
        process.until(lambda: _is(process, DB, status="ok", state="ok"), "found the database")
        before = process.rows()["connector:process"]["facts"]["started_at"]
        failures = 'check="tcp",reason='
        docker.restart("connector")
        process.until(
            lambda: (
                process.rows()["connector:process"]["facts"].get("started_at") not in (None, before)
                and _is(process, DB, status="ok", state="ok")
            ),
            "followed the Connector",
        )
        history = process.get(f"/api/v1/history?id={DB}").text
        assert '"critical"' not in history, history
        failed = {k: v for k, v in process.metric("connector_health_check_failures_total").items() if failures in k}
        assert {k for k, v in failed.items() if v} <= {'check="tcp",reason="refused"'}, "only the planted fault"
        assert process.metric("connector_health_connector_restarts_total") == {"": 1}


def test_stopped_connector_is_the_cause(docker: DockerHost, tmp_path: Path) -> None:
    """`docker stop`: one critical row, its Resources are skipped with it as parent; started again, all is well."""
    with watched(docker, tmp_path) as process:
        process.until(lambda: _is(process, DB, status="ok"), "found the database")
        docker.stop_container("connector")
        try:
            process.until(
                lambda: _is(process, "connector:process", reason="not_running", state="failing"), "saw it stop"
            )
            process.until(lambda: _is(process, DB, reason="dependency_failed"), "skipped its Resources")
            process.until(lambda: _is(process, "dns:db", status="skipped"), "skipped its name")
            assert process.rows()[DB]["suppressed_by"] == "connector:process"
            assert process.metric("connector_health_connector_up") == {"": 0}
        finally:
            docker.start_container("connector")
        process.until(lambda: _is(process, DB, status="ok", state="ok"), "recovered")
        assert '"critical"' not in process.get(f"/api/v1/history?id={DB}").text


def test_dockerd_stopped_and_started_is_survived(docker: DockerHost, tmp_path: Path) -> None:
    """Without Docker's daemon the Connector is unknown, never down; when both are back all is as before."""
    with watched(docker, tmp_path) as process:
        process.until(lambda: _is(process, DB, status="ok"), "found the database")
        docker.stop()
        try:
            process.until(lambda: _is(process, "connector:process", status="unknown"), "lost sight of it")
            assert process.rows()["connector:process"]["reason"] == "permission_denied"
        finally:
            docker.start()
            docker.start_container("connector")
            docker.start_container("db")
        process.until(lambda: _is(process, "connector:process", status="ok"), "saw it again")
        process.until(lambda: _is(process, DB, status="ok"), "found the database again")


def test_two_connectors_must_be_told_apart(docker: DockerHost, tmp_path: Path) -> None:
    """Two Connectors on one host without a choice: it says which there are and which key chooses, and ends with 3."""
    docker.run("second", env=TOKENS, network_mode="site")
    try:
        config = _config(docker, tmp_path, container="null")
        argv = [*_enter(docker), *HEALTHCTL]
        for command in (["run", "--web.listen-address", "127.0.0.1:19441"], ["check"]):
            done = subprocess.run(
                [*argv, *command, "--config", str(config)], capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == 3, done.stdout
            assert "connector.container" in done.stderr
            assert "(connector, second)" in done.stderr or "(second, connector)" in done.stderr
            assert "Traceback" not in done.stderr
    finally:
        docker.remove("second")


def test_tokens_are_nowhere(docker: DockerHost, tmp_path: Path) -> None:
    """Tokens planted in the container's environment appear in no answer, log, file or message."""
    with watched(docker, tmp_path) as process:
        process.until(lambda: _is(process, "connector:process", status="ok"), "saw the Connector")
        docker.order("connector", "say [ERROR] [connector] failed to get an access token: Invalid token")
        process.until(lambda: _is(process, "connector:process", reason="token_invalid"), "read its log")
        shown = [
            process.get(path).text
            for path in ("/", "/metrics", "/api/v1/status", "/api/v1/history?id=connector:process")
        ]
        checked = _check(docker, _config(docker, tmp_path))
        docker.order("connector", "say [INFO] [connector] State: Online")
        process.until(lambda: _is(process, "connector:process", status="ok"), "saw it online")
        shown += [process.log, process.stdout, checked]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in TOKENS.values():
        assert all(secret not in text for text in shown)
        assert all(secret.encode() not in data for data in files)


def test_log_is_read_live(docker: DockerHost, tmp_path: Path) -> None:
    """What a user meets is counted, compared with our prediction, and an unpredicted failure is looked at at once."""
    line = (
        '{"event_type":"failed_to_connect","timestamp":%d,"user":{"email":"planted@example.com","id":"77"},'
        '"resource":{"address":"db","applied_rule":"db","id":"5"},"connection":{"id":"c-1","client_ip":"192.0.2.9",'
        '"resource_ip":"172.29.7.2","resource_port":5432,"protocol":"tcp","error_message":"CONNECTION_FAILED"}}'
    )
    with watched(docker, tmp_path) as process:
        process.until(lambda: _is(process, DB, status="ok", state="ok"), "found the database")
        docker.order("connector", "say ANALYTICS " + line % (process.until(_now_ms, "told the time")))
        events = "connector_health_connector_events_total"
        process.until(lambda: process.metric(events).get('event="unable_to_connect"') == 1, "counted the failure")
        pair = 'predicted="none",observed="unable_to_connect"'
        process.until(lambda: process.metric("connector_health_predictions_total").get(pair) == 1, "compared it")
        found = process.until(lambda: process.status()["predictions"]["disagreements"], "disagreed")
        assert [(each["id"], each["observed"]) for each in found] == [(DB, "unable_to_connect")]
        everything = (
            process.get("/api/v1/status").text + process.get("/metrics").text + process.get("/").text + process.log
        )
    for private in ("planted@example.com", "192.0.2.9", '"77"'):
        assert private not in everything


def _now_ms() -> int:
    return int(time.time() * 1000)  # noqa: TID251 - the Connector stamps its lines by the wall clock
