"""The image beside a Connector, with as few rights as compose.yaml gives it: what it sees, how it lives and ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.image import IMAGE, Docker
from tests.support.image_site import DATABASE, connector_site, document, row, until, write_config

CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

pytestmark = pytest.mark.timeout(900)  # the first test may wait for the build


@pytest.fixture(scope="module")
def site(image_docker: Docker) -> Iterator[Docker]:
    """A Connector on a network of its own, and a database beside it."""
    with connector_site(image_docker):
        yield image_docker


@pytest.fixture
def watched(site: Docker, tmp_path: Path) -> Iterator[Docker]:
    """Our image in the Connector's network, and the database found."""
    site.watcher("watcher", write_config(tmp_path / "etc"), beside="connector")
    try:
        until(lambda: row(site)["status"] == "ok", lambda: site.said("watcher"))
        yield site
    finally:
        site.remove("watcher")


def _process(docker: Docker, name: str = "watcher") -> dict[str, str]:
    """Return what the kernel says of a container's first process."""
    text = Path(f"/proc/{docker.pid(name)}/status").read_text()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _history(docker: Docker) -> list[dict[str, Any]]:
    """Return what was of the database, asked on the loopback that Connector and watcher share."""
    url = f"http://127.0.0.1:19440/api/v1/history?id={DATABASE}"
    found: list[dict[str, Any]] = json.loads(docker.execute("connector", "/bin/wget", "-qO-", url))["history"]
    return found


def test_it_watches_with_no_right_at_all(watched: Docker) -> None:
    """Not root, no capability, no way to one, nothing to write to: healthy, with the Connector's view of the world."""
    until(lambda: watched.health("watcher") == "healthy", lambda: str(watched.inspect("watcher")["State"]))
    whole = document(watched)
    assert (whole["connector"], whole["vantage"], whole["confidence"]) == ("office-1", "connector", "exact")
    assert row(watched, which="dns:db")["facts"]["addresses"] == [watched.address("db", "site")]
    process = _process(watched)
    assert set(process["Uid"].split() + process["Gid"].split()) == {"65532"}
    assert {process[name] for name in CAPABILITIES} == {"0" * 16}
    assert process["NoNewPrivs"] == "1"
    refused = watched.execute(
        "watcher", "sh", "-c", "for p in / /etc /opt /usr /etc/connector-health; do touch $p/x; done", ok=False
    )
    assert refused.count("Read-only file system") == 5, refused
    written = watched.execute(
        "watcher", "sh", "-c", "stat -c '%n %u:%g' /var/lib/connector-health/* /run/connector-health/*"
    )
    assert written.splitlines() == [
        "/var/lib/connector-health/state.db 65532:65532",
        "/run/connector-health/api.sock 65532:65532",
    ]


def test_health_is_not_a_verdict(watched: Docker) -> None:
    """The database dies: that is critical, and the container stays healthy; a supervisor has no reason to end it."""
    until(lambda: watched.health("watcher") == "healthy", lambda: str(watched.inspect("watcher")["State"]))
    watched.remove("db")
    try:
        until(lambda: row(watched, which="dns:db")["status"] == "critical", lambda: watched.said("watcher"))
        assert document(watched)["status"] == "critical"
        seen = len(watched.inspect("watcher")["State"]["Health"]["Log"])
        assert seen
        last = watched.inspect("watcher")["State"]["Health"]["Log"][-1]["End"]
        until(
            lambda: watched.inspect("watcher")["State"]["Health"]["Log"][-1]["Start"] > last,
            lambda: "no further look at its health",
        )
        assert watched.health("watcher") == "healthy"
    finally:
        watched.run("db", ["/bin/nc", "-ll", "-p", "5432", "-e", "/bin/cat"], network_mode="site")


def test_a_stopped_loop_is_unhealthy(watched: Docker) -> None:
    """A daemon that hangs is `unhealthy`: that is what the health check is for."""
    until(lambda: watched.health("watcher") == "healthy", lambda: str(watched.inspect("watcher")["State"]))
    with watched.api() as api:
        api.kill("watcher", signal="SIGSTOP")
    until(lambda: watched.health("watcher") == "unhealthy", lambda: str(watched.inspect("watcher")["State"]))
    with watched.api() as api:
        api.kill("watcher", signal="SIGCONT")
    until(lambda: watched.health("watcher") == "healthy", lambda: str(watched.inspect("watcher")["State"]))


def test_it_ends_in_good_order(watched: Docker) -> None:
    """`docker stop` is answered by an end of its own, with 0, long before Docker would kill it."""
    with watched.api() as api:
        api.stop("watcher", timeout=10)
    state = watched.inspect("watcher")["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert "Traceback" not in watched.said("watcher")


def test_its_state_outlives_it(site: Docker, tmp_path: Path) -> None:
    """A new container with the volume of the old one knows what the old one saw: the history goes on."""
    config = write_config(tmp_path / "etc")
    volume = {"binds": [f"{config.parent}:/etc/connector-health:ro", "state:/var/lib/connector-health"]}
    histories = []
    for _ in range(2):
        site.watcher("watcher", config, beside="connector", **volume)
        try:
            until(lambda: row(site)["status"] == "ok", lambda: site.said("watcher"))
            until(lambda: _history(site), lambda: site.said("watcher"))
            histories.append(_history(site))
            site.stop_container("watcher")
        finally:
            site.remove("watcher")
    (first,) = histories[0]
    assert first["began_at"] in [spell["began_at"] for spell in histories[1]]


def test_without_a_configuration_it_says_so(site: Docker, tmp_path: Path) -> None:
    """No file, no guess: it ends with 3 and names the file that it misses."""
    (tmp_path / "empty").mkdir()
    site.watcher("watcher", tmp_path / "empty/config.yaml", beside="connector")
    try:
        site.until("watcher", "exited")
        assert site.inspect("watcher")["State"]["ExitCode"] == 3
        assert "/etc/connector-health/config.yaml" in site.said("watcher")
    finally:
        site.remove("watcher")


def test_one_look_needs_nothing_but_the_image(site: Docker, tmp_path: Path) -> None:
    """`docker run --rm … check` looks once, from the Connector's place, and its exit code is the verdict."""
    config = write_config(tmp_path / "etc")
    common = ("run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "container:connector")
    text = site.cli(*common, "--volume", f"{config.parent}:/etc/connector-health:ro", IMAGE, "check", "-o", "json")
    assert '"status":"ok"' in text.replace(" ", "")
