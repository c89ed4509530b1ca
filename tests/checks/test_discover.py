"""Which Connector is found on a host, for every mixture of what is there and what may be looked at."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.model import Reason
from checks.runtime.discover import NothingRuntime, discover
from checks.runtime.docker import DockerRuntime
from checks.runtime.kubernetes import KubernetesRuntime
from checks.runtime.model import AmbiguousError, Sighting, Wanted
from checks.runtime.process import ProcessRuntime
from checks.runtime.systemd import SystemdRuntime
from tests.support.hosts import IN_DOCKER, FakeDocker, Host
from tests.support.servers import require

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "HOSTNAME": "connector-7d9"}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """An empty host."""
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("docker", "systemd", "process", "expected"),
    [
        ("running", "running", True, FakeDocker),
        ("running", None, False, FakeDocker),
        ("stopped", None, False, FakeDocker),
        ("stopped", "stopped", False, FakeDocker),
        ("stopped", "running", False, SystemdRuntime),
        ("stopped", "stopped", True, ProcessRuntime),
        ("missing", "running", True, SystemdRuntime),
        ("down", "running", False, SystemdRuntime),
        ("down", None, True, ProcessRuntime),
        ("down", None, False, NothingRuntime),
        (None, "running", False, SystemdRuntime),
        (None, "stopped", False, SystemdRuntime),
        (None, "stopped", True, ProcessRuntime),
        (None, "masked", False, NothingRuntime),
        (None, "masked", True, ProcessRuntime),
        (None, "missing", True, ProcessRuntime),
        (None, "silent", True, ProcessRuntime),
        (None, "silent", False, NothingRuntime),
        (None, None, True, ProcessRuntime),
        (None, None, False, NothingRuntime),
    ],
)
async def test_what_is_found(
    host: Host, docker: str | None, systemd: str | None, process: bool, expected: type
) -> None:
    """What runs goes before what is only there; Docker before a unit before a bare process; what is left is closed."""
    if docker:
        host.add_docker(docker)
    if systemd:
        host.add_systemd(systemd)
    if process:
        host.add_process()
    found = await host.discover()
    assert type(found) is expected
    assert host.docker.looks == (1 if docker else 0)
    assert host.docker.closed == (1 if docker and expected is not FakeDocker else 0)


async def test_in_a_pod(host: Host) -> None:
    """In a pod the Connector is the neighbour, whatever else is to be seen there."""
    host.add_docker("running")
    assert type(await host.discover(environ=POD)) is KubernetesRuntime
    assert host.docker.looks == 0


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [("docker", FakeDocker), ("systemd", SystemdRuntime), ("kubernetes", KubernetesRuntime), ("none", NothingRuntime)],
)
async def test_a_runtime_that_was_named(host: Host, runtime: str, expected: type) -> None:
    """A runtime that was named is taken alone, although it is not there and another one is."""
    host.add_process()
    assert type(await host.discover(runtime, environ=POD)) is expected


async def test_nobody_is_meant_to_look(host: Host) -> None:
    """With runtime none every look says so, and that is no problem."""
    found = await host.discover("none")
    assert isinstance(found, NothingRuntime)
    seen = await found.look()
    assert (seen.runtime, seen.problem, seen.running) == ("none", None, None)
    assert "connector.runtime is none" in seen.evidence


async def test_nothing_is_found(host: Host) -> None:
    """When nothing is there, one line says what was tried in vain."""
    host.add_docker("missing")
    host.add_systemd("missing")
    found = await host.discover()
    assert isinstance(found, NothingRuntime)
    seen = await found.look()
    assert seen.problem is Reason.NOT_FOUND
    for tried in ("no container of the image", "no unit twingate-connector.service", "no process is called connectord"):
        assert tried in seen.evidence


async def test_docker_is_down(host: Host) -> None:
    """When Docker does not answer and nothing else is there, Docker's own words tell why nothing was found."""
    host.add_docker("down")
    found = await host.discover()
    assert isinstance(found, NothingRuntime)
    seen = await found.look()
    assert (seen.problem, seen.evidence, seen.action) == (Reason.PERMISSION_DENIED, "nothing answers", "start it")


@pytest.mark.parametrize("closed", ["socket", "folder"])
@pytest.mark.parametrize("process", [False, True])
def test_docker_may_not_be_asked(closed: str, process: bool) -> None:
    """A socket that this account may not open is named: as what is missing, or as why a seen process has no log."""
    require("root")
    with tempfile.TemporaryDirectory() as name:
        host = Host(Path(name))
        host.add_docker("running")
        host.socket.chmod(0o600 if closed == "socket" else 0o666)
        host.root.chmod(0o755)
        if process:
            host.add_process()
        wanted = Wanted(docker_host=f"unix://{host.socket}")
        if closed == "folder":
            folder = host.root / "closed"
            folder.mkdir(mode=0o700)
            host.socket.rename(folder / "docker.sock")
            wanted = Wanted(docker_host=f"unix://{folder}/docker.sock")
        seen = as_nobody(host, wanted)
    evidence = f"this account may not open Docker's socket {wanted.docker_host.removeprefix('unix://')}"
    assert host.docker.looks == 0
    if process:
        assert seen.running
        assert seen.log is not None
        assert seen.log.problem == evidence
    else:
        assert (seen.problem, seen.evidence) == (Reason.PERMISSION_DENIED, evidence)
        assert "Repeat it by hand on this host: ls -l /" in seen.action


def as_nobody(host: Host, wanted: Wanted) -> Sighting:
    """Look with another effective user, who may open nothing of root's."""

    async def look() -> Sighting:
        found = await discover(wanted, environ={}, root=host.root, make_docker=lambda _: host.docker)
        return await found.look()

    os.seteuid(65534)
    try:
        return asyncio.run(look())
    finally:
        os.seteuid(0)


def test_where_nothing_may_be_looked_at() -> None:
    """A host that shows this account nothing at all is one where nothing is found."""
    require("root")
    with tempfile.TemporaryDirectory() as name:
        host = Host(Path(name))
        host.root.chmod(0o700)
        assert as_nobody(host, Wanted(docker_host="unix:///nowhere.sock")).problem is Reason.NOT_FOUND


@pytest.mark.parametrize("runtime", ["auto", "docker"])
@pytest.mark.parametrize("error", [AmbiguousError("c1, c2: set connector.container"), asyncio.CancelledError()])
async def test_what_docker_raises(host: Host, runtime: str, error: BaseException) -> None:
    """Several Connectors without a choice are the caller's to tell, and nothing is left open then."""
    host.add_docker("running")
    host.docker.error = error
    with pytest.raises(type(error)):
        await host.discover(runtime)
    assert host.docker.closed == 1


@pytest.mark.parametrize("make", [lambda path: path.write_text(""), lambda path: path.mkdir()])
async def test_a_socket_that_is_none(host: Host, make: Callable[[Path], object]) -> None:
    """A file in the socket's place is no Docker."""
    make(host.socket)
    assert type(await host.discover()) is NothingRuntime
    assert host.docker.looks == 0


async def test_docker_elsewhere(host: Host) -> None:
    """An engine that was named by address is asked: there is no socket to look at first."""
    host.docker.sighting = IN_DOCKER["running"]
    wanted = Wanted(docker_host="tcp://127.0.0.1:2375")
    found = await discover(wanted, environ={}, root=host.root, make_docker=lambda _: host.docker)
    assert found is host.docker


async def test_the_real_docker_runtime(host: Host) -> None:
    """Docker's runtime is made when it was named, and says in one line that no engine is there."""
    found = await discover(Wanted(runtime="docker", docker_host=f"unix://{host.socket}"), environ={}, root=host.root)
    try:
        assert isinstance(found, DockerRuntime)
        assert (await found.look()).problem is Reason.PERMISSION_DENIED
    finally:
        await found.close()


async def test_docker_is_loaded_only_where_it_is(host: Host, tmp_path: Path) -> None:
    """On a host without Docker's socket its library is not loaded: it costs a sixth of a second and 29 MiB."""
    program = (
        "import asyncio, sys; from pathlib import Path; from checks.runtime.discover import discover;"
        "from checks.runtime.model import Wanted;"
        f"asyncio.run(discover(Wanted(docker_host='unix://{host.socket}'), environ={{}}, root=Path('{tmp_path}')));"
        "print('docker' in sys.modules, 'requests' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b"False False\n"
