"""dns: the name of a Resource resolves as the Connector's resolver would resolve it.

What must hold: the hosts file or a nameserver in use gives at least one IPv4 address (A record) for the name, within 5
seconds an attempt, with this host's search list and ndots. `check` asks every nameserver; the daemon asks them in
turn, and all of them when the one asked fails and whenever the matrix is due. No cache; TCP when the answer is
truncated. Questions to one nameserver share a UDP socket for at most 64 questions or 2 seconds, with a random id each;
then another random port takes over.

- ok: there is an A record, even if asking for AAAA fails. Address sets that differ between nameservers are a fact.
- warning/resolvers_disagree: some nameservers give an address and others do not; which users fail depends on whom the
  Connector asks. `failing_share` is the share that does not.
- warning/rebind_protected: one nameserver gives a private address where another gives an empty answer: rebind
  protection strips it there.
- warning/address_family_unavailable: there are only IPv6 addresses (AAAA).
- warning with a reason of critical: every nameserver fails for a name that only the Connector's log named (behind a
  pattern), and the log shows no user failing there.
- critical: every nameserver fails: the user's event is "DNS lookup error". The reason is the most specific:
  nxdomain (the name does not exist), no_address (it exists without an address, or its CNAME leads to none),
  query_refused (this host may not ask), servfail (the nameserver failed, any other response code too),
  malformed_answer, timeout (no answer: silence, a closed port, no route to the nameserver).
- unknown/prober_starved: this host ran out of sockets or memory; unknown/permission_denied: the resolver's settings
  can't be read, or no socket may be made. Neither says anything about the name.

Measured: `lookup_seconds`, the time to the address, only when there is one. A lookup over 5 s is marked in the facts
(`slower_than_5s`): the Connector would have given up on that attempt.

It can't see: the cache of the Connector, the order in which it asks its nameservers, and what a nameserver tells to
others than this host (views). Sources: RFC 1034, RFC 1035, RFC 2308, resolv.conf(5); libevent's evdns.
"""

import zlib
from dataclasses import dataclass

from checks.learned import at_most_warning
from checks.model import Reason, Rows
from checks.name_story import good_answers
from checks.name_verdict import judge
from checks.net.seat import Context

CRITICAL_REASONS = frozenset(
    {
        Reason.NXDOMAIN,
        Reason.NO_ADDRESS,
        Reason.QUERY_REFUSED,
        Reason.SERVFAIL,
        Reason.MALFORMED_ANSWER,
        Reason.TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpec:
    """One name. `timeout_s` is for one question; the whole ends within 4 times that (two rounds, two questions).

    `learned_sample`: known from the Connector's log alone, so at most a warning unless a user fails there too.
    """

    name: str
    timeout_s: float = 5.0
    max_addresses: int = 8
    learned_sample: bool = False


@dataclass(slots=True)
class NameMemory:
    """Whose turn it is among the nameservers."""

    turn: int = 0


def new_memory() -> NameMemory:
    """Make the memory of one name's probe."""
    return NameMemory()


async def probe(spec: NameSpec, context: Context) -> Rows:
    """Look the name up once."""
    resolver = context.seat.resolver
    first = zlib.crc32(spec.name.encode())  # names start at different nameservers, the same ones after a restart
    if isinstance(context.memory, NameMemory):
        first += context.memory.turn
        context.memory.turn += 1
    lookup = await resolver.lookup(spec.name, thorough=context.thorough, first=first, timeout_s=spec.timeout_s)
    if len(lookup.answers) == 1 < len(lookup.nameservers) and not good_answers(lookup.answers):
        lookup = await resolver.lookup(spec.name, thorough=True, first=0, timeout_s=spec.timeout_s)
    outcome = judge(lookup, spec.max_addresses)
    capped = spec.learned_sample and not context.user_failed
    return {spec.name: at_most_warning(outcome) if capped else outcome}
