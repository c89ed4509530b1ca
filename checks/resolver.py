"""resolver: every nameserver that the Connector's resolver uses gives valid replies.

What must hold: each nameserver in use (resolv.conf without a `nameserver` line means 127.0.0.1, as it does to libc)
gives a valid reply to one question, within 5 seconds: for the A record of the first configured name, else for the
nameservers of the root. One row a nameserver. Whether the name exists is not the question here (see dns).

- ok: a valid reply with NOERROR or NXDOMAIN.
- warning/servfail, warning/query_refused: a valid reply that settles nothing: SERVFAIL (or any other response code),
  REFUSED.
- warning or critical without a valid reply: critical when no nameserver answers at all, else warning. The reason says
  what was seen: timeout (silence), refused (ICMP: nobody listens on that port), unreachable, no_route,
  blocked_locally (this host's own firewall), address_family_unavailable, malformed_answer.
- unknown/prober_starved: this host ran out of sockets or memory; unknown/permission_denied: the resolver's settings
  can't be read, or no socket may be made.

Measured: `reply_seconds`, from the question to the valid reply, TCP included when the answer was truncated.

It can't see: nameservers behind these, nor why one of them refuses. The Connector's resolver (evdns) takes a nameserver
out of use after some time-outs and tries it again after 10 s, then ever more rarely: it can stay unused for a while
after it answers here again. Sources: RFC 1035, resolv.conf(5); libevent's evdns.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from checks.advice import UNASKED
from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.answers import Answer, AnswerClass
from checks.net.endpoint import Endpoint
from checks.net.seat import Context
from checks.net.stub import absolute

CRITICAL_REASONS = frozenset(
    {
        Reason.TIMEOUT,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.NO_ROUTE,
        Reason.BLOCKED_LOCALLY,
        Reason.ADDRESS_FAMILY_UNAVAILABLE,
        Reason.MALFORMED_ANSWER,
    }
)

ROOT = "."
NO_NAMESERVER = "system"  # the row when the settings can't be read, so that there is one

_VALID = ("NOERROR", "NXDOMAIN")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverSpec:
    """What the nameservers are asked: `question` for its A record; None: the nameservers of the root."""

    question: str | None = None
    timeout_s: float = 5.0


async def probe(spec: ResolverSpec, context: Context) -> Rows:
    """Ask each nameserver once, all at the same time."""
    resolver = context.seat.resolver
    nameservers = resolver.nameservers
    if not nameservers:
        return {NO_NAMESERVER: _unreadable()}
    name, kind = (absolute(spec.question), "A") if spec.question else (ROOT, "NS")

    async def ask(nameserver: Endpoint) -> Answer:
        try:
            return await resolver.ask(nameserver, name, kind, spec.timeout_s)
        except ValueError:  # a name that can't be one is the dns check's finding; the nameserver is asked all the same
            return await resolver.ask(nameserver, ROOT, "NS", spec.timeout_s)

    if len(nameservers) == 1:
        return judge([await ask(nameservers[0])])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(nameserver)) for nameserver in nameservers]
    return judge([task.result() for task in tasks])


def judge(answers: list[Answer]) -> Mapping[str, Outcome]:
    """Turn the answers into one row a nameserver."""
    any_valid = any(answer.rcode for answer in answers)
    return {answer.by: _judge_one(answer, any_valid=any_valid) for answer in answers}


def _judge_one(answer: Answer, *, any_valid: bool) -> Outcome:
    name = answer.by
    by_hand = f"Ask it by hand: {answer.dig}."
    facts: dict[str, Json] = {"question": f"{answer.name} {answer.kind}", "class": answer.klass.value}
    if answer.rcode:
        facts["rcode"] = answer.rcode
    if answer.over_tcp:
        facts["over_tcp"] = True
    if answer.rcode in _VALID:
        return Outcome(
            status=Status.OK,
            summary=f"{name} answered {answer.rcode} in {answer.seconds * 1000:.0f} ms",
            measurements={"reply_seconds": answer.seconds},
            facts=facts,
        )
    reason = answer.reason or Reason.MALFORMED_ANSWER
    facts["evidence"] = answer.evidence
    if answer.klass is AnswerClass.UNASKED:
        return Outcome(
            status=Status.UNKNOWN,
            reason=reason,
            summary=f"{name} was not asked: {answer.evidence}",
            action=f"This says nothing about it. {UNASKED}",
            facts=facts,
        )
    if answer.rcode:
        return Outcome(
            status=Status.WARNING,
            reason=reason,
            summary=f"{name} answered {answer.rcode} in {answer.seconds * 1000:.0f} ms",
            action=f"{by_hand} {_ADVICE[reason]}",
            measurements={"reply_seconds": answer.seconds},
            facts=facts,
        )
    return Outcome(
        status=Status.WARNING if any_valid else Status.CRITICAL,
        reason=reason,
        summary=f"{name} gave no valid reply: {answer.evidence}",
        action=f"{by_hand} {_ADVICE.get(reason, _UNREACHED)}",
        facts=facts,
    )


def _unreadable() -> Outcome:
    return Outcome(
        status=Status.UNKNOWN,
        reason=Reason.PERMISSION_DENIED,
        summary="no nameserver is known: the resolver's settings can't be read",
        action="Let this process read the resolver's settings (ls -l /etc/resolv.conf), or set dns.nameservers.",
    )


_UNREACHED = "Is it up, and is UDP and TCP port 53 open from here to it? Else take it out of resolv.conf."
_ADVICE = {
    Reason.SERVFAIL: "Look at its log, and at the servers that it forwards to.",
    Reason.QUERY_REFUSED: "It does not serve this host: allow it in its access list, or take it out of resolv.conf.",
    Reason.MALFORMED_ANSWER: "What came back is no DNS answer: a middlebox, or another service on that port.",
    Reason.REFUSED: "Nobody listens on that port: start the nameserver, or take it out of resolv.conf.",
    Reason.NO_ROUTE: "This host has no route to it: ip route get ADDRESS.",
    Reason.BLOCKED_LOCALLY: "A firewall of this host forbids it: nft list ruleset.",
    Reason.ADDRESS_FAMILY_UNAVAILABLE: "This host has no IPv6: take the nameserver out of resolv.conf.",
}
