"""The rules of `healthctl explain firewall` in force: with them alone a check passes; without one, its rows fail."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.explain.firewall_connector import PUSH_CHANNEL
from tests.acceptance import scenarios as at
from tests.acceptance import servers
from tests.support.cli import environment
from tests.support.netns import Namespace, link, namespace
from tests.support.pki import Authority
from tests.support.process import HEALTHCTL
from tests.support.servers import require, wait_until

PAGE = Path(__file__).parents[2] / "docs/firewall.md"
CONTROLLER, RELAY = f"control_plane:{at.CONTROLLER_NAME}", f"relay:{at.RELAY_NAME}"
ONE, TWO = f"tcp:one.{at.ZONE}:8000", f"tcp:{at.SERVICES}:8001"
NAMES = f"dns:one.{at.ZONE}"
RESOLVER, CLOCK = f"resolver:{at.NAMESERVER}", "clock:system"
REMOVED = {
    f"ip daddr {at.NAMESERVER} udp": {RESOLVER, NAMES, CONTROLLER, RELAY},  # a port whose name fails is not asked
    f"ip daddr {at.CLOCKS[0]} udp": {CLOCK},
    "@to_acme_twingate_test_4 tcp": {CONTROLLER},
    "@to_relay_twingate_test_4 tcp": {RELAY},
    "@to_one_corp_test_4 tcp": {ONE},
    f"ip daddr {at.SERVICES} tcp": {TWO},
}
"""What stands in a rule, and the rows that are no longer ok without it."""


@dataclass(frozen=True, slots=True)
class Office:
    """A host, and everything that its Connector depends on behind its gateway."""

    host: Namespace
    config: Path

    def healthctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the host."""
        argv = ["nsenter", f"--net=/run/netns/{self.host.name}", *HEALTHCTL, *arguments, "--config", str(self.config)]
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=40, env=environment()
        )

    def rules(self, *arguments: str) -> str:
        """Return what is printed for nft."""
        done = self.healthctl("explain", "firewall", "-o", "nft", *arguments)
        missing = {line.split()[1] for line in done.stderr.splitlines()}
        assert missing <= set(PUSH_CHANNEL), done.stderr  # this office's nameserver knows its own names only
        assert done.returncode == (1 if missing else 0)
        return done.stdout

    @contextlib.contextmanager
    def only(self, rules: str, chains: str) -> Iterator[None]:
        """Let nothing else out for the block, by the chain that the page shows."""
        self.host.nft(rules)
        self.host.nft(_shown_chain(chains))
        try:
            yield
        finally:
            self.host.run("nft delete table inet connector_health")

    def failing(self) -> dict[str, str]:
        """Check once; return the rows that are neither ok nor left out, and why."""
        done = self.healthctl("check", "-o", "json")
        rows: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
        return {row["id"]: row["reason"] for row in rows if row["status"] not in ("ok", "skipped")}


def _shown_chain(chains: str) -> str:
    """Return the chain of the page, jumping to these chains only."""
    (block,) = re.findall(r"```nft\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return "\n".join(line for line in block.splitlines() if "jump" not in line or line.split()[-1] in chains.split())


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Real servers behind a gateway; no firewall yet."""
    require("root", "nft", "ip", "unbound", "nginx", "chronyd")
    folder = tmp_path_factory.mktemp("office")
    with contextlib.ExitStack() as stack:
        host, beyond = (stack.enter_context(namespace()) for _ in range(2))
        link(beyond, host, "10.77.0")
        for address in (at.NAMESERVER, at.CONTROLLER, at.RELAY, at.SERVICES, at.CLOCKS[0]):
            beyond.run(f"ip addr add {address}/32 dev lo")
        host.run(f"ip route add default via {at.GATEWAY}")
        root = Authority(folder)
        for server in (
            servers.nameserver(beyond, folder),
            servers.web(beyond, folder, "controller", [f"{at.CONTROLLER}:443"], root.issue(at.CONTROLLER_NAME)),
            servers.web(beyond, folder, "relay", [f"{at.RELAY}:443"], root.issue(at.RELAY_NAME)),
            servers.web(beyond, folder, "services", [f"{at.SERVICES}:8000", f"{at.SERVICES}:8001"], None),
            servers.clock(beyond, folder, at.CLOCKS[0]),
        ):
            server.start()
            stack.callback(server.stop)
        wait_until(lambda: " UP " in host.run("ip -br link show v0"), lambda: True, lambda: "the link has no carrier")
        yield Office(host, _config(folder, root.ca_file))


def _config(folder: Path, ca_file: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(f"""\
connector: {{name: office-1, runtime: none}}
clock: {{servers: ["{at.CLOCKS[0]}"], controller_date: false}}
control_plane: {{urls: ["https://{at.CONTROLLER_NAME}"], ca_file: {ca_file}}}
relays: {{endpoints: ["{at.RELAY_NAME}"]}}
dns: {{nameservers: ["{at.NAMESERVER}"], search: [], timeout: 1s}}
provider: {{enabled: never}}
schedule: {{timeout: 1s, confirm: {{interval: 50ms}}}}
state: {{path: {folder / "state.db"}}}
resources:
  - {{name: One, address: one.{at.ZONE}, tcp: [8000]}}
  - {{name: Two, address: {at.SERVICES}, tcp: [8001]}}
""")
    return file


def test_the_daemons_rules_are_enough_for_a_check(office: Office) -> None:
    """With them as the only ways out every row is as good as without a firewall; without any rule all of them fail."""
    assert office.failing() == {}
    rules = office.rules("--resolve")
    with office.only(rules, "daemon_out"):
        assert office.failing() == {}
    with office.only(rules, ""):
        closed = office.failing()
    assert set(closed) == {RESOLVER, NAMES, CONTROLLER, RELAY, TWO, CLOCK}
    assert closed[TWO] == "unreachable"


@pytest.mark.parametrize("words", REMOVED)
def test_each_rule_serves_its_own_rows(office: Office, words: str) -> None:
    """With one rule removed, the rows that it serves are no longer ok, and no others."""
    lines = office.rules("--resolve").splitlines()
    kept = [line for line in lines if not ("daemon_out" in line and words in line)]
    assert len(lines) - len(kept) == 1
    with office.only("\n".join(kept) + "\n", "daemon_out"):
        failing = office.failing()
    assert set(failing) == REMOVED[words]


def test_what_the_connector_needs_is_let_out(office: Office) -> None:
    """Its chain lets out what users may reach, and UDP; a port that no Resource allows stays closed."""
    with office.only(office.rules("--resolve"), "connector_out"):
        assert set(office.failing()) == set()
        script = f"exec 3<>/dev/tcp/{at.SERVICES}/8002"
        argv = ["nsenter", f"--net=/run/netns/{office.host.name}", "bash", "-c", script]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert "No route to host" in done.stderr


def test_the_file_can_be_loaded_twice_and_filled_by_hand(office: Office) -> None:
    """Without --resolve the sets of names are empty: filled as the comment there says, their rows are ok again."""
    rules = office.rules()
    with office.only(rules, "daemon_out"):
        before = office.host.run("nft list table inet connector_health")
        office.host.nft(rules)
        assert office.host.run("nft list table inet connector_health") == before
        assert CONTROLLER in office.failing()
        for name, address in (("acme_twingate_test", at.CONTROLLER), ("relay_twingate_test", at.RELAY),
                              ("one_corp_test", at.SERVICES)):  # fmt: skip
            (line,) = re.findall(rf"as by: (add element \S+ \S+ to_{name}_4 .*)", rules)
            office.host.nft(line.replace("192.0.2.1", address) + "\n")
        assert office.failing() == {}
