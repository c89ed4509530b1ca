"""Processes in a process namespace of their own: only they are seen in its /proc, and all of them end with it."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.servers import find, require

WAIT_S = 10.0


class PidSpace:
    """A process namespace (with a network namespace of its own) whose first process does nothing but wait."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._enter = [find("nsenter") or "nsenter", "-t", str(pid), "-p", "-m"]
        self._first = pid
        self._folder = folder

    @property
    def proc(self) -> Path:
        """Its /proc, seen from here."""
        return Path(f"/proc/{self._first}/root/proc")

    def start(self, name: str, *, env: Mapping[str, str] | None = None, our_net: bool = False) -> int:
        """Start a program of this name that sleeps, in the namespace's network or in ours; return its id inside."""
        program = self._folder / name
        if not program.exists():
            shutil.copy(find("sleep") or "sleep", program)
        before = set(self._pids())
        net = [] if our_net else ["-n"]
        start = ["/bin/sh", "-c", '"$0" 1000 </dev/null >/dev/null 2>&1 &', str(program)]
        subprocess.run([*self._enter, *net, *start], env=dict(env or {}), check=True, timeout=20)
        end = time.monotonic() + WAIT_S
        while True:
            for pid in set(self._pids()) - before:
                if self._command(pid).startswith(str(program)):
                    return pid
            assert time.monotonic() < end, f"{name} did not start"
            time.sleep(0.01)

    def kill(self, pid: int) -> None:
        """End a process, and wait until it is gone or has nobody who takes note of its end."""
        subprocess.run([*self._enter, "/bin/sh", "-c", f"kill -9 {pid}"], check=True, timeout=20)
        end = time.monotonic() + WAIT_S
        while self._command(pid):
            assert time.monotonic() < end, f"{pid} did not end"
            time.sleep(0.01)

    def _pids(self) -> list[int]:
        return [int(entry.name) for entry in self.proc.iterdir() if entry.name.isdigit()]

    def _command(self, pid: int) -> str:
        try:
            return (self.proc / str(pid) / "cmdline").read_text()
        except OSError:
            return ""


@contextlib.contextmanager
def pid_space(folder: Path) -> Iterator[PidSpace]:
    """Make the namespace; everything in it ends with the block."""
    require("root", "unshare", "nsenter")
    argv = [find("unshare") or "unshare", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "sleep", "1000"]
    outer = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + WAIT_S
        while not (pid := _sleeping_child(outer.pid)):
            assert outer.poll() is None, "unshare ended"
            assert time.monotonic() < end, "unshare did not start"
            time.sleep(0.01)
        yield PidSpace(pid, folder)
    finally:
        outer.kill()
        outer.wait()


def _sleeping_child(pid: int) -> int | None:
    """Return the child once it has its /proc, which it mounts before it becomes `sleep`."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                return int(child)
    return None
