"""The scrape examples at work: a real Prometheus finds real daemons through files and through Docker."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.dockerd import DockerHost, dockerd
from tests.support.netns import entered
from tests.support.process import Process, daemon, healthctl, quiet_config, quiet_port
from tests.support.prometheus import SHIPPED, Prometheus
from tests.support.servers import require, running

PORT = 19440
INFO = "connector_health_info"

pytestmark = pytest.mark.timeout(300)


class _Inside(Prometheus):
    """A Prometheus that is asked from the network namespace in which it stands."""

    def __init__(self, port: int, config: Path, inside: str) -> None:
        super().__init__(port, config)
        self._inside = inside

    def _get(self, path: str) -> tuple[int, str]:
        with entered(Path("/run/netns", self._inside)) if self._inside else contextlib.nullcontext():
            return super()._get(path)

    def seen(self) -> dict[str, str]:
        """Return which Connectors are scraped: instance by name."""
        return {dict(labels)["connector"]: dict(labels)["instance"] for labels in self.query(INFO)}


def _example(name: str, folder: Path, **changes: object) -> Path:
    """Write an example with one-second intervals and these changes of its discovery."""
    config: dict[str, Any] = yaml.safe_load((SHIPPED / "scrape" / name).read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    (job,) = config["scrape_configs"]
    (discovery,) = job[name.replace(".yml", "_configs")]
    discovery.update({"refresh_interval": "1s", **changes})
    file = folder / name
    file.write_text(yaml.safe_dump(config))
    return file


@contextlib.contextmanager
def _prometheus(config: Path, inside: str = "") -> Iterator[_Inside]:
    """Run one by a configuration, in a network namespace if one is named."""
    require("prometheus")
    made = _Inside(quiet_port(), config, inside)
    enter = ["nsenter", f"--net=/run/netns/{inside}"] if inside else []
    argv = [*enter, "prometheus", f"--config.file={config}", f"--storage.tsdb.path={config.parent / 'data'}",
            f"--web.listen-address=127.0.0.1:{made.port}"]  # fmt: skip
    with running(argv, config.parent / "prometheus.log", made.ready):
        yield made


def test_files_name_the_targets(tmp_path: Path) -> None:
    """A target that the inventory adds is scraped without a reload, and one that it takes out vanishes."""
    targets = tmp_path / "targets"
    targets.mkdir()
    with daemon(quiet_config(tmp_path, "")) as process, _prometheus(_example("file_sd.yml", tmp_path)) as prometheus:
        assert prometheus.seen() == {}
        address, new = f"127.0.0.1:{process.port}", tmp_path / "new"
        new.write_text(json.dumps([{"targets": [address], "labels": {"endpoint": "planted", "site": "hq"}}]))
        new.rename(targets / "office.yml")
        process.until(lambda: prometheus.seen() == {"test-1": address}, "scraped")
        (labels,) = prometheus.query(INFO)
        assert ("site", "hq") in labels
        assert "planted" not in dict(labels).values()
        (targets / "office.yml").write_text("[]\n")
        process.until(lambda: prometheus.seen() == {}, "forgotten")


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerHost]:
    """A Docker host with a Connector that carries the label, one without, and one without a network."""
    require("root", "dockerd", "nsenter", "prometheus")
    with dockerd() as host:
        host.network("site", "172.29.11.0/24")
        host.run("connector", network_mode="site", labels={"connector-health.port": str(PORT)})
        host.run("other", network_mode="site")
        host.run("nowhere", network_mode="none", labels={"connector-health.port": str(PORT)})
        yield host


@contextlib.contextmanager
def _beside(host: DockerHost, folder: Path) -> Iterator[Process]:
    """Run the daemon in the Connector's network, listening there for everybody."""
    there = Path(f"/proc/{host.pid('connector')}/ns/net")
    arguments = ("run", "--config", str(quiet_config(folder, "")), "--web.listen-address", f"0.0.0.0:{PORT}")
    enter = ("nsenter", f"--net={there}")
    with healthctl(folder, *arguments, port=PORT, before=enter, dial=lambda: entered(there)) as process:
        process.until(lambda: process.get("/-/healthy").status == 200, "healthy")
        yield process


def test_docker_names_the_targets(docker: DockerHost, tmp_path: Path) -> None:
    """The Connector's label is enough: the daemon in its network is scraped, and no other container."""
    assert docker.inside is not None
    config = _example("docker_sd.yml", tmp_path, host=docker.url)
    with _beside(docker, tmp_path) as process, _prometheus(config, docker.inside.name) as prometheus:
        process.until(lambda: prometheus.seen() == {"test-1": "connector"}, "scraped")
        assert {dict(labels)["instance"] for labels in prometheus.query("up")} == {"connector"}
