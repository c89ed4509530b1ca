"""What a process carries: nothing that it does not use, before the first probe and while the daemon runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import TIMEOUT_S, environment
from tests.support.nameservers import local, unbound
from tests.support.process import Process, daemon, quiet_config
from tests.support.tcp import listening, port_of

RESOURCES = 50
RUNS = 3  # of each target, and as many scrapes: what only the first ones need is there by then
MOST_MIB = 56.0  # docs/performance.md has the figure, a tenth below; 2 MiB are this host's list of authorities for TLS

BEFORE_THE_FIRST_PROBE = """
import os, sys
from daemon.cli.main import main

def heard(event, arguments):
    if event == "socket.connect" and arguments[1] == ("127.0.0.1", {port}):
        print(" ".join(sorted(sys.modules)), flush=True)
        os._exit(0)

sys.addaudithook(heard)
sys.argv[1:] = ["check", "--config", {config!r}]
main()
"""
NOT_BEFORE_IT = (
    "aiohttp", "cryptography", "daemon.alerting", "daemon.app", "daemon.diagnosis.diagnostician", "daemon.logwatch",
    "daemon.metrics", "daemon.push", "daemon.report", "daemon.web", "dns", "docker", "h11", "http.client", "jinja2",
    "ntplib", "prometheus_client", "requests", "shutil", "systemd", "urllib3",
    "checks.clock", "checks.connector", "checks.control_plane", "checks.nat", "checks.provider", "checks.relay",
)  # fmt: skip
NEVER_IN_THE_DAEMON = (
    "aiohttp.web", "argparse", "checks.net.http", "cryptography", "difflib", "dns", "docker", "h11",
    "importlib.metadata", "jinja2", "requests", "rich", "unittest", "urllib3",
)  # fmt: skip


def test_the_first_probe_waits_for_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """Who checks one port has sent the first packet before the judge, the report and the other checks are imported."""
    with listening() as server:
        port = port_of(server)
        config = quiet_config(
            tmp_path, f"resources: [{{name: One, address: 127.0.0.1, tcp: [{port}]}}]\nprobing: {{method: connect}}"
        )
        code = BEFORE_THE_FIRST_PROBE.format(port=port, config=str(config))
        done = _python(code)
    loaded = done.splitlines()[0].split()
    assert "checks.tcp" in loaded
    assert [name for name in NOT_BEFORE_IT if name in loaded] == []


def test_the_daemon_imports_no_library_that_it_may_never_use() -> None:
    """Servers, clients and codecs that only some daemons use, or only a page, are not in the memory of all."""
    done = _python("import sys, daemon.cli.run, daemon.serve; print(' '.join(sorted(sys.modules)))")
    loaded = done.split()
    assert "daemon.app" in loaded
    assert [name for name in NEVER_IN_THE_DAEMON if name in loaded] == []


@pytest.mark.needs("unbound")
def test_fifty_resources_fit_beside_a_connector(tmp_path: Path) -> None:
    """A daemon that watches 50 names and 100 ports, and is scraped, takes no more than a small host can spare."""
    records = [f"r{n}.corp.test. A 127.1.0.{n + 1}" for n in range(RESOURCES)]
    with (
        unbound(tmp_path, *local("corp.test", *records)) as nameserver,
        listening("0.0.0.0") as one,
        listening("0.0.0.0") as two,
    ):
        ports = f"[{port_of(one)}, {port_of(two)}]"
        resources = "".join(f"\n- {{name: R{n}, address: r{n}.corp.test, tcp: {ports}}}" for n in range(RESOURCES))
        text = f"schedule: {{interval: 1s, timeout: 900ms}}\nprobing: {{allow: [127.0.0.0/8]}}\nresources:{resources}"
        config = quiet_config(tmp_path, text, nameserver=str(nameserver))
        with daemon(config) as process:
            process.until(lambda: _runs(process) >= RUNS * 3 * RESOURCES, "through its rounds")
            assert process.metric("connector_health_resources")['state="ok"'] == RESOURCES
            assert _resident_mib(process) <= MOST_MIB


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        env=environment(), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.stdout


def _runs(process: Process) -> float:
    return sum(process.metric("connector_health_checks_total").values())


def _resident_mib(process: Process) -> float:
    lines = Path(f"/proc/{process.popen.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024
