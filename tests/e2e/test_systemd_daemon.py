"""The daemon beside a Connector that systemd runs: unit states, its journal, and going on where we were."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns import entered
from tests.support.process import END_S, Process, daemon
from tests.support.systemd_lab import REPOSITORY, SystemdLab, systemd_lab

UNIT = "twingate-connector.service"
SCRIPT = """\
[ -p /run/orders ] || mkfifo /run/orders
exec 3<>/run/orders
echo "[INFO] [connector] State: Online"
while read -r order rest <&3; do
  case "$order" in
    say) echo "$rest" ;;
    exit) exit "$rest" ;;
  esac
done
"""
ROW, PORT = "connector:process", "tcp:127.0.0.1:9"
EVENTS = "connector_health_connector_events_total"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    """A booted systemd with a stand-in Connector as its unit."""
    with systemd_lab() as booted:
        booted.run(["/usr/bin/env", "tee", "/run/connector.sh"], stdin=SCRIPT)
        booted.unit(
            UNIT,
            "ExecStart=/bin/sh /run/connector.sh\nRestart=always\nRestartSec=100ms\nEnvironment=TWINGATE_LOG_LEVEL=5",
            unit="StartLimitIntervalSec=0",
        )
        booted.run(f"systemctl start {UNIT}")
        yield booted


@contextlib.contextmanager
def watched(lab: SystemdLab, folder: Path) -> Iterator[Process]:
    """Run the daemon inside; its state stays in a directory of the container from one run to the next."""
    config = folder / "config.yaml"
    text = (
        "connector: {name: edge-8, runtime: systemd}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        "dns: {nameservers: ['127.0.0.1:9'], search: [], timeout: 500ms}\n"
        "provider: {enabled: never}\n"
        "checks: {host: false, resolver: false, control_plane: false}\n"
        f"state: {{path: /run/{folder.name}.db}}\n"
        "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 100ms}, intervals: {connector: 1s}}\n"
        "resources: [{name: R, address: 127.0.0.1, tcp: [9], expect: any}]\n"
    )
    lab.run(["/usr/bin/env", "tee", f"/run/{folder.name}.yaml"], stdin=text)
    config.write_text(text)
    before = (*lab.enter, "/usr/bin/env", f"PYTHONPATH={REPOSITORY}")
    with daemon(
        config, before=before, dial=lambda: entered(Path(f"/proc/{lab.pid}/ns/net")), seen_as=f"/run/{folder.name}.yaml"
    ) as process:
        try:
            process.until_ready()
            yield process
        finally:
            stop(process)


def stop(process: Process) -> None:
    """End the daemon in good order: it is the child of the command that entered the container's processes."""
    pid = process.popen.pid
    with contextlib.suppress(OSError):  # it has ended
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
    assert process.popen.wait(END_S) == 0, process.log


def order(lab: SystemdLab, *orders: str) -> None:
    """Give the stand-in its orders."""
    descriptor = os.open(lab.root / "run/orders", os.O_WRONLY)
    with os.fdopen(descriptor, "w") as fifo:
        fifo.write("".join(f"{each}\n" for each in orders))


def failure(address: str) -> str:
    """Return an order to log that a user's connection failed."""
    now = int(time.time() * 1000)  # noqa: TID251 - the Connector stamps its lines by the wall clock
    return (
        f'say ANALYTICS {{"event_type":"failed_to_connect","timestamp":{now},"resource":{{"address":"{address}"}},'
        '"connection":{"resource_ip":"192.0.2.1","resource_port":443,"protocol":"tcp","error_message":"CONNECTION_FAILED"}}'
    )


def is_(process: Process, row: str, **wanted: object) -> bool:
    """Tell whether a row has these values."""
    found = process.rows().get(row)
    return found is not None and all(found[key] == value for key, value in wanted.items())


def counted(process: Process) -> float:
    """Return how many failures of users were counted."""
    return process.metric(EVENTS).get('event="unable_to_connect"', 0)


def test_unit_is_followed(lab: SystemdLab, tmp_path: Path) -> None:
    """Stopped: critical and the Resources are skipped; started: ok again, with its log read and the place known."""
    with watched(lab, tmp_path) as process:
        process.until(lambda: is_(process, ROW, status="ok"), "saw it run")
        process.until(lambda: is_(process, PORT, status="ok"), "looked at the port")
        assert process.status()["vantage"] == "connector", "it shares our network namespace"
        process.until(lambda: process.status()["connector_log"], "read the journal")
        lab.run(f"systemctl stop {UNIT}")
        try:
            process.until(lambda: is_(process, ROW, status="critical", reason="not_running"), "saw it stop")
            process.until(lambda: is_(process, PORT, reason="dependency_failed"), "skipped its Resource")
        finally:
            lab.run(f"systemctl start {UNIT}")
        process.until(lambda: is_(process, ROW, status="ok"), "saw it again")
        process.until(lambda: is_(process, PORT, status="ok"), "looked at the port again")


def test_restart_loop(lab: SystemdLab, tmp_path: Path) -> None:
    """Three restarts within a quarter of an hour are a warning; each is counted once."""
    with watched(lab, tmp_path) as process:
        process.until(lambda: is_(process, ROW, status="ok"), "saw it run")
        for _ in range(3):
            before = lab.show(UNIT, "MainPID")
            order(lab, "exit 3")
            process.until(lambda: lab.show(UNIT, "MainPID") not in ("0", before), "systemd restarted it")  # noqa: B023
        process.until(lambda: is_(process, ROW, status="warning", reason="restarting"), "saw the loop")
        assert process.metric("connector_health_connector_restarts_total") == {"": 3}


def test_rotation_vacuum_and_our_own_restart(lab: SystemdLab, tmp_path: Path) -> None:
    """Journal files that rotate and vanish cost no line; started again we go on where we were, without a repetition."""
    with watched(lab, tmp_path) as process:
        order(lab, "say [INFO] [connector] State: Online")
        process.until(lambda: (process.status()["connector_log"] or {}).get("state") == "online", "read the journal")
        order(lab, failure("a.test"))
        process.until(lambda: counted(process) == 1, "counted the first")
        lab.run("journalctl --rotate")
        order(lab, failure("b.test"))
        process.until(lambda: counted(process) == 2, "counted the second, in a new file")
        lab.run("journalctl --rotate")
        lab.run("journalctl --vacuum-files=1")
        order(lab, failure("c.test"))
        process.until(lambda: counted(process) == 3, "counted the third, after the vacuum")
    order(lab, failure("d.test"), failure("e.test"))
    with watched(lab, tmp_path) as process:
        process.until(lambda: counted(process) >= 2, "read what came while it was away")
        order(lab, failure("f.test"))
        process.until(lambda: counted(process) >= 3, "counted the next")
        assert counted(process) == 3
        assert process.status()["connector_log"]["state"] == "online", "said before our restart, and still true"
