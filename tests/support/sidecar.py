"""The daemon in a container of its own beside a Connector, as in a compose file with `network_mode: service:connector`.

A real container of a real dockerd: its own processes and files, the Connector's network and resolv.conf. This
interpreter and this repository are mounted into it where they are here.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from tests.support.dockerd import DockerHost
from tests.support.netns import entered
from tests.support.process import HEALTHCTL, Process, quiet_port

IMAGE = "lab/sidecar:1"
REPOSITORY = Path(__file__).parents[2]
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")


class _Container:
    """What `Process` asks of a process: whether it has ended, and how."""

    def __init__(self, host: DockerHost, name: str) -> None:
        self._host = host
        self._name = name

    @property
    def pid(self) -> int:
        return self._host.pid(self._name)

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        state = self._host.inspect(self._name)["State"]
        return None if state["Running"] or state["Restarting"] else int(state["ExitCode"])


class Sidecar(Process):
    """`healthctl run` as a container; asked over HTTP from inside of the network that it shares."""

    def __init__(self, host: DockerHost, name: str, port: int, folder: Path) -> None:
        container = _Container(host, name)
        super().__init__(cast("subprocess.Popen[bytes]", container), folder, port, self._dial)
        self._host, self._name = host, name

    @property
    def log(self) -> str:
        """Everything that it has said so far."""
        with self._host.api() as api:
            return cast("bytes", api.logs(self._name)).decode(errors="replace")

    @property
    def stdout(self) -> str:
        """Nothing of its own: Docker keeps both streams in one log."""
        return ""

    @property
    def starts(self) -> int:
        """How often Docker has started it anew."""
        return int(self._host.inspect(self._name)["RestartCount"])

    def _dial(self) -> contextlib.AbstractContextManager[None]:
        pid = self.popen.pid
        if not pid:
            raise ConnectionRefusedError("the sidecar does not run")
        return entered(Path(f"/proc/{pid}/ns/net"))


@contextlib.contextmanager
def sidecar(
    host: DockerHost,
    config: Path,
    *,
    beside: str,
    env: Mapping[str, str] | None = None,
    restart: str = "no",
) -> Iterator[Sidecar]:
    """Run the daemon in the network of the container `beside` until the block ends; enter when it listens."""
    with host.api() as api:
        known = {tag for image in api.images() for tag in image["RepoTags"] or ()}
    if IMAGE not in known:
        host.import_image(IMAGE)
    port, name = quiet_port(), "sidecar"
    places = {*_SYSTEM, sys.prefix, sys.base_prefix, str(REPOSITORY)}
    binds = [f"{place}:{place}:ro" for place in sorted(places) if Path(place).exists()]
    binds += [f"{config.parent}:{config.parent}:rw"]
    command = [*HEALTHCTL, "run", "--config", str(config), "--web.listen-address", f"127.0.0.1:{port}"]
    settings: dict[str, Any] = {"binds": binds, "network_mode": f"container:{beside}"}
    with host.api() as api:
        made = api.create_container(
            image=IMAGE, command=command, name=name, working_dir=str(REPOSITORY),
            environment={"PYTHONPATH": str(REPOSITORY), **(env or {})},
            host_config=api.create_host_config(restart_policy={"Name": restart}, **settings),
        )  # fmt: skip
        api.start(made["Id"])
    process = Sidecar(host, name, port, config.parent)
    try:
        process.until(lambda: process.get("/-/healthy").status == 200, "healthy")
        yield process
    finally:
        host.remove(name)
