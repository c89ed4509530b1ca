"""From a question to bytes, and from bytes to an answer. No I/O: what came in may be anything."""

from dataclasses import replace

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass

HEADER_BYTES = 12
MAX_CHAIN = 16  # CNAMEs followed in one answer; as resolvers do, and it ends loops

_FOUND = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def why_impossible(name: str) -> str:
    """Say why `name` can't be a DNS name; empty when it can."""
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        return f"it can't be a DNS name: {error}"
    return ""


class MalformedError(Exception):
    """It answers our question, by its id, but can't be read."""


class Question:
    """One question and its bytes. Raises: ValueError, when the name can't be a DNS name."""

    def __init__(self, name: str, kind: str, number: int) -> None:
        try:
            self.name = dns.name.from_text(name)
            self.kind = dns.rdatatype.from_text(kind)
            # No EDNS: see checks.net.dnswire.
            message = dns.message.make_query(self.name, self.kind, use_edns=False, id=number)
            self.wire = message.to_wire()
        except (dns.exception.DNSException, UnicodeError) as error:
            raise ValueError(f"{name!r} can't be a DNS name: {error}") from error
        self.number = number

    def read(self, wire: bytes) -> "Reply | str":
        """Return the reply, or what is wrong with bytes that are not one to this question. Raises: MalformedError."""
        if len(wire) < HEADER_BYTES:
            return "length"
        if int.from_bytes(wire[:2]) != self.number:
            return "id"
        flags = int.from_bytes(wire[2:4])
        if not flags & dns.flags.QR or dns.opcode.from_flags(flags) != dns.opcode.QUERY:
            return "header"
        damage: dns.exception.DNSException | None = None
        try:
            message = dns.message.from_wire(wire)
        except dns.exception.DNSException as error:
            damage = error
            try:
                message = dns.message.from_wire(wire, question_only=True)
            except dns.exception.DNSException:
                raise MalformedError(f"the answer can't be decoded ({type(damage).__name__})") from damage
        if not self._asked_in(message):
            return "question"
        truncated = bool(flags & dns.flags.TC)
        if damage and not truncated:  # a truncated message may end anywhere
            raise MalformedError(f"the answer can't be decoded ({type(damage).__name__})") from damage
        return Reply(self, message, truncated=truncated)

    def _asked_in(self, message: dns.message.Message) -> bool:
        if not message.question:
            # Servers that fail or refuse may leave the question out; one that finds something repeats it.
            return message.rcode() not in _FOUND
        asked = message.question[0]
        same = asked.name == self.name and asked.rdtype == self.kind and asked.rdclass == dns.rdataclass.IN
        return same and len(message.question) == 1  # names compare case-insensitively


class Reply:
    """A well-formed reply to a question."""

    def __init__(self, question: Question, message: dns.message.Message, *, truncated: bool) -> None:
        self._question = question
        self._message = message
        self.truncated = truncated

    def judged(self, answer: Answer) -> Answer:
        """Return `answer` with what this reply says filled in."""
        rcode = self._message.rcode()
        text = dns.rcode.to_text(rcode)
        answer = replace(answer, rcode=text, klass=AnswerClass.ERROR)
        if rcode == dns.rcode.REFUSED:
            return replace(answer, reason=Reason.QUERY_REFUSED, evidence="it refuses to answer (REFUSED)")
        if rcode not in _FOUND:
            return replace(answer, reason=Reason.SERVFAIL, evidence=f"it failed to answer ({text})")
        cnames, addresses, ttl = self._follow()
        answer = replace(answer, cnames=cnames, ttl=ttl)
        end = f", which {self._question.name.to_text(omit_final_dot=True)} is an alias of" if cnames else ""
        if rcode == dns.rcode.NXDOMAIN:
            evidence = f"{cnames[-1]}{end}, does not exist (NXDOMAIN)" if cnames else "it does not exist (NXDOMAIN)"
            return replace(answer, klass=AnswerClass.NXDOMAIN, reason=Reason.NXDOMAIN, evidence=evidence)
        if not addresses:
            evidence = f"the answer holds no {answer.kind} record"
            if cnames:
                evidence = f"an alias of {cnames[-1]}, but the answer holds no {answer.kind} record of that"
            return replace(answer, klass=AnswerClass.NO_ADDRESS, reason=Reason.NO_ADDRESS, evidence=evidence)
        return replace(answer, klass=AnswerClass.ADDRESS, addresses=addresses, evidence=", ".join(addresses))

    def _follow(self) -> tuple[tuple[str, ...], tuple[str, ...], int | None]:
        """Follow the CNAME chain within the answer section; return it, its end's addresses and the least TTL.

        Records of other owners and other classes count for nothing: a cache that holds them is not what was asked.
        """
        name = self._question.name
        cnames: list[str] = []
        ttls: list[int] = []
        sections = self._message
        for _ in range(MAX_CHAIN):
            found = sections.get_rrset(sections.answer, name, dns.rdataclass.IN, self._question.kind)
            if found:
                addresses = tuple(record.to_text() for record in found)
                return tuple(cnames), addresses, min([*ttls, found.ttl])
            alias = sections.get_rrset(sections.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
            if not alias:
                break
            name = alias[0].target
            cnames.append(name.to_text(omit_final_dot=True))
            ttls.append(alias.ttl)
        return tuple(cnames), (), min(ttls, default=None)
