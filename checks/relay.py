"""Can this host reach a Twingate Relay: over IPv4, by TCP, and by TLS where TLS is spoken?

What must hold: the endpoint's name has an IPv4 address, and one of its addresses accepts a TCP connection within the
time-out. Relays speak TLS on port 443; there a handshake is made and the certificate looked at. On other ports (Relays
use 30000 to 31000) the protocol is not public: the connection is opened and closed, nothing is sent.

- ok: an IPv4 address accepts. Other addresses that do not are a fact (`failed`). A port that answers with something
  else than TLS is ok with the fact `tls: false`; a certificate that can't be verified is the fact `tls_problem`.
- warning: an endpoint that is not proven fails, with the reason that would be critical for a proven one. `reset` or
  `timeout`, the port accepts TCP, but the TLS greeting is cut off or never answered: typical of packet inspection.
  `tls_intercepted`, the certificate comes from an authority that only this host trusts: TLS inspection, with which a
  Connector can't work.
- critical: a proven endpoint (written in the configuration, or used by the Connector within 24 hours) is down: a DNS
  reason, `no_ipv4` (only AAAA records: Relays need IPv4), `refused`, `timeout`, `unreachable`, `no_route`,
  `blocked_locally`, or `reset` (accepted, and reset at once).
- unknown: `prober_starved`, our own limits.

Measured: `connect_seconds`, `tls_seconds`, seconds of the TCP and the TLS handshake.
What it can't see: whether the Relay has room, and whether it would carry this Connector's traffic.

By hand: nc -vz -w 5 relays.twingate.com 443; openssl s_client -connect relays.twingate.com:443
Source: Twingate, "Connector best practices" (TCP 443, 30000 to 31000), help article 4995810632 (IPv4).
"""

import asyncio
import shlex
import socket
from dataclasses import dataclass

from checks.advice import (
    CONNECT_FAILURES,
    DNS_FAILURES,
    duration,
    one_line,
    what_to_do,
    what_to_do_about_name,
    what_was_seen,
)
from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError
from checks.net.seat import Context, Seat
from checks.net.tcp import Attempt, attempt_all, best_evidence, connect
from checks.net.tls import judge_untrusted, start_tls

CRITICAL_REASONS = (
    (CONNECT_FAILURES - {Reason.ADDRESS_FAMILY_UNAVAILABLE}) | DNS_FAILURES | {Reason.RESET, Reason.NO_IPV4}
)
TLS_PORT = 443
MAX_ADDRESSES = 8
_CUT_OFF = frozenset({Reason.RESET, Reason.TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySpec:
    """One Relay endpoint; `target` is how its row is named.

    - `proven`: written by the operator, or used by the Connector within 24 hours; only such a one can be critical.
    - `tls`: whether TLS is spoken there; None: on port 443 only.
    - `timeout_s`: seconds for the TCP handshakes (made at the same time), and again for the TLS handshake.
    """

    endpoint: Endpoint
    target: str
    proven: bool
    ca_file: str | None = None
    tls: bool | None = None
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tls:
    """What came of the TLS handshake: its duration, or why there was none."""

    seconds: float | None
    reason: Reason | None
    facts: dict[str, Json]


async def probe(spec: RelaySpec, context: Context) -> Rows:
    """Look once at one endpoint; one row."""
    return {spec.target: await _look(spec, context.seat)}


async def _look(spec: RelaySpec, seat: Seat) -> Outcome:
    resolution = await seat.resolver.resolve(spec.endpoint.host)
    host, port = spec.endpoint.host, spec.endpoint.port
    if not resolution.addresses:
        reason = resolution.reason or Reason.NO_ADDRESS
        summary = f"{host} does not resolve: {resolution.evidence or reason}"
        return _down(spec, reason, summary, what_to_do_about_name(reason, host), {"addresses": ()})
    addresses = tuple(dict.fromkeys(a for a in resolution.addresses if ":" not in a))[:MAX_ADDRESSES]
    if not addresses:
        return _down(
            spec,
            Reason.NO_IPV4,
            f"{host} has IPv6 addresses only, and Relays need IPv4",
            f"Ask its nameserver for an A record. Repeat it by hand on this host: dig {shlex.quote(host)} A",
            {"addresses": resolution.addresses},
        )
    attempts = await attempt_all(seat, addresses, port, spec.timeout_s)
    facts: dict[str, Json] = {"addresses": addresses}
    failures = {a.address: a.error for a in attempts if a.error is not None}
    if failures:
        facts["failed"] = {address: error.reason.value for address, error in failures.items()}
    answering = [a for a in attempts if a.error is None]
    if not answering:
        return _no_answer(spec, attempts, list(failures.values()), facts)
    best = min(answering, key=lambda a: a.seconds)
    if not (port == TLS_PORT if spec.tls is None else spec.tls):
        return _up(spec, best, None, facts)
    return _up(spec, best, await _tls(spec, seat, best.address), facts)


async def _tls(spec: RelaySpec, seat: Seat, address: str) -> _Tls:
    """Make the TLS handshake, and leave."""
    loop = asyncio.get_running_loop()
    host, port = spec.endpoint.host, spec.endpoint.port

    async def open_another() -> socket.socket:
        return await connect(seat, address, port, spec.timeout_s)

    try:
        sock = await open_another()
    except NetError:
        return _Tls(seconds=None, reason=None, facts={"tls": None})  # it accepted a moment ago, which is what decides
    try:
        started = loop.time()
        stream = await start_tls(sock, host, ca_file=spec.ca_file, timeout_s=spec.timeout_s)
        seconds = loop.time() - started
        stream.close()
    except NetError as error:
        reason, evidence = error.reason, error.evidence
    else:
        leaf = stream.facts.chain[0] if stream.facts.chain else None
        shown: dict[str, Json] = {"tls": True, "tls_protocol": stream.facts.protocol}
        if leaf is not None:
            shown |= {"issuer": leaf.issuer, "not_after": leaf.not_after}
        return _Tls(seconds=seconds, reason=None, facts=shown)
    if reason in (Reason.TLS_UNTRUSTED, Reason.TLS_NAME_MISMATCH):
        facts: dict[str, Json] = {"tls": True, "tls_problem": reason.value, "evidence": evidence}
        if reason is Reason.TLS_UNTRUSTED:
            reason, seen = await judge_untrusted(open_another, host, spec.timeout_s)
            facts["tls_problem"] = reason.value
            if seen is not None and seen.chain:
                facts["issuer"] = seen.chain[0].issuer
        return _Tls(seconds=None, reason=reason, facts=facts)
    # Anything but an answer of the peer (ca_file can't be read, no descriptor left) says nothing about its TLS.
    spoke = False if reason in (Reason.TLS_FAILED, *_CUT_OFF) else None
    return _Tls(seconds=None, reason=reason, facts={"tls": spoke, "evidence": evidence})


def _up(spec: RelaySpec, best: Attempt, tls: _Tls | None, facts: dict[str, Json]) -> Outcome:
    """Judge an endpoint that accepts TCP: TLS can make it a warning, never critical."""
    measurements = {"connect_seconds": best.seconds}
    facts |= {"tls": None} if tls is None else tls.facts
    if tls is not None and tls.seconds is not None:
        measurements["tls_seconds"] = tls.seconds
    by_hand = f"openssl s_client -connect {best.address}:{spec.endpoint.port} -servername "
    by_hand += shlex.quote(spec.endpoint.host)
    if tls is not None and tls.reason is Reason.TLS_INTERCEPTED:
        return Outcome(
            status=Status.WARNING,
            summary=one_line(
                f"{spec.target}: TLS is intercepted, the certificate is by {facts.get('issuer', 'unknown')}"
            ),
            reason=Reason.TLS_INTERCEPTED,
            action="Exempt *.twingate.com from TLS inspection: the Connector does not accept its certificates. Repeat "
            f"it by hand on this host: {by_hand}",
            measurements=measurements,
            facts=facts,
        )
    if tls is not None and tls.reason in _CUT_OFF:
        how = "cuts off" if tls.reason is Reason.RESET else "does not answer"
        return Outcome(
            status=Status.WARNING,
            summary=one_line(f"{spec.target} accepts TCP but {how} the TLS greeting"),
            reason=tls.reason,
            action="Typical of packet inspection by name: exempt *.twingate.com from it. Repeat it by hand on this "
            f"host: {by_hand}",
            measurements=measurements,
            facts=facts,
        )
    took = f"accepted in {duration(best.seconds)}"
    if tls is not None and tls.seconds is not None:
        took += f", TLS in {duration(tls.seconds)}"
    return Outcome(
        status=Status.OK,
        summary=one_line(f"{spec.target} ({best.address}) {took}"),
        measurements=measurements,
        facts=facts,
    )


def _no_answer(spec: RelaySpec, attempts: list[Attempt], failures: list[NetError], facts: dict[str, Json]) -> Outcome:
    starved = next((e for e in failures if e.reason not in CRITICAL_REASONS), None)
    if starved is not None:
        return _down(spec, starved.reason, f"{spec.target} could not be probed: {starved.evidence}", "", facts)
    worst = best_evidence(failures)
    failed = next(a for a in attempts if a.error is worst)
    facts["evidence"] = worst.evidence
    seen = what_was_seen(worst.reason, failed.seconds, spec.timeout_s)
    more = "" if len(attempts) == 1 else f", nor does any other of its {len(attempts)} addresses accept"
    action = "The Connector needs TCP 443 and 30000 to 31000 outbound to *.twingate.com. " + what_to_do(
        worst.reason, failed.address, spec.endpoint.port
    )
    return _down(spec, worst.reason, f"{spec.target} ({failed.address}) {seen}{more}", action, facts)


def _down(spec: RelaySpec, reason: Reason, summary: str, action: str, facts: dict[str, Json]) -> Outcome:
    """Judge an endpoint that can't be used: only a proven one is critical, and nothing is when we are the limit."""
    status = Status.CRITICAL if spec.proven else Status.WARNING
    if reason not in CRITICAL_REASONS:
        status = Status.UNKNOWN
    return Outcome(status=status, summary=one_line(summary), reason=reason, action=action, facts=facts)
