"""Whole processes, seen from outside: started, measured by the kernel's clocks, ended by their process id."""

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.place import NotMeasuredError

READY_S = 60.0
END_S = 15.0
POLL_S = 0.05
LINE = 1000  # characters of a last line that are shown
PR_SET_PDEATHSIG = 1


class Running:
    """One process that was started here, with all that it starts."""

    def __init__(self, popen: "subprocess.Popen[bytes]", said: Path) -> None:
        self.popen = popen
        self._said = said

    def cpu_s(self) -> float:
        """Return the CPU seconds that it and its living children took so far, user and system, all threads.

        Source: the process clock of clock_gettime(2), counted in nanoseconds; /proc/PID/stat counts hundredths.
        """
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in _family(self.popen.pid))

    def resident_mib(self) -> float:
        """Return its resident memory in MiB (VmRSS), with that of its children."""
        return sum(_status_kib(pid, "VmRSS:") for pid in _family(self.popen.pid)) / 1024

    def output(self) -> str:
        """Return the last line of what it printed."""
        return self._said.read_text(errors="replace")[-LINE:].strip().rpartition("\n")[2]

    def until(self, holds: Callable[[], bool], what: str, within_s: float = READY_S) -> None:
        """Ask until `holds()`. Raises: NotMeasuredError when it ends before, or takes too long."""
        end = time.monotonic() + within_s
        while True:
            with contextlib.suppress(OSError):
                if holds():
                    return
            if self.popen.poll() is not None:
                raise NotMeasuredError(f"ended before it was {what}: {self.output()}")
            if time.monotonic() > end:
                raise NotMeasuredError(f"was not {what} within {within_s:g} s: {self.output()}")
            time.sleep(POLL_S)


@contextlib.contextmanager
def running(argv: Sequence[str], folder: Path, where: Path | None = None) -> Iterator[Running]:
    """Run a command until the block ends; what it prints goes to a file in the folder.

    The kernel ends it too should this process be killed: nothing stays behind.
    """
    said = folder / f"{Path(argv[0]).name}-{time.monotonic_ns()}.log"
    with said.open("wb") as out:
        popen = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=where,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - the benchmark has no threads
        )  # fmt: skip
    try:
        yield Running(popen, said)
    finally:
        popen.terminate()
        try:
            popen.wait(END_S)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _family(pid: int) -> Iterator[int]:
    """Yield a process and those that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _status_kib(pid: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def end_on_signal() -> None:
    """Let SIGTERM unwind the stack as ^C does, so that everything that was started is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
