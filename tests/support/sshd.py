"""A real sshd at its default log level, as nobody: without root it needs no directory to lock its children into."""

import contextlib
import os
import pwd
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import find, require, running

PORT = 22
USER = "nobody"
LIMIT_S = 20.0
LOW_PORT = ("--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")

Dial = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Sshd:
    """The running server."""

    address: str
    log: Path

    def greets(self, dial: Dial) -> bool:
        """Tell whether it greets who comes from where `dial` leads."""
        with contextlib.suppress(OSError):
            with dial():
                sock = socket.socket()
            with sock:
                sock.settimeout(2)
                sock.connect((self.address, PORT))
                sock.sendall(b"SSH-2.0-test\r\n")
                return sock.recv(8) == b"SSH-2.0-"
        return False

    def lines(self) -> list[str]:
        """Return what it has logged."""
        return self.log.read_text(errors="replace").splitlines()


@contextlib.contextmanager
def sshd(folder: Path, before: Sequence[str], address: str, dial: Dial) -> Iterator[Sshd]:
    """Run one at `address` until the block ends; `folder` must be one that others may enter."""
    require("root", "sshd", "ssh-keygen", "setpriv")
    key, config, made = folder / "host_key", folder / "sshd.conf", Sshd(address, folder / "sshd.log")
    make = [find("ssh-keygen") or "", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True, timeout=LIMIT_S)
    owner = pwd.getpwnam(USER)
    os.chown(key, owner.pw_uid, owner.pw_gid)
    config.write_text(f"ListenAddress {address}:{PORT}\nHostKey {key}\nPidFile none\n")
    as_user = [find("setpriv") or "", f"--reuid={USER}", f"--regid={owner.pw_gid}", "--clear-groups", *LOW_PORT]
    argv = [*before, *as_user, find("sshd") or "", "-D", "-e", "-f", str(config)]
    with running(argv, made.log, lambda: made.greets(dial)):
        yield made
