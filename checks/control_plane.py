"""The Controller can be reached, spoken to over TLS with nobody in between, and answers.

What must hold: the name in the control-plane URL resolves to an IPv4 address; at least one of its (at most 8)
addresses accepts TCP, shows a certificate for that name under a public root (or one of `control_plane.ca_file`), and
answers an HTTP request. The question is HEAD for the URL's path; where it has none, for `/api/graphql/`, the one path
known to name the regional host (by HTTP 308), and harmless to ask for without a key. Nothing is followed, no credential
is sent, and the token validation endpoint is never called.

A redirect (301, 302, 307, 308) from `https://NETWORK.twingate.com` to `https://NETWORK.REGION.twingate.com` (same first
label, below the same parent domain, same port) makes that regional host a second row, looked at in the same run and
remembered until restart, so that it is watched even when the first name fails. Any other redirect is the fact
`redirects_to` and nothing more.

ok: an address answered with a status below 500 (429 too). Addresses that failed are the fact `failed_addresses`.
warning: `http_status` (5xx, or something that is not HTTP); `no_ipv4` (the name has IPv6 addresses only, and one
answered: the control plane is there, but Relays need IPv4).
critical: the name does not resolve (`nxdomain`, `no_address`, `servfail`, `query_refused`, `malformed_answer`,
`timeout`); no address could be used (`refused`, `unreachable`, `no_route`, `blocked_locally`, `timeout`, `reset`;
`address_family_unavailable` for a literal IPv6 address; `no_ipv4` when there are only IPv6 addresses and none accepts);
the certificate is wrong (`tls_untrusted`, `tls_expired`, `tls_not_yet_valid`, `tls_name_mismatch`), or TLS failed
(`tls_failed`). `tls_intercepted` is critical too: the chain leads to a root that only this host's own store knows, or
names none of `expected_issuers`. Twingate pins its certificates: behind such a proxy the Connector does not work,
however well a browser does.
skipped: `dependency_failed`, when a certificate is outside its dates by a clock that is known to be off. The clock is
the cause, and its own row says so.
unknown: `prober_starved` (this host ran out of descriptors, ports or memory), `permission_denied` or `not_found` (the
`ca_file` can't be read).

Measured, in seconds: `resolve_seconds`, `connect_seconds`, `tls_seconds`, `http_seconds` of the address that decided,
each phase that ended well; `certificate_not_after_timestamp_seconds` (Unix time) whenever a certificate was shown,
trusted or not. The time-out bounds the look at each address as a whole, and once more the look at a bad certificate.

Can't see: which certificates Twingate pins (that is not published; a proxy with a public certificate passes unless
`expected_issuers` is set), whether the Controller accepts this Connector, and revocation (neither OCSP nor CRL).
Source: Twingate documentation, "Connector best practices" (TCP 443) and "Endpoint requirements"; RFC 9110 section 15.
"""

import asyncio
from dataclasses import dataclass, replace

from checks.control_plane_verdict import judge, judge_unresolved
from checks.model import Outcome, Reason, Rows
from checks.net.endpoint import is_address
from checks.net.exchange import Asker, Exchange
from checks.net.seat import Context
from checks.net.url import DEFAULT_PORTS, Url, parse_url

CRITICAL_REASONS = frozenset(
    {
        Reason.NXDOMAIN,
        Reason.NO_ADDRESS,
        Reason.SERVFAIL,
        Reason.QUERY_REFUSED,
        Reason.MALFORMED_ANSWER,
        Reason.TIMEOUT,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.RESET,
        Reason.NO_ROUTE,
        Reason.BLOCKED_LOCALLY,
        Reason.ADDRESS_FAMILY_UNAVAILABLE,
        Reason.NO_IPV4,
        Reason.TLS_UNTRUSTED,
        Reason.TLS_EXPIRED,
        Reason.TLS_NOT_YET_VALID,
        Reason.TLS_NAME_MISMATCH,
        Reason.TLS_INTERCEPTED,
        Reason.TLS_FAILED,
    }
)
API_PATH = "/api/graphql/"  # asked for when the URL has no path: see the docstring
MAX_ADDRESSES = 8  # as for Resources; the Controller's names have one or two
_REDIRECTS = frozenset({301, 302, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneSpec:
    """One control-plane URL. `target` names its row: the host, with `:port` when that is not 443.

    `known` are targets that have a spec of their own: a redirect there makes no second row.
    """

    url: str
    target: str
    ca_file: str | None = None
    expected_issuers: tuple[str, ...] = ()
    timeout_s: float = 5.0
    known: tuple[str, ...] = ()


@dataclass(slots=True)
class Memory:
    """The regional host that the URL was last redirected to."""

    regional: Url | None = None


def new_memory() -> Memory:
    """Make what the probe remembers from run to run."""
    return Memory()


async def probe(spec: ControlPlaneSpec, context: Context) -> Rows:
    """Look at the URL, and at the regional host that it redirects to, once."""
    memory = context.memory if isinstance(context.memory, Memory) else Memory()
    url = parse_url(spec.url)
    url = replace(url, target=API_PATH) if url.target == "/" else url
    remembered = memory.regional
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(_look(spec, context, url))
        second = tasks.create_task(_look(spec, context, remembered)) if remembered else None
    row, answered = first.result()
    rows = {spec.target: row}
    if told := _regional(url, answered):
        memory.regional = told
    if memory.regional is None or _target(memory.regional) in (spec.target, *spec.known):
        return rows
    if second is None or memory.regional != remembered:
        rows[_target(memory.regional)], _ = await _look(spec, context, memory.regional)
    else:
        rows[_target(memory.regional)], _ = second.result()
    return rows


async def _look(spec: ControlPlaneSpec, context: Context, url: Url) -> tuple[Outcome, Exchange | None]:
    """Look at one endpoint: all its addresses at once. Returns its row and the exchange that decided."""
    resolution = await context.seat.resolver.resolve(url.endpoint.host)
    addresses = resolution.addresses[:MAX_ADDRESSES]
    if not addresses:
        return judge_unresolved(url, resolution), None
    asker = Asker(
        context=context,
        url=url,
        ca_file=spec.ca_file,
        expected_issuers=spec.expected_issuers,
        timeout_s=spec.timeout_s,
    )
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(asker.ask(address)) for address in addresses]
    return judge(url, resolution, [task.result() for task in asked], clock_off=context.clock_off)


def _target(url: Url) -> str:
    return url.endpoint.short(DEFAULT_PORTS["https"])


def _regional(url: Url, exchange: Exchange | None) -> Url | None:
    """Return the regional endpoint that an answer to `url` names; None when it names none, or another party's."""
    if exchange is None or exchange.answer is None or exchange.answer.status not in _REDIRECTS:
        return None
    try:
        there = parse_url(exchange.answer.header("location") or "")
    except ValueError:  # also a relative one: the same host
        return None
    host, other = url.endpoint.host, there.endpoint.host
    label, _, parent = host.partition(".")
    if is_address(host) or "." not in parent or not (url.tls and there.tls) or there.endpoint.port != url.endpoint.port:
        return None
    if other == host or not (other.startswith(f"{label}.") and other.endswith(f".{parent}")):
        return None
    return replace(there, target=url.target)
