"""What completes a look at the Connector: what only the helper may see, and where we stand ourselves."""

from dataclasses import replace
from pathlib import Path

from checks.net.helper import HelperState
from checks.runtime.model import Sighting


def completed(sighting: Sighting, state: HelperState | None) -> Sighting:
    """Add what only the helper may see: descriptors, sysctls and settings of another user's process."""
    if state is None or (sighting.pid is not None and sighting.pid != state.pid):
        return sighting
    return replace(
        sighting,
        fds=sighting.fds or state.fds,
        ping_group_range=sighting.ping_group_range or state.ping_group_range,
        environment=sighting.environment or state.environment,
    )


def own_namespace() -> int:
    """Return the inode of our own network namespace; -1 when it can't be told."""
    try:
        return Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return -1
