"""What the answers about one name mean: the verdict of the `dns` check. No I/O."""

import ipaddress
from collections.abc import Sequence

from checks.advice import UNASKED
from checks.model import Event, Json, Outcome, Reason, Status
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.stub import most_specific, reason_of

SLOW_S = 5.0  # evdns gives up on an attempt after this
MAX_SUMMARY = 120  # one line of a terminal
MAX_LISTED = 3  # nameservers named in a sentence; the matrix has them all
MAX_FACTS = 8  # aliases kept

PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "::1/128", "fe80::/10",
    )
)  # fmt: skip
"""What rebind protection strips from answers."""


def judge(lookup: Lookup, keep: int) -> Outcome:
    """Turn what the sources said into a verdict; `keep` is how many addresses the facts hold."""
    if lookup.local:
        return _local(lookup, keep)
    if not lookup.answers:
        return _nobody_asked(lookup, keep)
    good = good_answers(lookup.answers)
    unasked = [a for a in lookup.answers if a.klass is AnswerClass.UNASKED]
    if not good:
        return _unasked(lookup, keep, unasked[0]) if unasked else _failed(lookup, keep)
    failing = [a for a in lookup.answers if a.klass not in (AnswerClass.ADDRESS, AnswerClass.UNASKED)]
    if failing:
        return _disagreeing(lookup, keep, good, failing)
    if _chosen(good).kind == "AAAA":
        return _only_ipv6(lookup, keep, good[0].addresses, good[0].seconds)
    return _resolved(lookup, keep, _chosen(good))


def _local(lookup: Lookup, keep: int) -> Outcome:
    """Judge what needed no nameserver."""
    if all(":" in address for address in lookup.local) and lookup.hosts_file:
        return _only_ipv6(lookup, keep, lookup.local, 0.0)
    source = "by the hosts file" if lookup.hosts_file else "a literal address"
    return Outcome(
        status=Status.OK,
        event=Event.NONE,
        summary=_line(f"{lookup.name} is {_short_list(lookup.local)}, {source}"),
        measurements={"lookup_seconds": 0.0},
        facts=_facts(lookup, keep),
    )


def _nobody_asked(lookup: Lookup, keep: int) -> Outcome:
    """Judge the case that no nameserver could be asked at all."""
    if lookup.impossible:
        return Outcome(
            status=Status.CRITICAL,
            reason=Reason.NXDOMAIN,
            event=Event.DNS_LOOKUP_ERROR,
            summary=_line(f"{lookup.name} can't resolve: {lookup.impossible}"),
            action="Correct the address of the Resource: no nameserver can be asked for this name.",
        )
    return Outcome(
        status=Status.UNKNOWN,
        reason=Reason.PERMISSION_DENIED,
        summary=_line(f"{lookup.name} was not looked up: " + ("; ".join(lookup.problems) or "no nameserver known")),
        action="Let this process read the resolver's settings (ls -l /etc/resolv.conf), or set dns.nameservers.",
        facts=_facts(lookup, keep),
    )


def _resolved(lookup: Lookup, keep: int, answer: Answer) -> Outcome:
    said = f"{lookup.name} is {_short_list(answer.addresses)}, by {answer.by} in {answer.seconds * 1000:.0f} ms"
    return Outcome(
        status=Status.OK,
        event=Event.NONE,
        summary=_line(said),
        measurements={"lookup_seconds": answer.seconds},
        facts=_facts(lookup, keep),
    )


def _only_ipv6(lookup: Lookup, keep: int, addresses: tuple[str, ...], seconds: float) -> Outcome:
    return Outcome(
        status=Status.WARNING,
        reason=Reason.ADDRESS_FAMILY_UNAVAILABLE,
        event=Event.NONE,
        summary=_line(f"{lookup.name} has only IPv6 addresses: {_short_list(addresses)}"),
        action=f"Whether Connectors use IPv6 for Resources is not documented: give {lookup.name} an A record.",
        measurements={"lookup_seconds": seconds},
        facts=_facts(lookup, keep),
    )


def _failed(lookup: Lookup, keep: int) -> Outcome:
    """Judge the case that every nameserver asked fails: the user sees a DNS lookup error."""
    worst = most_specific(lookup.answers)
    reason = reason_of(worst) or Reason.MALFORMED_ANSWER
    others = len(lookup.answers) - 1
    more = f"; {others} other nameserver{'s' * (others > 1)} failed too" if others else ""
    return Outcome(
        status=Status.CRITICAL,
        reason=reason,
        event=Event.DNS_LOOKUP_ERROR,
        summary=_line(f"{lookup.name} does not resolve: {worst.by}: {worst.evidence}{more}"),
        action=_action(lookup.name, reason, worst, lookup.answers),
        facts=_facts(lookup, keep),
    )


def _unasked(lookup: Lookup, keep: int, answer: Answer) -> Outcome:
    return Outcome(
        status=Status.UNKNOWN,
        reason=answer.reason or Reason.PROBER_STARVED,
        summary=_line(f"{lookup.name} was not looked up: no question to {answer.by}: {answer.evidence}"),
        action=f"This says nothing about the name. {UNASKED}",
        facts=_facts(lookup, keep),
    )


def _disagreeing(lookup: Lookup, keep: int, good: Sequence[Answer], failing: Sequence[Answer]) -> Outcome:
    """Judge the case that some nameservers give an address and others do not."""
    empty = next((a for a in failing if a.klass is AnswerClass.NO_ADDRESS), None)
    private = next(((a, address) for a in good for address in a.addresses if _private(address)), None)
    worst, best = most_specific(failing), _chosen(good)
    if empty and private:
        reason = Reason.REBIND_PROTECTED
        summary = f"{lookup.name}: {private[0].by} gives {private[1]}, {empty.by} an empty answer"
        action = (
            f"A private address stripped from the answer is DNS rebind protection: exempt the zone of {lookup.name} "
            f"from it at {empty.by}, or let this host ask a private nameserver only. "
            f"Compare by hand: {empty.dig}; {private[0].dig}"
        )
    else:
        reason = Reason.RESOLVERS_DISAGREE
        summary = f"{lookup.name}: {worst.by}: {worst.evidence}; {best.by}: {best.evidence}"
        action = (
            f"Users fail whenever the Connector asks {_names(failing)}. Repair it or take it out of resolv.conf: all "
            f"nameservers of a host must know the same zones. Compare by hand: {worst.dig}; {best.dig}"
        )
    share = round(len(failing) / (len(failing) + len(good)), 3)
    return Outcome(
        status=Status.WARNING,
        reason=reason,
        event=Event.NONE,
        summary=_line(summary),
        action=action,
        measurements={"lookup_seconds": best.seconds},
        facts={**_facts(lookup, keep), "failing_share": share},
    )


_ADVICE = {
    Reason.NXDOMAIN: "NXDOMAIN: the name is misspelt, or the zone at this nameserver lacks it.",
    Reason.NO_ADDRESS: "The name exists there without an address: add an A record, or mend the alias (CNAME). An empty "
    "answer for a private address can also be DNS rebind protection: exempt the zone, or ask a private nameserver.",
    Reason.QUERY_REFUSED: "REFUSED: the nameserver does not serve this host: allow it in its access list.",
    Reason.SERVFAIL: "The nameserver failed: look at its log, at the servers that it forwards to, and at DNSSEC.",
    Reason.MALFORMED_ANSWER: "What came back is no DNS answer: look for a middlebox, or another service on that port.",
    Reason.TIMEOUT: "No answer: is the nameserver up, and is UDP and TCP port 53 open from here to it?",
}
_MULTICAST = (
    " Names in .local belong to multicast DNS (mDNS), which nameservers do not answer: use another suffix, or serve "
    "the zone at the nameservers."
)


def _action(name: str, reason: Reason, worst: Answer, answers: Sequence[Answer]) -> str:
    advice = _ADVICE[reason]
    if name.rstrip(".").lower().endswith(".local"):
        advice += _MULTICAST
    who = "every nameserver" if len(answers) > 1 else "the only nameserver asked"
    return f"Ask it by hand: {worst.dig}. {advice} It fails at {who}: {_names(answers)}."


def good_answers(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers that give an address."""
    return [answer for answer in answers if answer.klass is AnswerClass.ADDRESS]


def _chosen(good: Sequence[Answer]) -> Answer:
    """Return the answer that counts: the first nameserver's with IPv4, else the first one's."""
    return next((answer for answer in good if answer.kind == "A"), good[0])


def _facts(lookup: Lookup, keep: int) -> dict[str, Json]:
    """Collect what is known, the nameservers side by side."""
    good = good_answers(lookup.answers)
    chosen = _chosen(good) if good else None
    addresses = lookup.local or (chosen.addresses if chosen else ())
    facts: dict[str, Json] = {"addresses": addresses[:keep], "address_count": len(addresses)}
    if lookup.hosts_file:
        facts["hosts_file"] = True
    if lookup.answers:
        facts["matrix"] = {answer.by: _cell(answer, keep) for answer in lookup.answers}
    told = chosen or (most_specific(lookup.answers) if lookup.answers else None)
    if told:
        if told.cnames:
            facts["cnames"] = told.cnames[:MAX_FACTS]
        if told.ttl is not None:
            facts["ttl"] = told.ttl
        if told.name.rstrip(".") != lookup.name.rstrip("."):
            facts["candidate"] = told.name
    if chosen and chosen.seconds > SLOW_S:
        facts["slower_than_5s"] = True
    if len({frozenset(answer.addresses) for answer in good}) > 1:
        facts["address_sets_differ"] = True
    if lookup.problems:
        facts["problems"] = lookup.problems
    return facts


def _cell(answer: Answer, keep: int) -> Json:
    cell: dict[str, Json] = {"class": answer.klass.value, "ms": round(answer.seconds * 1000, 1)}
    if answer.reason:
        cell["reason"] = answer.reason.value
    if answer.addresses:
        cell["addresses"] = answer.addresses[:keep]
    else:
        cell["evidence"] = answer.evidence
    return cell


def _private(address: str) -> bool:
    literal = ipaddress.ip_address(address)
    return any(literal in network for network in PRIVATE)


def _names(answers: Sequence[Answer]) -> str:
    names = [answer.by for answer in answers]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def _short_list(addresses: tuple[str, ...]) -> str:
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return addresses[0] + more


def _line(text: str) -> str:
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"
