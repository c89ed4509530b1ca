"""What the kernel tells of one process, as far as we may read it. `proc` is /proc, or one like it.

Everything that belongs to the process is written by somebody else: each read is bounded.
Source: proc(5).
"""

import contextlib
import functools
import itertools
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from checks.runtime.model import MAX_VALUE, allowed_environment

PROC = Path("/proc")
MAX_ENVIRONMENT = 256 << 10  # bytes of an environment or of a file of settings
MAX_TEXT = 64 << 10  # bytes of any other file
MAX_COMM = 64
MAX_PROGRAM = 4096  # bytes of a path
MAX_DIGITS = 20  # of 64 bits
_PREFIX = b"TWINGATE_"
_QUOTES = "\"'"


def environment(proc: Path, pid: int) -> Mapping[str, str] | None:
    """Return the allowed part of the environment with which the process was started; None when it may not be read."""
    return _allowed(proc / str(pid) / "environ", b"\0", quoted=False)


def settings_file(file: Path) -> Mapping[str, str] | None:
    """Return the allowed part of a file of NAME=value lines (systemd's EnvironmentFile); None when it can't be read."""
    return _allowed(file, b"\n", quoted=True)


def _allowed(file: Path, separator: bytes, *, quoted: bool) -> Mapping[str, str] | None:
    """Keep what the contract allows; what it does not, tokens above all, is never made a string, and is overwritten."""
    raw = bytearray(MAX_ENVIRONMENT)
    try:
        size = _read_into(file, raw)
        return allowed_environment(_entries(raw, size, separator, quoted=quoted))
    except OSError:
        return None
    finally:
        raw[:] = bytes(len(raw))


def _entries(raw: bytearray, size: int, separator: bytes, *, quoted: bool) -> list[str]:
    found = []
    start = 0
    while start < size:
        end = raw.find(separator, start, size)
        end = size if end < 0 else end
        equals = raw.find(b"=", start, end)
        if equals >= 0 and raw[start:equals].strip().startswith(_PREFIX):
            name = raw[start:equals].decode("utf-8", "replace").strip()
            if allowed_environment([f"{name}="]):
                # Four bytes are the longest character.
                value = raw[equals + 1 : min(end, equals + 1 + 4 * MAX_VALUE)].decode("utf-8", "replace")
                found.append(f"{name}={value.strip().strip(_QUOTES) if quoted else value}")
        start = end + 1
    return found


def _read_into(file: Path, buffer: bytearray) -> int:
    """Fill the buffer from a regular file and return how many bytes came. Raises: OSError."""
    # Without waiting for a writer, should somebody have put a pipe there; and without a buffer that keeps a copy.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return 0
        size = 0
        with memoryview(buffer) as view:
            while count := os.readv(descriptor, [view[size:]]) if size < len(buffer) else 0:
                size += count
        return size
    finally:
        os.close(descriptor)


def text(file: Path, most: int = MAX_TEXT) -> str:
    """Return the beginning of a file, at most so many bytes; empty when it can't be read."""
    buffer = bytearray(most)
    try:
        size = _read_into(file, buffer)
    except OSError:
        return ""
    return buffer[:size].decode("utf-8", "replace")


def processes(proc: Path, most: int) -> Iterator[int]:
    """Yield the ids of at most so many processes; none when /proc can't be read."""
    with contextlib.suppress(OSError), os.scandir(proc) as entries:
        for entry in itertools.islice((e for e in entries if e.name.isascii() and e.name.isdigit()), most):
            yield int(entry.name)


def comm(proc: Path, pid: int) -> str:
    """Return what the kernel calls the process; empty when it is gone."""
    return text(proc / str(pid) / "comm", MAX_COMM).removesuffix("\n")


def program(proc: Path, pid: int) -> str:
    """Return the file name of the program with which the process was started; empty when it has no command line."""
    return text(proc / str(pid) / "cmdline", MAX_PROGRAM).partition("\0")[0].rpartition("/")[2]


def descriptors(proc: Path, pid: int) -> tuple[int, int] | None:
    """Return how many file descriptors the process has open, and its limit; None when that may not be read."""
    for line in text(proc / str(pid) / "limits").splitlines():
        words = line.removeprefix("Max open files").split()
        if line.startswith("Max open files") and words and _is_number(words[0]):
            try:
                return _count(proc, pid), int(words[0])
            except OSError:
                return None
    return None


def _count(proc: Path, pid: int) -> int:
    """Return how many descriptors a process has open. Raises: OSError, where we may not look into it."""
    folder = proc / str(pid) / "fd"
    with os.scandir(folder) as entries:
        # Since Linux 6.2 its size tells it; a Connector may have a million, and each entry costs 1 µs of the loop.
        return folder.stat().st_size if proc == PROC and _tells_count() else sum(1 for _ in entries)


@functools.cache
def _tells_count() -> bool:
    """Tell whether the size of /proc/PID/fd is the number of descriptors: ours are never none."""
    return Path("/proc/self/fd").stat().st_size > 0


def start_ticks(proc: Path, pid: int) -> int | None:
    """Return when the process began, in clock ticks since boot; None when it is gone or has already ended."""
    # The name may hold blanks and brackets: what follows begins after the last one.
    words = text(proc / str(pid) / "stat").rpartition(")")[2].split()
    if len(words) < 20 or words[0] in "ZX" or not _is_number(words[19]):
        return None
    return int(words[19])


def started_at(proc: Path, ticks: int) -> float | None:
    """Return the Unix time of so many clock ticks after boot."""
    for line in text(proc / "stat").splitlines():
        if line.startswith("btime ") and _is_number(line[6:]):
            return int(line[6:]) + ticks / os.sysconf("SC_CLK_TCK")
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def shares_network(proc: Path, pid: int) -> bool | None:
    """Tell whether the process is in our own network namespace; None when we may not know."""
    try:
        return os.stat(proc / str(pid) / "ns" / "net").st_ino == os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
    except OSError:
        return None


def ping_group_range(proc: Path = PROC) -> tuple[int, int] | None:
    """Return the groups that may send ICMP echo from our own network namespace, first and last."""
    words = text(proc / "sys/net/ipv4/ping_group_range").split()
    if len(words) != 2 or not all(_is_number(word) for word in words):
        return None
    return int(words[0]), int(words[1])
