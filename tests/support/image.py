"""Our image, really built and really run: one dockerd builds it where packages are at hand, the next runs it alone.

Both have the same data. The first stands in this machine's network and runs nothing but the build; the second stands in
a network namespace of its own, where it makes its bridges and from where nothing leads out.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.dockerd import DockerHost
from tests.support.netns import namespace
from tests.support.process import WAIT_S
from tests.support.python_base import build_arguments, python_base
from tests.support.servers import find, require

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "deploy/docker/Dockerfile"
DOCKER = "/usr/bin/docker"  # Debian's, of the same version as its dockerd: it has both builders in it
BASE = "lab/base:1"
IMAGE = "connector-health:latest"  # as compose.yaml calls it
BY_BUILDKIT = "lab/by-buildkit:1"
BUILD_S = 400
_ALONE = ("--bridge", "none", "--iptables=false", "--ip-forward=false")
_NO_OVERLAY_UPON = frozenset({"overlay", "overlayfs", "tmpfs", "aufs", "fuse"})
HARDENED: Mapping[str, Any] = {
    "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"],
    "tmpfs": {"/run/connector-health": "uid=65532,gid=65532,mode=0750"},
}  # fmt: skip
"""How compose.yaml runs it, in the words of the API."""


class Docker(DockerHost):
    """A dockerd that is also driven by Docker's own client."""

    def cli(self, *argv: str, stdin: bytes = b"", timeout: float = 60, ok: bool = True, **env: str) -> str:
        """Run `docker …` and return all that it printed; fail with it unless told not to."""
        surroundings = {**os.environ, "DOCKER_CONFIG": str(self.socket.parent), **env}
        done = subprocess.run(
            [DOCKER, "--host", self.url, *argv], input=stdin, capture_output=True, check=False, timeout=timeout,
            env=surroundings,
        )  # fmt: skip
        text = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0 or not ok, f"docker {argv}: {text[-6000:]}"
        return text

    def build(self, tag: str, *, buildkit: bool, context: Path = REPOSITORY, **arguments: str) -> str:
        """Build the Dockerfile on the base of the tests, with either builder."""
        given = {"BASE_IMAGE": BASE, **build_arguments(), **arguments}
        flags = [part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")]
        argv = ["build", "--network", "host", "--file", str(DOCKERFILE), "--tag", tag, *flags, str(context)]
        return self.cli(*argv, timeout=BUILD_S, DOCKER_BUILDKIT="1" if buildkit else "0")

    def inside_image(self, script: str, *options: str, image: str = IMAGE) -> str:
        """Run a shell script in a throw-away container of an image, without a network."""
        return self.cli("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", *options, image, "-ceu", script)

    def execute(self, name: str, *argv: str, ok: bool = True) -> str:
        """`docker exec`: return what the command printed."""
        return self.cli("exec", name, *argv, ok=ok)

    def said(self, name: str) -> str:
        """Return all that a container has logged."""
        return self.cli("logs", name)

    def watcher(self, name: str, config: Path, *, beside: str, **how: Any) -> None:  # noqa: ANN401 - as `create_host_config`
        """Run our image in the network of another container, hardened; its own health check, but each half second."""
        health = {"interval": 500_000_000, "timeout": int(WAIT_S) * 10**9, "start_period": 0, "retries": 1}
        settings = {**HARDENED, "binds": [f"{config.parent}:/etc/connector-health:ro"], **how}
        with self.api() as api:
            made = api.create_container(
                image=IMAGE, name=name, healthcheck=health, stop_timeout=10,
                host_config=api.create_host_config(network_mode=f"container:{beside}", **settings),
            )  # fmt: skip
            api.start(made["Id"])

    def health(self, name: str) -> str:
        """Return what Docker calls a container's health: starting, healthy, unhealthy."""
        return str(self.inspect(name)["State"]["Health"]["Status"])


@contextlib.contextmanager
def image_lab() -> Iterator[Docker]:
    """Build the image, and give a dockerd that has it, and nothing but it and the stand-in Connector, until the end."""
    require("root", "dockerd", "containerd", "runc", "iptables", "unshare", "nsenter", DOCKER)
    base = python_base()
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="ch"))
        stack.callback(shutil.rmtree, folder)
        driver = _storage(folder)
        builder = Docker(folder, None, (*_ALONE, *driver))
        stack.callback(builder.stop)
        builder.start()
        builder.cli("import", str(base), BASE, timeout=BUILD_S)
        with ThreadPoolExecutor() as both:  # much of a build is waiting for packages
            builds = [
                both.submit(builder.build, IMAGE, buildkit=False),
                both.submit(builder.build, BY_BUILDKIT, buildkit=True),
            ]
        for build in builds:
            build.result()
        builder.stop()
        host = Docker(folder, stack.enter_context(namespace()), driver)
        stack.callback(host.stop)
        host.start()
        stack.callback(_remove_all, host)
        host.import_image()
        yield host


def _storage(folder: Path) -> Sequence[str]:
    """Choose overlay2 where the kernel lays it over this file system: vfs copies everything at each step."""
    kind = subprocess.run(
        [find("stat") or "stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True, timeout=10
    )
    return () if kind.stdout.strip() in _NO_OVERLAY_UPON else ("--storage-driver", "overlay2")


def _remove_all(host: DockerHost) -> None:
    host.remove()
