"""Announced maintenance: which windows are open, and which Resources they excuse from alerts."""

import fnmatch
from collections.abc import Iterable

from daemon.config.schema import Maintenance, Resource


def current_windows(windows: Iterable[Maintenance], now: float) -> list[Maintenance]:
    """Return the maintenance windows that are open at a Unix time; their end is not part of them."""
    return [w for w in windows if w.start.timestamp() <= now < w.to.timestamp()]


def in_maintenance(resource: Resource, windows: Iterable[Maintenance]) -> bool:
    """Tell whether a window names this Resource or matches its address (`*` and `?`; case does not matter)."""
    return any(
        window.match == resource.name or fnmatch.fnmatchcase(resource.address.lower(), window.match.lower())
        for window in windows
    )
