"""Real servers for tests: on free ports of 127.0.0.1, ended by process id, their output kept for a failure."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

READY_S = 15.0
MISSING_PACKAGES = {
    "chronyd": "chrony", "faketime": "faketime", "unbound": "unbound", "nginx": "nginx-light", "turnserver": "coturn",
    "dockerd": "docker.io", "containerd": "containerd", "runc": "runc", "iptables": "iptables",
    "/usr/bin/docker": "docker.io", "docker-compose": "docker-compose", "debootstrap": "debootstrap",
    "/bin/busybox": "busybox-static", "unshare": "util-linux", "nsenter": "util-linux",
    "systemd-nspawn": "systemd-container", "/lib/systemd/systemd-journal-remote": "systemd-journal-remote",
    "nft": "nftables", "ip": "iproute2", "prometheus": "prometheus", "promtool": "prometheus", "setpriv": "util-linux",
    "prometheus-alertmanager": "prometheus-alertmanager", "amtool": "prometheus-alertmanager",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter", "cc": "gcc",
    "prometheus-node-exporter": "prometheus-node-exporter", "curl": "curl",
    "mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server", "mariadb": "mariadb-client",
    "initdb": "postgresql", "psql": "postgresql", "sshd": "openssh-server", "ssh-keygen": "openssh-client",
}  # fmt: skip


def require(*things: str) -> None:
    """Skip the test and say what is missing, unless each program (and `root`) is there; CI=true: a failure."""
    missing = [t for t in things if not (os.geteuid() == 0 if t == "root" else find(t))]
    if not missing:
        return
    wanted = " ".join(sorted({MISSING_PACKAGES.get(t, t) for t in missing if t != "root"}))
    _do_without("needs " + " and ".join(missing) + (f" (apt-get install {wanted})" if wanted else ""))


def require_module(name: str, extra: str) -> None:
    """Skip the test unless this optional module is installed; `extra` is ours that brings it. CI=true: a failure."""
    if importlib.util.find_spec(name) is None:
        _do_without(f"needs the Python module {name} (pip install connector-health[{extra}])")


def _do_without(text: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(text + ", and CI=true allows no skip", pytrace=False)
    pytest.skip(text)


def find(program: str) -> str | None:
    """Return the program's path; Debian keeps servers in directories that a user's PATH lacks."""
    versions = (str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(program, path=":".join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *versions)))


def free_port(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """Return a port that nobody uses just now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(argv: Sequence[str], log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; enter when `ready()` holds; fail with its output when it never does."""
    program = find(argv[0])
    assert program, f"{argv[0]} is not installed"
    with log.open("wb") as out:
        process = subprocess.Popen([program, *argv[1:]], stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_until(ready, lambda: process.poll() is None, lambda: f"{argv[0]}: {log.read_text(errors='replace')}")
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], explain: Callable[[], str]) -> None:
    """Poll `ready` (this waits for another process, so it can't be a signal from it), bounded by READY_S."""
    end = time.monotonic() + READY_S
    while not ready():
        if not alive() or time.monotonic() > end:
            pytest.fail(f"server did not come up. {explain()}", pytrace=False)
        time.sleep(0.02)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something accepts TCP there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def answers_udp(port: int, question: bytes, host: str = "127.0.0.1") -> bool:
    """Tell whether a datagram gets any reply there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.settimeout(0.2)
        sock.connect((host, port))
        sock.send(question)
        return bool(sock.recv(2048))
    return False
