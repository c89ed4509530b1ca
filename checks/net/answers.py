"""What nameservers answered, in the words that the checks use. No I/O and no codec here."""

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from checks.model import Reason
from checks.net.endpoint import Endpoint

DNS_PORT = 53


class AnswerClass(StrEnum):
    """The class of what one nameserver made of one name.

    `error` is an answer that settles nothing (servfail, query_refused, malformed_answer), `timeout` no answer at all.
    `unasked` is our own ignorance: the question never left this host for want of a resource or a permission of ours.
    """

    ADDRESS = "address"
    NXDOMAIN = "nxdomain"
    NO_ADDRESS = "no_address"
    ERROR = "error"
    TIMEOUT = "timeout"
    UNASKED = "unasked"


class Said(NamedTuple):
    """What one reply says, or why there is none: the part of an `Answer` that depends on the reply alone."""

    klass: AnswerClass
    reason: Reason | None
    evidence: str
    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    ttl: int | None = None
    rcode: str | None = None


def judged(
    shown: str, kind: str, *, exists: bool, addresses: tuple[str, ...], cnames: tuple[str, ...], ttl: int | None
) -> Said:
    """Return what a reply says that found something (NOERROR, `exists`) or nothing (NXDOMAIN).

    `shown` is the name asked, without its final dot; `addresses` are those of the end of the chain `cnames`.
    """
    if not exists:
        evidence = "it does not exist (NXDOMAIN)"
        if cnames:
            evidence = f"{cnames[-1]}, which {shown} is an alias of, does not exist (NXDOMAIN)"
        return Said(AnswerClass.NXDOMAIN, Reason.NXDOMAIN, evidence, (), cnames, ttl, "NXDOMAIN")
    if not addresses:
        evidence = f"the answer holds no {kind} record"
        if cnames:
            evidence = f"an alias of {cnames[-1]}, but the answer holds no {kind} record of that"
        return Said(AnswerClass.NO_ADDRESS, Reason.NO_ADDRESS, evidence, (), cnames, ttl, "NOERROR")
    return Said(AnswerClass.ADDRESS, None, ", ".join(addresses), addresses, cnames, ttl, "NOERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one nameserver answered to one question.

    - `name` is the name asked, `kind` the record type ("A", "AAAA", "NS").
    - `reason` is None for an address. In class timeout it may be more exact than `timeout` (`refused`, `no_route` …).
    - `addresses` are those of the end of the CNAME chain `cnames`, in answer order; `ttl` is the chain's least, in s.
    - `rcode` is the name of the response code; None tells that there was no valid reply.
    - `evidence` is one clause for a person.
    """

    nameserver: Endpoint
    name: str
    kind: str
    klass: AnswerClass
    reason: Reason | None = None
    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    ttl: int | None = None
    rcode: str | None = None
    seconds: float = 0.0
    evidence: str = ""
    over_tcp: bool = False

    @property
    def by(self) -> str:
        """The nameserver as ids and labels write it: without the usual port."""
        return self.nameserver.short(DNS_PORT)

    @property
    def dig(self) -> str:
        """The command that asks the same by hand."""
        port = "" if self.nameserver.port == DNS_PORT else f" -p {self.nameserver.port}"
        return f"dig @{self.nameserver.host}{port} {shlex.quote(self.name.rstrip('.') or '.')} {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What the resolver's sources make of one name.

    - `local` are addresses that needed no nameserver: from the hosts file (`hosts_file`), or the name is an address.
    - `answers` has one entry for each nameserver asked, in configured order: the one that decided.
    - `nameservers` are all that are configured, asked or not.
    - `problems` say why settings could not be read; `impossible` why the name can't be a DNS name at all.
    """

    name: str
    local: tuple[str, ...] = ()
    hosts_file: bool = False
    answers: tuple[Answer, ...] = ()
    nameservers: tuple[Endpoint, ...] = ()
    problems: tuple[str, ...] = ()
    impossible: str = ""
