"""The Connector in a real Docker: found, and described with all that Docker knows of it."""

from pathlib import Path

import pytest

from checks.model import Reason
from checks.runtime.docker import DockerRuntime
from checks.runtime.model import AmbiguousError
from tests.support.docker_watch import look, now, until, watching
from tests.support.dockerd import DockerHost


@pytest.fixture(autouse=True, scope="module")
def mirrored(engine: DockerHost) -> None:
    """The image also under the name of a mirror."""
    engine.import_image("registry.example.com:5000/mirror/twingate/connector:1.79.0", changes=['CMD ["/connectord"]'])


async def test_running(docker: DockerHost) -> None:
    """All that Docker knows of a running Connector is in the sighting."""
    before = now()
    container = docker.run(
        "office", env={"TWINGATE_LOG_LEVEL": "7", "TWINGATE_LABEL_HOSTNAME": "h & <1>", "TWINGATE_DNS": "10.0.0.2"},
        sysctls={"net.ipv4.ping_group_range": "0 2147483647"},
    )  # fmt: skip
    seen = await look(docker)
    assert seen.problem is None
    assert (seen.runtime, seen.name, seen.running, seen.status) == ("docker", "office", True, "running")
    assert seen.pid == docker.pid("office")
    assert seen.started_at is not None
    assert before - 1 <= seen.started_at <= now() + 1
    assert (seen.finished_at, seen.exit_code, seen.oom_killed, seen.health, seen.restarts) == (
        None,
        None,
        False,
        None,
        0,
    )
    assert (seen.image, seen.version) == ("twingate/connector:1", "1.80.0")
    assert dict(seen.environment) == {
        "TWINGATE_NETWORK": "acme",
        "TWINGATE_LOG_LEVEL": "7",
        "TWINGATE_LABEL_HOSTNAME": "h & <1>",
        "TWINGATE_DNS": "10.0.0.2",
    }
    assert seen.log is not None
    assert (seen.log.kind, seen.log.id, seen.log.driver, seen.log.tty, seen.log.problem) == (
        "docker", container, "json-file", False, "",
    )  # fmt: skip
    assert seen.own_namespace is False
    assert seen.ping_group_range == (0, 2147483647)
    assert seen.engine == docker.url, "it is not the usual one"
    assert seen.fds is not None
    assert 3 <= seen.fds[0] < seen.fds[1]


async def test_mirror_without_label(docker: DockerHost) -> None:
    """An image from a mirror with a port in its name is found, and its tag is the version where no label tells it."""
    docker.run("mirrored", image="registry.example.com:5000/mirror/twingate/connector:1.79.0")
    seen = await look(docker)
    assert (seen.name, seen.version) == ("mirrored", "1.79.0")


async def test_moved_tag(docker: DockerHost) -> None:
    """A Connector is found after `docker pull` has moved its tag to a newer image, when Docker lists only an id."""
    docker.run("old")
    docker.import_image(extra={"etc/new": "1"})
    with docker.api() as api:
        assert api.containers()[0]["Image"].startswith("sha256:")
    assert (await look(docker)).image == "twingate/connector:1"


async def test_exit_and_oom(docker: DockerHost) -> None:
    """A Connector that ended is told with its exit code and when; one killed for its memory as such."""
    docker.run("gone")
    docker.order("gone", "exit 3")
    docker.until("gone", "exited")
    seen = await look(docker)
    assert (seen.running, seen.status, seen.exit_code, seen.pid, seen.oom_killed) == (False, "exited", 3, None, False)
    assert seen.finished_at is not None
    assert seen.started_at is not None
    assert seen.started_at < seen.finished_at <= now() + 1
    docker.run("big", ["/bin/sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"], mem_limit="16m")
    docker.until("big", "exited")
    assert (await look(docker, "big")).oom_killed


async def test_restart_loop(docker: DockerHost) -> None:
    """A Connector that Docker starts again and again is not running, and Docker's count of restarts grows."""
    docker.run("loop", ["/bin/sh", "-c", "exit 7"], restart_policy={"Name": "always"})
    async with watching(docker) as runtime:
        seen = await until(runtime, lambda seen: seen.status == "restarting" and (seen.restarts or 0) >= 2)
    assert seen.running is False


async def test_paused_is_not_running(docker: DockerHost) -> None:
    """A frozen Connector does not run, though Docker calls it running."""
    docker.run("ice")
    with docker.api() as api:
        api.pause("ice")
        seen = await look(docker)
        api.unpause("ice")
    assert (seen.running, seen.status) == (False, "paused")


async def test_health(docker: DockerHost) -> None:
    """Docker's own health check is told: healthy, then unhealthy."""
    docker.run("well", health="/connectorctl health")
    async with watching(docker) as runtime:
        await until(runtime, lambda seen: seen.health == "healthy")
        docker.order("well", "run touch /run/unhealthy")
        seen = await until(runtime, lambda seen: seen.health == "unhealthy")
    assert seen.running is True


async def test_host_network(docker: DockerHost) -> None:
    """A Connector on the host's network is in our own namespace only when the host's is ours: here it is not."""
    docker.run("flat", network_mode="host")
    assert (await look(docker)).own_namespace is False
    assert docker.inside is not None
    with docker.inside.entered():
        assert (await look(docker)).own_namespace is True


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_readable_drivers(docker: DockerHost, driver: str) -> None:
    """A log that Docker can read is no problem."""
    docker.run("logs", log_config={"Type": driver, "Config": {}})
    log = (await look(docker)).log
    assert log is not None
    assert (log.driver, log.problem) == (driver, "")


@pytest.mark.parametrize(
    ("driver", "options", "problem"),
    [
        ("none", {}, "its log driver none keeps nothing that Docker could read back; json-file, local and journald do"),
        ("syslog", {"syslog-address": "udp://127.0.0.1:9"}, ""),
        (
            "syslog",
            {"syslog-address": "udp://127.0.0.1:9", "cache-disabled": "true"},
            "its log driver syslog keeps nothing that Docker could read back; json-file, local and journald do",
        ),
    ],
    ids=["none", "remote with Docker's copy", "remote alone"],
)
async def test_other_drivers(docker: DockerHost, driver: str, options: dict[str, str], problem: str) -> None:
    """A log that goes elsewhere is a problem in one clause, unless Docker keeps a copy to read."""
    docker.run("logs", log_config={"Type": driver, "Config": options}, tty=True)
    log = (await look(docker)).log
    assert log is not None
    assert (log.driver, log.problem, log.tty) == (driver, problem, True)


async def test_two_connectors(docker: DockerHost) -> None:
    """Of several running Connectors none is guessed: the error lists them; a name or an id chooses one."""
    one, two = docker.run("one"), docker.run("two")
    with pytest.raises(AmbiguousError) as error:
        await look(docker)
    text = str(error.value)
    assert "one" in text
    assert "two" in text
    assert "connector.container" in text
    assert (await look(docker, "two")).name == "two"
    assert (await look(docker, one[:12])).name == "one"
    docker.stop_container("one")
    running = await look(docker)
    assert running.log is not None
    assert running.log.id == two, "the one that runs is meant before one that does not"


async def test_chosen_by_label_or_image(docker: DockerHost) -> None:
    """A label or an image chooses the Connector as a name does; what no container has is not found."""
    docker.import_image("lab/mirror:7")
    docker.run("east", labels={"site": "east"})
    docker.run("west", labels={"site": "west"})
    docker.run("mirrored", image="lab/mirror:7")
    for choice, name in (("label=site=west", "west"), ("image=lab/mirror", "mirrored"), ("east", "east")):
        seen = await look(docker, choice)
        assert (seen.name, seen.running) == (name, True)
    with pytest.raises(AmbiguousError, match=r"\(east, west\)"):
        await look(docker, "label=site")
    seen = await look(docker, "label=site=north")
    assert (seen.problem, "label site=north" in seen.evidence) == (Reason.NOT_FOUND, True)


async def test_ambiguous_later(docker: DockerHost) -> None:
    """While running, several Connectors and no choice are a look that finds none, never an exception."""
    docker.run("one")
    docker.run("two")
    async with watching(docker) as runtime:
        seen = await runtime.look()
    assert seen.problem is Reason.NOT_FOUND
    assert "one" in seen.evidence
    assert "connector.container" in seen.action


async def test_others_are_not_connectors(docker: DockerHost) -> None:
    """Containers of other images are not looked into, and their absence is said plainly."""
    docker.import_image("example/twingate-connector-lookalike:1")
    docker.run("other", image="example/twingate-connector-lookalike:1")
    seen = await look(docker)
    assert (seen.problem, seen.running) == (Reason.NOT_FOUND, None)
    assert "no container of the image twingate/connector" in seen.evidence


async def test_named_but_missing(docker: DockerHost) -> None:
    """A configured name that Docker does not know is not found, whatever else runs."""
    docker.run("one")
    seen = await look(docker, "missing/../one?x")
    assert seen.problem is Reason.NOT_FOUND
    assert "missing" in seen.evidence


async def test_no_socket(tmp_path: Path) -> None:
    """Without a socket the one line says so, and what to do."""
    runtime = DockerRuntime(f"unix://{tmp_path}/none.sock")
    seen = await runtime.look()
    await runtime.close()
    assert seen.problem is Reason.PERMISSION_DENIED
    assert seen.evidence == f"there is no Docker socket at {tmp_path}/none.sock"
    assert "connector.docker_host" in seen.action
