"""What docs/upgrade.md promises of an older version that finds the state of a newer one."""

import contextlib
import sqlite3
from pathlib import Path

from daemon.storefile import SCHEMA
from tests.support.process import Process, daemon, quiet_config, quiet_port


def firing(process: Process) -> str:
    """Wait for the alert; return since when it fires."""
    (alert,) = process.until(lambda: process.status()["alerts"]["active"], "an alert")
    return str(alert["starts_at"])


def schema(state: Path, version: int) -> None:
    """Say in the file which version has written it."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        db.execute(f"PRAGMA user_version={version}")


def test_an_older_version_watches_says_what_it_lost_and_leaves_the_newer_state_alone(tmp_path: Path) -> None:
    """It starts, watches and alerts; its log says what it does not know; the newer version finds its past again."""
    config = quiet_config(
        tmp_path,
        f"resources: [{{name: A, address: 127.0.0.1, tcp: [{quiet_port()}]}}]\n"
        "alerting: {mode: shadow, after: {ConnectorUnableToConnect: 0}}\n"
        "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 100ms}}",
    )
    state = tmp_path / "state.db"
    with daemon(config) as process:
        since = firing(process)
        assert process.end()[0] == 0
    schema(state, SCHEMA + 1)
    newer = state.read_bytes()

    with daemon(config) as process:
        process.until_ready()
        assert firing(process) > since, "since when it fires stands in the file that it can't read"
        assert "is left untouched: it was written by a newer version" in process.log
        assert "which ports were ever up, since when alerts fire, what was learned" in process.log
        files = [str(link.readlink()) for link in Path(f"/proc/{process.popen.pid}/fd").iterdir() if link.is_symlink()]
        assert str(state) not in files, "who moves it away must not leave it open"
        assert process.end()[0] == 0
    assert state.read_bytes() == newer
    assert sorted(file.name for file in tmp_path.glob("state*")) == ["state.db"]

    schema(state, SCHEMA)
    with daemon(config) as process:
        assert firing(process) == since
        assert "untouched" not in process.log
