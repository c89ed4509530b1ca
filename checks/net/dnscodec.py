"""From a question to bytes, and from bytes to what they say, by dnspython. No I/O: what came in may be anything.

What is plain is written and read without it (checks.net.dnsquestion, checks.net.dnsquick), which must come to the same;
they import this module only when something is not plain.
"""

import struct

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.nsbase
import dns.wire

from checks.model import Reason
from checks.net.answers import AnswerClass, Said, judged
from checks.net.dnsquick import HEADER_BYTES, MAX_CHAIN

MAX_RECORDS = 1024  # of all sections: 30 ms; a name with more addresses has them in plain replies, which take less
MAX_LABELS = 20_000  # of all names that are read: 15 ms; ordinary names have three to ten
_RCODE = 0x000F
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
        reader = _Reader(wire, self.kind)
        damage: dns.exception.DNSException | None = None
        try:
            reader.read()
        except dns.exception.DNSException as error:
            damage = error
            if not reader.past_question:
                raise MalformedError(f"the answer can't be decoded ({type(damage).__name__})") from damage
        if not self._asked_in(reader):
            return "question"
        truncated = bool(flags & dns.flags.TC)
        if damage and not truncated:  # a truncated message may end anywhere
            raise MalformedError(f"the answer can't be decoded ({type(damage).__name__})") from damage
        return Reply(self, reader, truncated=truncated)

    def _asked_in(self, reader: "_Reader") -> bool:
        if not reader.questions:
            # Servers that fail or refuse may leave the question out; one that finds something repeats it.
            return reader.rcode not in _FOUND
        # Names compare case-insensitively.
        return reader.questions == 1 and reader.asked == (self.name, self.kind, dns.rdataclass.IN)


class TooMuchError(dns.exception.DNSException):
    """No nameserver has that much to say, and to read it would hold up all else."""


class _Records:
    """The records of one owner and type: their text (by its lower case), the name in the last one, the least TTL."""

    __slots__ = ("target", "texts", "ttl")

    def __init__(self, ttl: int) -> None:
        self.texts: dict[str, str] = {}
        self.target: dns.name.Name | None = None
        self.ttl = ttl


class _Reader:
    """Reads a message as far as a verdict needs it: no data but what was asked for, and aliases.

    dns.message would read everything, and spend milliseconds on each name of a hundred labels in a record: 50 kB of
    such records took ten seconds.
    """

    def __init__(self, wire: bytes, kind: dns.rdatatype.RdataType) -> None:
        self._parser = dns.wire.Parser(wire, HEADER_BYTES)
        flags, self.questions, *self._counts = struct.unpack_from("!HHHHH", wire, 2)
        self._kinds = (kind, dns.rdatatype.CNAME)
        self._labels = 0
        self._extended = 0
        self._rcode = flags & _RCODE
        self.past_question = False
        self.asked: tuple[dns.name.Name, int, int] | None = None
        self.held: dict[tuple[dns.name.Name, int], _Records] = {}

    @property
    def rcode(self) -> dns.rcode.Rcode:
        """What the reply says became of the question."""
        return dns.rcode.Rcode.make(self._extended | self._rcode)

    def read(self) -> None:
        """Read it. Raises: DNSException where it is damaged, or says more than anybody has to say."""
        if self.questions == 1:
            self.asked = (self._name(), *self._parser.get_struct("!HH"))
        self.past_question = True
        if self.questions > 1:
            return
        if sum(self._counts) > MAX_RECORDS:
            raise TooMuchError
        for section, count in enumerate(self._counts):
            for _ in range(count):
                self._record(answer=section == 0)
        if self._parser.remaining():
            raise dns.message.TrailingJunk

    def _name(self) -> dns.name.Name:
        name = dns.name.from_wire_parser(self._parser)
        self._labels += len(name.labels)
        if self._labels > MAX_LABELS:
            raise TooMuchError
        return name

    def _record(self, *, answer: bool) -> None:
        parser, name = self._parser, self._name()
        kind, klass, ttl, length = parser.get_struct("!HHIH")
        if kind == dns.rdatatype.OPT:
            self._extended = ttl >> 24 << 4
        if not answer or klass != dns.rdataclass.IN or kind not in self._kinds:
            parser.seek(parser.current + length)
            return
        with parser.restrict_to(length):
            data = dns.rdata.from_wire_parser(klass, kind, parser)
        ttl = 0 if ttl >> 31 else ttl  # RFC 2181 section 8
        records = self.held.setdefault((name, kind), _Records(ttl))
        records.ttl = min(records.ttl, ttl)
        if isinstance(data, dns.rdtypes.nsbase.NSBase):  # CNAME, NS
            records.target = data.target
            self._labels += len(data.target.labels)
        text = data.to_text()
        records.texts.setdefault(text.lower(), text)


class Reply:
    """A well-formed reply to a question."""

    def __init__(self, question: Question, reader: _Reader, *, truncated: bool) -> None:
        self._question = question
        self._reader = reader
        self.truncated = truncated

    def said(self) -> Said:
        """Return what this reply says."""
        rcode = self._reader.rcode
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
        held = self._reader.held
        for _ in range(MAX_CHAIN):
            found = held.get((name, self._question.kind))
            if found:
                return tuple(cnames), tuple(found.texts.values()), min([*ttls, found.ttl])
            alias = held.get((name, dns.rdatatype.CNAME))
            if alias is None or alias.target is None:
                break
            name = alias.target  # there must be one alias; of several the last one counts
            cnames.append(name.to_text(omit_final_dot=True))
            ttls.append(alias.ttl)
        return tuple(cnames), (), min(ttls, default=None)
