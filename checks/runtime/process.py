"""A Connector that nothing manages: found in /proc by the name of its executable.

A host that hides other users' processes (`hidepid`) hides it too; then it is not found.
Source: proc(5).
"""

import asyncio
from pathlib import Path

from checks.model import Reason
from checks.runtime import procfs
from checks.runtime.model import PROCESSES, LogPlace, RuntimeName, Sighting

COMM_BYTES = 15  # the kernel keeps no more of a name
MAX_PROCESSES = 65_536  # looked through; a host with more runs them in containers
PROCESSES_A_STEP = 256  # 20 µs each: then the event loop has its turn
NO_LOG = "where it writes its log is decided by who started it: run it as a systemd unit or in Docker"
_COMMS = frozenset(name[:COMM_BYTES] for name in PROCESSES)


class ProcessRuntime:
    """Looks at the oldest process that is called like the Connector, and follows it: a restart is another process.

    One that was seen and is gone is not running; one that was never seen is not found. `no_log` says why its log can't
    be read.
    """

    def __init__(self, *, proc: Path = procfs.PROC, no_log: str = NO_LOG) -> None:
        self._proc = proc
        self._log = LogPlace(kind="journal", id="", problem=no_log)
        self._seen: tuple[int, int] | None = None
        self._name = ""

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs: nothing manages it."""
        return "none"

    async def look(self) -> Sighting:
        """Look once; never raises."""
        found = await self._find()
        if found is None and self._seen is None:
            return Sighting(
                runtime="none",
                name=" or ".join(PROCESSES),
                problem=Reason.NOT_FOUND,
                evidence=f"no process is called {' or '.join(PROCESSES)}",
                action="Start the Connector, or set connector.runtime. Repeat it by hand on this host: "
                f"pgrep -af '{'|'.join(PROCESSES)}'",
            )
        if found is None:
            return self._gone()
        self._seen, (pid, ticks) = found, found
        own = procfs.shares_network(self._proc, pid)
        return Sighting(
            runtime="none",
            name=self._name,
            running=True,
            status="running",
            id=f"{pid}:{ticks}",
            pid=pid,
            started_at=procfs.started_at(self._proc, ticks),
            environment=procfs.environment(self._proc, pid) or {},
            log=self._log,
            own_namespace=own,
            fds=procfs.descriptors(self._proc, pid),
            ping_group_range=procfs.ping_group_range(self._proc) if own else None,
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _gone(self) -> Sighting:
        pid, ticks = self._seen or (0, 0)
        return Sighting(
            runtime="none",
            name=self._name,
            evidence=f"process {pid} has ended",
            running=False,
            status="ended",
            id=f"{pid}:{ticks}",
            log=self._log,
        )

    async def _find(self) -> tuple[int, int] | None:
        """Return process id and start (clock ticks since boot): of the one that was seen, else of the oldest."""
        if self._seen is not None and procfs.start_ticks(self._proc, self._seen[0]) == self._seen[1]:
            return self._seen
        oldest: tuple[int, int] | None = None
        for count, pid in enumerate(procfs.processes(self._proc, MAX_PROCESSES), 1):
            if count % PROCESSES_A_STEP == 0:
                await asyncio.sleep(0)
            if procfs.comm(self._proc, pid) not in _COMMS:
                continue
            # Two names are alike in what the kernel keeps of them: the Connector's, and its control command's.
            name = procfs.program(self._proc, pid)
            ticks = procfs.start_ticks(self._proc, pid)
            if name in PROCESSES and ticks is not None and (oldest is None or (ticks, pid) < (oldest[1], oldest[0])):
                oldest, self._name = (pid, ticks), name
        return oldest
