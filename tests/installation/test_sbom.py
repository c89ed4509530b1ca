"""The SBOM that both the .deb and the image carry, made of an environment as both install it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.version import __version__
from deploy.sbom.licences import normalised
from tests.deploy.test_supply_chain import PROJECT, pins

ROOT = Path(__file__).parents[2]
MAKE = ROOT / "deploy/sbom/make.sh"
EPOCH = "1767323045"  # 2026-01-02T03:04:05Z
INSTALL = ("install", "-q", "--disable-pip-version-check", "--no-cache-dir")


def run(*argv: object, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with some more environment, and fail with its output unless told not to."""
    done = subprocess.run(
        [str(one) for one in argv], env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the product and its pinned requirements, without pip."""
    folder = tmp_path_factory.mktemp("sbom")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("checks", "daemon"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    python = folder / "venv/bin/python"
    run(sys.executable, "-m", "venv", folder / "venv")
    run(python, "-m", "pip", *INSTALL, "--require-hashes", "-r", ROOT / "requirements/run.txt")
    run(python, "-m", "pip", *INSTALL, "--no-deps", "--no-build-isolation", source)
    run(python, "-m", "pip", "uninstall", "-q", "-y", "setuptools", "pip")
    return python


@pytest.fixture(scope="module")
def sbom(python: Path) -> Path:
    """The document, as a build makes it."""
    return make(python, "one.json")


def make(python: Path, name: str) -> Path:
    """Write the document beside the environment; return its path."""
    output = python.parents[2] / name
    run(MAKE, python, output, SOURCE_DATE_EPOCH=EPOCH)
    return output


def names(components: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return name → version."""
    return {normalised(one["name"]): one["version"] for one in components}


@pytest.mark.timeout(900)
def test_it_names_the_product_and_all_that_is_installed_with_it(sbom: Path) -> None:
    """The product by name and version, each package as pinned, what the product itself asks for, and nothing else."""
    document = json.loads(sbom.read_text())
    root = document["metadata"]["component"]
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert (root["name"], root["version"]) == ("connector-health", __version__)
    assert [one["license"]["id"] for one in root["licenses"]] == ["Apache-2.0"]
    assert names(document["components"]) == pins("run")
    (asked,) = (one["dependsOn"] for one in document["dependencies"] if one["ref"] == root["bom-ref"])
    assert len(asked) == len(PROJECT["dependencies"])
    assert all(one["licenses"] and one["purl"].startswith("pkg:") for one in document["components"])


@pytest.mark.timeout(900)
def test_the_same_environment_gives_the_same_bytes_and_tells_no_path_of_the_build(python: Path, sbom: Path) -> None:
    """Made twice it is the same; its time is SOURCE_DATE_EPOCH; where it was built does not show."""
    before = sorted((str(file), file.stat().st_mtime_ns) for file in python.parents[1].rglob("*"))
    again = make(python, "two.json")
    assert again.read_bytes() == sbom.read_bytes()
    assert json.loads(sbom.read_text())["metadata"]["timestamp"] == "2026-01-02T03:04:05+00:00"
    assert str(python.parents[2]) not in sbom.read_text()
    assert "file:" not in sbom.read_text()
    assert sorted((str(file), file.stat().st_mtime_ns) for file in python.parents[1].rglob("*")) == before
    assert sbom.stat().st_mode & 0o777 == 0o644


@pytest.mark.timeout(900)
def test_without_the_product_there_is_no_document(tmp_path: Path) -> None:
    """An environment without the product is refused with the reason, and no half-made file stays."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    done = run(MAKE, tmp_path / "venv/bin/python", tmp_path / "sbom.json", check=False)
    assert done.returncode != 0
    assert "connector-health" in done.stderr
    missing = run(MAKE, tmp_path / "none/bin/python", tmp_path / "sbom.json", check=False)
    assert (missing.returncode, missing.stderr.partition(":")[0]) == (2, "usage")
    assert [file.name for file in tmp_path.iterdir()] == ["venv"]
