"""A host with servers that a careless probe harms, and beside it, over a link, the host from which it is probed."""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.mariadb import MariaDb, mariadb
from tests.support.netns import Namespace, link, namespace
from tests.support.postgres import Postgres, postgres
from tests.support.servers import find
from tests.support.sshd import Sshd, sshd

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
COUNTERS = """
table inet heard {{
  counter SYN {{ }}
  counter ACK {{ }}
  chain in {{
    type filter hook input priority 0;
    tcp dport {port} tcp flags & (syn | ack) == syn counter name SYN
    tcp dport {port} tcp flags & ack == ack counter name ACK
  }}
}}
"""
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time at all


def inside(ns: Namespace) -> list[str]:
    """Return the command that starts another one in a namespace."""
    return [find("ip") or "ip", "netns", "exec", ns.name]


@dataclass(frozen=True, slots=True)
class HarmLab:
    """The prober's host and address, and the servers on the other one's."""

    there: Namespace
    prober: Namespace
    address: str
    mariadb: MariaDb
    postgres: Postgres
    sshd: Sshd

    @property
    def before(self) -> list[str]:
        """The command that starts another one on the prober's host."""
        return inside(self.prober)

    def half_open(self, port: int, probes: int) -> dict[str, int]:
        """Probe a port half-open so many times; return how many were judged how (`accepted`, or a reason).

        `SYN`, `ACK`: how many packets of the prober came in that ask for a connection, and that complete one or more.
        """
        self.there.nft(COUNTERS.format(port=port))
        module = "tests.support.half_open_in_namespace"
        command = [*self.before, sys.executable, "-m", module, self.mariadb.address, str(port), str(probes)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        assert done.returncode == 0, done.stderr
        counted = json.loads(self.there.run("nft -j list counters"))["nftables"]
        self.there.nft("delete table inet heard")
        heard = {one["counter"]["name"]: one["counter"]["packets"] for one in counted if "counter" in one}
        judged: dict[str, int] = json.loads(done.stdout)
        return judged | heard

    def open_and_close(self, port: int, *, reset: bool = False) -> None:
        """Do what most probers do: connect, send nothing, leave; with FIN, or with a reset."""
        sock = self.prober.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        with sock:
            sock.settimeout(5)
            sock.connect((self.mariadb.address, port))
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@contextlib.contextmanager
def harm_lab() -> Iterator[HarmLab]:
    """Run all of it until the block ends."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # not every server runs as root
        there, here = stack.enter_context(namespace()), stack.enter_context(namespace())
        server, client = link(there, here)
        before = inside(there)
        yield HarmLab(
            there=there,
            prober=here,
            address=client,
            mariadb=stack.enter_context(mariadb(folder, before, server, client)),
            postgres=stack.enter_context(postgres(folder, before, server)),
            sshd=stack.enter_context(sshd(folder, before, server, here.entered)),
        )
