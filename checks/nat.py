"""Could a Client reach this Connector directly: does UDP get out, and does the NAT keep one mapping for all?

What must hold for a direct (peer-to-peer) path: UDP leaves the network and answers come back, and the NAT in front of
this host uses the same public address and port towards every destination (endpoint-independent mapping). Each server
of `relays.stun` is asked with a STUN Binding request from one and the same UDP socket; their answers say which
address and port they saw.

- ok: a server answers, and the answers do not contradict each other. With a single answer UDP works, and the mapping
  stays unknown (fact `endpoint_independent: null`).
- warning: `mapping_varies`, servers see different addresses or ports: Clients are relayed. `udp_blocked`, at least two
  servers are silent while TCP gets out: Clients are relayed. Neither stops users: a Relay carries them.
- unknown: `timeout`, no answer, and too few servers or no proof that this host gets out at all; a DNS reason when no
  server's name resolves; `prober_starved`, our own limits.
- skipped: `not_probeable`, no STUN server is configured.

Measured: `rtt_seconds`, seconds between a request and its answer, of the fastest server. Facts: `udp_egress`,
`endpoint_independent`, `mapped` (this host's own public address and port), `nat` (false: the mapped address is this
host's own), `servers`.
What it can't see: filtering of what comes in, the Client's own NAT, and whether a firewall treats QUIC unlike STUN.

By hand: turnutils_stunclient -p 3478 stun.example.net, or pystun3.
Source: RFC 8489 (STUN), RFC 4787 section 4.1 (mapping), RFC 5780 section 4.3; Twingate, "Peer-to-peer communication".
"""

import asyncio
import contextlib
import shlex
import socket
from dataclasses import dataclass, field

from checks import stun
from checks.advice import one_line
from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError, net_error
from checks.net.seat import Context, Resolution, Seat

TARGET = "udp"
CRITICAL_REASONS: frozenset[Reason] = frozenset()  # without a direct path a Relay carries the users
FIRST_RETRANSMISSION_S = 0.5  # RTO, doubled each time: RFC 8489 section 6.2.1
MAX_REQUESTS = 7  # Rc, as above
SILENT_FOR_BLOCKED = 2  # one silent server may simply be down
MAX_DATAGRAM = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class NatSpec:
    """The STUN servers, at least one; `timeout_s`: seconds to wait for answers after the names are resolved."""

    servers: tuple[Endpoint, ...]
    timeout_s: float = 5.0


@dataclass(slots=True, kw_only=True)
class _Question:
    """One server that is asked."""

    server: Endpoint
    transaction: bytes = field(default_factory=stun.new_transaction)
    first_sent: float = 0.0
    requests: int = 0
    seconds: float | None = None
    response: stun.Response | None = None
    error: NetError | None = None


async def probe(spec: NatSpec, context: Context) -> Rows:
    """Ask every STUN server once from one socket; one row."""
    addresses, unresolved = await _resolve(context.seat, spec.servers)
    if not addresses:
        return {TARGET: _no_server(unresolved)}
    try:
        sock = context.seat.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        return {TARGET: _unknown(net_error(error).reason, f"no UDP socket: {net_error(error).evidence}")}
    try:
        sock.bind(("", 0))
        questions = {to: _Question(server=server) for to, server in addresses.items()}
        await _ask(sock, questions, spec.timeout_s)
        local = (_source_address(context.seat, next(iter(questions))), sock.getsockname()[1])
    except OSError as error:
        return {TARGET: _unknown(net_error(error).reason, f"the UDP socket failed: {net_error(error).evidence}")}
    finally:
        sock.close()
    return {TARGET: _judge(questions, local, egress=context.egress, timeout_s=spec.timeout_s)}


async def _resolve(
    seat: Seat, servers: tuple[Endpoint, ...]
) -> tuple[dict[tuple[str, int], Endpoint], list[Resolution]]:
    """Return each server's first IPv4 address, without repetition, and the names that have none."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(seat.resolver.resolve(server.host)) for server in servers]
    found: dict[tuple[str, int], Endpoint] = {}
    failed = []
    for server, task in zip(servers, tasks, strict=True):
        usable = [a for a in task.result().addresses if ":" not in a]
        if usable:
            found.setdefault((usable[0], server.port), server)
        else:
            failed.append(task.result())
    return found, failed


async def _ask(sock: socket.socket, questions: dict[tuple[str, int], _Question], timeout_s: float) -> None:
    """Send, send again, and read answers, until all have answered or the time is over. Raises: OSError."""
    wait = FIRST_RETRANSMISSION_S
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while any(q.response is None for q in questions.values()):
                await _send(sock, questions)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await _listen(sock, questions)
                wait *= 2


async def _listen(sock: socket.socket, questions: dict[tuple[str, int], _Question]) -> None:
    """Read answers until every question has one. Raises: OSError."""
    loop = asyncio.get_running_loop()
    while any(q.response is None for q in questions.values()):
        data, source = await loop.sock_recvfrom(sock, MAX_DATAGRAM)
        # One turn of the loop for each datagram: sock_recvfrom does not suspend while more are waiting, and a flood
        # would keep every deadline from running.
        await asyncio.sleep(0)
        _take(questions, data, source, loop.time())


async def _send(sock: socket.socket, questions: dict[tuple[str, int], _Question]) -> None:
    loop = asyncio.get_running_loop()
    for to, question in questions.items():
        if question.response is not None or question.requests >= MAX_REQUESTS:
            continue
        if question.requests == 0:
            question.first_sent = loop.time()
        try:
            await loop.sock_sendto(sock, stun.binding_request(question.transaction), to)
        except OSError as error:  # a local filter or a missing route: for this server as good as silence
            question.error = net_error(error)
        question.requests += 1


def _take(questions: dict[tuple[str, int], _Question], data: bytes, source: tuple[str, int], now: float) -> None:
    """Record an answer; anything that is not from a server we asked, to the question we asked it, is ignored."""
    question = questions.get(source)
    if question is None or question.response is not None:
        return
    try:
        response = stun.parse_response(data)
    except stun.MalformedError:
        return
    if response.transaction != question.transaction:
        return
    question.response = response
    if question.requests == 1:  # which of several requests it answers can't be known
        question.seconds = now - question.first_sent


def _source_address(seat: Seat, to: tuple[str, int]) -> str | None:
    """Return the address of ours that packets to `to` leave with; connecting a UDP socket sends nothing."""
    try:
        with seat.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(to)
            address: str = sock.getsockname()[0]
            return address
    except OSError:
        return None


def _judge(
    questions: dict[tuple[str, int], _Question], local: tuple[str | None, int], *, egress: bool | None, timeout_s: float
) -> Outcome:
    answered = {to: q for to, q in questions.items() if q.response is not None}
    facts: dict[str, Json] = {"servers": {str(q.server): _shown(q) for q in questions.values()}}
    if not answered:
        return _judge_silence(questions, facts, egress=egress, timeout_s=timeout_s)
    mapped = {to: q.response.mapped for to, q in answered.items() if q.response and q.response.mapped}
    seen = sorted(set(mapped.values()))
    independent = None if len({to[0] for to in mapped}) < 2 else True
    if len(seen) > 1:
        independent = False
    facts["udp_egress"] = True
    facts["endpoint_independent"] = independent
    facts["mapped"] = _endpoint(seen[0]) if seen else None
    facts["nat"] = (local not in seen) if seen and local[0] else None
    times = [q.seconds for q in answered.values() if q.seconds is not None]
    measurements = {"rtt_seconds": min(times)} if times else {}
    if independent is False:
        shown = ", ".join(_endpoint(one) for one in seen[:3])
        return Outcome(
            status=Status.WARNING,
            summary=one_line(f"the NAT maps each destination differently: users are relayed, never direct ({shown})"),
            reason=Reason.MAPPING_VARIES,
            action="Make the NAT in front of this host endpoint-independent: SonicWall 'Consistent NAT', Palo Alto "
            "'Persistent NAT', OPNsense 'Static port', nftables masquerade without `random`; an AWS NAT Gateway can "
            f"not. {_by_hand(questions)}",
            measurements=measurements,
            facts=facts,
        )
    known = {True: "one NAT mapping for every destination", None: "the NAT's mapping is not known"}[independent]
    return Outcome(
        status=Status.OK,
        summary=f"UDP gets out ({len(answered)} of {len(questions)} STUN servers answer); {known}",
        measurements=measurements,
        facts=facts,
    )


def _judge_silence(
    questions: dict[tuple[str, int], _Question], facts: dict[str, Json], *, egress: bool | None, timeout_s: float
) -> Outcome:
    silent = len(questions)
    errors = [q.error for q in questions.values() if q.error is not None]
    starved = next((e for e in errors if e.reason is Reason.PROBER_STARVED), None)
    if starved is not None:
        return _unknown(starved.reason, f"STUN requests could not be sent: {starved.evidence}", facts)
    why = f" ({errors[0].evidence})" if errors else ""
    if silent >= SILENT_FOR_BLOCKED and egress:
        facts["udp_egress"] = False
        return Outcome(
            status=Status.WARNING,
            summary=one_line(
                f"UDP is blocked, users are relayed: {silent} STUN servers are silent while TCP works{why}"
            ),
            reason=Reason.UDP_BLOCKED,
            action="Permit outbound UDP from this host to any address and port (STUN: 3478, QUIC: any), and answers."
            f" {_by_hand(questions)}",
            facts=facts,
        )
    doubt = "whether TCP gets out is not known" if egress is None else "TCP does not get out either"
    if egress:
        doubt = "one server is too few to tell a block from an outage"
    return _unknown(Reason.TIMEOUT, f"no STUN answer within {timeout_s:g} s{why}; {doubt}", facts, _by_hand(questions))


def _no_server(unresolved: list[Resolution]) -> Outcome:
    first = unresolved[0] if unresolved else None
    reason = (first.reason if first else None) or Reason.NO_IPV4
    names = ", ".join(r.name for r in unresolved[:3])
    action = f"Repeat it by hand on this host: dig {shlex.quote(first.name)} A" if first else ""
    return _unknown(reason, f"no STUN server has an IPv4 address: {names}", None, action)


def _unknown(reason: Reason, summary: str, facts: dict[str, Json] | None = None, action: str = "") -> Outcome:
    return Outcome(status=Status.UNKNOWN, summary=one_line(summary), reason=reason, action=action, facts=facts or {})


def _shown(question: _Question) -> str:
    response = question.response
    if response is None:
        return question.error.evidence if question.error else "silent"
    return _endpoint(response.mapped) if response.mapped else f"error {response.error_code} {response.error_reason}"


def _endpoint(mapped: tuple[str, int]) -> str:
    return str(Endpoint(*mapped))


def _by_hand(questions: dict[tuple[str, int], _Question]) -> str:
    server = next(iter(questions.values())).server
    return f"Repeat it by hand on this host: turnutils_stunclient -p {server.port} {shlex.quote(server.host)}"
