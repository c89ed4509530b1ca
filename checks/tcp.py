"""Does a Resource's port accept connections, as seen from the Connector's place in the network?

What must hold: at least one address of the Resource (every one with `addresses: all`) completes a TCP handshake on
the port within the time-out. Up to 8 addresses are tried at the same time, one connection each: all A records, or the
AAAA records when there is no A. What happens after the handshake does not matter: a service that accepts and resets at
once has accepted (fact `reset_after_accept`).

- ok: it accepts. With `expect: any` always ok, what was seen is a fact. With `expect: down` ok means that it
  does not accept.
- warning: `unexpectedly_up`, it accepts although `expect: down` says that it should not. A port that only the
  Connector's log named (behind a pattern, a network, or where all ports are allowed) and that does not accept, while
  the log shows no user failing there: with the reasons of critical.
- critical: no address accepts. A user gets "Unable to connect" now. The reason is that of the address that tells most:
  `refused`, `blocked_locally`, `unreachable`, `no_route`, `address_family_unavailable`, `timeout`, in this order. When
  the `dns` check is not run, a name that does not resolve is critical here, with the reason from DNS.
- unknown: `prober_starved`, our own limits (file descriptors, ports, an event loop more than 250 ms late) kept us from
  looking.
- skipped: `not_allowed` (address in `probing.deny`, or no permitted method for the port), `dependency_failed` (the
  name fails: see its `dns` row), `never_up` (a port from a range, a source, a sample or the Connector's log that has
  never accepted; where the log lately showed a user failing on it, it is critical all the same).

Measured: `connect_seconds`, seconds from SYN to the completed handshake of the fastest address that accepts.

No harm: where it may (CAP_NET_RAW, see `healthctl explain half_open`) the probe is half-open: a SYN, the answer to it,
and a reset by this host's kernel, so that no application ever sees it. Else it connects, sends no data and ends with
FIN. The fact `method` tells which. A port that permits half-open probes only is not probed where there are none.
What it can't see: whether the application behind the port works, whether it admits a user (`pg_hba.conf`,
`AllowUsers`), and UDP. With `connect`, a firewall of this host that silently drops what we send is told from one on the
way only if `schedule.timeout` is more than about a second.

By hand: nc -vz -w 5 10.1.2.3 5432, or half-open, as root: nmap -Pn -sS -p 5432 10.1.2.3
Source: RFC 9293 (TCP), connect(2); Twingate, "How to troubleshoot user issues" (the event "Unable to connect").
"""

from collections.abc import Sequence

from checks.learned import at_most_warning
from checks.model import Outcome, Reason, Rows
from checks.net.endpoint import is_address
from checks.net.errors import NetError
from checks.net.seat import Context, Seat
from checks.net.tcp import Attempt, attempt_all
from checks.policy import NO_RIGHT
from checks.tcp_spec import TcpSpec, aim_at
from checks.tcp_verdict import CRITICAL_REASONS, facts_of, judge, skipped, unresolved

__all__ = ["CRITICAL_REASONS", "TcpSpec", "judge", "probe", "try_all"]


async def probe(spec: TcpSpec, context: Context) -> Rows:
    """Look once at one port; one row."""
    outcome = await _look(spec, context)
    capped = spec.learned_sample and not context.user_failed
    return {spec.target: at_most_warning(outcome) if capped else outcome}


async def _look(spec: TcpSpec, context: Context) -> Outcome:
    if context.attempts is not None:
        aim = aim_at(spec, context.addresses or (spec.address,))
        return judge(spec, context, context.attempts, aim)
    if (forbidden := _forbidden(spec, context)) is not None:
        return forbidden
    addresses = context.addresses
    if addresses is None:
        if is_address(spec.address):
            addresses = (spec.address,)
        else:
            resolution = await context.seat.resolver.resolve(spec.address)
            addresses = resolution.addresses
            if not addresses:
                return unresolved(spec, context, resolution)
    elif not addresses:
        return skipped(
            Reason.DEPENDENCY_FAILED,
            f"{spec.target} is not probed: its name does not resolve",
            f"See the row dns:{spec.address}.",
        )
    aim = aim_at(spec, addresses)
    if not aim.chosen:
        return skipped(
            Reason.NOT_ALLOWED,
            f"{spec.target} is not probed: {', '.join(aim.denied)} is in probing.deny",
            "If it should be probed, add its network to probing.allow.",
            facts_of(spec, aim, ()),
        )
    return judge(spec, context, await try_all(context.seat, spec, aim.chosen, spec.timeout_s), aim)


async def try_all(seat: Seat, spec: TcpSpec, addresses: tuple[str, ...], timeout_s: float) -> Sequence[Attempt]:
    """Try every address at the same time, by the method of the spec; the results are in the order of `addresses`."""
    if spec.method == "connect":
        return await attempt_all(seat, addresses, spec.port, timeout_s)
    if seat.half_open is None:
        refusal = NetError(Reason.PERMISSION_DENIED, "no half-open probe can be made from here")
        return [Attempt(address, 0.0, refusal) for address in addresses]
    return await seat.half_open.attempt_all(addresses, spec.port, timeout_s)


def _forbidden(spec: TcpSpec, context: Context) -> Outcome | None:
    """Return the outcome of a port that may not be touched from here, or not now; None: it may."""
    prober = context.seat.half_open
    if spec.method == "half_open" and (prober is None or not prober.available):
        return skipped(
            Reason.NOT_ALLOWED,
            f"{spec.target} is not probed: only a half-open probe is permitted, which is not available from here",
            NO_RIGHT,
        )
    if context.confirming and spec.has_policy:
        return skipped(
            Reason.NOT_ALLOWED,
            f"{spec.target} is not asked again so soon: its port has a policy",
            f"Nothing to do: probing.ports says how often port {spec.port} may be connected to.",
        )
    return None
