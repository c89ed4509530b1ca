"""The daemon told what to do: reload, by signal and by request, and end."""

import os
import pwd
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Process, daemon, quiet_config, quiet_port
from tests.support.servers import require
from tests.support.tcp import listening, port_of, silent

FAST = "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 100ms}}\n"
RELOADED = "connector_health_config_last_reload_successful"


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Two ports that accept."""
    with listening() as one, listening() as two:
        yield port_of(one), port_of(two)


def _write(folder: Path, **ports: int) -> Path:
    lines = (f"  - {{name: {name}, address: 127.0.0.1, tcp: [{port}]}}\n" for name, port in ports.items())
    return quiet_config(folder, "resources:\n" + "".join(lines) + FAST)


def _resources(process: Process) -> set[str]:
    return {row["resource"] for row in process.rows().values() if row["resource"]}


def _settle(process: Process, *names: str) -> None:
    process.until(lambda: _names_in_metrics(process) == set(names), f"exporting {names}")


def _names_in_metrics(process: Process) -> set[str]:
    found = process.metric("connector_health_resource_tcp_up")
    return {part.split('"')[1] for labels in found for part in labels.split(",") if part.startswith("resource=")}


def test_hangup_loads_the_file_again(tmp_path: Path, ports: tuple[int, int]) -> None:
    """SIGHUP: a Resource that is gone vanishes, a new one is looked at, one that stays keeps its state."""
    with daemon(_write(tmp_path, A=ports[0], B=ports[1])) as process:
        _settle(process, "A", "B")
        since = process.rows()[f"tcp:127.0.0.1:{ports[0]}"]["since"]
        _write(tmp_path, A=ports[0])
        process.tell(signal.SIGHUP)
        process.until(lambda: "configuration reloaded" in process.log, "reloaded")
        assert (_resources(process), _names_in_metrics(process)) == ({"A"}, {"A"})
        _write(tmp_path, A=ports[0], C=ports[1])
        process.tell(signal.SIGHUP)
        _settle(process, "A", "C")
        assert process.rows()[f"tcp:127.0.0.1:{ports[0]}"]["since"] == since
        assert process.metric(RELOADED) == {"": 1.0}


def test_hangup_with_a_bad_file_keeps_the_last_good_one(tmp_path: Path, ports: tuple[int, int]) -> None:
    """SIGHUP with a mistake in the file: all goes on, the metric is 0 and the log says where it is; then 1 again."""
    with daemon(_write(tmp_path, A=ports[0])) as process:
        _settle(process, "A")
        quiet_config(tmp_path, "resources: [{name: A, adress: 127.0.0.1}]")
        process.tell(signal.SIGHUP)
        process.until(lambda: process.metric(RELOADED) == {"": 0.0}, "aware of the mistake")
        assert "the last good one stays" in process.log
        assert "unknown key, did you mean address?" in process.log
        assert (_resources(process), _names_in_metrics(process)) == ({"A"}, {"A"})
        _write(tmp_path, A=ports[0])
        process.tell(signal.SIGHUP)
        process.until(lambda: process.metric(RELOADED) == {"": 1.0}, "content again")


def test_reload_by_request_says_what_is_wrong(tmp_path: Path, ports: tuple[int, int]) -> None:
    """POST /-/reload: 200, or 500 with the mistakes; when it answers, what is gone is gone everywhere."""
    with daemon(_write(tmp_path, A=ports[0], B=ports[1])) as process:
        _settle(process, "A", "B")
        _write(tmp_path, B=ports[1])
        assert process.get("/-/reload", method="POST").status == 200
        assert (_resources(process), _names_in_metrics(process)) == ({"B"}, {"B"})
        assert 'resource="A"' not in process.get("/metrics").text
        quiet_config(tmp_path, "resources: [{name: A}]\nschedul: {}")
        failed = process.get("/-/reload", method="POST")
        assert failed.status == 500
        assert "config.yaml:8:13: resources[0].address: " in failed.text
        assert "config.yaml:9:1: schedul: unknown key" in failed.text
        assert process.get("/-/reload").status == 405
        assert _resources(process) == {"B"}


def test_term_ends_in_good_order(tmp_path: Path, ports: tuple[int, int]) -> None:
    """SIGTERM: exit code 0 within 2 s, though a client holds a connection, and the port is free again."""
    with daemon(_write(tmp_path, A=ports[0])) as process:
        with socket.create_connection(("127.0.0.1", process.port)) as client:
            client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            code, seconds = process.end()
        assert (code, "Traceback" in process.log) == (0, False)
        assert seconds < 2
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", process.port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end_does_not_wait_for_what_is_in_flight(number: signal.Signals, tmp_path: Path) -> None:
    """SIGTERM and SIGINT end within 2 s also while probes wait for targets that do not answer."""
    with silent() as port:
        text = (
            "dns: {nameservers: ['127.0.0.1:9'], timeout: 30s}\nschedule: {interval: 1s, timeout: 30s}\n"
            f"resources: [{{name: A, address: 127.0.0.1, tcp: [{port}]}}]"
        )
        config = quiet_config(tmp_path, "")
        kept = [line for line in config.read_text().splitlines() if not line.startswith("dns:")]
        config.write_text("\n".join([*kept, text]))
        with daemon(config) as process:
            process.until(lambda: process.metric("connector_health_scheduler_in_flight")[""] >= 1, "waiting for it")
            code, seconds = process.end(number)
            assert (code, "Traceback" in process.log) == (0, False), process.log
            assert seconds < 2


def test_without_root_all_works_that_needs_none(ports: tuple[int, int]) -> None:
    """As another user than root, without network capabilities, ports are judged and state is kept."""
    require("root", "setpriv")
    nobody = pwd.getpwnam("nobody")
    # To read files is all that is left to it: the interpreter may lie in root's home.
    capabilities = [f"--{kind}=-all,+dac_read_search" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    before = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *capabilities]
    folder = Path(tempfile.mkdtemp(prefix="connector-health-test-"))  # pytest's own is root's alone
    try:
        config = _write(folder, A=ports[0], B=quiet_port())
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with daemon(config, before=before) as process:
            uids = Path(f"/proc/{process.popen.pid}/status").read_text().partition("Uid:")[2].split()[:4]
            assert set(uids) == {str(nobody.pw_uid)}
            process.until(lambda: _states(process) == ["failing", "ok"], "sure of both")
            assert process.end()[0] == 0
            assert "state is kept in memory only" not in process.log
        assert (folder / "state.db").stat().st_uid == nobody.pw_uid
    finally:
        shutil.rmtree(folder)


def _states(process: Process) -> list[str]:
    return sorted(row["state"] for row in process.rows().values() if row["check"] == "tcp")
