"""Write docs/licences.md: under which licence each package is that our packages ship, as its own metadata tells.

    python -m deploy.sbom.licences docs/licences.md

It reads the environment that it runs in, so connector-health and systemd-python must be installed there. When a licence
is neither permissive nor one of the named exceptions it writes nothing and ends with 1: then a person decides.
"""
# ruff: noqa: INP001 - a script beside the product, not a part of its packages

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOTS = ("connector-health", "systemd-python")  # the second is in the .deb only: a container has no systemd

# Use, change and pass on, also as part of something closed; no more asked than to keep the text.
PERMISSIVE = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"}
)
# Copyleft that ends at the package's own files; each is shipped unchanged, and a user can put another in its place.
EXCEPTIONS = {
    "certifi": ("MPL-2.0", "the list of public roots, as data; shipped unchanged"),
    "systemd-python": ("LGPL-2.1-or-later", "in the .deb only; built from its source, unchanged"),
}  # fmt: skip

# What metadata without an SPDX expression says, for those that we have met.
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "mpl-2.0": "MPL-2.0",
    "psf-2.0": "PSF-2.0",
}
# Metadata that names a family only: what the licence file in the package says.
_READ = {"jinja2": "BSD-3-Clause", "systemd-python": "LGPL-2.1-or-later"}

_HEAD = """\
# Licences

What the packages of Connector Health ship, and under which licence. `make licences` writes this page from the
packages' own metadata, for the versions that `requirements/run.txt` and `requirements/systemd.txt` pin (Python 3.11).
A test holds it current, and fails on a licence that `deploy/sbom/licences.py` does not list as permissive.
Connector Health itself is Apache-2.0.

| package | version | licence | needed by |
|---|---|---|---|
"""
_TAIL = """
Not permissive, and so named one by one (both leave all other files alone):

{exceptions}

What else there is to know:

- **The texts** lie beside each package, in `*.dist-info/licenses/` below `/opt/connector-health/lib/`.
- **Not in this list**: Python itself, OpenSSL, SQLite and libsystemd, which come from Debian or from the image's base;
  and what wheels hold in compiled form, such as libyaml (MIT) in PyYAML and the Rust crates in bcrypt.
- **Only to build** are hatchling and what it needs, and the tool that writes the SBOM (`requirements/sbom.txt`).
  What only the tests need is never shipped.
- **What one artefact holds** tells its SBOM (CycloneDX 1.6, JSON): `/usr/share/doc/connector-health/sbom.cdx.json` of
  the .deb, `/usr/share/connector-health/sbom.cdx.json` of the image. `deploy/sbom/make.sh` writes it from what is
  installed. It lists the Python packages, not the Debian packages below them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that is shipped. `name` is normalised; `needed_by` holds the names of those that ask for it."""

    name: str
    version: str
    licence: str
    needed_by: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Tell whether it may be shipped: every licence that applies is permissive, or the package is an exception."""
        return self.licence in EXCEPTIONS.get(self.name, ())[:1] or _permissive(self.licence)


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shipped() -> list[Package]:
    """Return what our packages ship beside our own code, by name. Raises: PackageNotFoundError, ValueError."""
    found: dict[str, Distribution] = {}
    asked_by: dict[str, set[str]] = {}
    todo = [(root, "") for root in ROOTS]
    while todo:
        name, parent = todo.pop()
        asked_by.setdefault(name, set()).add(parent)
        if name in found:
            continue
        found[name] = distribution(name)
        todo += [(wanted, name) for wanted in _wanted(found[name])]
    return [
        Package(name=name, version=one.version, licence=licence_of(one), needed_by=tuple(sorted(asked_by[name] - {""})))
        for name, one in sorted(found.items())
        if name != ROOTS[0]
    ]


def licence_of(package: Distribution) -> str:
    """Return a package's licence as an SPDX expression. Raises: ValueError when its metadata does not tell."""
    name = normalised(package.metadata["Name"])
    if name in _READ:
        return _READ[name]
    if expression := _told(package, "License-Expression"):
        return expression
    told = _told(package, "License").strip()
    if licence := _SPDX.get(told.lower()):
        return licence
    raise ValueError(
        f"{name} {package.version}: what licence is {told[:80]!r}? Read its licence file, then add it here"
    )


def page(packages: Iterable[Package]) -> str:
    """Return the page's text."""
    exceptions = "\n".join(f"- {name}: {licence}; {why}." for name, (licence, why) in EXCEPTIONS.items())
    return _HEAD + "".join(map(_row, packages)) + _TAIL.format(exceptions=exceptions)


def _row(one: Package) -> str:
    return f"| {one.name} | {one.version} | {one.licence} | {', '.join(one.needed_by) or '(the .deb)'} |\n"


def _told(package: Distribution, key: str) -> str:
    return str(package.metadata[key]) if key in package.metadata else ""


def _wanted(package: Distribution) -> list[str]:
    needs = [Requirement(text) for text in package.requires or ()]
    return [normalised(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def _permissive(expression: str) -> bool:
    """Tell whether an SPDX expression asks for nothing but permissive licences; what is not understood is not."""
    terms = re.split(r" (?:AND|OR) ", expression)
    return all(term in PERMISSIVE for term in terms)


def main(arguments: list[str]) -> int:
    """Write the page to the file that the arguments name; return the exit code."""
    (file,) = arguments
    packages = shipped()
    for one in packages:
        if not one.allowed:
            sys.stderr.write(f"{one.name} {one.version}: {one.licence} is neither permissive nor a named exception\n")
    if not all(one.allowed for one in packages):
        return 1
    Path(file).write_text(page(packages))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
