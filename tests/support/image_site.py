"""A Connector's site in a real dockerd, our image beside the Connector, and what one asks of it there."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.dockerd import DockerHost
from tests.support.image import Docker
from tests.support.process import WAIT_S

DATABASE = "tcp:db:5432"
NETWORK = "site"


def write_config(folder: Path, more: str = "", *, connector: str = "runtime: none, vantage: connector") -> Path:
    """Write a configuration that asks nobody but the Connector's own nameserver and the database beside it.

    `more` goes on below the Resources. The directory is one that a container's user may read.
    """
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    file = folder / "config.yaml"
    file.write_text(
        f"connector: {{name: office-1, remote_network: Lab, {connector}}}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        "dns: {timeout: 1s}\n"
        "provider: {enabled: never}\n"
        "checks: {resolver: false, control_plane: false}\n"
        "schedule: {interval: 500ms, timeout: 400ms, confirm: {interval: 100ms}, intervals: {host: 1s}}\n"
        f"resources:\n  - {{name: Database, address: db, tcp: [5432]}}\n{more}"
    )
    file.chmod(0o644)
    return file


@contextlib.contextmanager
def connector_site(docker: DockerHost) -> Iterator[None]:
    """Run a stand-in Connector on a network of its own, and a database beside it, until the block ends."""
    docker.network(NETWORK)
    docker.run("db", ["/bin/nc", "-ll", "-p", "5432", "-e", "/bin/cat"], network_mode=NETWORK)
    docker.run("connector", network_mode=NETWORK, restart_policy={"Name": "always"})
    try:
        yield
    finally:
        docker.remove()
        with docker.api() as api:
            api.remove_network(NETWORK)


def document(docker: Docker, name: str = "watcher") -> dict[str, Any]:
    """Return what `healthctl status` tells inside a container; ValueError while it tells nothing."""
    text = docker.execute(name, "healthctl", "status", "-o", "json", ok=False)
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]  # what it says on standard error follows
    return found


def row(docker: Docker, name: str = "watcher", which: str = DATABASE) -> dict[str, Any]:
    """Return one row of it; KeyError while there is none."""
    found: dict[str, Any] = {each["id"]: each for each in document(docker, name)["checks"]}[which]
    return found


def until(holds: Callable[[], Any], explain: Callable[[], str], wait_s: float = WAIT_S) -> None:
    """Poll what happens in a container, which can't signal it to us; an answer that is none yet is no failure."""
    end = time.monotonic() + wait_s
    while True:
        with contextlib.suppress(KeyError, ValueError):
            if holds():
                return
        assert time.monotonic() < end, explain()
        time.sleep(0.1)
