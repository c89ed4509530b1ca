"""`healthctl explain firewall --resolve` beside a Connector in Docker: names as its own resolver gives them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import environment
from tests.support.dockerd import dockerd
from tests.support.process import HEALTHCTL
from tests.support.servers import require

pytestmark = pytest.mark.timeout(300)


def test_names_are_asked_for_from_the_connectors_place(tmp_path: Path) -> None:
    """A name that only Docker's own nameserver knows has its address, and that nameserver is listed."""
    require("root", "dockerd", "nsenter")
    config = tmp_path / "config.yaml"
    with dockerd() as host:
        host.network("site", "172.29.13.0/24")
        for name in ("db", "connector"):
            host.run(name, network_mode="site")
        config.write_text(
            f"connector: {{name: edge, runtime: docker, container: connector, docker_host: '{host.url}'}}\n"
            "clock: {servers: []}\nprovider: {enabled: never}\nrelays: {endpoints: []}\ndns: {timeout: 500ms}\n"
            "resources: [{name: Database, address: db, tcp: [5432]}]\n"
        )
        address = host.address("db", "site")
        assert host.inside is not None
        enter = ["nsenter", f"--net=/run/netns/{host.inside.name}"]
        done = subprocess.run(
            [*enter, *HEALTHCTL, "explain", "firewall", "--config", str(config), "-o", "json", "--resolve"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60, env=environment(),
        )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)["ways_out"]
    assert [way["addresses"] for way in found if way["to"] == "db"] == [[address], [address]], done.stderr
    assert "127.0.0.11" in {way["to"] for way in found if way["who"] == "connector" and way["protocol"] == "udp"}
