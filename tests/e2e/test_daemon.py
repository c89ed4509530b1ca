"""The daemon as systemd runs it: it starts, answers, and holds its verdicts as it should."""

import datetime as dt
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.storefile import read_past
from tests.support.cli import healthctl, silent_nameserver
from tests.support.process import Process, daemon, quiet_config, quiet_port
from tests.support.tcp import listening, port_of

FAST = "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 100ms}}\n"


def resources(**ports: int | str) -> str:
    """Return Resources on loopback, one port (or range) each."""
    lines = (f"  - {{name: {name}, address: 127.0.0.1, tcp: ['{port}']}}\n" for name, port in ports.items())
    return "resources:\n" + "".join(lines)


@pytest.fixture(scope="module")
def up() -> Iterator[int]:
    """A port that accepts."""
    with listening() as sock:
        yield port_of(sock)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, up: int) -> Iterator[Process]:
    """A daemon that watches a port that accepts (A) and two that do not (B, C), once each has been settled."""
    text = resources(A=up, B=quiet_port(), C=quiet_port()) + FAST
    with daemon(quiet_config(tmp_path_factory.mktemp("watched"), text)) as process:
        process.until_ready()
        process.until(lambda: len(process.status("?status=critical")["checks"]) == 2, "sure of both closed ports")
        process.until(lambda: {row["state"] for row in process.rows().values()} == {"ok", "failing", "unknown"}, "sure")
        yield process


def test_healthy_at_once_ready_when_all_have_reported_and_ever_after(tmp_path: Path, up: int) -> None:
    """`/-/healthy` is 200 from the start, `/-/ready` 503 until each check has reported; then it stays 200."""
    with silent_nameserver() as server:
        config = quiet_config(
            tmp_path,
            "resources: [{name: A, address: a.test, tcp: [443]}]\nschedule: {interval: 1s}",
            nameserver=f"127.0.0.1:{server.getsockname()[1]}",
        )
        with daemon(config) as process:
            assert process.get("/-/healthy").status == 200
            early = process.get("/-/ready")
            assert (early.status, early.text) == (503, "not ready: not every check has reported yet\n")
            process.until_ready()
            quiet_config(tmp_path, resources(A=up).replace("name: A", "name: B") + "schedule: {interval: 1h}")
            assert process.get("/-/reload", method="POST").status == 200
            assert process.rows().keys().isdisjoint({"dns:a.test", f"tcp:127.0.0.1:{up}"}), "nothing is known yet"
            assert process.get("/-/ready").status == 200


def test_status_is_the_document_of_check(watched: Process, tmp_path: Path, up: int) -> None:
    """`/api/v1/status` has the keys of `check -o json`, in the document and in each row, and says what is held."""
    held = watched.status()
    config = quiet_config(tmp_path, resources(A=up) + FAST)
    single = json.loads(healthctl("check", "--config", str(config), "-o", "json").stdout)
    assert list(held) == list(single)
    assert {tuple(row) for row in held["checks"]} == {tuple(row) for row in single["checks"]}
    assert all(row["state"] and row["since"] for row in held["checks"])
    assert not any(row["state"] or row["since"] for row in single["checks"])
    assert (held["status"], single["status"]) == ("critical", "ok")


def test_status_is_filtered(watched: Process, up: int) -> None:
    """Rows can be asked for by status, check and Resource, and page by page."""
    ids = [row["id"] for row in watched.status()["checks"]]

    def asked(query: str) -> list[str]:
        return [row["id"] for row in watched.status(query)["checks"]]

    assert asked("?status=ok") == [f"tcp:127.0.0.1:{up}"]
    assert asked("?resource=A&resource=B&status=critical") == [
        row["id"] for row in watched.status()["checks"] if row["resource"] == "B"
    ]
    assert asked("?check=tcp") == [row_id for row_id in ids if row_id.startswith("tcp:")]
    assert asked("?limit=2") == ids[:2]
    assert asked(f"?limit=2&after={ids[1]}") == ids[2:4]
    wrong = watched.get("/api/v1/status?status=bad")
    assert wrong.status == 400
    assert "bad" in json.loads(wrong.text)["error"]


def test_failure_is_confirmed_after_the_confirmation_interval(tmp_path: Path) -> None:
    """A new failure is pending, and failing after confirm.interval, long before its next slot."""
    interval_s, confirm_s = 3.0, 0.1
    text = resources(A=quiet_port()) + f"schedule: {{interval: {interval_s:g}s, confirm: {{interval: {confirm_s}s}}}}"
    with daemon(quiet_config(tmp_path, text)) as process:
        process.until_ready()
        (row,) = (row for row in process.rows().values() if row["check"] == "tcp")
        process.until(lambda: process.rows()[row["id"]]["state"] == "failing", "failing")
        row = process.rows()[row["id"]]
        held_s = (
            dt.datetime.fromisoformat(row["started_at"]) - dt.datetime.fromisoformat(row["since"])
        ).total_seconds()
        assert confirm_s <= held_s < interval_s / 2
        assert f"{row['id']}: pending -> failing: " in process.log
        spells = json.loads(process.get(f"/api/v1/history?id={row['id']}").text)["history"]
        assert [(spell["status"], spell["reason"]) for spell in spells] == [("critical", "refused")]


def test_what_was_ever_up_survives_a_kill(tmp_path: Path) -> None:
    """A port of a range that was up counts as down after kill -9 and a restart; one that never was is never_up."""
    with listening(port=_two_ports()) as sock:
        port = port_of(sock)
        config = quiet_config(tmp_path, resources(A=f"{port}-{port + 1}") + FAST)
        here, there = f"tcp:127.0.0.1:{port}", f"tcp:127.0.0.1:{port + 1}"
        with daemon(config) as process:
            process.until(lambda: here in read_past(str(tmp_path / "state.db")).ever_up, "saved what is up")
            process.popen.kill()
            process.popen.wait()
    with daemon(config) as process:
        process.until(lambda: {here, there} <= process.rows().keys(), "looked at both")
        process.until(lambda: process.rows()[here]["state"] == "failing", "sure of the one that was up")
        rows = process.rows()
    assert [(rows[row]["status"], rows[row]["reason"]) for row in (here, there)] == [
        ("critical", "refused"),
        ("skipped", "never_up"),
    ]


def _two_ports() -> int:
    while True:
        port = quiet_port()
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port + 1)):
                return port


def test_state_that_cannot_be_written_costs_one_line(tmp_path: Path, up: int) -> None:
    """An unusable state path is said once; everything else works."""
    (tmp_path / "file").write_text("in the way")
    config = quiet_config(tmp_path, resources(A=up) + FAST)
    config.write_text(config.read_text().replace("state.db", "file/state.db"))
    with daemon(config) as process:
        process.until_ready()
        process.until(lambda: process.rows()[f"tcp:127.0.0.1:{up}"]["state"] == "ok", "ok")
        assert process.end()[0] == 0
        assert process.log.count("state is kept in memory only") == 1
        assert "Traceback" not in process.log


def test_log_has_one_line_for_each_event_and_no_traceback(watched: Process) -> None:
    """The log at its usual level: where it listens, and each change of a verdict."""
    lines = watched.log.splitlines()
    assert any("listening on" in line and str(watched.port) in line for line in lines)
    assert sum("-> failing: " in line for line in lines) == 2
    assert "Traceback" not in watched.log


@pytest.mark.parametrize("case", ["missing", "wrong", "port-taken", "address-missing"])
def test_what_cannot_start_says_why_and_is_3(case: str, tmp_path: Path, watched: Process) -> None:
    """No file, a file with a mistake, a port in use: exit code 3 and one clear line each, no traceback.

    An address that is not there (yet: a VPN at boot) is 2, so that a supervisor tries again.
    """
    config = quiet_config(tmp_path, "")
    listen = "192.0.2.1:19440" if case == "address-missing" else f"127.0.0.1:{watched.port}"
    said = {
        "missing": "config.yaml",
        "wrong": "config.yaml:8:12: schedule.intervall: unknown key, did you mean interval",
        "port-taken": listen,
        "address-missing": "web.listen: 192.0.2.1:19440 is no address of this host, or not yet",
    }[case]
    if case == "missing":
        config.unlink()
    if case == "wrong":
        quiet_config(tmp_path, "schedule: {intervall: 1s}")
    done: subprocess.CompletedProcess[str] = healthctl("run", "--config", str(config), "--web.listen-address", listen)
    assert (done.returncode, done.stdout) == (2 if case == "address-missing" else 3, "")
    assert said in done.stderr
    assert done.stderr.count("level=critical") == 1
    assert "Traceback" not in done.stderr
