"""Which Connector is here, and what runs it: asked in the order in which the answer is surest.

It is cheap, and is repeated while nothing is found: a Connector may be installed later.
"""

import os
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from checks.model import Reason
from checks.runtime.kubernetes import IN_A_POD, KubernetesRuntime
from checks.runtime.model import Runtime, RuntimeName, Sighting, Wanted
from checks.runtime.process import NO_LOG, ProcessRuntime
from checks.runtime.systemd import SYSTEMCTL, SystemdRuntime

HOST = Path("/")
_UNIX = "unix://"
_SYSTEMD_RUNS = "run/systemd/system"  # sd_booted(3)
MAX_EVIDENCE = 500


class NothingRuntime:
    """No Connector: every look says the same. Without a problem: nobody is meant to look."""

    def __init__(self, problem: Reason | None = None, evidence: str = "", action: str = "") -> None:
        self._sighting = Sighting(runtime="none", problem=problem, evidence=evidence[:MAX_EVIDENCE], action=action)

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs: that is not known."""
        return "none"

    async def look(self) -> Sighting:
        """Say why there is nothing to be seen."""
        return self._sighting

    async def close(self) -> None:
        """Nothing is held."""


class Engine(Runtime, Protocol):
    """Docker: a runtime that also tells when the choice is not clear."""

    async def find(self) -> Sighting:
        """Look once. Raises: AmbiguousError when several Connectors run and none was chosen."""


def docker_engine(wanted: Wanted) -> Engine:
    """Make the runtime for Docker; its library is imported only now."""
    from checks.runtime.docker import DockerRuntime  # noqa: PLC0415

    return DockerRuntime(wanted.docker_host, wanted.container)


async def discover(
    wanted: Wanted,
    *,
    environ: Mapping[str, str] = os.environ,
    root: Path = HOST,
    systemctl: Sequence[str] = SYSTEMCTL,
    make_docker: Callable[[Wanted], Engine] = docker_engine,
) -> Runtime:
    """Return how to look at the Connector that is meant; a runtime that was named is taken, whatever is there.

    `root` is where /proc and /run are. Raises: AmbiguousError when several containers could be meant.
    """
    runtime, proc = wanted.runtime, root / "proc"
    if runtime == "auto" and environ.get(IN_A_POD):
        runtime = "kubernetes"
    match runtime:
        case "none":
            return NothingRuntime(evidence="connector.runtime is none: nobody looks for the Connector")
        case "docker":
            engine = make_docker(wanted)
            await _first_look(engine, engine.find)
            return engine
        case "systemd":
            return SystemdRuntime(wanted.unit, systemctl=systemctl, proc=proc)
        case "kubernetes":
            return KubernetesRuntime(environ, proc=proc)
        case "auto":
            return await _Search(wanted, root, systemctl, make_docker).run()


async def _first_look(runtime: Runtime, look: Callable[[], Awaitable[Sighting]]) -> Sighting:
    """Look for the first time, and let go of the runtime when that can't be finished."""
    finished = False
    try:
        sighting = await look()
        finished = True
    finally:
        if not finished:
            await runtime.close()
    return sighting


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a folder on the way is closed to us


class _Search:
    """One search on a host; remembers what was tried in vain.

    What runs is taken before what is only there: a container left behind when the Connector became a unit is not a
    Connector that is down.
    """

    def __init__(
        self, wanted: Wanted, root: Path, systemctl: Sequence[str], make_docker: Callable[[Wanted], Engine]
    ) -> None:
        self._wanted = wanted
        self._root = root
        self._systemctl = systemctl
        self._make_docker = make_docker
        self._absent: list[str] = []
        self._denied: list[Sighting] = []

    async def run(self) -> Runtime:
        """Return the first that runs, else the first that is there."""
        made: list[Runtime] = []
        chosen: Runtime | None = None
        try:
            stopped: Runtime | None = None
            for runtime, look in self._candidates():
                made.append(runtime)
                sighting = await look()
                if not self._is_there(sighting):
                    continue
                if sighting.running is not False:
                    chosen = runtime
                    break
                stopped = stopped or runtime
            chosen = chosen or stopped
        finally:
            for runtime in made:
                if runtime is not chosen:
                    await runtime.close()
        return chosen or self._nothing()

    def _candidates(self) -> Iterator[tuple[Runtime, Callable[[], Awaitable[Sighting]]]]:
        """Yield what could run the Connector here, each made only when it is its turn."""
        if self._docker_is_here():
            engine = self._make_docker(self._wanted)
            yield engine, engine.find
        if not _exists(self._root / _SYSTEMD_RUNS):
            self._absent.append("no systemd")
        else:
            unit = SystemdRuntime(self._wanted.unit, systemctl=self._systemctl, proc=self._root / "proc")
            yield unit, unit.look
        # A container's process is seen from its host too: then it is Docker's log that can't be read.
        no_log = self._denied[0].evidence if self._denied else NO_LOG
        process = ProcessRuntime(proc=self._root / "proc", no_log=no_log)
        yield process, process.look

    def _docker_is_here(self) -> bool:
        """Tell whether Docker can be asked, without loading its library: most hosts of a systemd unit have none."""
        host = self._wanted.docker_host
        if not host.startswith(_UNIX):
            return True  # somebody has named an engine elsewhere
        socket = Path(host.removeprefix(_UNIX))
        try:
            is_socket = stat.S_ISSOCK(socket.stat().st_mode)
        except PermissionError:
            is_socket = True  # its folder is closed to us: as good as the socket itself
        except OSError:
            is_socket = False
        if not is_socket:
            self._absent.append(f"no Docker socket {socket}")
            return False
        if os.access(socket, os.R_OK | os.W_OK, effective_ids=True):
            return True
        self._denied.append(
            Sighting(
                runtime="docker",
                problem=Reason.PERMISSION_DENIED,
                evidence=f"this account may not open Docker's socket {socket}",
                action="Add this service's user to the group that owns it, or set connector.runtime. "
                f"Repeat it by hand on this host: ls -l {socket}",
            )
        )
        return False

    def _is_there(self, sighting: Sighting) -> bool:
        """Tell whether a Connector was seen, running or not; else take note of why not."""
        if sighting.problem is None and sighting.status != "masked":
            return True
        if sighting.problem in {None, Reason.NOT_FOUND}:
            self._absent.append(sighting.evidence or f"the unit {sighting.name} is masked")
        else:
            self._denied.append(sighting)
        return False

    def _nothing(self) -> NothingRuntime:
        if self._denied:
            first = self._denied[0]
            return NothingRuntime(first.problem, first.evidence, first.action)
        return NothingRuntime(
            Reason.NOT_FOUND,
            "no Connector was found here: " + ", ".join(self._absent),
            "Install it on this host, or name it: connector.runtime, connector.container, connector.unit.",
        )
