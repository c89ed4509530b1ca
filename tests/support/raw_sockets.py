"""What the kernel says of raw sockets: whose they are, what waits in them, what they had no room for."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RawSocket:
    """One raw socket: memory of the packets that wait in it (bytes), and packets that found no room."""

    inode: int
    waiting: int
    dropped: int


def raw_sockets(pid: int, net: Path | None = None) -> list[RawSocket]:
    """Return the raw sockets that a process holds, of both families.

    `net`: the tables of the network namespace that they stand in, when it is not the one of the process.
    Source: proc(5), /proc/net/raw; the columns as Linux net/ipv4/raw.c writes them.
    """
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                held.add(int(found[1]))
    sockets = []
    for table in ("raw", "raw6"):
        with contextlib.suppress(FileNotFoundError):
            for line in (net or Path(f"/proc/{pid}/net")).joinpath(table).read_text().splitlines()[1:]:
                fields = line.split()
                sockets.append(RawSocket(int(fields[9]), int(fields[4].partition(":")[2], 16), int(fields[-1])))
    return [sock for sock in sockets if sock.inode in held]
