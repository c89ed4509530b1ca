"""What the answers about one name mean: the verdict of the `dns` check. No I/O.

The verdict is reached here and now; its words are made when somebody reads them (checks.name_story).
"""

import ipaddress
from collections.abc import Sequence

from checks.advice import UNASKED
from checks.model import Event, Outcome, Reason, Status, Words
from checks.name_story import Resolved, Told, chosen, facts_of, good_answers, short_list
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.stub import most_specific, reason_of

MAX_LISTED = 3  # nameservers named in a sentence; the matrix has them all

PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "::1/128", "fe80::/10",
    )
)  # fmt: skip
"""What rebind protection strips from answers."""


_ADDRESS, _UNASKED, _NO_ADDRESS = AnswerClass.ADDRESS, AnswerClass.UNASKED, AnswerClass.NO_ADDRESS
_OK, _NONE = Status.OK, Event.NONE  # of thousands of names a minute


def judge(lookup: Lookup, keep: int) -> Outcome:
    """Turn what the sources said into a verdict; `keep` is how many addresses the facts hold."""
    answers = lookup.answers
    if len(answers) == 1 and answers[0].klass is _ADDRESS and answers[0].kind == "A" and not lookup.local:
        return Outcome.of(Resolved(lookup, answers[0], keep), status=_OK, event=_NONE)
    if lookup.local or not answers:
        return _local(lookup, keep) if lookup.local else _nobody_asked(lookup, keep)
    good = good_answers(answers)
    unasked = [a for a in answers if a.klass is _UNASKED]
    if not good:
        return _unasked(lookup, keep, unasked[0]) if unasked else _failed(lookup, keep)
    failing = _failing(answers)
    if failing:
        reason = Reason.REBIND_PROTECTED if _stripped(good, failing) else Reason.RESOLVERS_DISAGREE
        return _warning(Told(lookup, keep, _tell_disagreeing), reason)
    if chosen(good).kind == "AAAA":
        return _warning(Told(lookup, keep, _tell_only_ipv6), Reason.ADDRESS_FAMILY_UNAVAILABLE)
    return Outcome.of(Told(lookup, keep, _tell_resolved), status=_OK, event=_NONE)


def _warning(story: Told, reason: Reason) -> Outcome:
    return Outcome.of(story, status=Status.WARNING, reason=reason, event=_NONE)


def _local(lookup: Lookup, keep: int) -> Outcome:
    """Judge what needed no nameserver."""
    if all(":" in address for address in lookup.local) and lookup.hosts_file:
        return _warning(Told(lookup, keep, _tell_only_ipv6), Reason.ADDRESS_FAMILY_UNAVAILABLE)
    return Outcome.of(Told(lookup, keep, _tell_local), status=_OK, event=_NONE)


def _nobody_asked(lookup: Lookup, keep: int) -> Outcome:
    """Judge the case that no nameserver could be asked at all."""
    if lookup.impossible:
        story = Told(lookup, keep, _tell_impossible)
        return Outcome.of(story, status=Status.CRITICAL, reason=Reason.NXDOMAIN, event=Event.DNS_LOOKUP_ERROR)
    return Outcome.of(Told(lookup, keep, _tell_unreadable), status=Status.UNKNOWN, reason=Reason.PERMISSION_DENIED)


def _failed(lookup: Lookup, keep: int) -> Outcome:
    """Judge the case that every nameserver asked fails: the user sees a DNS lookup error."""
    reason = reason_of(most_specific(lookup.answers)) or Reason.MALFORMED_ANSWER
    story = Told(lookup, keep, _tell_failed)
    return Outcome.of(story, status=Status.CRITICAL, reason=reason, event=Event.DNS_LOOKUP_ERROR)


def _unasked(lookup: Lookup, keep: int, answer: Answer) -> Outcome:
    story = Told(lookup, keep, _tell_unasked)
    return Outcome.of(story, status=Status.UNKNOWN, reason=answer.reason or Reason.PROBER_STARVED)


def _failing(answers: Sequence[Answer]) -> list[Answer]:
    return [a for a in answers if a.klass is not _ADDRESS and a.klass is not _UNASKED]


def _stripped(good: Sequence[Answer], failing: Sequence[Answer]) -> tuple[Answer, str, Answer] | None:
    """Return who gives a private address, that address, and who has it stripped from the answer; None: nobody does."""
    empty = next((a for a in failing if a.klass is _NO_ADDRESS), None)
    private = next(((a, address) for a in good for address in a.addresses if _private(address)), None)
    return (*private, empty) if empty and private else None


def _tell_local(lookup: Lookup, keep: int) -> Words:
    source = "by the hosts file" if lookup.hosts_file else "a literal address"
    said = f"{lookup.name} is {short_list(lookup.local)}, {source}"
    return Words(said, "", {"lookup_seconds": 0.0}, facts_of(lookup, keep))


def _tell_impossible(lookup: Lookup, _: int) -> Words:
    action = "Correct the address of the Resource: no nameserver can be asked for this name."
    return Words(f"{lookup.name} can't resolve: {lookup.impossible}", action)


def _tell_unreadable(lookup: Lookup, keep: int) -> Words:
    why = "; ".join(lookup.problems) or "no nameserver known"
    action = "Let this process read the resolver's settings (ls -l /etc/resolv.conf), or set dns.nameservers."
    return Words(f"{lookup.name} was not looked up: {why}", action, facts=facts_of(lookup, keep))


def _tell_resolved(lookup: Lookup, keep: int) -> Words:
    answer = chosen(good_answers(lookup.answers))
    said = f"{lookup.name} is {short_list(answer.addresses)}, by {answer.by} in {answer.seconds * 1000:.0f} ms"
    return Words(said, "", {"lookup_seconds": answer.seconds}, facts_of(lookup, keep))


def _tell_only_ipv6(lookup: Lookup, keep: int) -> Words:
    good = good_answers(lookup.answers)
    addresses, seconds = (lookup.local, 0.0) if lookup.local else (good[0].addresses, good[0].seconds)
    action = f"Whether Connectors use IPv6 for Resources is not documented: give {lookup.name} an A record."
    said = f"{lookup.name} has only IPv6 addresses: {short_list(addresses)}"
    return Words(said, action, {"lookup_seconds": seconds}, facts_of(lookup, keep))


def _tell_failed(lookup: Lookup, keep: int) -> Words:
    worst = most_specific(lookup.answers)
    reason = reason_of(worst) or Reason.MALFORMED_ANSWER
    others = len(lookup.answers) - 1
    more = f"; {others} other nameserver{'s' * (others > 1)} failed too" if others else ""
    said = f"{lookup.name} does not resolve: {worst.by}: {worst.evidence}{more}"
    return Words(said, _action(lookup.name, reason, worst, lookup.answers), facts=facts_of(lookup, keep))


def _tell_unasked(lookup: Lookup, keep: int) -> Words:
    answer = next(a for a in lookup.answers if a.klass is _UNASKED)
    said = f"{lookup.name} was not looked up: no question to {answer.by}: {answer.evidence}"
    return Words(said, f"This says nothing about the name. {UNASKED}", facts=facts_of(lookup, keep))


def _tell_disagreeing(lookup: Lookup, keep: int) -> Words:
    """Tell that some nameservers give an address and others do not."""
    good, failing = good_answers(lookup.answers), _failing(lookup.answers)
    worst, best = most_specific(failing), chosen(good)
    stripped = _stripped(good, failing)
    if stripped:
        giver, address, empty = stripped
        said = f"{lookup.name}: {giver.by} gives {address}, {empty.by} an empty answer"
        action = (
            f"A private address stripped from the answer is DNS rebind protection: exempt the zone of {lookup.name} "
            f"from it at {empty.by}, or let this host ask a private nameserver only. "
            f"Compare by hand: {empty.dig}; {giver.dig}"
        )
    else:
        said = f"{lookup.name}: {worst.by}: {worst.evidence}; {best.by}: {best.evidence}"
        action = (
            f"Users fail whenever the Connector asks {_names(failing)}. Repair it or take it out of resolv.conf: all "
            f"nameservers of a host must know the same zones. Compare by hand: {worst.dig}; {best.dig}"
        )
    share = round(len(failing) / (len(failing) + len(good)), 3)
    facts = {**facts_of(lookup, keep), "failing_share": share}
    return Words(said, action, {"lookup_seconds": best.seconds}, facts)


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


def _private(address: str) -> bool:
    literal = ipaddress.ip_address(address)
    return any(literal in network for network in PRIVATE)


def _names(answers: Sequence[Answer]) -> str:
    names = [answer.by for answer in answers]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
