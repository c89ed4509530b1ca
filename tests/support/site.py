"""A whole site of real servers on loopback: time, names, Controller, Relay, STUN and a Resource; its configuration."""

import contextlib
import random
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.stun import binding_request, new_transaction
from tests.support.nameservers import local, unbound
from tests.support.nginx import Site, nginx
from tests.support.ntp_server import chronyd
from tests.support.pki import Authority
from tests.support.process import quiet_port
from tests.support.servers import answers_udp, require, running

CONTROLLER, RELAY = "acme.twingate.test", "relay.twingate.test"
STUN_HOSTS = ("127.0.0.1", "127.0.0.2")  # two addresses: a NAT's mapping shows only between different ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where everything is: ports on 127.0.0.1, STUN servers as endpoints."""

    time: tuple[int, ...]
    names: int
    controller: int
    relay: int
    wiki: int
    stun: tuple[str, ...]
    ca_file: Path

    def config(self, folder: Path, *, time: Sequence[int] | None = None, date: bool = True, more: str = "") -> Path:
        """Write a configuration that watches all of this; `time` and `date` choose the sources of time."""
        servers = [f"127.0.0.1:{port}" for port in (self.time if time is None else time)]
        file = folder / "site.yaml"
        file.write_text(f"""\
connector: {{name: site-1, remote_network: Site, runtime: none}}
clock: {{servers: {servers}, controller_date: {str(date).lower()}}}
control_plane: {{urls: ["https://{CONTROLLER}:{self.controller}"], ca_file: {self.ca_file}}}
relays: {{endpoints: ["{RELAY}:{self.relay}"], stun: {list(self.stun)}}}
dns: {{nameservers: ["127.0.0.1:{self.names}"], search: [], timeout: 1s}}
provider: {{enabled: never}}
schedule: {{timeout: 1s, confirm: {{interval: 50ms}}}}
probing: {{allow: [127.0.0.0/8]}}
state: {{path: {folder / "state.db"}}}
checks: {{host: false}}
resources:
  - {{name: Wiki, address: wiki.corp.test, tcp: [{self.wiki}]}}
  - {{name: Everything, address: "*.corp.test"}}
{more}""")
        return file


@contextlib.contextmanager
def site(folder: Path) -> Iterator[Servers]:
    """Run chronyd twice, unbound, nginx and coturn until the block ends."""
    require("chronyd", "unbound", "nginx", "turnserver", "root")
    root = Authority(folder)
    controller, relay, wiki = (quiet_port() for _ in range(3))
    names = local("twingate.test", f"{CONTROLLER}. A 127.0.0.1", f"{RELAY}. A 127.0.0.1")
    names += local("corp.test", "wiki.corp.test. A 127.0.0.1")
    sites = (
        Site(port=controller, pair=root.issue(CONTROLLER)),
        Site(port=relay, pair=root.issue(RELAY)),
        Site(port=wiki),
    )
    with contextlib.ExitStack() as stack:
        time = tuple(stack.enter_context(chronyd(folder, f"ntp-{n}")) for n in range(2))
        nameserver = stack.enter_context(unbound(folder, *names))
        stack.enter_context(nginx(folder, *sites))
        stun = tuple(stack.enter_context(coturn(folder, host)) for host in STUN_HOSTS)
        yield Servers(
            time=time, names=nameserver.port, controller=controller, relay=relay, wiki=wiki, stun=stun,
            ca_file=root.ca_file,
        )  # fmt: skip


@contextlib.contextmanager
def coturn(folder: Path, host: str) -> Iterator[str]:
    """Run coturn, STUN only, on a free port of a loopback address; yield its endpoint."""
    port = _free_udp_port(host)
    argv = ["turnserver", "-n", "--stun-only", "-L", host, "-p", str(port), "--no-cli", "--no-tls", "--no-dtls",
            "--log-file", "stdout", "--pidfile", str(folder / f"turn-{host}.pid")]  # fmt: skip
    question = binding_request(new_transaction())
    with running(argv, folder / f"turn-{host}.log", lambda: answers_udp(port, question, host)):
        yield f"{host}:{port}"


def _free_udp_port(host: str) -> int:
    """Return a port that is free for coturn: it takes the next one too."""
    while True:
        port = random.randrange(10_000, 32_000, 2)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for number in (port, port + 1):
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((host, number))
            return port
