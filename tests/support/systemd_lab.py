"""A real systemd with journald in a container: its lower layer is this very machine, so our own code runs inside; or
another root (tests/support/debian_root.py), on which packages are installed.

An overlay keeps what the container writes on a tmpfs; `/run`, `/tmp` and the journal are its own; it has no network
but a loopback. It boots in about a second, and nothing of it stays.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.servers import find, require

BOOT_S = 20.0
RUN_S = 30.0  # a command; who installs packages takes longer, and says so
END_S = 2.0  # an orderly end takes a tenth of it
REPOSITORY = Path(__file__).parents[2]
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1): SIGRTMIN+4 powers off
_TARGET = """\
[Unit]
Description=What the tests need, and nothing else
Requires=basic.target systemd-journald.service
After=basic.target
AllowIsolate=yes
"""
# In memory, so that it is the same on every machine; and a test that floods the log means it.
_JOURNALD = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n"
_MASKED = ("timers.target", "docker.socket", "docker.service")  # this machine's own, of no use inside


class SystemdLab:
    """One booted container. `pid` is its first process, seen from here; `folder` is where its layers are mounted."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self.folder = folder

    @property
    def root(self) -> Path:
        """Its file system as it sees it, /proc and /run included."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def enter(self) -> tuple[str, ...]:
        """What to put before a command so that it runs inside."""
        return (find("nsenter") or "nsenter", "-t", str(self.pid), "-a")

    @property
    def journal(self) -> Path:
        """The directory of its journal files, seen from here."""
        machine = (self.root / "etc/machine-id").read_text().strip()
        return self.root / "run/log/journal" / machine

    def run(
        self, command: str | Sequence[str], *, check: bool = True, stdin: str = "", timeout_s: float = RUN_S
    ) -> str:
        """Run a command (a text is split at blanks) inside and return its output; fail with it unless told not to."""
        argv = command.split() if isinstance(command, str) else command
        done = subprocess.run(
            [*self.enter, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            errors="replace",
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def run_python(self, script: str, *arguments: str) -> str:
        """Run a script with our interpreter inside, where it finds our code; return its output."""
        settings = (f"PYTHONPATH={REPOSITORY}", "PYTHONDONTWRITEBYTECODE=1")
        return self.run(["/usr/bin/env", *settings, sys.executable, "-W", "error", script, *arguments])

    def unit(self, name: str, service: str, *, unit: str = "") -> None:
        """Write a service and have systemd read it; as something wants it, it is not forgotten when it has ended."""
        text = f"[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\n{service}\n"
        self.run(["/usr/bin/env", "tee", f"/etc/systemd/system/{name}"], stdin=text)
        self.run("mkdir -p /etc/systemd/system/lab.target.wants")
        self.run(f"ln -sf ../{name} /etc/systemd/system/lab.target.wants/{name}")
        self.run("systemctl daemon-reload")

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run(f"systemctl show {unit} --value -p {name}").strip()

    def until(self, unit: str, name: str, *values: str) -> str:
        """Wait until a unit's property has one of the values; it is another process's, so this polls."""
        end = time.monotonic() + BOOT_S
        while (found := self.show(unit, name)) not in values:
            assert time.monotonic() < end, f"{unit}: {name} is {found!r}, never {values}"
            time.sleep(0.05)
        return found


@contextlib.contextmanager
def systemd_lab(lower: Path = Path("/"), *, network: bool = False, size: str = "512m") -> Iterator[SystemdLab]:
    """Boot the container on a root that stays as it is; at the end it is gone, whatever happened.

    `network`: it stands in our network, to reach packages, instead of in one of its own with a loopback only.
    """
    require("root", "systemd-nspawn", "nsenter", "mount")
    folder = Path(tempfile.mkdtemp(prefix="systemd-lab-"))
    with contextlib.ExitStack() as clean:
        clean.callback(folder.rmdir)
        root = _layers(folder, clean, lower, size)
        log = clean.enter_context(tempfile.TemporaryFile())
        machine = f"lab-{uuid.uuid4().hex[:12]}"
        clean.callback(_forget, machine)
        nspawn = subprocess.Popen(
            _command(root, machine, lower, network=network),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        clean.callback(_end, nspawn)
        try:
            lab = SystemdLab(_booted(nspawn, folder), folder)
        except TimeoutError:
            log.seek(0)
            pytest.fail(f"systemd did not boot. {log.read().decode(errors='replace')}", pytrace=False)
        yield lab


def _layers(folder: Path, clean: contextlib.ExitStack, lower: Path, size: str) -> Path:
    """Mount the tmpfs and the overlay; return the container's root."""
    _mount("-t", "tmpfs", "-o", f"size={size},mode=755", "systemd-lab", str(folder))
    clean.callback(_unmount, folder)
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    layers = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    _mount("-t", "overlay", "-o", layers, "systemd-lab", str(folder / "root"))
    clean.callback(_unmount, folder / "root")
    root = folder / "root"
    units = root / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    (units / "lab.target").write_text(_TARGET)
    for name in _MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    conf = root / "etc/systemd/journald.conf.d"
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "lab.conf").write_text(_JOURNALD)
    (root / "etc/machine-id").write_text("")
    return root


def _command(root: Path, machine: str, lower: Path, *, network: bool) -> list[str]:
    # Our code and its interpreter may lie where the container has a file system of its own (/tmp, another disk).
    binds = [f"--bind-ro={path}" for path in sorted({str(REPOSITORY), sys.prefix})] if lower == Path("/") else []
    alone = [] if network else ["--private-network"]
    return [
        find("systemd-nspawn") or "systemd-nspawn", "-D", str(root), "--register=no", "--keep-unit",
        *alone, "--console=pipe", f"--machine={machine}", *binds,
        "--system-call-filter=adjtimex clock_adjtime",  # to read the clock, as outside; to set it takes a capability
        "/lib/systemd/systemd", "--unit=lab.target",
    ]  # fmt: skip


def _booted(nspawn: subprocess.Popen[bytes], folder: Path) -> int:
    """Return the container's first process once its systemd and journald answer. Raises: TimeoutError."""
    end = time.monotonic() + BOOT_S
    while nspawn.poll() is None and time.monotonic() < end:
        for pid in _children(nspawn.pid):
            lab = SystemdLab(pid, folder)
            if lab.run("systemctl is-active lab.target", check=False).strip() == "active":
                return pid
        time.sleep(0.05)
    raise TimeoutError


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _end(nspawn: subprocess.Popen[bytes]) -> None:
    """Power the container off; if it does not listen, kill its first process, with which all others end."""
    inits = _children(nspawn.pid)
    for number, victims in ((_POWER_OFF, inits), (signal.SIGKILL, inits), (signal.SIGKILL, [nspawn.pid])):
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        try:
            nspawn.wait(END_S)
        except subprocess.TimeoutExpired:
            continue
        return
    nspawn.wait()


def _forget(machine: str) -> None:
    """Remove what systemd-nspawn leaves when it was killed."""
    with contextlib.suppress(OSError):
        (Path("/run/systemd/nspawn/propagate") / machine).rmdir()


def _mount(*arguments: str) -> None:
    subprocess.run([find("mount") or "mount", *arguments], check=True, timeout=20)


def _unmount(path: Path) -> None:
    subprocess.run([find("umount") or "umount", "-l", str(path)], check=True, timeout=20)
