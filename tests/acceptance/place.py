"""One place with a Connector: a host, the gateway of its network, and behind that everything that it depends on."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance import scenarios as at
from tests.acceptance import servers
from tests.acceptance.hub import Desk, Hub
from tests.acceptance.scenarios import Scenario
from tests.acceptance.servers import Server
from tests.support.cli import environment
from tests.support.dockerd import DockerHost, dockerd
from tests.support.netns import Namespace, link, namespace
from tests.support.pki import Authority, KeyPair
from tests.support.process import HEALTHCTL

PORT = 19440
END_S = 15.0


@dataclass(slots=True, kw_only=True)
class Place:
    """What a fault can be planted in: the host, the network beyond its gateway, and the servers there, by name."""

    scenario: Scenario
    folder: Path
    host: Namespace
    beyond: Namespace
    address: str
    proxy: KeyPair
    proxy_ca: Path
    ca: Path
    aside: Server | None = None
    docker: DockerHost | None = None
    servers: dict[str, Server] = field(default_factory=dict)
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def replace(self, name: str, server: Server) -> None:
        """Stop a server and have another stand in its place."""
        self.servers[name].stop()
        self.servers[name] = server
        server.start()

    def drop(self, rule: str) -> None:
        """Have the gateway treat packets by this rule, as they come in."""
        self.beyond.nft(f"table inet fault {{ chain c {{ type filter hook input priority 0; {rule}\n}}\n}}\n")

    def let_pass(self) -> None:
        """End `drop`."""
        self.beyond.run("nft delete table inet fault")

    def connector(self, desk: Desk) -> str:
        """Return the name under which a carrier's daemon watches this place."""
        return f"{self.scenario.name}-{desk.carrier.name}"

    def config(self, desk: Desk, port: int) -> Path:
        """Write the configuration of a carrier's daemon."""
        runtime = "runtime: none"
        if self.docker:
            runtime = f"runtime: docker, container: connector, docker_host: '{self.docker.url}', vantage: host"
        resources = (self.scenario.resource(number) for number in range(self.scenario.resources))
        external = "{" + ", ".join(f"{name}: {value}" for name, value in desk.carrier.external.items()) + "}"
        home = self.folder / desk.carrier.name
        home.mkdir()
        file = home / "config.yaml"
        file.write_text(
            f"""\
connector: {{name: {self.connector(desk)}, remote_network: {self.connector(desk)}, {runtime}}}
clock: {{servers: {list(at.CLOCKS)}, controller_date: {str(self.scenario.date).lower()}}}
control_plane: {{urls: ["https://{at.CONTROLLER_NAME}"], ca_file: {self.ca}}}
relays: {{endpoints: ["{at.RELAY_NAME}:443"]}}
dns: {{nameservers: ["{at.NAMESERVER}"], search: []}}
provider: {{enabled: never}}
web: {{listen: ["{self.address}:{port}"]}}
state: {{path: {home / "state.db"}}}
alerting: {{alertmanagers: {desk.urls if desk.carrier.pushes else []}, external_labels: {external}}}
resources:
"""
            + "".join(
                f"  - {{name: {name}, address: {address}, tcp: [{number}]}}\n" for name, address, number in resources
            )
        )
        return file

    def run_daemon(self, desk: Desk, port: int) -> None:
        """Start a carrier's daemon on the host; its log goes beside its configuration."""
        config = self.config(desk, port)
        argv = ["nsenter", f"--net=/run/netns/{self.host.name}", *HEALTHCTL, "run", "--config", str(config)]
        env = environment({"SSL_CERT_FILE": str(self.proxy_ca)})  # the host's own store, which trusts the proxy
        with (config.parent / "log").open("wb") as log:
            self.daemons[desk.carrier.name] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
            )

    def stop_servers(self) -> None:
        """Stop what stands there now."""
        for server in self.servers.values():
            server.stop()

    def end_daemons(self) -> None:
        """End them in order; by force what does not end."""
        for popen in self.daemons.values():
            popen.terminate()
        for popen in self.daemons.values():
            try:
                popen.wait(END_S)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


@contextlib.contextmanager
def place(folder: Path, scenario: Scenario, hub: Hub, number: int) -> Iterator[Place]:
    """Build it, start its servers and its daemons, and take all of it down at the end."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        host, beyond = (stack.enter_context(namespace()) for _ in range(2))
        link(beyond, host, "10.77.0")
        for address in (at.NAMESERVER, at.CONTROLLER, at.RELAY, at.SERVICES, *at.CLOCKS):
            beyond.run(f"ip addr add {address}/32 dev lo")
        host.run(f"ip route add default via {at.GATEWAY}")
        address = f"10.90.1.{number + 1}"
        hub.attach(host, address, number)
        public, company = Authority(folder), Authority(folder, "Inspection Proxy Inc")
        made = Place(
            scenario=scenario, folder=folder, host=host, beyond=beyond, address=address, ca=public.ca_file,
            proxy=company.issue(at.CONTROLLER_NAME), proxy_ca=company.ca_file,
        )  # fmt: skip
        if scenario.docker:
            made.docker = stack.enter_context(dockerd())
            made.docker.run("connector", network_mode="none")
        ports = [f"{at.SERVICES}:{at.FIRST_PORT + port}" for port in range(scenario.ports)]
        made.servers = {
            "nameserver": servers.nameserver(beyond, folder),
            "controller": servers.web(
                beyond, folder, "controller", [f"{at.CONTROLLER}:443"], public.issue(at.CONTROLLER_NAME)
            ),
            "relay": servers.web(beyond, folder, "relay", [f"{at.RELAY}:443"], public.issue(at.RELAY_NAME)),
            "services": servers.web(beyond, folder, "services", ports, None),
            **{clock: servers.clock(beyond, folder, clock) for clock in at.CLOCKS},
        }
        stack.callback(made.stop_servers)
        for server in made.servers.values():
            server.start()
        stack.callback(made.end_daemons)
        for port, desk in enumerate(hub.desks.values(), PORT):
            made.run_daemon(desk, port)
        yield made
