"""What a `dns` verdict tells when it is read: the same from a compact story as from the whole lookup, and harmless."""

from dataclasses import replace

import pytest

from checks.model import Status
from checks.name_story import MAX_SUMMARY, Resolved, addresses_of, facts_of
from checks.name_verdict import judge
from checks.net.answers import Answer, AnswerClass, Lookup
from checks.net.endpoint import Endpoint
from checks.net.text import printable_json

NAME = "db.corp.internal"
ANSWER = Answer(
    nameserver=Endpoint("10.0.0.53", 53), name=f"{NAME}.", kind="A", klass=AnswerClass.ADDRESS,
    addresses=("10.1.2.3",), ttl=60, rcode="NOERROR", seconds=0.25, evidence="10.1.2.3",
)  # fmt: skip
HOSTILE = "\x1b[31m\u202e\n"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"addresses": tuple(f"10.0.0.{n}" for n in range(20))},
        {"nameserver": Endpoint("10.0.0.53", 5353)},
        {"nameserver": Endpoint("fe80::1%eth0", 53)},
        {"cnames": ("a.test", "b.test", *(f"c{n}.test" for n in range(20))), "ttl": 0},
        {"ttl": None},
        {"name": f"{NAME}.search.test."},
        {"name": NAME},
        {"seconds": 5.0001},
        {"cnames": (f"a{HOSTILE}.test",)},
    ],
    ids=lambda changes: "+".join(changes) or "plain",
)
@pytest.mark.parametrize("problems", [(), ("nameserver 'x' is not an address", HOSTILE)], ids=["read", "problems"])
def test_compact_story_tells_the_same(changes: dict[str, object], problems: tuple[str, ...]) -> None:
    """The story of the ordinary case, which keeps little, tells what the lookup itself would."""
    answer = replace(ANSWER, **changes)  # type: ignore[arg-type]
    lookup = Lookup(name=NAME, answers=(answer,), nameservers=(answer.nameserver,), problems=problems)
    outcome = judge(lookup, 8)
    assert isinstance(outcome.story, Resolved)
    whole = judge(replace(lookup, answers=(answer, answer)), 8)  # the same from a nameserver asked twice
    assert not isinstance(whole.story, Resolved)
    assert outcome == whole
    assert list(outcome.facts) == list(whole.facts)
    assert outcome.facts == printable_json(facts_of(lookup, 8))
    assert (outcome.status, outcome.reached, whole.reached) == (Status.OK, True, True)
    assert addresses_of(outcome) == addresses_of(whole) == outcome.facts["addresses"]


@pytest.mark.parametrize("klass", [k for k in AnswerClass if k is not AnswerClass.ADDRESS])
@pytest.mark.parametrize("good", [False, True], ids=["all fail", "some fail"])
def test_no_story_holds_what_harms_a_terminal(klass: AnswerClass, good: bool) -> None:
    """Whatever a file, a nameserver or a Resource's address holds: what is told of it can be printed anywhere."""
    bad = replace(
        ANSWER, name=f"a{HOSTILE}.", klass=klass, addresses=(), evidence=HOSTILE, cnames=(HOSTILE,),
        nameserver=Endpoint(f"fe80::1%{HOSTILE}", 53),
    )  # fmt: skip
    lookup = Lookup(name=f"a{HOSTILE}", answers=(bad, ANSWER) if good else (bad,), problems=(HOSTILE,))
    alone = Lookup(name=f"a{HOSTILE}", answers=(replace(ANSWER, nameserver=bad.nameserver),))
    for outcome in (judge(lookup, 8), judge(alone, 8)):
        told = outcome.summary + outcome.action + "".join(map(str, _leaves(outcome.facts)))
        assert not set(told) & set(HOSTILE.replace("[31m", ""))
        assert len(outcome.summary) <= MAX_SUMMARY


def _leaves(value: object) -> list[object]:
    """Return the keys and values in a fact, however deep."""
    if isinstance(value, dict):
        return [leaf for key, held in value.items() for leaf in (key, *_leaves(held))]
    if isinstance(value, tuple | list):
        return [leaf for held in value for leaf in _leaves(held)]
    return [value]


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        (Lookup(name=NAME, local=("10.0.0.1", "10.0.0.2", "10.0.0.3"), hosts_file=True), ("10.0.0.1", "10.0.0.2")),
        (Lookup(name=NAME, answers=(replace(ANSWER, klass=AnswerClass.TIMEOUT, addresses=()),)), ()),
        (Lookup(name=NAME, impossible="no"), ()),
        (Lookup(name=NAME, answers=(replace(ANSWER, kind="AAAA", addresses=("fd00::1",)),)), ("fd00::1",)),
    ],
)
def test_addresses_without_the_facts(lookup: Lookup, expected: tuple[str, ...]) -> None:
    """The addresses of a row are those of its facts, whichever story it has, and of an outcome made by hand too."""
    outcome = judge(lookup, 2)
    assert addresses_of(outcome) == expected == outcome.facts.get("addresses", ())
    assert addresses_of(outcome.but(summary="told")) == expected
    assert outcome.reached is bool(expected)
