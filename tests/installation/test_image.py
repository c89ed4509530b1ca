"""The image as it was built: what is in it, what is not, and how much."""

import json
import shutil
from pathlib import Path

import pytest

from daemon.version import __version__
from tests.support.image import BASE, BY_BUILDKIT, IMAGE, REPOSITORY, Docker

MOST_MB = 90  # above the base; the promise of the README
SBOM = "/usr/share/connector-health/sbom.cdx.json"
BUILD_ONLY = ("editables", "hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers")
PYTHON = "/opt/connector-health/bin/python"

pytestmark = pytest.mark.timeout(900)  # the first test waits for the build


@pytest.mark.parametrize("image", [IMAGE, BY_BUILDKIT])
def test_it_is_small(image_docker: Docker, image: str) -> None:
    """Neither builder adds more than 90 MB to the base."""
    above = (_size(image_docker, image) - _size(image_docker, BASE)) / 1e6
    assert 20 < above <= MOST_MB


@pytest.mark.parametrize("image", [IMAGE, BY_BUILDKIT])
def test_its_metadata(image_docker: Docker, image: str) -> None:
    """It says what it is, runs as 65532, and asks for health by `--alive`, whichever builder made it."""
    with image_docker.api() as api:
        config = api.inspect_image(image)["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert (labels["title"], labels["version"], labels["licenses"]) == ("connector-health", __version__, "Apache-2.0")
    assert labels["base.name"] == BASE
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/connector-health/bin/healthctl"]
    assert config["Cmd"] == ["run", "--web.socket", "/run/connector-health/api.sock"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/opt/connector-health/bin/healthctl", "status", "--alive"]
    assert config["Volumes"] == {"/var/lib/connector-health": {}}


@pytest.mark.parametrize("image", [IMAGE, BY_BUILDKIT])
def test_what_is_in_it(image_docker: Docker, image: str) -> None:
    """Our code and what it needs: no pip, no compiler, nothing of the build, no file that its user could change."""
    found = image_docker.inside_image(
        "for tool in pip pip3 gcc cc make git; do command -v $tool && exit 1; done\n"
        f"! {PYTHON} -m pip --version 2>/dev/null\n"
        f"! {PYTHON} -m ensurepip --version 2>/dev/null\n"
        "test ! -e /source; test ! -e /tools; test ! -e /wheels\n"
        "find / -xdev -writable -type f ! -path '/proc/*' ! -path '/dev/*' ! -path '/sys/*' 2>/dev/null || true\n"
        "healthctl --version; connector-health-netns --help >/dev/null; id -u; id -G",
        image=image,
    )
    assert found.splitlines() == [f"healthctl {__version__}", "65532", "65532"]


def test_any_user_may_write_where_it_must(image_docker: Docker) -> None:
    """A platform that chooses the user by itself, in the group of root, needs no volume of its own for a start."""
    script = "for place in /var/lib/connector-health /run/connector-health; do touch $place/x; done; ! touch /etc/x"
    image_docker.inside_image(script, "--user", "1000620000:0")


def test_it_needs_all_that_it_has(image_docker: Docker) -> None:
    """Its packages are ours and those that run.txt pins but for what only building took; its SBOM lists just these."""
    script = 'import importlib.metadata as m\nfor d in m.distributions(): print(d.metadata["Name"] + "==" + d.version)'
    listed = {_plain(line) for line in image_docker.inside_image(f"{PYTHON} -I -c '{script}'").split()}
    bom = json.loads(image_docker.inside_image(f"cat {SBOM}"))
    assert {
        _plain(f"{each['name']}=={each['version']}") for each in (bom["metadata"]["component"], *bom["components"])
    } == listed
    pinned = (REPOSITORY / "requirements/run.txt").read_text().splitlines()
    wanted = {line.split()[0] for line in pinned if "==" in line and not line.startswith(BUILD_ONLY)}
    assert listed == {*wanted, f"connector-health=={__version__}"}


def test_nothing_is_compiled_at_a_start(image_docker: Docker) -> None:
    """Byte code is there for all that a start loads, the base's standard library too: the file system is read-only."""
    loaded = image_docker.inside_image(f"{PYTHON} -v -c 'import daemon.cli.main, daemon.serve, daemon.app' 2>&1")
    origins = [line for line in loaded.splitlines() if line.startswith("# code object from ")]
    assert len(origins) > 300
    assert [line for line in origins if ".pyc" not in line] == []


def test_the_builder_gets_no_secrets(image_docker: Docker, tmp_path: Path) -> None:
    """Whatever lies in the directory of the source, a token or a configuration, is not sent to the builder."""
    shutil.copytree(
        REPOSITORY, tmp_path / "tree", ignore=shutil.ignore_patterns(".git", ".venv", "build", "node_modules")
    )
    for name in (
        "connector.env",
        "config.yaml",
        "deploy/docker/connector.env",
        "requirements/token",
        ".env",
        "deploy/sbom/token",
    ):
        (tmp_path / "tree" / name).write_text("secret")
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /context\n")
    argv = ("build", "-q", "-t", "lab/context:1", "-f", str(tmp_path / "Dockerfile"), str(tmp_path / "tree"))
    image_docker.cli(*argv, DOCKER_BUILDKIT="0")
    found = image_docker.inside_image("cd /context; find . -type f ! -name '*.py'", image="lab/context:1").splitlines()
    assert sorted(path for path in found if not path.startswith(("./daemon/", "./checks/"))) == [
        "./LICENSE", "./README.md", "./deploy/sbom/make.sh", "./pyproject.toml", "./requirements/run.txt",
        "./requirements/sbom.txt",
    ]  # fmt: skip
    assert "secret" not in image_docker.inside_image(
        "cat $(find /context -type f) | grep -x secret || true", image="lab/context:1"
    )


def _size(docker: Docker, image: str) -> int:
    with docker.api() as api:
        return int(api.inspect_image(image)["Size"])


def _plain(name: str) -> str:
    """Write a distribution's name as pip's files do."""
    return name.lower().replace("_", "-")
