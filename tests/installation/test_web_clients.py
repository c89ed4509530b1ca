"""Real clients of an address with TLS, client certificates and users: Prometheus and curl."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.process import Process, healthctl, quiet_config, quiet_port
from tests.support.prometheus import Prometheus
from tests.support.servers import find, require, running
from tests.support.web_access import HERE, Folder, hashed

STRICT = (
    "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, "
    "client_allowed_sans: [prometheus.example.com], min_version: TLS13"
)
USERS = f"basic_auth_users: {{prometheus: {hashed('open sesame')}}}\n"


@pytest.fixture
def site(tmp_path: Path) -> Folder:
    """Make the daemon's certificate, and one of Prometheus: client.pem, client.key."""
    folder = Folder(tmp_path)
    (tmp_path / "ca.pem").write_bytes(folder.ours.ca_file.read_bytes())
    pair = folder.ours.issue("prometheus.example.com")
    pair.chain.rename(tmp_path / "client.pem")
    pair.key.rename(tmp_path / "client.key")
    (tmp_path / "password").write_text("open sesame")
    folder.write(STRICT, USERS)
    return folder


@pytest.fixture
def daemon(site: Folder) -> Iterator[Process]:
    """Run the daemon behind it."""
    port = quiet_port()
    config = quiet_config(
        site.path,
        f"web: {{listen: ['{HERE}:{port}'], socket: api.sock, config_file: web.yml}}\n"
        "resources: [{name: A, address: 127.0.0.1, tcp: [9]}]",
    )
    with healthctl(site.path, "run", "--config", str(config), port=port) as process:
        process.until(lambda: "listening on https://" in process.log, "listening")
        yield process


def curl(site: Folder, daemon: Process, *flags: str) -> tuple[int, str]:
    """Ask for the status with curl; return its exit code and what it wrote."""
    program = find("curl")
    assert program
    url = f"https://{HERE}:{daemon.port}/api/v1/status"
    argv = [program, "--silent", "--show-error", "--max-time", "10", "--cacert", str(site.path / "ca.pem"), *flags, url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, cwd=site.path)
    return done.returncode, done.stdout + done.stderr


def test_curl(site: Folder, daemon: Process) -> None:
    """With certificate and password there is the document; without one of them there is a reason."""
    require("curl")
    certificate, user = ("--cert", "client.pem", "--key", "client.key"), ("--user", "prometheus:open sesame")
    code, text = curl(site, daemon, *certificate, *user)
    assert (code, text[:12]) == (0, '{"schema": 1' if text.startswith('{"schema": ') else '{"schema":1,')
    code, text = curl(site, daemon, *certificate)
    assert (code, text) == (
        0,
        "a user name and its password are needed here; on the host itself ask the unix socket (web.socket)\n",
    )
    code, text = curl(site, daemon, *user)
    assert code != 0
    assert "certificate required" in text
    code, text = curl(site, daemon, *certificate, *user, "--tls-max", "1.2")
    assert code != 0
    assert "protocol version" in text


@pytest.mark.timeout(300)
def test_prometheus(site: Folder, daemon: Process) -> None:
    """Prometheus scrapes with certificate and password, and goes on while both sides' certificates are renewed."""
    require("prometheus")
    port = quiet_port()
    config = site.path / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: connector
    scheme: https
    tls_config: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key, min_version: TLS13}}
    basic_auth: {{username: prometheus, password_file: password}}
    static_configs: [{{targets: ['{HERE}:{daemon.port}']}}]
""")
    asked = Prometheus(port, site.path / "targets.json")
    argv = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={site.path / 'data'}",
        f"--web.listen-address={HERE}:{port}",
    ]

    def value(expression: str) -> float | None:
        found = list(asked.query(expression).values())
        return found[0] if found else None

    with running(argv, site.path / "prometheus.log", asked.ready):
        daemon.until(lambda: value("up") == 1 and value("connector_health_build_info"), "scraped")
        site.renew()
        daemon.until(lambda: "in force now" in daemon.log, "taking the new certificate")
        since = value("max(timestamp(up))")
        assert since is not None
        daemon.until(_later(value, since + 2), "scraped with the new certificate")
        assert value("min_over_time(up[1m])") == 1
        site.write(STRICT, f"basic_auth_users: {{other: {hashed('other')}}}\n")
        daemon.until(lambda: value("up") == 0, "refusing a user that was removed")


def _later(value: Callable[[str], float | None], moment: float) -> Callable[[], bool]:
    return lambda: (value("max(timestamp(up))") or 0) > moment and value("up") == 1
