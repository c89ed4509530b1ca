"""Hosts made of files, with whatever could run a Connector on them."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from checks.model import Reason
from checks.runtime.discover import discover
from checks.runtime.model import Runtime, RuntimeName, Sighting, Wanted

SYSTEMCTL_SAYS = {
    "running": "LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=4000000\n",
    "stopped": "LoadState=loaded\nActiveState=inactive\nSubState=dead\nMainPID=0\n",
    "masked": "LoadState=masked\nActiveState=inactive\nSubState=dead\nMainPID=0\n",
    "missing": "LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\n",
}
IN_DOCKER = {
    "running": Sighting(runtime="docker", name="c1", running=True),
    "stopped": Sighting(runtime="docker", name="c1", running=False, status="exited"),
    "missing": Sighting(runtime="docker", problem=Reason.NOT_FOUND, evidence="no container of the image is there"),
    "down": Sighting(runtime="docker", problem=Reason.PERMISSION_DENIED, evidence="nothing answers", action="start it"),
}


@dataclass
class FakeDocker:
    """Docker, as it answers."""

    sighting: Sighting
    error: BaseException | None = None
    looks: int = 0
    closed: int = 0

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs."""
        return "docker"

    async def look(self) -> Sighting:
        """Look once."""
        return self.sighting

    async def find(self) -> Sighting:
        """Look once."""
        self.looks += 1
        if self.error:
            raise self.error
        return self.sighting

    async def close(self) -> None:
        """Take note of it."""
        self.closed += 1


@dataclass
class Host:
    """A host made of files: what is there is added to it."""

    root: Path
    docker: FakeDocker = field(default_factory=lambda: FakeDocker(IN_DOCKER["missing"]))

    def __post_init__(self) -> None:
        (self.root / "proc").mkdir()
        self.systemctl = self.root / "systemctl"
        self.systemctl.write_text("#!/bin/sh\nexit 1\n")
        self.systemctl.chmod(0o755)

    @property
    def socket(self) -> Path:
        """Where Docker's socket is."""
        return self.root / "docker.sock"

    def add_docker(self, state: str) -> None:
        """Put a socket there that nobody listens at: only the fake is asked."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(self.socket))
        self.docker.sighting = IN_DOCKER[state]

    def add_systemd(self, state: str) -> None:
        """Have systemd run here, and know this of the unit; state "silent": it can't be asked."""
        (self.root / "run/systemd/system").mkdir(parents=True)
        if state in SYSTEMCTL_SAYS:
            (self.root / "said").write_text(SYSTEMCTL_SAYS[state])
            self.systemctl.write_text(f"#!/bin/sh\ncat {self.root}/said\n")

    def add_process(self) -> None:
        """Have a process of the Connector's name."""
        folder = self.root / "proc/7"
        folder.mkdir()
        (folder / "comm").write_text("connectord\n")
        (folder / "cmdline").write_text("/connectord\0")
        (folder / "stat").write_text("7 (connectord) S " + "1 " * 30)

    async def discover(self, runtime: str = "auto", environ: dict[str, str] | None = None) -> Runtime:
        """Look for the Connector."""
        wanted = Wanted(runtime=runtime, docker_host=f"unix://{self.socket}")  # type: ignore[arg-type]
        return await discover(
            wanted,
            environ=environ or {},
            root=self.root,
            systemctl=(str(self.systemctl),),
            make_docker=lambda _: self.docker,
        )
