"""The files of deploy/docker, as far as they can be judged without a Docker: each by the program that reads it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config.load import load_config
from daemon.version import __version__
from tests.support.servers import find, require

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKER = DEPLOY / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
WATCHERS = ("compose.yaml", "compose.helper.yaml")


def _compose(name: str = "compose.yaml") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())["services"]
    return found


def _accepted(program: str, *argv: str, cwd: Path) -> str:
    require(program)
    done = subprocess.run(
        [find(program) or program, *argv], cwd=cwd, capture_output=True, text=True, check=False, timeout=30,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_image_says_the_version() -> None:
    """A plain `docker build` labels the image with the version that is in it."""
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE


def test_the_image_needs_hashes() -> None:
    """What the Dockerfile fetches, it fetches as a wheel whose hash is known; its last stage fetches nothing."""
    build, final = DOCKERFILE.split("\nFROM ")[1:]
    fetching = [line for line in re.sub(r"\\\n", " ", build).splitlines() if "pip" in line and " install " in line]
    assert any("--require-hashes --only-binary :all: -r requirements/run.txt" in line for line in fetching)
    assert "apt-get" not in DOCKERFILE
    assert "curl" not in DOCKERFILE
    assert " install " not in final


@pytest.mark.parametrize("name", WATCHERS)
def test_the_watcher_has_no_rights(name: str) -> None:
    """Wherever it is started: read-only, no capability, no way to one, bounded in processor, memory and processes."""
    health = _compose(name)["health"]
    assert health["read_only"] is True
    assert health["cap_drop"] == ["ALL"]
    assert "cap_add" not in health
    assert health["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "mem_limit", "pids_limit", "oom_score_adj"} <= health.keys()
    assert health["restart"] == "unless-stopped"
    assert all(port.startswith("127.0.0.1:") for port in health.get("ports", ()))


def test_half_open_adds_three_capabilities_and_gives_all_up() -> None:
    """The file for half-open probes keeps NET_RAW for the start alone, and starts the very command of the image."""
    health = _compose("compose.half-open.yaml")["health"]
    assert sorted(health["cap_add"]) == ["NET_RAW", "SETGID", "SETUID"]
    assert health["entrypoint"][0] == "setpriv"
    assert health["entrypoint"][-2:] == ["--", "healthctl"]
    command = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert command
    assert health["command"] == yaml.safe_load(command[1])


def test_what_is_mounted_is_there() -> None:
    """Every path of this repository that compose.yaml mounts exists, or the README says how to make it."""
    mounts = [entry.split(":")[0] for service in _compose().values() for entry in service.get("volumes", ())]
    paths = [source for source in mounts if source.startswith(".")]
    assert len(paths) == 6
    assert [source for source in paths if not (DOCKER / source).exists()] == []
    assert _compose()["connector"]["env_file"] == ["connector.env"]
    assert (DOCKER / "connector.env.example").exists()
    assert "connector.env" in (DOCKER / ".gitignore").read_text().splitlines()


def test_its_configuration_is_valid() -> None:
    """The daemon accepts the configuration that compose.yaml mounts; in shadow mode: at first it pages nobody."""
    loaded = load_config(DOCKER / "config/config.yaml")
    assert loaded.config.alerting.mode == "shadow"
    assert loaded.config.connector.vantage == "connector"


def test_prometheus_accepts_its_file(tmp_path: Path) -> None:
    """promtool reads prometheus.yml as it is mounted, rules and all; it scrapes the Connector's host name."""
    shutil.copy(DOCKER / "prometheus.yml", tmp_path)
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "rules")
    said = _accepted("promtool", "check", "config", "prometheus.yml", cwd=tmp_path)
    assert said.count("SUCCESS") >= 4, said
    settings = yaml.safe_load((DOCKER / "prometheus.yml").read_text())
    (job,) = settings["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{_compose()['connector']['hostname']}:19440"]}]
    example = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    assert job["relabel_configs"] == example["scrape_configs"][0]["relabel_configs"]
    assert settings["global"]["external_labels"] == {"site": "hq"}


def test_alertmanager_is_found_where_it_is_mounted() -> None:
    """amtool reads the file at the path that Alertmanager is started with."""
    service = _compose()["alertmanager"]
    (mount,) = (entry for entry in service["volumes"] if entry.startswith("."))
    source, target, _ = mount.split(":")
    (file,) = (word.partition("=")[2] for word in service["command"] if word.startswith("--config.file="))
    _accepted("amtool", "check-config", Path(file).relative_to(target).as_posix(), cwd=DOCKER / source)


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    """Grafana's provisioning points at the services and mounts of compose.yaml."""
    services = _compose()
    targets = dict(entry.split(":")[1::-1] for entry in services["grafana"]["volumes"])
    provisioning = DOCKER / targets["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load((provisioning / "dashboards/connector-health.yaml").read_text())["providers"]
    folder = DOCKER / targets[provider["options"]["path"]]
    assert list(folder.glob("*.json")), "no dashboard where Grafana looks"
