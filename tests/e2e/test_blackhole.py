"""Two hundred targets that swallow every packet: they cost their time-out once, and nobody else anything."""

import datetime as dt
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import healthctl
from tests.support.netns import Namespace, link, namespace
from tests.support.process import Process, daemon, quiet_config

TARGETS = tuple(f"10.99.0.{host}" for host in range(1, 201))
HEALTHY_PORT = 4433
DROP = "table inet far { chain pre { type filter hook prerouting priority 0; ip daddr 10.99.0.0/16 drop; }; }\n"


@pytest.fixture
def site() -> Iterator[tuple[Namespace, str]]:
    """A host whose router drops all that goes to TARGETS, and answers itself; yields the host and that address."""
    with namespace() as host, namespace() as router:
        _, address = link(host, router)
        host.run(f"ip route add 10.99.0.0/16 via {address}")
        router.nft(DROP)
        with router.open_socket(socket.AF_INET, socket.SOCK_STREAM) as server:
            server.bind((address, HEALTHY_PORT))
            server.listen(256)
            yield host, address


def _resources(healthy: str, interval: str = "") -> str:
    lost = (f"  - {{name: Lost {n}, address: {address}, tcp: [443]}}\n" for n, address in enumerate(TARGETS))
    return f"resources:\n{''.join(lost)}  - {{name: Fine, address: {healthy}, tcp: [{HEALTHY_PORT}]{interval}}}\n"


def test_check_waits_for_all_of_them_at_once(site: tuple[Namespace, str], tmp_path: Path) -> None:
    """`check` needs two time-outs and the pause between, not two hundred; what works among them is ok."""
    host, healthy = site
    timeout_s, pause_s, slack_s = 2, 1, 2
    schedule = f"schedule: {{timeout: {timeout_s}s, confirm: {{interval: {pause_s}s}}}}"
    config = quiet_config(tmp_path, _resources(healthy) + schedule)
    with host.entered():
        done = healthctl("check", "--config", str(config), "-o", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 2
    ports = {row["id"]: row for row in found["checks"] if row["check"] == "tcp"}
    assert ports.pop(f"tcp:{healthy}:{HEALTHY_PORT}")["status"] == "ok"
    assert ports.keys() == {f"tcp:{address}:443" for address in TARGETS}
    verdicts = {(row["status"], row["reason"], row["event"]) for row in ports.values()}
    assert verdicts == {("critical", "timeout", "unable_to_connect")}
    assert found["duration_seconds"] <= 2 * timeout_s + pause_s + slack_s


def test_daemon_keeps_the_schedule_of_what_works(site: tuple[Namespace, str], tmp_path: Path) -> None:
    """While two hundred probes wait, a healthy target is asked in each of its slots: none is missed."""
    host, healthy = site
    runs = 5
    config = quiet_config(
        tmp_path,
        _resources(healthy, ", interval: 1s") + "schedule: {interval: 5s, timeout: 1500ms, confirm: {interval: 500ms}}",
    )
    with host.entered(), daemon(config) as process:
        process.until(lambda: process.metric("connector_health_scheduler_in_flight")[""] >= 40, "waiting for many")
        row_id = f"tcp:{healthy}:{HEALTHY_PORT}"
        process.until(lambda: row_id in process.rows(), "looked at the healthy one")
        history = f"/api/v1/history?id={row_id}"
        process.until(lambda: json.loads(process.get(history).text)["history"][0]["runs"] > runs, f"{runs} runs on")
        process.until(lambda: _held(process) == len(TARGETS), "sure of them")
        (spell,) = json.loads(process.get(history).text)["history"]
        assert spell["status"] == "ok"
        began, ended = (dt.datetime.fromisoformat(spell[key]) for key in ("began_at", "ended_at"))
        # The first run comes ahead of its slot; from the second on there is one in each second.
        assert (ended - began).total_seconds() == pytest.approx(spell["runs"] - 1, abs=1.2)
        assert process.metric("connector_health_scheduler_missed_total") == {"": 0.0}
        reasons = {row["reason"] for row in process.status("?status=critical")["checks"]}
        assert reasons == {"timeout"}


def _held(process: Process) -> float:
    """Return how many Resources are held to fail, by themselves or because of what lies on the way to them."""
    states = process.metric("connector_health_resources")
    return states['state="failing"'] + states['state="suppressed"']
