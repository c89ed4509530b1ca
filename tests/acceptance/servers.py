"""The servers that a Connector depends on, on the addresses of a namespace; each can be stopped and started again."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dns.message

from tests.acceptance import scenarios as at
from tests.support.netns import Namespace
from tests.support.ntp_server import QUESTION
from tests.support.pki import KeyPair
from tests.support.servers import accepts, answers_udp, find, running

UNBOUND = """\
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  interface: {address}
  access-control: 0.0.0.0/0 allow
  local-zone: "{zone}." redirect
  local-data: "{zone}. A {services}"
  local-zone: "twingate.test." static
  local-data: "{controller_name}. A {controller}"
  local-data: "{relay_name}. A {relay}"
"""
CHRONY = """\
port 123
local stratum 3
allow 0.0.0.0/0
cmdport 0
bindaddress {address}
bindcmdaddress /
pidfile {folder}/chronyd-{address}.pid
"""


@dataclass(slots=True)
class Server:
    """One server: `argv` is what runs in the namespace, `ready` (asked there) tells that it serves."""

    name: str
    inside: Namespace
    folder: Path
    argv: list[str]
    ready: Callable[[], bool]
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        """Start it, and wait until it serves."""
        enter = ["nsenter", f"--net=/run/netns/{self.inside.name}", find(self.argv[0]) or self.argv[0], *self.argv[1:]]
        self._running.enter_context(running(enter, self.folder / f"{self.name}.log", self._ready))

    def stop(self) -> None:
        """End it."""
        self._running.close()

    def _ready(self) -> bool:
        with self.inside.entered():
            return self.ready()


def nameserver(inside: Namespace, folder: Path) -> Server:
    """Return an unbound that knows every name of the zone, and those of Controller and Relay."""
    conf = folder / "unbound.conf"
    conf.write_text(
        UNBOUND.format(
            folder=folder,
            address=at.NAMESERVER,
            zone=at.ZONE,
            services=at.SERVICES,
            controller=at.CONTROLLER,
            relay=at.RELAY,
            controller_name=at.CONTROLLER_NAME,
            relay_name=at.RELAY_NAME,
        )
    )
    question = dns.message.make_query(f"ready.{at.ZONE}.", "A").to_wire()
    return Server(
        "unbound", inside, folder, ["unbound", "-d", "-c", str(conf)], lambda: answers_udp(53, question, at.NAMESERVER)
    )


def clock(inside: Namespace, folder: Path, address: str, wrong_by: str = "") -> Server:
    """Return a chronyd that serves this machine's clock, or one that is wrong by `+6s`. It never touches the clock."""
    conf = folder / f"chronyd-{address}.conf"
    conf.write_text(CHRONY.format(address=address, folder=folder))
    chronyd = [find("chronyd") or "chronyd", "-x", "-d", "-f", str(conf), "-u", "root"]
    argv = ["faketime", "-f", wrong_by, *chronyd] if wrong_by else chronyd
    return Server(f"chronyd-{address}{wrong_by}", inside, folder, argv, lambda: answers_udp(123, QUESTION, address))


def web(inside: Namespace, folder: Path, name: str, listen: list[str], pair: KeyPair | None) -> Server:
    """Return an nginx that answers everything; `listen` holds addresses with ports."""
    tls = f"ssl_certificate {pair.chain}; ssl_certificate_key {pair.key};" if pair else ""
    listens = " ".join(f"listen {each}{' ssl' if pair else ''};" for each in listen)
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / f"{name}.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/{name}.pid; error_log stderr;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ {temporary}\naccess_log off;\n"
        f'server {{ {listens} {tls} location / {{ return 200 ""; }} }} }}\n'
    )
    host, _, port = listen[0].partition(":")
    return Server(
        name, inside, folder, ["nginx", "-p", str(folder), "-c", str(conf), "-e", "stderr"],
        lambda: accepts(int(port), host),
    )  # fmt: skip
