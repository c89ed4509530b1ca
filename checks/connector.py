"""Does the Connector itself run, with what, and what does its log say of its tokens?

What must hold: the container, unit or pod that `connector.runtime` names (auto: what is found here) runs; its log does
not say that the Controller refuses its tokens; it has file descriptors left, eight for each Client's tunnel; it is not
started again and again. The first of these that does not hold decides; the others are listed in the fact `also`.

- ok: it runs. Where its process can't be seen (a pod without a shared process namespace), its own metrics answer.
- warning: `fds_low`, less than 20 % of its file descriptors are free, or its log said within 15 minutes that none was
  left. `restarting`, it was restarted 3 times within 15 minutes, counted from look to look. `unhealthy`, its own health
  command fails, or its log says that all nameservers have failed while they answer us: then its resolver is stuck, and
  it wants to be restarted.
- critical: `not_running`, its container or unit is there and does not run: its Resources are then skipped, for it is
  the cause. `token_gone` (Gone, code 410) until it is started anew. `token_invalid` (Invalid token: nearly always the
  clock) until its log says that it is online; where the log's level hides that, for 15 minutes.
- unknown: `permission_denied`, this account may not look.
- skipped: `not_found`, no Connector is found here; `not_probeable`, `connector.runtime` is `none`, or nothing tells.
  Neither silences anything, and neither is an alert.

Measured: `uptime_seconds`. Facts: runtime, name, status, image, version, pid, `started_at`, `restarts` since we watch,
`restarts_15m`, health, `exit_code`, `oom_killed`, `fds` (used, limit, and for how many tunnels the rest is enough),
`ping_group_range` and `icmp` (false: ICMP Resources fail, TCP ones do not), its environment (TWINGATE_NETWORK, URL,
DNS, LOG_*, METRICS_PORT, LABEL_* and nothing else), `token_valid` (true on evidence only), a summary of its log, and
its own metrics where TWINGATE_METRICS_PORT or `connector.metrics_url` tells where they are.
What it can't see: whether users get through. "A healthy status does not mean the Connector has connectivity", says
Twingate of its health command, which looks at the process only; a log that is silent is no sign of health either.
Nor whether its version is still accepted: the Controller refuses Connectors below a minimum that is not public.

By hand: docker inspect NAME; systemctl status twingate-connector; kubectl describe pod NAME
Source: Twingate, "Connector health checks", "Connector metrics", "Connector best practices"; help article 4908519978
(tokens gone), 4104282255 (clock), 1422554451 (file descriptors), 6310565542 (ICMP).
"""

import asyncio
from dataclasses import dataclass

from checks.connector_metrics import read_own_metrics
from checks.connector_restarts import Restarts
from checks.connector_seen import Seen
from checks.connector_verdict import judge, nobody_looks
from checks.model import Reason, Rows
from checks.net.seat import Context

CRITICAL_REASONS = frozenset({Reason.NOT_RUNNING, Reason.TOKEN_GONE, Reason.TOKEN_INVALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSpec:
    """The row's name, and where the Connector's own metrics are (None: as its environment says).

    `timeout_s`: seconds for its own metrics; the runtime bounds its look itself.
    """

    target: str = "process"
    timeout_s: float = 5.0
    metrics_url: str | None = None


def new_memory() -> Restarts:
    """Make what is remembered from look to look: how often it was restarted."""
    return Restarts()


async def probe(spec: ConnectorSpec, context: Context) -> Rows:
    """Look at the Connector's process once, and at its own metrics while it runs; one row."""
    if context.connector is None:
        return {spec.target: nobody_looks()}
    sighting = await context.connector.look()
    if sighting.runtime == "none" and sighting.running is None and sighting.problem is None:
        return {spec.target: nobody_looks()}
    restarts = context.memory if isinstance(context.memory, Restarts) else new_memory()
    elapsed = asyncio.get_running_loop().time()
    restarts.note(sighting, elapsed)
    own = None
    if sighting.problem is None and sighting.running is not False:
        own = await read_own_metrics(spec.metrics_url, sighting, context, spec.timeout_s)
    seen = Seen(
        sighting=sighting,
        now=context.seat.wall_clock(),
        log=context.log,
        own=own,
        restarts=restarts.total,
        restarts_15m=restarts.lately(elapsed),
        resolver_ok=context.resolver_ok,
        clock_off=context.clock_off,
    )
    return {spec.target: judge(seen)}
