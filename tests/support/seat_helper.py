"""A process that stands in for the Connector, in a network namespace and a root directory, and the helper beside it."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.netns import Namespace
from tests.support.servers import find, require, running, wait_until

SO_NETNS_COOKIE = 71
HELPER = [sys.executable, "-I", "-c", "from daemon.netns import main; main()"]
_COUNTER = itertools.count()


class Stander:
    """A process that only sleeps; `name` is its executable's. It can be started again, also in another namespace."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.name = f"busybox-{os.getpid()}-{next(_COUNTER)}"  # busybox wants its own name at the beginning
        self._process: subprocess.Popen[bytes] | None = None
        for each in ("etc", "proc"):
            (self.root / each).mkdir(parents=True)
        program = self.root / self.name
        program.write_bytes(Path("/bin/busybox").read_bytes())
        program.chmod(0o755)
        (self.root / "etc/resolv.conf").write_text("nameserver 10.77.0.2\nsearch corp.internal\n")
        (self.root / "etc/hosts").write_text("10.77.0.2 db\n")
        (self.root / "etc/hostname").write_text("standin\n")

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self._process
        return self._process.pid

    def start(self, ns: Namespace, env: Mapping[str, str] | None = None) -> None:
        """Start it in a namespace, as a user of its own, and wait until it is itself."""
        nsenter, chroot = find("nsenter") or "nsenter", find("chroot") or "chroot"
        argv = [nsenter, f"--net=/run/netns/{ns.name}", chroot, "--userspec=65532:65532", str(self.root)]
        process = self._process = subprocess.Popen([*argv, f"/{self.name}", "sleep", "600"], env=dict(env or {}))
        exe = Path(f"/proc/{process.pid}/exe")
        wait_until(lambda: exe.readlink().name == self.name, lambda: process.poll() is None, lambda: "no stand-in")

    def stop(self) -> None:
        """Kill it and wait for its end."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def stander(folder: Path) -> Iterator[Stander]:
    """Make a stand-in and see to its end."""
    require("root", "nsenter", "chroot", "/bin/busybox")
    made = Stander(folder)
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def helper(folder: Path, *arguments: str) -> Iterator[tuple[str, int]]:
    """Run a listening helper; yield the path of its socket and its process id."""
    path = folder / "s"
    with running([*HELPER, "--socket", str(path), *arguments], folder / "helper.log", lambda: answers(path)) as process:
        yield str(path), process.pid


def answers(path: Path) -> bool:
    """Tell whether somebody listens at a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        return sock.connect_ex(str(path)) == 0


def cookie(sock: socket.socket) -> bytes:
    """Return what names the network namespace of a socket."""
    return sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


def open_descriptors(pid: int | str = "self") -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
