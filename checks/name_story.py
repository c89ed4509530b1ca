"""What a `dns` verdict tells, made when it is read. All of its text is harmless. No I/O."""

from collections.abc import Callable, Mapping, Sequence

from checks.model import Json, Outcome, Words
from checks.net.answers import DNS_PORT, Answer, AnswerClass, Lookup
from checks.net.stub import most_specific
from checks.net.text import printable, printable_json

SLOW_S = 5.0  # evdns gives up on an attempt after this
MAX_SUMMARY = 120  # one line of a terminal
MAX_ACTION = 2000  # sentences, and two commands to repeat by hand
MAX_FACTS = 8  # aliases kept

_EMPTY: Mapping[str, Json] = {}


class Resolved:
    """The story of a name for which the one nameserver that was asked gave IPv4 addresses.

    Nearly every name has one at any time, and hardly any is ever read: hence no answer, no lookup and no dictionary is
    kept in it.
    """

    __slots__ = ("_all", "_candidate", "_cnames", "_keep", "_name", "_nameserver", "_problems", "_seconds", "_ttl")

    def __init__(self, lookup: Lookup, answer: Answer, keep: int) -> None:
        self._name = lookup.name
        self._problems = lookup.problems
        self._nameserver = answer.nameserver
        self._all = answer.addresses
        self._candidate = candidate(lookup, answer)
        self._cnames = answer.cnames
        self._ttl = answer.ttl
        self._seconds = answer.seconds
        self._keep = keep

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that are probed: those of the facts, without making the facts."""
        return self._all[: self._keep]

    @property
    def reached(self) -> bool:
        """Tell that a user would have got an address."""
        return True

    @property
    def summary(self) -> str:
        """Return the first address, the nameserver and the time."""
        by = self._nameserver.short(DNS_PORT)
        return printable(line(f"{self._name} is {short_list(self._all)}, by {by} in {self._seconds * 1000:.0f} ms"))

    @property
    def action(self) -> str:
        """Return nothing: all is well."""
        return ""

    @property
    def measurements(self) -> Mapping[str, float]:
        """Return the time to the address, in seconds."""
        return {"lookup_seconds": self._seconds}

    @property
    def facts(self) -> Mapping[str, Json]:
        """Return what `facts_of` would tell of the lookup."""
        addresses = self._all[: self._keep]
        cell: dict[str, Json] = {"class": "address", "ms": round(self._seconds * 1000, 1), "addresses": addresses}
        matrix: dict[str, Json] = {printable(self._nameserver.short(DNS_PORT)): cell}
        facts: dict[str, Json] = {"addresses": addresses, "address_count": len(self._all), "matrix": matrix}
        if self._cnames:
            facts["cnames"] = printable_json(self._cnames[:MAX_FACTS])
        if self._ttl is not None:
            facts["ttl"] = self._ttl
        if self._candidate:
            facts["candidate"] = printable(self._candidate)
        if self._seconds > SLOW_S:
            facts["slower_than_5s"] = True
        if self._problems:
            facts["problems"] = printable_json(self._problems)
        return facts


class Told:
    """The story of any other lookup, by one of the tellers of checks.name_verdict; it is told once, and kept then."""

    __slots__ = ("_keep", "_lookup", "_tell", "_words")

    def __init__(self, lookup: Lookup, keep: int, tell: Callable[[Lookup, int], Words]) -> None:
        self._lookup = lookup
        self._keep = keep
        self._tell = tell
        self._words: Words | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that are probed: those of the facts, without making the facts."""
        return _addresses(self._lookup)[: self._keep]

    @property
    def reached(self) -> bool:
        """Tell whether a user would have got an address."""
        return bool(_addresses(self._lookup))

    @property
    def summary(self) -> str:
        """What was observed, in one line."""
        return self._told().summary

    @property
    def action(self) -> str:
        """The fix, and the command to repeat it by hand; empty when ok."""
        return self._told().action

    @property
    def measurements(self) -> Mapping[str, float]:
        """The time to the address, in seconds, if there is one."""
        return self._told().measurements

    @property
    def facts(self) -> Mapping[str, Json]:
        """Everything else that is known."""
        return self._told().facts

    def _told(self) -> Words:
        if self._words is None:
            told = self._tell(self._lookup, self._keep)
            facts = printable_json(told.facts)
            self._words = Words(
                printable(line(told.summary)),
                printable(told.action, MAX_ACTION),
                told.measurements,
                facts if isinstance(facts, Mapping) else _EMPTY,
            )
        return self._words


def addresses_of(outcome: Outcome) -> tuple[str, ...]:
    """Return the addresses in the outcome of a `dns` row, as many as are probed; without making its facts."""
    story = outcome.story
    if isinstance(story, Resolved | Told):
        return story.addresses
    found = story.facts.get("addresses")
    return tuple(str(address) for address in found) if isinstance(found, tuple | list) else ()


def facts_of(lookup: Lookup, keep: int) -> dict[str, Json]:
    """Return what is known, the nameservers side by side; as it came, not yet made harmless."""
    good = good_answers(lookup.answers)
    best = chosen(good) if good else None
    addresses = _addresses(lookup)
    facts: dict[str, Json] = {"addresses": addresses[:keep], "address_count": len(addresses)}
    if lookup.hosts_file:
        facts["hosts_file"] = True
    if lookup.answers:
        facts["matrix"] = {answer.by: _cell(answer, keep) for answer in lookup.answers}
    told = best or (most_specific(lookup.answers) if lookup.answers else None)
    if told:
        if told.cnames:
            facts["cnames"] = told.cnames[:MAX_FACTS]
        if told.ttl is not None:
            facts["ttl"] = told.ttl
        if asked := candidate(lookup, told):
            facts["candidate"] = asked
    if best and best.seconds > SLOW_S:
        facts["slower_than_5s"] = True
    if len({frozenset(answer.addresses) for answer in good}) > 1:
        facts["address_sets_differ"] = True
    if lookup.problems:
        facts["problems"] = lookup.problems
    return facts


def good_answers(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers that give an address."""
    return [answer for answer in answers if answer.klass is AnswerClass.ADDRESS]


def chosen(good: Sequence[Answer]) -> Answer:
    """Return the answer that counts: the first nameserver's with IPv4, else the first one's."""
    return next((answer for answer in good if answer.kind == "A"), good[0])


def candidate(lookup: Lookup, answer: Answer) -> str:
    """Return the name that the search list made of the one looked up; empty when it was asked as it is."""
    return "" if answer.name.rstrip(".") == lookup.name.rstrip(".") else answer.name


def line(text: str) -> str:
    """Return `text`, cut to one line of a terminal."""
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"


def short_list(addresses: tuple[str, ...]) -> str:
    """Return the first address, and how many more there are."""
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return addresses[0] + more


def _addresses(lookup: Lookup) -> tuple[str, ...]:
    if lookup.local:
        return lookup.local
    good = good_answers(lookup.answers)
    return chosen(good).addresses if good else ()


def _cell(answer: Answer, keep: int) -> Json:
    cell: dict[str, Json] = {"class": answer.klass.value, "ms": round(answer.seconds * 1000, 1)}
    if answer.reason:
        cell["reason"] = answer.reason.value
    if answer.addresses:
        cell["addresses"] = answer.addresses[:keep]
    else:
        cell["evidence"] = answer.evidence
    return cell
