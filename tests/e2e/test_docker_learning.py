"""What the log of a Connector in Docker teaches: Relays in use, names behind patterns, refused tokens."""

import contextlib
import json
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dockerd import DockerHost, dockerd
from tests.support.netns import Namespace
from tests.support.process import Process, daemon
from tests.support.seat_helper import HELPER
from tests.support.servers import require, running

RELAY_IP, RELAY_PORT = "172.29.9.1", 30007  # the bridge's own address: a Relay that the Connector's network reaches
RELAY = f"relay:{RELAY_IP}:{RELAY_PORT}"
NAME = "pg.corp.internal"
SAMPLE, SAMPLE_NAME = f"tcp:{NAME}:5432", f"dns:{NAME}"
CONNECTOR = "connector:process"
LOGGED = {"TWINGATE_LOG_LEVEL": "5", "TWINGATE_LOG_ANALYTICS": "v3", "TWINGATE_LABEL_HOSTNAME": "edge-9"}
SERVE = "nc -ll -p 5432 -e /bin/cat & echo $! > /run/pid"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerHost]:
    """A Docker host whose network `site` holds a database with a name behind a pattern."""
    require("root", "dockerd", "nsenter")
    with dockerd() as host:
        host.network("site", "172.29.9.0/24")
        host.import_image("lab/db:1")
        host.run(NAME, image="lab/db:1", network_mode="site")
        host.order(NAME, f"run {SERVE}")
        yield host


@pytest.fixture
def connector(docker: DockerHost) -> Iterator[None]:
    """A Connector whose log begins with this test."""
    docker.run("connector", env=LOGGED, network_mode="site")
    try:
        yield
    finally:
        docker.remove("connector")


def _inside(host: DockerHost) -> Namespace:
    assert host.inside is not None
    return host.inside


@contextlib.contextmanager
def _relay(host: DockerHost) -> Iterator[None]:
    with _inside(host).entered():
        sock = socket.create_server((RELAY_IP, RELAY_PORT), backlog=1024)
    with sock:
        yield


def _config(host: DockerHost, folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(
        f"connector: {{remote_network: Lab, runtime: docker, container: connector, docker_host: '{host.url}',"
        f" helper: {folder / 'helper.sock'}}}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        "dns: {timeout: 1s}\n"
        "provider: {enabled: never}\n"
        "checks: {resolver: false, control_plane: false, nat: false}\n"
        f"state: {{path: {folder / 'state.db'}}}\n"
        "schedule: {interval: 1s, timeout: 1s, confirm: {interval: 200ms},"
        " intervals: {connector: 1s, host: 1s, relay: 1s}}\n"
        'resources:\n  - {name: Corp, address: "*.corp.internal", tcp: [5432], severity: critical}\n'
    )
    return file


@contextlib.contextmanager
def helper(host: DockerHost, folder: Path) -> Iterator[None]:
    """Run the privileged helper for the Connector."""
    path = folder / "helper.sock"
    enter = ("nsenter", f"--net=/run/netns/{_inside(host).name}")
    argv = [*enter, *HELPER, "--container", "connector", "--docker-host", host.url, "--socket", str(path)]
    with running(argv, folder / "helper.log", path.exists):
        yield


@contextlib.contextmanager
def watched(host: DockerHost, folder: Path) -> Iterator[Process]:
    """Run the daemon; enter when every check has reported."""
    enter = ("nsenter", f"--net=/run/netns/{_inside(host).name}")
    with daemon(_config(host, folder), before=enter, dial=_inside(host).entered) as process:
        process.until_ready()
        yield process


def _line(kind: str, number: int, **connection: object) -> str:
    """Make a line as version 3 writes it: the Resource's own address, the name in applied_rule's place."""
    return "say ANALYTICS " + json.dumps(
        {
            "event_type": kind,
            "timestamp": int(time.time() * 1000),  # noqa: TID251 - the Connector stamps its lines by the wall clock
            "user": {"email": "planted@example.com", "id": str(number)},
            "resource": {"address": NAME, "applied_rule": "*.corp.internal", "id": "5"},
            "connection": {
                "id": f"c-{number}", "client_ip": "192.0.2.9", "resource_ip": "172.29.9.2", "resource_port": 5432,
                "protocol": "tcp", "tunnel_path": "direct", **connection,
            },
            "relays": [{"ip": RELAY_IP, "name": "relaybalancer+https://relays.twingate.com", "port": RELAY_PORT}],
        }
    )  # fmt: skip


def _use(host: DockerHost, times: int) -> None:
    host.order("connector", *(_line("established_connection", number) for number in range(times)))


def _is(process: Process, row: str, **wanted: object) -> bool:
    found = process.rows().get(row)
    return found is not None and all(found[key] == value for key, value in wanted.items())


def _kept(folder: Path) -> int:
    """Count what was learned and written to the disk, as one who starts after a crash finds it."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'state.db'}?mode=ro", uri=True)) as db:
        try:
            found = db.execute("SELECT count(*) FROM baseline WHERE key LIKE 'learned:%'").fetchone()
        except sqlite3.OperationalError:
            return 0
    return int(found[0])


@pytest.mark.usefixtures("connector")
def test_a_relay_in_use_becomes_proven_and_survives_a_crash(docker: DockerHost, tmp_path: Path) -> None:
    """Nine uses teach nothing, the tenth makes a proven row; kill -9 and another log later it is still proven."""
    with helper(docker, tmp_path), _relay(docker):
        with watched(docker, tmp_path) as process:
            _use(docker, 9)
            events = "connector_health_connector_events_total"
            process.until(lambda: process.metric(events).get('event="established"') == 9, "read nine")
            assert RELAY not in process.rows()
            _use(docker, 1)
            process.until(lambda: _is(process, RELAY, status="ok"), "probed the Relay")
            assert process.metric("connector_health_relays")['state="up"'] == 1
            (learned,) = process.status()["learned"]["relays"]
            assert (learned["endpoint"], learned["count"], learned["proven"]) == (f"{RELAY_IP}:{RELAY_PORT}", 10, True)
            process.until(lambda: _kept(tmp_path) == 2, "wrote the Relay and the sample")
            process.end(signal.SIGKILL)
        docker.remove("connector")  # and its log with it: nothing could be learned from that again
        docker.run("connector", env=LOGGED, network_mode="site")
        with watched(docker, tmp_path) as process:
            process.until(lambda: _is(process, RELAY, status="ok"), "probed the Relay from memory")
            assert process.status()["learned"]["relays"][0]["count"] == 10
            assert _is(process, SAMPLE, status="ok")
            text = process.get("/").text
            assert f"{RELAY_IP}:{RELAY_PORT}" in text
            assert NAME in text


@pytest.mark.usefixtures("connector")
def test_a_proven_relay_that_goes_down_is_critical(docker: DockerHost, tmp_path: Path) -> None:
    """Only what the Connector itself uses may be held against this host."""
    with helper(docker, tmp_path), watched(docker, tmp_path) as process:
        with _relay(docker):
            _use(docker, 10)
            process.until(lambda: _is(process, RELAY, status="ok"), "probed the Relay")
        process.until(lambda: _is(process, RELAY, status="critical", state="failing"), "missed the Relay")
        assert process.rows()[RELAY]["reason"] == "refused"
        assert process.metric("connector_health_relays")['state="down"'] == 1


@pytest.mark.usefixtures("connector")
def test_a_learned_sample_warns_until_a_user_fails(docker: DockerHost, tmp_path: Path) -> None:
    """Behind a wildcard: not probeable, then probed where users went; a warning when down, critical with a user."""
    with helper(docker, tmp_path), watched(docker, tmp_path) as process:
        assert _is(process, "tcp:*.corp.internal", status="skipped", reason="not_probeable")
        _use(docker, 10)
        process.until(lambda: _is(process, SAMPLE, status="ok", state="ok"), "probed the sample")
        process.until(lambda: _is(process, SAMPLE_NAME, status="ok", resource="Corp"), "looked its name up")
        rows = process.rows()
        assert rows[SAMPLE]["resource"] == "Corp"
        assert "tcp:*.corp.internal" not in rows
        docker.order(NAME, "run kill $(cat /run/pid)")
        try:
            process.until(lambda: _is(process, SAMPLE, status="warning", reason="refused"), "missed the sample")
            assert process.rows()[SAMPLE]["event"] == "none"
            docker.order("connector", _line("failed_to_connect", 99, error_message="CONNECTION_FAILED"))
            process.until(lambda: _is(process, SAMPLE, status="critical", reason="refused"), "believed the user")
            assert process.rows()[SAMPLE]["event"] == "unable_to_connect"
        finally:
            docker.order(NAME, f"run {SERVE}")
        process.until(lambda: _is(process, SAMPLE, status="ok", state="ok"), "recovered")


@pytest.mark.usefixtures("connector")
def test_denied_connections_teach_nothing(docker: DockerHost, tmp_path: Path) -> None:
    """What policy denies, and what failed, is neither learned nor a failure of the network."""
    with helper(docker, tmp_path), watched(docker, tmp_path) as process:
        docker.order("connector", *(_line("denied_access", n, error_message="DENIED") for n in range(12)))
        events = "connector_health_connector_events_total"
        process.until(lambda: process.metric(events).get('event="denied"') == 12, "read them")
        assert process.status()["learned"] == {"relays": [], "samples": []}
        assert _is(process, "tcp:*.corp.internal", status="skipped", reason="not_probeable")
        assert not any(process.metric("connector_health_predictions_total").values())


@pytest.mark.usefixtures("connector")
def test_a_refused_token_until_it_is_online(docker: DockerHost, tmp_path: Path) -> None:
    """The condition of ConnectorTokenInvalid: critical while the log says so, gone when it says Online."""
    valid, online = "connector_health_connector_token_valid", "say [INFO] [connector] State: Online"
    with helper(docker, tmp_path), watched(docker, tmp_path) as process:
        docker.order("connector", online)
        process.until(lambda: process.metric(valid) == {"": 1}, "saw it online")
        docker.order("connector", "err [ERROR] [connector] failed to get an access token: Invalid token")
        process.until(lambda: _is(process, CONNECTOR, reason="token_invalid", state="failing"), "read it")
        row = process.rows()[CONNECTOR]
        assert row["status"] == "critical"
        assert "clock" in row["action"]
        assert row["facts"]["running"] is True
        assert process.metric(valid) == {"": 0}
        assert not _is(process, "tcp:*.corp.internal", reason="dependency_failed"), "it runs: nothing is silenced"
        docker.order("connector", online)
        process.until(lambda: _is(process, CONNECTOR, status="ok", state="ok"), "saw it online again")
        assert process.metric(valid) == {"": 1}


@pytest.mark.usefixtures("connector")
def test_a_token_that_is_gone_until_it_is_started_anew(docker: DockerHost, tmp_path: Path) -> None:
    """Gone, code 410: new tokens are asked for; a Connector started anew is judged by what it says itself."""
    with helper(docker, tmp_path), watched(docker, tmp_path) as process:
        docker.order("connector", "err [WARN] [libsdwan] [controller] operator(): failed to get SD: Gone, code 410")
        process.until(lambda: _is(process, CONNECTOR, reason="token_gone", state="failing"), "read it")
        assert "make new tokens" in process.rows()[CONNECTOR]["action"]
        docker.restart("connector")
        process.until(lambda: _is(process, CONNECTOR, status="ok", state="ok"), "forgot the old one's error")
