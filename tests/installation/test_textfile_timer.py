"""The textfile units under a real systemd: what a look finds is served by Debian's own node_exporter."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exposed import lint
from tests.support.netns import entered
from tests.support.servers import require, wait_until
from tests.support.systemd_lab import SystemdLab
from tests.support.unit_lab import CONFIG, drop_in, installed, write

SERVICE, TIMER = "connector-health-textfile.service", "connector-health-textfile.timer"
MADE, DIRECTORY = "/var/lib/connector-health-textfile/connector-health.prom", "/var/lib/prometheus/node-exporter"
LINK = f"{DIRECTORY}/connector-health.prom"
DOWN = 'connector_health_resource_tcp_up{address="127.0.0.9",port="9",resource="Closed"} 0'
LOOK = """\
connector: {name: edge-1, remote_network: Edge, runtime: none}
clock: {servers: [], controller_date: false}
relays: {endpoints: []}
dns: {nameservers: [], search: []}
provider: {enabled: never}
checks: {host: false}
schedule: {confirm: {interval: 50ms}}
resources: [{name: Closed, address: 127.0.0.9, tcp: [9]}]
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    """A host with node_exporter, and with our units installed."""
    require("root", "systemd-nspawn", "prometheus-node-exporter")
    with installed() as booted:
        write(booted, CONFIG, LOOK)
        # As something wants the service, systemd does not forget how it ended.
        booted.run("mkdir -p /etc/systemd/system/lab.target.wants")
        booted.run(f"ln -sf ../{SERVICE} /etc/systemd/system/lab.target.wants/{SERVICE}")
        booted.run("systemctl daemon-reload")
        booted.run("systemctl start prometheus-node-exporter.service")
        yield booted


def _served(lab: SystemdLab) -> str:
    """Return what node_exporter answers; empty while it does not."""
    with entered(Path(f"/proc/{lab.pid}/ns/net")):
        connection = http.client.HTTPConnection("127.0.0.1", 9100, timeout=5)
        try:
            connection.connect()
        except OSError:
            return ""
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _look(lab: SystemdLab) -> str:
    """Run the unit once, and return how it ended."""
    lab.run(f"systemctl start {SERVICE}", check=False)
    return lab.show(SERVICE, "Result")


def test_a_critical_verdict_reaches_node_exporter(lab: SystemdLab) -> None:
    """Exit code 2 ends the unit well; the file is valid, and node_exporter serves it without error."""
    assert _look(lab) == "success", lab.run(f"journalctl --no-pager -u {SERVICE}")
    assert lab.show(SERVICE, "ExecMainStatus") == "2"
    assert lint((lab.root / MADE.lstrip("/")).read_text()) == ""
    assert lab.run(["stat", "-c", "%U %a", DIRECTORY, MADE]).split("\n")[:2] == ["root 755", "connector-health 644"]
    wait_until(lambda: DOWN in _served(lab), lambda: True, lambda: _served(lab))
    served = _served(lab)
    assert "node_textfile_scrape_error 0" in served
    assert f'node_textfile_mtime_seconds{{file="{LINK}"}}' in served


def test_a_mistake_fails_the_unit_and_leaves_the_last_look(lab: SystemdLab) -> None:
    """With a mistake in the configuration the unit fails and says where it is; the file grows old, and nothing lies."""
    assert _look(lab) == "success"
    before = (lab.root / MADE.lstrip("/")).read_text()
    write(lab, CONFIG, "resources: [{}]\n")
    try:
        assert _look(lab) == "exit-code"
        assert f"{CONFIG}:1:13" in lab.run(f"journalctl --no-pager -u {SERVICE}")
    finally:
        write(lab, CONFIG, LOOK)
    assert (lab.root / MADE.lstrip("/")).read_text() == before
    assert _look(lab) == "success"


def test_without_node_exporters_directory_nothing_is_done(lab: SystemdLab) -> None:
    """`systemctl status` tells that the directory is missing; no file is left anywhere."""
    lab.run(["mv", DIRECTORY, f"{DIRECTORY}.away"])
    try:
        _look(lab)
        assert lab.show(SERVICE, "ConditionResult") == "no"
        assert f"ConditionPathIsDirectory={DIRECTORY}" in lab.run(f"systemctl status {SERVICE}", check=False)
    finally:
        lab.run(["mv", f"{DIRECTORY}.away", DIRECTORY])


def test_the_timer_starts_it(lab: SystemdLab) -> None:
    """The timer, here with the first look after a second, starts the service by itself."""
    lab.run(["rm", "-f", MADE])
    soon = "[Timer]\nOnCalendar=\nOnActiveSec=1s\nRandomizedDelaySec=0\n"
    with drop_in(lab, TIMER, soon):
        lab.run(f"systemctl start {TIMER}")
        made = lab.root / MADE.lstrip("/")
        wait_until(made.exists, lambda: True, lambda: lab.run(f"systemctl status {TIMER} {SERVICE}", check=False))
        lab.run(f"systemctl stop {TIMER}")
