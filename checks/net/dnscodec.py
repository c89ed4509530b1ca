"""From a question to bytes, and from bytes to what they say, by dnspython. No I/O: what came in may be anything.

What is plain is written and read without it (checks.net.dnsquestion, checks.net.dnsquick), which must come to the same;
they import this module only when something is not plain.
"""

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from checks.model import Reason
from checks.net.answers import AnswerClass, Said, judged
from checks.net.dnsquick import HEADER_BYTES, MAX_CHAIN

_FOUND = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def why_impossible(name: str) -> str:
    """Say why `name` can't be a DNS name; empty when it can."""
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        return f"it can't be a DNS name: {error}"
    return ""


def encode(name: str, kind: str) -> tuple[bytes, str]:
    """Return a question as it is sent, without its id, and its name as people write it. Raises: ValueError."""
    question = Question(name, kind, 0)
    return question.wire[2:], question.name.to_text(omit_final_dot=True)


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

    def said(self) -> Said:
        """Return what this reply says."""
        rcode = self._message.rcode()
        text = dns.rcode.to_text(rcode)
        if rcode == dns.rcode.REFUSED:
            return Said(AnswerClass.ERROR, Reason.QUERY_REFUSED, "it refuses to answer (REFUSED)", rcode=text)
        if rcode not in _FOUND:
            return Said(AnswerClass.ERROR, Reason.SERVFAIL, f"it failed to answer ({text})", rcode=text)
        cnames, addresses, ttl = self._follow()
        shown, kind = self._question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(self._question.kind)
        exists = rcode == dns.rcode.NOERROR
        return judged(shown, kind, exists=exists, addresses=addresses, cnames=cnames, ttl=ttl)

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
