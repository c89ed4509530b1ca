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

No harm: the probe sends no data and ends with FIN, never with a reset. What it can't see: whether the application
behind the port works, whether it admits a user (`pg_hba.conf`, `AllowUsers`), and UDP. A firewall of this host that
silently drops what we send is told from one on the way only if `schedule.timeout` is more than about a second.
Half-open probes (SYN only) do not exist yet in this version: a port that permits nothing else is not probed.

By hand: nc -vz -w 5 10.1.2.3 5432
Source: RFC 9293 (TCP), connect(2); Twingate, "How to troubleshoot user issues" (the event "Unable to connect").
"""

from dataclasses import dataclass
from typing import Literal

from checks.advice import (
    CONNECT_FAILURES,
    DNS_FAILURES,
    command,
    duration,
    one_line,
    what_to_do,
    what_to_do_about_name,
    what_was_seen,
)
from checks.learned import at_most_warning
from checks.model import Event, Json, Outcome, Reason, Rows, Status
from checks.net.endpoint import Endpoint, is_address
from checks.net.errors import NetError
from checks.net.seat import Context, Resolution
from checks.net.tcp import Attempt, attempt_all, best_evidence
from checks.policy import Method, Network, denied

CRITICAL_REASONS = CONNECT_FAILURES | DNS_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSpec:
    """One port of one address.

    - `address`: a name, or a literal address; `target`: `address:port` as it is shown.
    - `expect`: `learned` is `expect: auto` for a port that nobody wrote down by itself (range, source, sample, log).
    - `learned_sample`: known from the Connector's log alone, so at most a warning unless a user fails there too.
    - `require_all`: every address must accept (`addresses: all`).
    - `literal_allowed`: a literal `address` stands in the operator's file, which exempts it from `deny`.
    - `has_policy`: the port may be connected to only now and then; the fast confirmation must not.
    - `timeout_s`: seconds for the handshake of each address; all are tried at the same time.
    """

    address: str
    port: int
    target: str
    timeout_s: float = 5.0
    method: Method = "connect"
    expect: Literal["up", "down", "any", "learned"] = "up"
    require_all: bool = False
    deny: tuple[Network, ...] = ()
    allow: tuple[Network, ...] = ()
    literal_allowed: bool = False
    has_policy: bool = False
    max_addresses: int = 8
    learned_sample: bool = False


async def probe(spec: TcpSpec, context: Context) -> Rows:
    """Look once at one port; one row."""
    outcome = await _look(spec, context)
    capped = spec.learned_sample and not context.user_failed
    return {spec.target: at_most_warning(outcome) if capped else outcome}


async def _look(spec: TcpSpec, context: Context) -> Outcome:
    if spec.method == "half_open":
        return _skipped(
            Reason.NOT_ALLOWED,
            f"{spec.target} is not probed: only a half-open probe is permitted, which this version does not have",
            f"A connect can harm the service behind port {spec.port}. To permit it now and then, give the port a "
            f"duration in probing.ports (for example {spec.port}: 5m).",
        )
    if context.confirming and spec.has_policy:
        return _skipped(
            Reason.NOT_ALLOWED,
            f"{spec.target} is not asked again so soon: its port has a policy",
            f"Nothing to do: probing.ports says how often port {spec.port} may be connected to.",
        )
    addresses = context.addresses
    if addresses is None:
        if is_address(spec.address):
            addresses = (spec.address,)
        else:
            resolution = await context.seat.resolver.resolve(spec.address)
            addresses = resolution.addresses
            if not addresses:
                return _unresolved(spec, context, resolution)
    elif not addresses:
        return _skipped(
            Reason.DEPENDENCY_FAILED,
            f"{spec.target} is not probed: its name does not resolve",
            f"See the row dns:{spec.address}.",
        )
    chosen, forbidden, left_out = choose(spec, addresses)
    facts: dict[str, Json] = {"addresses": chosen, "method": spec.method}
    if forbidden:
        facts["denied"] = forbidden
    if left_out:
        facts["not_probed"] = left_out
    if not chosen:
        return _skipped(
            Reason.NOT_ALLOWED,
            f"{spec.target} is not probed: {', '.join(forbidden)} is in probing.deny",
            "If it should be probed, add its network to probing.allow.",
            facts,
        )
    return judge(spec, context, await attempt_all(context.seat, chosen, spec.port, spec.timeout_s), facts)


def choose(spec: TcpSpec, addresses: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Return what to probe, what is denied, and how many more there are than we probe."""
    if len(addresses) > 1:
        addresses = tuple(dict.fromkeys(addresses))
        addresses = tuple(a for a in addresses if ":" not in a) or addresses
    exempt = spec.literal_allowed and is_address(spec.address)
    forbidden = tuple(a for a in addresses if denied(a, spec.deny, spec.allow, literal_allowed=exempt))
    if forbidden:
        addresses = tuple(a for a in addresses if a not in forbidden)
    chosen = addresses[: spec.max_addresses]
    return chosen, forbidden, len(addresses) - len(chosen)


def judge(spec: TcpSpec, context: Context, attempts: list[Attempt], facts: dict[str, Json]) -> Outcome:
    """Return the verdict on at least one try; `facts` is added to."""
    accepted = [a for a in attempts if a.accepted]
    facts["accepted"] = tuple(a.address for a in accepted)
    facts["share"] = len(accepted) / len(attempts)
    failures = [a.error for a in attempts if a.error is not None and not a.accepted]
    if failures:
        facts["failed"] = {a.address: a.error.reason.value for a in attempts if a.error and not a.accepted}
        facts["evidence"] = best_evidence(failures).evidence
    if reset := tuple(a.address for a in accepted if a.error):
        facts["reset_after_accept"] = reset
    measurements = {"connect_seconds": min(a.seconds for a in accepted)} if accepted else {}
    if spec.expect == "down":
        return _judge_down(spec, attempts, failures, measurements, facts)
    if spec.expect == "any" or (accepted and not (spec.require_all and failures)):
        summary = _accepting(spec, attempts, accepted) if accepted else _failing(spec, attempts)
        return Outcome(
            status=Status.OK,
            summary=one_line(summary),
            event=Event.NONE,
            measurements=measurements,
            facts=facts,
        )
    judged = [e for e in failures if e.reason in CRITICAL_REASONS]
    # Our own limits hide an address that might have accepted; where all must accept, one that does not is enough.
    if len(judged) < len(failures) and not (spec.require_all and judged):
        return _starved(spec, failures, facts)
    if _unproven(spec, context) and not accepted:
        return _never_up(spec, _failing(spec, attempts), facts)
    worst = best_evidence(judged)
    failed = next(a for a in attempts if a.error is worst)
    return Outcome(
        status=Status.CRITICAL,
        summary=one_line(_failing(spec, attempts)),
        reason=worst.reason,
        event=Event.UNABLE_TO_CONNECT,
        action=what_to_do(worst.reason, failed.address, spec.port),
        measurements=measurements,
        facts=facts,
    )


def _judge_down(
    spec: TcpSpec,
    attempts: list[Attempt],
    failures: list[NetError],
    measurements: dict[str, float],
    facts: dict[str, Json],
) -> Outcome:
    if measurements:
        address = next(a.address for a in attempts if a.accepted)
        return Outcome(
            status=Status.WARNING,
            summary=one_line(f"{spec.target} accepts connections although it is expected to be down"),
            reason=Reason.UNEXPECTEDLY_UP,
            event=Event.NONE,
            action="Close the port, or change `expect` of the Resource. Repeat it by hand on this host: "
            + command(address, spec.port),
            measurements=measurements,
            facts=facts,
        )
    if any(e.reason not in CRITICAL_REASONS for e in failures):
        return _starved(spec, failures, facts)
    facts["expected_down"] = True
    return Outcome(
        status=Status.OK, summary=one_line(f"As expected, {_failing(spec, attempts)}"), event=Event.NONE, facts=facts
    )


def _unresolved(spec: TcpSpec, context: Context, resolution: Resolution) -> Outcome:
    """Judge a name that we had to resolve ourselves, in vain."""
    reason = resolution.reason or Reason.NO_ADDRESS
    failed = "does not resolve" if reason in DNS_FAILURES else "was not looked up"
    summary = one_line(f"{spec.address} {failed}: {resolution.evidence or reason}")
    facts: dict[str, Json] = {"addresses": (), "method": spec.method, "name_failed": reason.value}
    if spec.expect in ("any", "down"):
        if spec.expect == "down":
            facts["expected_down"] = True
        return Outcome(status=Status.OK, summary=summary, event=Event.NONE, facts=facts)
    if reason not in DNS_FAILURES:
        return Outcome(
            status=Status.UNKNOWN,
            summary=summary,
            reason=reason,
            action=what_to_do_about_name(reason, spec.address),
            facts=facts,
        )
    if _unproven(spec, context):
        return _never_up(spec, summary, facts)
    return Outcome(
        status=Status.CRITICAL,
        summary=summary,
        reason=reason,
        event=Event.DNS_LOOKUP_ERROR,
        action=what_to_do_about_name(reason, spec.address),
        facts=facts,
    )


def _unproven(spec: TcpSpec, context: Context) -> bool:
    """Tell whether nothing shows that anybody needs this port: nobody wrote it, it was never up, no user fails."""
    return spec.expect == "learned" and not context.ever_up and not context.user_failed


def _accepting(spec: TcpSpec, attempts: list[Attempt], accepted: list[Attempt]) -> str:
    took = duration(min(a.seconds for a in accepted))
    if len(attempts) == 1:
        return f"{_where(spec, attempts[0])} accepted in {took}"
    return f"{spec.target}: {len(accepted)} of {len(attempts)} addresses accept, the fastest in {took}"


def _failing(spec: TcpSpec, attempts: list[Attempt]) -> str:
    errors = [a.error for a in attempts if a.error and not a.accepted]
    worst = best_evidence(errors)
    failed = next(a for a in attempts if a.error is worst)
    seen = what_was_seen(worst.reason, failed.seconds, spec.timeout_s)
    if len(attempts) == 1:
        return f"{_where(spec, failed)} {seen}"
    return f"{spec.target}: {len(errors)} of {len(attempts)} addresses do not accept; {failed.address} {seen}"


def _where(spec: TcpSpec, one: Attempt) -> str:
    shown = Endpoint(one.address, spec.port)
    return str(shown) if one.address == spec.address else f"{spec.target} ({one.address})"


def _never_up(spec: TcpSpec, seen: str, facts: dict[str, Json]) -> Outcome:
    return _skipped(
        Reason.NEVER_UP,
        seen,
        f"Nothing may ever have listened here. To be told of it, write port {spec.port} by itself in the Resource "
        "(or set expect: up).",
        facts,
    )


def _starved(spec: TcpSpec, failures: list[NetError], facts: dict[str, Json]) -> Outcome:
    limit = next(e for e in failures if e.reason not in CRITICAL_REASONS)
    return Outcome(
        status=Status.UNKNOWN,
        summary=one_line(f"{spec.target} could not be probed: {limit.evidence}"),
        reason=limit.reason,
        action="Raise the limits of this process (LimitNOFILE=, net.ipv4.ip_local_port_range), or lower "
        "schedule.max_rate and schedule.concurrency.",
        facts=facts,
    )


def _skipped(reason: Reason, summary: str, action: str, facts: dict[str, Json] | None = None) -> Outcome:
    return Outcome(status=Status.SKIPPED, summary=one_line(summary), reason=reason, action=action, facts=facts or {})
