"""Is the Connector itself running and healthy?

This version does not watch the Connector's process yet: the row is always skipped with the reason `not_probeable`, it
never alerts, and it silences nothing. Whether the process runs is told by `docker ps`, by
`systemctl status twingate-connector` or by `kubectl get pods`; note that the Connector's own health command answers OK
without any connectivity. What the Connector needs from this host (clock, Controller, Relays, DNS, the Resources'
ports) is watched by the other checks.

- skipped: `not_probeable`, always.

Measured: nothing.
Source: Twingate, "Connector health checks" ("A healthy status does not mean the Connector has connectivity").
"""

from dataclasses import dataclass

from checks.model import Outcome, Reason, Rows, Status
from checks.net.seat import Context

CRITICAL_REASONS: frozenset[Reason] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSpec:
    """Which Connector; `target` is the row's name."""

    target: str
    timeout_s: float = 5.0


async def probe(spec: ConnectorSpec, context: Context) -> Rows:
    """Say that the Connector's process is not watched."""
    del context  # nothing is asked yet
    return {
        spec.target: Outcome(
            status=Status.SKIPPED,
            summary="this version does not watch the Connector process yet",
            reason=Reason.NOT_PROBEABLE,
            action="See for yourself: docker ps, systemctl status twingate-connector, or kubectl get pods.",
        )
    }
