"""Network namespaces made for one test: real routes, real firewalls, nothing of the host's is touched."""

import contextlib
import ctypes
import itertools
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers import find, require

CLONE_NEWNET = 0x40000000
_COUNTER = itertools.count()
_LIBC = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """One network namespace, named, with its loopback up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, command: str, stdin: str = "") -> str:
        """Run a command (split at blanks) inside; fail with its output."""
        argv = ["ip", "netns", "exec", self.name, *command.split()]
        argv[0] = find("ip") or "ip"
        argv[4] = find(argv[4]) or argv[4]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def nft(self, rules: str) -> None:
        """Load an nftables rule set inside."""
        self.run("nft -f -", stdin=rules)

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """Make a non-blocking socket that stands in this namespace (a `SocketFactory`)."""
        with self.entered():
            sock = socket.socket(family, kind)
        sock.settimeout(0)
        return sock

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """Move this thread into the namespace for the block."""
        return entered(Path("/run/netns") / self.name)


@contextlib.contextmanager
def entered(path: Path) -> Iterator[None]:
    """Move this thread into the network namespace of a path (/run/netns/NAME, /proc/PID/ns/net) for the block."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        _setns(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(there)
        os.close(home)


def _setns(descriptor: int) -> None:
    if _LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace and delete it at the end."""
    require("root", "ip", "nft")
    name = f"ch-test-{os.getpid()}-{next(_COUNTER)}"
    ip = find("ip") or "ip"
    subprocess.run([ip, "netns", "add", name], check=True, timeout=20)
    try:
        made = Namespace(name)
        made.run("ip link set lo up")
        yield made
    finally:
        subprocess.run([ip, "netns", "delete", name], check=True, timeout=20)


def link(one: Namespace, two: Namespace, network: str = "10.77.0") -> tuple[str, str]:
    """Join two namespaces by a veth pair, interfaces `v0`; return their addresses, NETWORK.1 and NETWORK.2 (/24)."""
    subprocess.run(
        [find("ip") or "ip", "link", "add", "v0", "netns", one.name, "type", "veth", "peer", "v0", "netns", two.name],
        check=True,
        timeout=20,
    )
    for ns, host in ((one, 1), (two, 2)):
        ns.run(f"ip addr add {network}.{host}/24 dev v0")
        ns.run("ip link set v0 up")
    return f"{network}.1", f"{network}.2"
