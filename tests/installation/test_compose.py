"""The compose files, brought up by docker-compose beside a stand-in Connector: what they promise, what ends them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import Compose
from tests.support.image import Docker
from tests.support.image_site import DATABASE, connector_site, document, row, until

WATCHER = "lab_health_1"
SELF = "tcp:connector:19440"
FAST = (
    "clock: {servers: [], controller_date: false}\n"
    "relays: {endpoints: []}\n"
    "provider: {enabled: never}\n"
    "checks: {resolver: false, control_plane: false}\n"
    "schedule: {interval: 500ms, timeout: 400ms, confirm: {interval: 100ms}, intervals: {connector: 1s, host: 1s}}\n"
    "web: {listen: ['0.0.0.0:19440']}\n"
)
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")

pytestmark = pytest.mark.timeout(900)  # the first test may wait for the build


@pytest.fixture
def compose(image_docker: Docker, tmp_path: Path) -> Iterator[Compose]:
    """The shipped project, with a configuration that asks nobody outside."""
    project = Compose(tmp_path, image_docker)
    project.config.write_text(
        "connector: {name: office-1, remote_network: Office, runtime: none, vantage: connector}\n"
        f"{FAST}resources:\n  - {{name: Itself, address: connector, tcp: [19440]}}\n"
    )
    yield project
    project.down()


def _is_ok(docker: Docker, which: str = SELF) -> None:
    until(lambda: row(docker, WATCHER, which)["status"] == "ok", lambda: docker.said(WATCHER))


def _rights(docker: Docker) -> dict[str, str]:
    """Return what the kernel says of the watcher's process."""
    text = Path(f"/proc/{docker.pid(WATCHER)}/status").read_text()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


@pytest.mark.parametrize(
    "files", [("compose.yaml",), ("compose.yaml", "compose.half-open.yaml"), ("compose.helper.yaml",)], ids="+".join
)
def test_compose_accepts(tmp_path: Path, files: tuple[str, ...]) -> None:
    """`docker-compose config` reads each file, and each combination that is documented."""
    project = Compose(tmp_path, None, *files, CONNECTOR="twingate-office-1", DOCKER_GID="999")
    assert "health:" in project.run("config")


def test_the_two_first_services(image_docker: Docker, compose: Compose) -> None:
    """Connector and watcher come up as hardened as the file says; Prometheus may read /metrics there, no more."""
    compose.up("connector", "health")
    _is_ok(image_docker)
    assert document(image_docker, WATCHER)["confidence"] == "exact"
    assert {_rights(image_docker)[name] for name in CAPABILITIES} == {"0" * 16}
    settings = image_docker.inspect(WATCHER)["HostConfig"]
    assert settings["ReadonlyRootfs"]
    assert settings["CapDrop"] == ["ALL"]
    assert settings["SecurityOpt"] == ["no-new-privileges:true"]
    assert settings["NanoCpus"] == 500_000_000
    assert settings["Memory"] == settings["MemorySwap"] == 512 << 20
    fetch = ("run", "--rm", "--network", "lab_default", "--entrypoint", "/bin/wget", "twingate/connector:1", "-qO-")
    assert "connector_health_build_info" in image_docker.cli(*fetch, "http://connector:19440/metrics")
    assert "403" in image_docker.cli(*fetch, "http://connector:19440/api/v1/status", ok=False)
    assert "SUMMARY" in compose.run("exec", "-T", "health", "healthctl", "status")
    compose.run("kill", "-s", "HUP", "health")
    until(lambda: "configuration reloaded" in image_docker.said(WATCHER), lambda: image_docker.said(WATCHER))


def test_a_restarted_connector_is_joined_again(image_docker: Docker, compose: Compose) -> None:
    """`restart connector`: the watcher is cut off, ends, and its restart policy brings it into the new network."""
    compose.up("connector", "health")
    _is_ok(image_docker)
    compose.run("restart", "-t", "1", "connector")
    until(lambda: image_docker.inspect(WATCHER)["RestartCount"] > 0, lambda: image_docker.said(WATCHER))
    _is_ok(image_docker)


def test_a_replaced_connector_needs_a_new_watcher(image_docker: Docker, compose: Compose) -> None:
    """A new Connector container: Docker can't start the old watcher again; the README's command makes a new one."""
    compose.up("connector", "health")
    _is_ok(image_docker)
    compose.run("up", "-d", "--no-build", "--no-deps", "--force-recreate", "-t", "1", "connector")
    until(
        lambda: "No such container" in image_docker.inspect(WATCHER)["State"]["Error"],
        lambda: image_docker.said(WATCHER),
    )
    assert image_docker.inspect(WATCHER)["State"]["ExitCode"] == 2
    compose.run("up", "-d", "--no-build", "--no-deps", "--force-recreate", "health")
    _is_ok(image_docker)


def test_an_added_capability_alone_does_nothing(image_docker: Docker, compose: Compose) -> None:
    """`cap_add: [NET_RAW]` and a user that is not root: ports are still asked by connect, and the status says why."""
    (compose.folder / "more.yaml").write_text("services: {health: {cap_add: [NET_RAW]}}\n")
    compose.use("compose.yaml", "more.yaml")
    compose.up("connector", "health")
    _is_ok(image_docker)
    told = image_docker.execute(WATCHER, "healthctl", "status")
    assert "asked by connect" in told
    assert "CAP_NET_RAW" in told


def test_half_open_without_root(image_docker: Docker, compose: Compose) -> None:
    """compose.half-open.yaml: half-open probes by 65532 without a capability; its health check is no root either."""
    compose.use("compose.yaml", "compose.half-open.yaml")
    compose.up("connector", "health")
    _is_ok(image_docker)
    assert "asked half-open" in image_docker.execute(WATCHER, "healthctl", "status")
    rights = _rights(image_docker)
    assert set(f"{rights['Uid']} {rights['Gid']}".split()) == {"65532"}
    assert rights["Groups"] == ""
    assert {rights[name] for name in CAPABILITIES} == {"0" * 16}
    assert rights["NoNewPrivs"] == "1"
    check = image_docker.inspect(WATCHER)["Config"]["Healthcheck"]["Test"]
    assert "answers at unix:" in image_docker.execute(WATCHER, *check[1:])


def test_a_helper_of_its_own(image_docker: Docker, tmp_path: Path) -> None:
    """compose.helper.yaml: from a network of its own it sees what the Connector sees, half-open, and goes on seeing it
    when the Connector is replaced by a new container."""
    group = str(image_docker.socket.stat().st_gid)
    project = Compose(tmp_path, image_docker, "compose.helper.yaml", CONNECTOR="connector", DOCKER_GID=group)
    file = project.folder / "compose.helper.yaml"
    file.write_text(file.read_text().replace("/var/run/docker.sock:/var", f"{image_docker.socket}:/var"))
    project.config.write_text(
        "connector: {name: office-1, runtime: docker, container: connector, helper: /run/helper/netns.sock}\n"
        f"{FAST}resources:\n  - {{name: Database, address: db, tcp: [5432]}}\n"
    )
    with connector_site(image_docker):
        try:
            project.up()
            _is_ok(image_docker, DATABASE)
            assert document(image_docker, WATCHER)["confidence"] == "exact"
            assert "asked half-open" in image_docker.execute(WATCHER, "healthctl", "status")
            image_docker.remove("connector")
            until(lambda: row(image_docker, WATCHER)["status"] != "ok", lambda: image_docker.said(WATCHER))
            image_docker.run("connector", network_mode="site")
            _is_ok(image_docker, DATABASE)
            assert document(image_docker, WATCHER)["confidence"] == "exact"
            assert image_docker.inspect(WATCHER)["RestartCount"] == 0
        finally:
            project.down()
