"""Our units as an administrator installs them, in a booted systemd, and what the daemon under them says."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns import entered
from tests.support.systemd_lab import REPOSITORY, SystemdLab, systemd_lab

UNITS = REPOSITORY / "deploy/systemd"
DAEMON, HELPER, WAITS = "connector-health.service", "connector-health-netns.service", "connector-health.path"
CONFIG = "/etc/connector-health/config.yaml"
SOCKET = "/run/connector-health/api.sock"
ADDRESS = "10.98.7.1"
WAIT_S = 20.0
_PROGRAMS = {"healthctl": "daemon.cli.main", "connector-health-netns": "daemon.netns"}
_PROGRAM = """\
#!/bin/sh
exec /opt/connector-health/bin/python -c 'import sys; from {module} import main; sys.exit(main())' "$@"
"""
# A sandboxed unit sees neither /tmp nor root's home, where this interpreter may lie: it is bound below /opt, and finds
# its library there. `site` is for what a test wants imported first.
_PYTHON = """\
#!/bin/sh
export PYTHONPATH=/opt/connector-health/site:/opt/connector-health/code:/opt/connector-health/packages
export LD_LIBRARY_PATH=/opt/connector-health/base/lib
exec /opt/connector-health/base/{python} "$@"
"""
_QUIET = """\
clock: {clock}
relays: {{endpoints: []}}
dns: {{nameservers: ['127.0.0.1:9'], search: [], timeout: 500ms}}
provider: {{enabled: never}}
schedule: {{interval: 1s, timeout: 500ms, confirm: {{interval: 100ms}}, intervals: {{connector: 1s}}}}
"""


@contextlib.contextmanager
def installed() -> Iterator[SystemdLab]:
    """Boot a systemd with our program and units installed and nothing of them started; it has one interface."""
    with systemd_lab() as lab:
        base = Path(sys.base_prefix)
        python = Path(os.path.realpath(sys.executable)).relative_to(base.resolve())
        places = {"code": REPOSITORY, "packages": Path(sysconfig.get_path("platlib")), "base": base}
        for name, place in places.items():
            lab.run(["mkdir", "-p", f"/opt/connector-health/{name}"])
            lab.run(["mount", "--bind", str(place), f"/opt/connector-health/{name}"])
        scripts = {name: _PROGRAM.format(module=module) for name, module in _PROGRAMS.items()}
        for name, text in (scripts | {"python": _PYTHON.format(python=python)}).items():
            write(lab, f"/opt/connector-health/bin/{name}", text, mode=0o755)
        for unit in UNITS.glob("connector-health*.*"):
            if unit.suffix in {".service", ".socket", ".path", ".timer"}:
                write(lab, f"/etc/systemd/system/{unit.name}", unit.read_text())
        for kind in ("sysusers", "tmpfiles"):
            write(lab, f"/usr/lib/{kind}.d/connector-health.conf", (UNITS / f"connector-health.{kind}").read_text())
        lab.run("systemd-sysusers connector-health.conf")
        lab.run("systemd-tmpfiles --create connector-health.conf")
        lab.run("systemctl daemon-reload")
        lab.run("ip link add v0 type veth peer name v1")
        lab.run(f"ip addr add {ADDRESS}/24 dev v0")
        for name in ("v0", "v1"):
            lab.run(f"ip link set {name} up")
        yield lab


def write(lab: SystemdLab, path: str, text: str, *, mode: int = 0o644) -> None:
    """Write a file in the container, as root's; it is complete when it appears."""
    file = lab.root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_text(text)
    new.chmod(mode)
    shutil.chown(new, 0, 0)
    new.rename(file)


def quiet(connector: str, more: str = "", *, clock: str = "{servers: [], controller_date: false}") -> str:
    """Return a configuration that asks nobody outside; `connector` and `more` are its first and last lines."""
    return f"connector: {connector}\n{_QUIET.format(clock=clock)}{more}"


@contextlib.contextmanager
def drop_in(lab: SystemdLab, unit: str, text: str, name: str = "lab.conf") -> Iterator[None]:
    """Put a drop-in beside a unit for the block; who wants it in force starts the unit anew."""
    path = f"/etc/systemd/system/{unit}.d/{name}"
    write(lab, path, text)
    lab.run("systemctl daemon-reload")
    try:
        yield
    finally:
        (lab.root / path.lstrip("/")).unlink()
        lab.run("systemctl daemon-reload")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self._path)


class Watcher:
    """One daemon of the container: asked by its socket, or by a port of its loopback."""

    def __init__(self, lab: SystemdLab, unit: str = DAEMON, port: int = 0) -> None:
        self.lab = lab
        self.unit = unit
        self._port = port

    @property
    def pid(self) -> str:
        """Its process, as the container counts them."""
        return self.lab.show(self.unit, "MainPID")

    def proc(self, name: str) -> str:
        """Return a file of its process in /proc."""
        return (self.lab.root / "proc" / self.pid / name).read_text()

    def sockets(self) -> set[str]:
        """Return the inodes of the sockets that its process holds."""
        found = set()
        for descriptor in (self.lab.root / "proc" / self.pid / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
        return found

    def get(self, path: str) -> str:
        """Ask it; OSError while it does not listen."""
        if self._port:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            with entered(Path(f"/proc/{self.lab.pid}/ns/net")):
                connection.connect()
        else:
            connection = _UnixConnection(f"{self.lab.root}{SOCKET}")
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return `/api/v1/status`."""
        found: dict[str, Any] = json.loads(self.get("/api/v1/status"))
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return its rows by id."""
        return {row["id"]: row for row in self.status()["checks"]}

    def until(self, holds: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever `holds` returns
        """Ask until `holds()` is true, and return it; another process can't signal it to us, so this polls."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                if found := holds():
                    return found
            time.sleep(0.05)
        return pytest.fail(f"never {what}\n{self.lab.run(f'systemctl status {self.unit}', check=False)}", pytrace=False)

    def until_row(self, row: str, **wanted: object) -> dict[str, Any]:
        """Wait until a row has these values, and return it."""

        def seen() -> dict[str, Any] | None:
            found = self.rows()[row]
            return found if all(found[key] == value for key, value in wanted.items()) else None

        found: dict[str, Any] = self.until(seen, f"saw {row} {wanted}")
        return found


def journal(lab: SystemdLab, *matches: str) -> list[dict[str, Any]]:
    """Return the entries of the journal with these fields."""
    lines = lab.run(["journalctl", "--no-pager", "-o", "json", "--all", *matches]).splitlines()
    return [json.loads(line) for line in lines]
