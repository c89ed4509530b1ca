"""A real dockerd for a module's tests: its own data, its own network namespace, nothing of the host's is touched.

Its bridges and firewall rules live in that namespace and go with it; its mounts live in a mount namespace of its own.
Process ids are the host's: /proc/PID of a container is what it is in real life.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import standin
from tests.support.netns import Namespace, namespace
from tests.support.servers import find, require, wait_until

IMAGE = "twingate/connector:1"
SETTINGS: Mapping[str, str] = {
    "TWINGATE_NETWORK": "acme", "TWINGATE_ACCESS_TOKEN": "access-not-a-real-one",
    "TWINGATE_REFRESH_TOKEN": "refresh-not-a-real-one",
}  # fmt: skip
API_S = 60


class DockerHost:
    """One dockerd: started, stopped and started again on the same data; `inside` is the namespace where it lives."""

    def __init__(self, folder: Path, inside: Namespace | None, options: Sequence[str] = ()) -> None:
        self.inside = inside
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "log"

    @contextlib.contextmanager
    def api(self) -> Iterator[Any]:
        """Yield a `docker.APIClient` for the block."""
        import docker  # noqa: PLC0415 - as the product does: only where it is needed

        client = docker.APIClient(base_url=self.url, version="auto", timeout=API_S)
        try:
            yield client
        finally:
            client.close()

    @property
    def log(self) -> str:
        """What dockerd has said."""
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        argv = [
            find("dockerd") or "dockerd",
            "--data-root", str(self._folder / "d"), "--exec-root", str(self._folder / "e"), "--host", self.url,
            "--pidfile", str(self._folder / "p"), "--storage-driver", "vfs",
            "--config-file", str(self._folder / "none.json"), "--shutdown-timeout", "2", *self._options,
        ]  # fmt: skip
        # Mounts that dockerd makes are to end with it, whatever ends it.
        argv = [find("unshare") or "unshare", "--mount", "--propagation", "slave", *argv]
        if self.inside:
            # Not `ip netns exec`: it mounts another /sys, without control groups.
            argv = [find("nsenter") or "nsenter", f"--net=/run/netns/{self.inside.name}", *argv]
        (self._folder / "none.json").write_text("{}")
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._process = process
        wait_until(self._answers, lambda: process.poll() is None, lambda: f"dockerd: {self.log[-4000:]}")

    def stop(self) -> None:
        """Stop dockerd, and with it its containers, as `systemctl stop docker` does."""
        if (process := self._process) is None:
            return
        self._process = None
        containerd = self._containerd()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            if containerd is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(containerd, signal.SIGKILL)

    def pause(self) -> None:
        """Make dockerd hang: it accepts connections and answers nobody."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End `pause`."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def import_image(
        self, name: str = IMAGE, *, changes: Sequence[str] = standin.LABELS, extra: dict[str, str] | None = None
    ) -> None:
        """Make the stand-in Connector's image under a name."""
        repository, _, tag = name.rpartition(":")
        with self.api() as api:
            answer = api.import_image_from_data(
                standin.image_tar(extra), repository=repository, tag=tag, changes=list(changes)
            )
        assert "error" not in answer, answer

    def run(
        self,
        name: str,
        command: str | Sequence[str] | None = None,
        *,
        image: str = IMAGE,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        labels: Mapping[str, str] | None = None,
        health: str | None = None,
        **host: Any,  # noqa: ANN401 - what `create_host_config` takes
    ) -> str:
        """Run a container and return its id.

        `env` is added to SETTINGS; `host`: network_mode, dns, dns_search, extra_hosts, restart_policy={"Name": …},
        log_config={"Type": …, "Config": {…}}, mem_limit …
        """
        check = {"test": ["CMD-SHELL", health], "interval": 100_000_000, "retries": 1} if health else None
        with self.api() as api:
            made = api.create_container(
                image=image, command=command, name=name, tty=tty, labels=dict(labels or {}), healthcheck=check,
                stop_timeout=1,  # a server as PID 1 takes no notice of SIGTERM
                environment={**SETTINGS, **(env or {})}, host_config=api.create_host_config(**host),
            )  # fmt: skip
            api.start(made["Id"])
        container: str = made["Id"]
        return container

    def network(self, name: str, subnet: str | None = None) -> None:
        """Make a user-defined bridge network: one with Docker's own DNS at 127.0.0.11."""
        import docker  # noqa: PLC0415

        pools = [docker.types.IPAMPool(subnet=subnet)] if subnet else None
        with self.api() as api:
            api.create_network(name, driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=pools))

    def inspect(self, name: str) -> dict[str, Any]:
        """Return all that Docker says of a container."""
        with self.api() as api:
            found: dict[str, Any] = api.inspect_container(name)
        return found

    def pid(self, name: str) -> int:
        """Return the process id of a container on this host."""
        number: int = self.inspect(name)["State"]["Pid"]
        return number

    def address(self, name: str, network: str = "bridge") -> str:
        """Return a container's address on a network."""
        found: str = self.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
        return found

    def order(self, name: str, *orders: str) -> None:
        """Give a stand-in Connector orders (see `standin.order`)."""
        pid = self.pid(name)
        fifo = Path(f"/proc/{pid}/root{standin.ORDERS}")
        wait_until(fifo.exists, lambda: Path(f"/proc/{pid}").exists(), lambda: f"{name} takes no orders")
        standin.order(pid, *orders)

    def write(self, name: str, path: str, data: bytes) -> None:
        """Write a file inside a running container."""
        Path(f"/proc/{self.pid(name)}/root{path}").write_bytes(data)

    def restart(self, name: str) -> None:
        """`docker restart`."""
        with self.api() as api:
            api.restart(name, timeout=5)

    def stop_container(self, name: str) -> None:
        """`docker stop`."""
        with self.api() as api:
            api.stop(name, timeout=5)

    def start_container(self, name: str) -> None:
        """`docker start`."""
        with self.api() as api:
            api.start(name)

    def remove(self, *names: str) -> None:
        """`docker rm --force`; all containers when none is named."""
        with self.api() as api:
            for name in names or [each["Id"] for each in api.containers(all=True)]:
                api.remove_container(name, force=True, v=True)

    def until(self, name: str, status: str) -> None:
        """Wait until Docker calls a container `status` (running, exited, restarting …)."""
        wait_until(
            lambda: self.inspect(name)["State"]["Status"] == status,
            lambda: True,
            lambda: f"{name} is not {status}: {self.inspect(name)['State']}",
        )

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:  # the SDK leaves its socket open when nobody listens
            try:
                sock.connect(str(self.socket))
            except OSError:
                return False
        with self.api() as api:
            return bool(api.ping())

    def _containerd(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            return int((self._folder / "e/containerd/containerd.pid").read_text())
        return None


@contextlib.contextmanager
def dockerd(*options: str, image: bool = True, on_host: bool = False) -> Iterator[DockerHost]:
    """Run dockerd until the block ends, with the stand-in Connector's image in it.

    By default it lives in a network namespace of its own (`host.inside`): there it makes its bridges, and what its
    containers call the host is that namespace. `on_host`: it lives in this one, and makes no bridge and no rule there.
    """
    require("root", "dockerd", "containerd", "runc", "iptables", "unshare", "nsenter")
    with contextlib.ExitStack() as stack:
        inside = None if on_host else stack.enter_context(namespace())
        if on_host:
            options = ("--bridge", "none", "--iptables=false", "--ip-forward=false", *options)
        # The path of a unix socket has at most 107 bytes, and dockerd's own ones lie deep in its directory.
        folder = Path(tempfile.mkdtemp(prefix="ch"))
        stack.callback(_delete, folder)
        host = DockerHost(folder, inside, options)
        stack.callback(host.stop)
        host.start()
        if image:
            host.import_image()
        try:
            yield host
        finally:
            if host._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    host.resume()
                host.remove()


def _delete(folder: Path) -> None:
    """Delete dockerd's data; a mount of a container that has just ended may linger for a moment."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder} can't be deleted")
