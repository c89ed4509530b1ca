"""What we depend on: few, each with a reason, pinned by hashes, under licences that let anybody use it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.sbom.licences import EXCEPTIONS, Package, normalised, page, shipped
from tests.support.servers import require_module

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
SETS = sorted(REQUIREMENTS.glob("*.txt"))
SHIPPED = ("run", "systemd")
MOST_DIRECT = 12
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# A pin and its hashes on lines of their own, as pip-compile writes them.
_PINNED = re.compile(r"([a-z0-9][a-z0-9-]*)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


@cache
def pins(name: str) -> dict[str, str]:
    """Return what a requirements file pins: package → version."""
    return {found[1]: found[2] for found in _PINNED.finditer((REQUIREMENTS / f"{name}.txt").read_text())}


@pytest.fixture(scope="module")
def packages() -> dict[str, Package]:
    """What our packages ship, by name."""
    require_module("systemd", "systemd")
    return {one.name: one for one in shipped()}


@pytest.mark.parametrize("file", SETS, ids=lambda file: file.stem)
def test_every_package_is_pinned_by_hashes_and_nothing_else_is_said(file: Path) -> None:
    """A requirements file holds versions and hashes: no package without one, no address, no option."""
    rest = re.sub(r"^#.*", "", _PINNED.sub("", file.read_text()), flags=re.MULTILINE)
    assert rest.strip() == "", f"{file.name}: not a pin with hashes: {rest[:200]!r}"
    assert "://" not in file.read_text()
    assert pins(file.stem)


def test_all_requirements_files_pin_the_same_versions() -> None:
    """What is tested is what is shipped: a package has one version in all files."""
    found: dict[str, dict[str, str]] = {}
    for file in SETS:
        if file.stem == "sbom":  # in an environment of its own, beside nothing else
            continue
        for name, version in pins(file.stem).items():
            found.setdefault(name, {})[file.stem] = version
    assert {name: where for name, where in found.items() if len(set(where.values())) > 1} == {}


def _imported(folder: Path) -> Iterator[str]:
    """Yield the first part of each module that a folder's files import, wherever in them."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (each.name.partition(".")[0] for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def test_lint_needs_nothing_that_its_environment_lacks() -> None:
    """`make lint` comes first on a new machine: mypy is told of each module that requirements/dev.txt lacks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    told = {module.removesuffix(".*") for each in settings["overrides"] for module in each["module"]}
    ours, pinned = {*settings["files"], "bench"}, pins("dev")
    owners = packages_distributions()
    missing = set()
    for folder in ("deploy", "helm", "tests/deploy", "tests/installation", "tests/support"):
        for module in set(_imported(ROOT / folder)) - set(sys.stdlib_module_names) - ours - told:
            if not {normalised(name) for name in owners.get(module, [module])} & pinned.keys():
                missing.add(module)
    assert missing == set()


def test_direct_dependencies_are_few_and_each_has_its_reason() -> None:
    """At most 12 packages are asked for by the product itself; DECISIONS.md says what each is for, and why this one."""
    direct = {normalised(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert len(direct) <= MOST_DIRECT
    _, _, table = (ROOT / "DECISIONS.md").read_text().partition("## Runtime dependencies")
    table, _, _ = table.partition("\n## ")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")
    ]
    reasons = {normalised(cells[0].split()[0]): cells[1:] for cells in rows}
    assert {name for name in direct if not all(reasons.get(name, [""]))} == set(), (
        "a row with use and reason is missing"
    )
    extras = {"systemd-python", "trustme"}
    assert set(reasons) - direct - extras == {"library"}, "a row for what is not asked for (any more)"


def test_nothing_is_pinned_that_nobody_needs(packages: dict[str, Package]) -> None:
    """What is installed on a Connector's host is what the product needs, and what builds its own wheel."""
    build = {"editables", "hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}
    pinned = {name: version for file in SHIPPED for name, version in pins(file).items()}
    assert {name for name in pinned if name not in packages} == build
    assert {name for name in packages if name not in pinned} == set()


def test_every_licence_is_permissive_or_a_named_exception(packages: dict[str, Package]) -> None:
    """No package is shipped under a licence that nobody has agreed to."""
    assert {name: one.licence for name, one in packages.items() if not one.allowed} == {}
    assert {name for name in EXCEPTIONS if packages[name].licence != EXCEPTIONS[name][0]} == set()


def test_the_list_of_licences_is_current(packages: dict[str, Package]) -> None:
    """docs/licences.md names what is pinned, with its licence; `make licences` writes it anew."""
    pinned = {name: version for file in SHIPPED for name, version in pins(file).items()}
    other = {name: one.version for name, one in packages.items() if one.version != pinned[name]}
    assert other == {}, (
        "installed here is not what is pinned: install requirements/test.txt and requirements/systemd.txt"
    )
    assert (ROOT / "docs/licences.md").read_text() == page(packages.values())


def test_a_licence_that_is_not_permissive_is_noticed() -> None:
    """Copyleft is refused, alone or as one part of several; so is what nobody understands."""
    allowed = {
        "MIT": True, "Apache-2.0 AND BSD-2-Clause": True, "MIT OR Apache-2.0": True,
        "GPL-3.0-only": False, "MIT AND GPL-2.0-or-later": False, "MPL-2.0": False, "": False,
        "(MIT OR GPL-3.0-only) AND ISC": False, "Apache-2.0 WITH LLVM-exception": False,
    }  # fmt: skip
    found = {text: Package(name="x", version="1", licence=text, needed_by=()).allowed for text in allowed}
    assert found == allowed
    certifi = Package(name="certifi", version="1", licence="GPL-3.0-only", needed_by=())
    assert not certifi.allowed, "an exception holds for the licence that it names, not for the package"


def test_a_package_without_a_licence_is_no_exception_to_the_rule() -> None:
    """Our own metadata names licence and file, as we ask of others."""
    own = distribution("connector-health").metadata
    assert (own["License-Expression"], own["License-File"]) == ("Apache-2.0", "LICENSE")
