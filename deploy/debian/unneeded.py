"""Print the distributions of this environment that nothing needs at run time: `unneeded.py DISTRIBUTION [EXTRA]…`."""
# ruff: noqa: INP001 - a script beside the product, not a part of its packages

import importlib.metadata
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str, extras: frozenset[str], found: dict[str, set[str]]) -> None:
    """Add a distribution, and what it requires here with these extras, to `found`."""
    name = canonicalize_name(name)
    if name in found and extras <= found[name]:
        return
    extras = frozenset(found.setdefault(name, set()) | extras)
    found[name] |= extras
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras | {""}):
            needed(requirement.name, frozenset(requirement.extras), found)


def main() -> None:
    """Compare what is installed with what is needed."""
    found: dict[str, set[str]] = {}
    needed(sys.argv[1], frozenset(sys.argv[2:]), found)
    installed = {canonicalize_name(one.metadata["Name"]) for one in importlib.metadata.distributions()}
    print(*sorted(installed - set(found)))  # noqa: T201 - a script


if __name__ == "__main__":
    main()
