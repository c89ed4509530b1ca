"""`healthctl` as a person or a monitoring system starts it: a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

TIMEOUT_S = 30.0
COMMAND = (sys.executable, "-c", "import sys; from daemon.cli.main import main; sys.exit(main())")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would change the output, and with `extra`."""
    # Unbuffered, Python never meets a closed pipe at its last flush, which is where the trouble is.
    dropped = ("NO_COLOR", "CONNECTOR_HEALTH_CONFIG", "_HEALTHCTL_COMPLETE", "PYTHONUNBUFFERED")
    return {k: v for k, v in os.environ.items() if k not in dropped} | dict(extra or {})


def healthctl(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *args], capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env=environment(env),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@contextlib.contextmanager
def silent_nameserver() -> Iterator[socket.socket]:
    """Open a UDP socket on loopback that takes questions and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(TIMEOUT_S)
        yield sock


def write_config(folder: Path, nameserver_port: int, timeout: str = "30s", more: str = "") -> Path:
    """Write a configuration with one name to look up at that nameserver, and nothing else on the network."""
    file = folder / "config.yaml"
    file.write_text(
        f"connector: {{name: office-1}}\n"
        f"dns: {{nameservers: ['127.0.0.1:{nameserver_port}'], search: [], timeout: {timeout}}}\n"
        f"resources: [{{name: Orders DB, address: orders.test, tcp: [5432]}}]\n{more}"
    )
    return file
