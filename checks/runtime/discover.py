"""A first form, so that what stands on it can be tested: it finds nothing yet."""

from checks.model import Reason
from checks.runtime.model import Runtime, RuntimeName, Sighting, Wanted


class NothingRuntime:
    """Placeholder."""

    @property
    def name(self) -> RuntimeName:
        """Placeholder."""
        return "none"

    async def look(self) -> Sighting:
        """Placeholder."""
        return Sighting(runtime="none", problem=Reason.NOT_FOUND, evidence="no Connector was found")

    async def close(self) -> None:
        """Placeholder."""


async def discover(wanted: Wanted) -> Runtime:
    """Placeholder."""
    del wanted
    return NothingRuntime()
