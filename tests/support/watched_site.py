"""Daemons that watch one broken site, a Connector in Docker beside the first: something to see in every metric."""

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from daemon.demo.lab import NAMES
from daemon.explain.alerts import ALERTS
from tests.support.demo_lab import running_lab
from tests.support.dockerd import DockerHost, dockerd
from tests.support.nameservers import local, unbound
from tests.support.process import Process, daemon
from tests.support.prometheus import Prometheus, Setup, prometheus
from tests.support.tcp import listening, port_of

NETWORK = "Demo"
CONNECTOR, OTHER, HEALTHY = "demo-1", "demo-2", "fine-1"  # the last one is in no Remote Network
NOBODY = "127.0.0.1:9"  # a port at which nothing listens
LOGGED = {"TWINGATE_LOG_LEVEL": "5", "TWINGATE_LOG_ANALYTICS": "v3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that runs."""

    docker: DockerHost
    first: Process
    second: Process
    healthy: Process
    prometheus: Prometheus
    config: Path
    billing: int

    def use(self, kind: str, number: int) -> None:
        """Let the Connector's log tell of a user at the Resource whose port is closed."""
        line: dict[str, Any] = {
            "event_type": kind,
            "timestamp": int(time.time() * 1000),  # noqa: TID251 - the Connector stamps its lines by the wall clock
            "user": {"email": "planted@example.com", "id": str(number)},
            "resource": {"address": "billing.corp.internal", "applied_rule": "billing.corp.internal", "id": "5"},
            "connection": {
                "id": f"c-{number}", "client_ip": "192.0.2.9", "resource_ip": "127.0.0.1",
                "resource_port": self.billing, "protocol": "tcp", "tunnel_path": "direct",
            },
        }  # fmt: skip
        if kind != "established_connection":
            line["connection"]["error_message"] = "CONNECTION_FAILED"
        self.docker.order(CONNECTOR, "say ANALYTICS " + json.dumps(line))

    def break_config(self) -> None:
        """Give the first daemon a file with a mistake, and let it read it."""
        self.config.write_text(self.config.read_text() + "\nno_such_key: 1\n")
        self.first.tell(signal.SIGHUP)


@contextlib.contextmanager
def watched_site(folder: Path) -> Iterator[Site]:
    """Run the lab, both daemons, the Connector, and a Prometheus with the shipped rules, until the block ends."""
    with contextlib.ExitStack() as stack:
        docker = stack.enter_context(dockerd(on_host=True))
        docker.run(CONNECTOR, env=LOGGED, network_mode="none")
        lab = stack.enter_context(running_lab(folder))
        half = stack.enter_context(listening("127.0.0.1"))
        records = [f"{name}. A {address}" for name, address in NAMES.items() if name != "status.demo.test"]
        pair = [f"pair.corp.internal. A {address}" for address in ("127.0.0.1", "127.0.0.77")]
        zones = local("corp.internal", *(one for one in [*records, *pair] if ".corp.internal" in one))
        zones += local("demo.test", *(one for one in records if ".demo.test" in one))
        nameserver = stack.enter_context(unbound(folder, *zones))
        written: dict[str, Any] = yaml.safe_load(lab.fast_config().read_text())
        broken = next(one for one in written["resources"] if one["name"] == "Billing")
        broken["severity"] = "critical"
        common = {
            "alerting": {"after": dict.fromkeys(_decided(), 0), "alertmanagers": [f"http://{NOBODY}"], "resend": "1s"}
        }
        second = written | common | {"connector": {"name": OTHER, "remote_network": NETWORK, "runtime": "none"}}
        first = written | common | {
            "connector": {"name": CONNECTOR, "remote_network": NETWORK, "runtime": "docker", "container": CONNECTOR,
                          "docker_host": docker.url, "vantage": "host"},
            "dns": {"nameservers": [str(nameserver), NOBODY], "search": [], "timeout": "300ms"},
            "resources": [
                *written["resources"],
                {"name": "Pair", "address": "pair.corp.internal", "tcp": [port_of(half)]},
                {"name": "Only here", "address": "127.0.0.78", "tcp": [port_of(half)]},
            ],
        }  # fmt: skip
        third = written | {
            "connector": {"name": HEALTHY, "runtime": "none"},
            "resources": [one for one in written["resources"] if one["name"] in ("Orders DB", "Wiki")],
        }
        first["schedule"] = written["schedule"] | {
            "intervals": written["schedule"]["intervals"] | {"connector": "1s", "dns_matrix": "1s"}
        }
        paths = [_write(folder / config["connector"]["name"], config) for config in (first, second, third)]
        one, two, three = (stack.enter_context(daemon(path)) for path in paths)
        setup = Setup(targets=[f"127.0.0.1:{process.port}" for process in (one, two, three)])
        server = stack.enter_context(prometheus(folder, setup))
        yield Site(
            docker=docker,
            first=one,
            second=two,
            healthy=three,
            prometheus=server,
            config=paths[0],
            billing=broken["tcp"][0],
        )


def _decided() -> list[str]:
    return [name for name, alert in ALERTS.items() if alert.carrier == "both"]


def _write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config | {"state": {"path": str(folder / "state.db")}}))
    return path
