"""The daemon as a sidecar: in the Connector's network without a helper, and what it does when that network dies."""

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dockerd import DockerHost, dockerd
from tests.support.nameservers import local, unbound
from tests.support.process import Process, daemon
from tests.support.servers import require
from tests.support.sidecar import sidecar

DB, DB_NAME = "tcp:db:5432", "dns:db"
LABEL = {"TWINGATE_LABEL_HOSTNAME": "edge-7"}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerHost]:
    """A Connector on a network of its own, and a database beside it."""
    require("root", "dockerd", "nsenter")
    with dockerd() as host:
        host.network("site", "172.29.8.0/24")
        host.import_image("lab/db:1")
        host.run("db", ["/bin/nc", "-ll", "-p", "5432", "-e", "/bin/cat"], image="lab/db:1", network_mode="site")
        host.run("connector", env=LABEL, network_mode="site")
        yield host


def _config(folder: Path, connector: str = "vantage: connector", more: str = "") -> Path:
    file = folder / "config.yaml"
    file.write_text(
        f"connector: {{remote_network: Lab, helper: {folder / 'no-helper.sock'}, {connector}}}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        "dns: {timeout: 1s}\n"
        "provider: {enabled: never}\n"
        "checks: {resolver: false, control_plane: false}\n"
        f"state: {{path: {folder / 'state.db'}}}\n"
        "schedule: {interval: 500ms, timeout: 1s, confirm: {interval: 100ms},"
        " intervals: {connector: 1s, host: 1s}}\n"
        "resources:\n"
        "  - {name: Database, address: db, tcp: [5432]}\n"
        "  - {name: Web, address: 172.29.8.1, tcp: [8080], severity: critical, expect: down}\n" + more
    )
    return file


def _status(process: Process, row: str) -> str:
    found = process.rows().get(row)
    return str(found["status"]) if found is not None else ""


def _now(holds: Callable[[], bool]) -> bool:
    """Ask one that may end at any moment."""
    with contextlib.suppress(OSError, http.client.HTTPException, KeyError):
        return holds()
    return False


def test_it_stands_where_the_connector_stands(docker: DockerHost, tmp_path: Path) -> None:
    """In the Connector's network it needs no helper: the Connector's own nameserver, and an exact verdict."""
    with sidecar(docker, _config(tmp_path), beside="connector", env=LABEL) as process:
        process.until(lambda: _status(process, DB) == "ok", "found the database")
        whole = process.status()
        assert (whole["vantage"], whole["confidence"], whole["connector"]) == ("connector", "exact", "edge-7")
        process.until(lambda: _status(process, DB_NAME) == "ok", "looked its name up")
        assert process.rows()[DB_NAME]["facts"]["addresses"] == [docker.address("db", "site")]
        assert not [row for row in process.rows() if row.endswith("@host")], "there is no other seat to look from"


def test_left_alone_it_accuses_nobody_and_ends(docker: DockerHost, tmp_path: Path) -> None:
    """After `docker restart` of the Connector only loopback is left: host unknown, nothing critical, exit code 2."""
    with sidecar(docker, _config(tmp_path), beside="connector", env=LABEL) as process:
        process.until(lambda: _status(process, DB) == "ok", "found the database")
        docker.restart("connector")
        seen: set[tuple[str, str]] = set()

        def ended() -> bool:
            if process.popen.poll() is not None:
                return True
            seen.update((row["id"], row["status"]) for row in process.status()["checks"])
            return False

        end = time.monotonic() + 20
        while not _now(ended):
            assert time.monotonic() < end, process.log
            time.sleep(0.02)
        assert process.popen.poll() == 2, process.log
        assert ("host:network", "unknown") in seen
        assert not {pair for pair in seen if pair[1] == "critical"}, process.log
        assert "-> failing" not in process.log
        assert "Traceback" not in process.log


def test_its_supervisor_lets_it_join_again(docker: DockerHost, tmp_path: Path) -> None:
    """With `restart: always` it comes back in the Connector's new network, and all is well."""
    with sidecar(docker, _config(tmp_path), beside="connector", env=LABEL, restart="always") as process:
        process.until(lambda: _status(process, DB) == "ok", "found the database")
        docker.restart("connector")
        process.until(lambda: process.starts > 0, "ended")
        process.until(lambda: _status(process, DB) == "ok", "joined the new network")
        assert process.status()["confidence"] == "exact"
        assert '"critical"' not in process.get(f"/api/v1/history?id={DB}").text


def test_in_a_container_it_wants_a_name(docker: DockerHost, tmp_path: Path) -> None:
    """A container's host name is random: without connector.name and the label it says so and ends with 3."""
    with (
        pytest.raises(pytest.fail.Exception, match=r"ended with 3[\s\S]*connector\.name"),
        sidecar(docker, _config(tmp_path), beside="connector"),
    ):
        pass


def test_on_the_hosts_network_its_own_dns_counts(docker: DockerHost, tmp_path: Path) -> None:
    """`network_mode: host` with TWINGATE_DNS: no helper is needed, and names are what that nameserver says."""
    inside = docker.inside
    assert inside is not None
    with contextlib.ExitStack() as stack:
        stack.enter_context(inside.entered())
        names = stack.enter_context(unbound(tmp_path, *local("corp.test", "wiki.corp.test. A 172.29.8.1")))
        stack.enter_context(socket.create_server(("172.29.8.1", 8443)))
        docker.run("hosted", env={"TWINGATE_DNS": str(names), **LABEL}, network_mode="host")
        stack.callback(docker.remove, "hosted")
        more = "  - {name: Wiki, address: wiki.corp.test, tcp: [8443]}\n"
        config = _config(tmp_path, f"runtime: docker, container: hosted, docker_host: '{docker.url}'", more)
        process = stack.enter_context(daemon(config))
        process.until(lambda: _status(process, "tcp:wiki.corp.test:8443") == "ok", "found the wiki")
        whole, rows = process.status(), process.rows()
        assert (whole["vantage"], whole["confidence"], whole["connector"]) == ("connector", "exact", "edge-7")
        process.until(lambda: _status(process, "dns:wiki.corp.test") == "ok", "looked the name up")
        assert process.rows()["dns:wiki.corp.test"]["facts"]["addresses"] == ["172.29.8.1"]
        assert rows["connector:process"]["status"] == "ok"
