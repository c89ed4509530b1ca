"""The explicit map from a check's name to its probe. A new check is one module and one line here."""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from checks.model import CheckName, Reason, Rows
from checks.net.seat import Context

Probe = Callable[[Any, Context], Awaitable[Rows]]
"""`async def probe(spec, context) -> Rows`: looks once; the caller owns the deadline and the stopwatch."""


@dataclass(frozen=True, slots=True)
class Check:
    """Where a check lives. The module is imported when it is first used: start-up time is a feature."""

    module_name: str

    @property
    def module(self) -> ModuleType:
        """The module; its docstring is the check's documentation."""
        return importlib.import_module(self.module_name)

    @property
    def probe(self) -> Probe:
        """The module's one probe function."""
        probe: Probe = self.module.probe
        return probe

    @property
    def reasons(self) -> frozenset[Reason]:
        """Every reason with which this check can be critical; their counters start at 0."""
        reasons: frozenset[Reason] = self.module.CRITICAL_REASONS
        return reasons

    def new_memory(self) -> object:
        """Make what the probe remembers from run to run (None for most)."""
        make: Callable[[], object] | None = getattr(self.module, "new_memory", None)
        return make() if make else None


CHECKS: Mapping[CheckName, Check] = {
    CheckName.HOST: Check("checks.host"),
    CheckName.CLOCK: Check("checks.clock"),
    CheckName.CONTROL_PLANE: Check("checks.control_plane"),
    CheckName.RELAY: Check("checks.relay"),
    CheckName.NAT: Check("checks.nat"),
    CheckName.RESOLVER: Check("checks.resolver"),
    CheckName.DNS: Check("checks.names"),
    CheckName.TCP: Check("checks.tcp"),
    CheckName.CONNECTOR: Check("checks.connector"),
    CheckName.PROVIDER: Check("checks.provider"),
}
