"""A Debian made from nothing, booted: our package is installed, upgraded and removed as an administrator does it."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.debian_root import debian_root, surroundings
from tests.support.systemd_lab import BOOT_S, SystemdLab, systemd_lab

APT_S = 180.0
DAEMON = "connector-health.service"
CONFIG = "/etc/connector-health/config.yaml"
STATE = "/var/lib/connector-health/state.db"
# It asks nobody: one port of its own page is all that it looks at.
# It asks nobody: its own page is all that it looks at.
_CONFIG = """\
connector: {{name: {name}, remote_network: Office, runtime: none}}
clock: {{servers: [], controller_date: false}}
relays: {{endpoints: []}}
dns: {{nameservers: []}}
provider: {{enabled: never}}
schedule: {{interval: 1s, timeout: 1s}}
resources:
  - {{name: Page, address: 127.0.0.1, tcp: [{port}]}}
web: {{listen: ["127.0.0.1:{port}"]}}
state: {{path: {state}}}
"""
_NOT_OURS = ("proc", "sys", "dev", "run", "tmp", "var/cache", "var/log", "var/lib/apt", "var/lib/dpkg")


def configuration(port: int, name: str = "office-1", state: str = STATE) -> str:
    """Return what a daemon is told that listens on this port; the container stands in our network."""
    return _CONFIG.format(port=port, name=name, state=state)


class DebLab:
    """One booted Debian."""

    def __init__(self, lab: SystemdLab) -> None:
        self.lab = lab
        self.run = lab.run

    def apt(self, *arguments: str, fails: bool = False) -> str:
        """Run apt-get as an administrator would who answers no question; return all that it prints."""
        settings = surroundings() | {"DEBIAN_FRONTEND": "noninteractive"}
        script = 'apt-get -y -q -o Dpkg::Use-Pty=0 "$@" 2>&1; echo "ended with $?"'
        variables = [f"{name}={value}" for name, value in settings.items()]
        said = self.run(["/usr/bin/env", "-i", *variables, "sh", "-c", script, "sh", *arguments], timeout_s=APT_S)
        assert said.endswith("ended with 0\n") is not fails, said
        return said

    def install(self, package: Path, *options: str, fails: bool = False) -> str:
        """Install a package file, as `apt-get install ./FILE`; return what apt-get prints."""
        folder = self.lab.root / "packages"
        folder.mkdir(exist_ok=True)
        shutil.copy(package, folder)
        said = self.apt("install", "--no-install-recommends", *options, f"/packages/{package.name}", fails=fails)
        shutil.rmtree(folder)
        return said

    def write(self, path: str, text: str) -> None:
        """Write a file in one step, as an editor does."""
        self.run(["/usr/bin/env", "tee", f"{path}.new"], stdin=text)
        self.run(["mv", f"{path}.new", path])

    def text(self, path: str) -> str:
        """Return what a file says."""
        return (self.lab.root / path.lstrip("/")).read_text()

    def there(self, path: str) -> bool:
        """Tell whether there is something at a path, even a link to nowhere."""
        return os.path.lexists(self.lab.root / path.lstrip("/"))

    def files(self) -> set[str]:
        """Return every path but those of apt, dpkg, logs and the kernel: what a package may leave behind is here."""
        found: set[str] = set()
        top = str(self.lab.root)
        for folder, folders, names in os.walk(top):
            here = os.path.relpath(folder, top)
            folders[:] = [name for name in folders if os.path.normpath(f"{here}/{name}") not in _NOT_OURS]
            found.update(os.path.normpath(f"{here}/{name}") for name in [*folders, *names])
        return found

    def processes(self, user: str) -> list[str]:
        """Return what runs as a user."""
        number = self.run(["id", "-u", user]).strip()
        lines = (self._line(Path(folder), number) for folder in (self.lab.root / "proc").glob("[0-9]*"))
        return [line for line in lines if line]

    def until_ok(self, *command: str) -> None:
        """Wait until a command of ours ends with 0; the daemon is another process, so this polls."""
        end = time.monotonic() + BOOT_S
        script = '"$@" >&2; echo $?'
        while self.run(["sh", "-c", script, "sh", *command]) != "0\n":
            assert time.monotonic() < end, self.run(["sh", "-c", f'"$@"; systemctl status {DAEMON}', "sh", *command])
            time.sleep(0.1)

    @staticmethod
    def _line(folder: Path, user: str) -> str:
        with contextlib.suppress(OSError):
            if f"\nUid:\t{user}\t" in (folder / "status").read_text():
                return (folder / "cmdline").read_text().replace("\0", " ")
        return ""


@contextlib.contextmanager
def deb_lab() -> Iterator[DebLab]:
    """Boot the Debian; it reaches packages, and at the end nothing of it stays."""
    with systemd_lab(debian_root(), network=True, size="2g") as lab:
        deb = DebLab(lab)
        deb.apt("update")
        yield deb
