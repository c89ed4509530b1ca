"""The stub resolver: hosts file, search list, order of nameservers, bounds in time, shared questions."""

import errno
import socket

import dns.message
import dns.rcode
import pytest

from checks.model import Reason
from checks.net.answers import AnswerClass
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import Settings
from checks.net.seat import Resolver, open_socket
from checks.net.stub import StubResolver, candidates
from tests.support.nameservers import OnUdp, Send, says, silent
from tests.support.servers import free_port
from tests.support.stubs import FixedSettings, serving, stub, zone

SHORT_S = 0.3


def _closed() -> Endpoint:
    return Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM))


A = zone({"db.test. A": "10.0.0.1"})
B = zone({"db.test. A": "10.0.0.2"})
NEGATIVE = says(rcode=dns.rcode.NXDOMAIN)
REFUSING = says(rcode=dns.rcode.REFUSED)
FAILING = says(rcode=dns.rcode.SERVFAIL)


def test_is_a_resolver() -> None:
    """The stub resolver fits where a seat wants a resolver."""
    resolver: Resolver = stub()
    assert resolver.nameservers == ()


@pytest.mark.parametrize("name", ["10.1.2.3", "fd00::1"])
async def test_literal_address_is_itself(name: str) -> None:
    """A literal address needs no nameserver."""
    resolver = stub(_closed())
    resolution = await resolver.resolve(name)
    assert (resolution.addresses, resolution.reason) == ((name,), None)
    assert (await resolver.lookup(name, thorough=True, first=0)).local == (name,)


async def test_hosts_file_comes_first() -> None:
    """A name in the hosts file, whatever its case, is not asked for; IPv4 alone when there is one."""
    resolver = stub(_closed(), hosts={"db.test": ("10.0.0.9", "fd00::9"), "six.test": ("fd00::6",)})
    assert (await resolver.resolve("DB.test")).addresses == ("10.0.0.9",)
    assert (await resolver.resolve("six.test")).addresses == ("fd00::6",)
    lookup = await resolver.lookup("db.test", thorough=True, first=0)
    assert (lookup.hosts_file, lookup.local, lookup.answers) == (True, ("10.0.0.9",), ())


@pytest.mark.parametrize(
    ("name", "ndots", "expected"),
    [
        ("db", 1, ["db.a.test.", "db.b.test.", "db."]),
        ("db.corp", 1, ["db.corp.", "db.corp.a.test.", "db.corp.b.test."]),
        ("db.corp", 2, ["db.corp.a.test.", "db.corp.b.test.", "db.corp."]),
        ("db", 0, ["db.", "db.a.test.", "db.b.test."]),
        ("db.", 1, ["db."]),
        ("db.corp.", 5, ["db.corp."]),
    ],
)
def test_candidates(name: str, ndots: int, expected: list[str]) -> None:
    """The search list applies as resolv.conf(5) says: after the name with ndots dots, before any other."""
    assert candidates(name, Settings(search=("a.test", "b.test"), ndots=ndots)) == expected


@pytest.mark.parametrize("first", [NEGATIVE, REFUSING, FAILING, zone({"db.a.test. TXT": "x"})])
async def test_candidates_are_tried_until_an_address(first: OnUdp) -> None:
    """An answer without an address leads to the next candidate, whatever its code."""

    def on_udp(query: dns.message.Message, send: Send) -> None:
        (B if query.question[0].name.to_text() == "db.test." else first)(query, send)

    async with serving(on_udp) as (server,):
        resolver = stub(server.endpoint, search=("a.test", "test"))
        resolution = await resolver.resolve("db")
        lookup = await resolver.lookup("db", thorough=True, first=0)
    assert resolution.addresses == ("10.0.0.2",)
    assert lookup.answers[0].name == "db.test."


@pytest.mark.parametrize("ndots", [0, 1], ids=["asked first", "asked last"])
async def test_failure_is_that_of_the_name_as_it_is(ndots: int) -> None:
    """When no candidate has an address, what is reported is the name as it was written."""
    async with serving(zone({"db. TXT": "x"})) as (server,):
        resolution = await stub(server.endpoint, search=("a.test",), ndots=ndots).resolve("db")
    assert resolution.reason is Reason.NO_ADDRESS


async def test_too_long_candidate_is_left_out() -> None:
    """A suffix that makes the name longer than DNS allows is passed over."""
    name = ".".join(["x" * 60] * 4)
    async with serving(says(f"{name}. 60 IN A 10.0.0.1")) as (server,):
        resolution = await stub(server.endpoint, search=("y" * 30,), ndots=9).resolve(name)
    assert resolution.addresses == ("10.0.0.1",)
    assert len(server.asked) == 1


async def test_impossible_name_does_not_exist() -> None:
    """A text that can't be a DNS name has no address, and no nameserver is asked."""
    resolver = stub(_closed())
    resolution = await resolver.resolve("a..b")
    assert resolution.reason is Reason.NXDOMAIN
    assert "can't be a DNS name" in resolution.evidence
    assert (await resolver.lookup("a..b", thorough=True, first=0)).impossible


@pytest.mark.parametrize(
    ("scripts", "addresses", "reason", "asked"),
    [
        ([A, B], ("10.0.0.1",), None, [1, 0]),
        ([FAILING, B], ("10.0.0.2",), None, [1, 1]),
        ([REFUSING, B], ("10.0.0.2",), None, [1, 1]),
        ([silent, B], ("10.0.0.2",), None, [1, 1]),
        ([NEGATIVE, B], (), Reason.NXDOMAIN, [1, 0]),
        ([zone({"db.test. TXT": "x"}), B], (), Reason.NO_ADDRESS, [2, 0]),
        ([silent, FAILING], (), Reason.SERVFAIL, [1, 1]),
        ([silent, silent, A], (), Reason.TIMEOUT, [1, 1, 0]),
        ([FAILING, REFUSING, A], ("10.0.0.1",), None, [1, 1, 1]),
    ],
)
async def test_order_of_nameservers(
    scripts: list[OnUdp], addresses: tuple[str, ...], reason: Reason | None, asked: list[int]
) -> None:
    """The next nameserver is asked only when the last settled nothing, and two time-outs are the bound."""
    async with serving(*scripts) as servers:
        resolver = stub(*(server.endpoint for server in servers), timeout_s=SHORT_S)
        resolution = await resolver.resolve("db.test")
        assert [len(server.asked) for server in servers] == asked
    assert (resolution.addresses, resolution.reason) == (addresses, reason)


async def test_closed_nameserver_is_passed_at_once() -> None:
    """A nameserver that nobody runs any more costs no time-out."""
    async with serving(A) as (server,):
        resolution = await stub(_closed(), server.endpoint, timeout_s=3600).resolve("db.test")
    assert resolution.addresses == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("records", "addresses", "kinds"),
    [
        ({"db.test. A": "10.0.0.1", "db.test. AAAA": "fd00::1"}, ("10.0.0.1",), ["A"]),
        ({"db.test. AAAA": "fd00::1"}, ("fd00::1",), ["A", "AAAA"]),
        ({"db.test. TXT": "x"}, (), ["A", "AAAA"]),
        ({}, (), ["A"]),
    ],
)
async def test_aaaa_only_without_a(records: dict[str, str], addresses: tuple[str, ...], kinds: list[str]) -> None:
    """AAAA is asked only when the name exists without an A record."""
    async with serving(zone(records)) as (server,):
        resolution = await stub(server.endpoint).resolve("db.test")
    assert resolution.addresses == addresses
    assert [kind for _, _, kind in server.asked] == kinds


async def test_thorough_lookup_asks_everyone() -> None:
    """`thorough` asks all nameservers, and the answers keep the order of the settings."""
    async with serving(silent, A, NEGATIVE, FAILING) as servers:
        endpoints = tuple(server.endpoint for server in servers)
        resolver = stub(*endpoints, timeout_s=SHORT_S)
        lookup = await resolver.lookup("db.test", thorough=True, first=0)
    assert tuple(answer.nameserver for answer in lookup.answers) == endpoints == resolver.nameservers
    assert [answer.klass for answer in lookup.answers] == [
        AnswerClass.TIMEOUT, AnswerClass.ADDRESS, AnswerClass.NXDOMAIN, AnswerClass.ERROR,
    ]  # fmt: skip


async def test_thorough_lookup_asks_side_by_side() -> None:
    """All nameservers are asked before any of them answered."""
    held: list[tuple[dns.message.Message, Send]] = []

    def on_udp(query: dns.message.Message, send: Send) -> None:
        held.append((query, send))
        if len(held) == 3:
            for one in held:
                A(*one)

    async with serving(on_udp, on_udp, on_udp) as servers:
        lookup = await stub(*(s.endpoint for s in servers)).lookup("db.test", thorough=True, first=0)
    assert [answer.klass for answer in lookup.answers] == [AnswerClass.ADDRESS] * 3


async def test_rotation_goes_round() -> None:
    """Without `thorough` one nameserver is asked: number `first`, counted round and round."""
    async with serving(A, B) as servers:
        resolver = stub(*(server.endpoint for server in servers))
        found = [(await resolver.lookup("db.test", thorough=False, first=first)).answers for first in range(4)]
    assert [answer.addresses[0] for (answer,) in found] == ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]


async def test_changed_settings_count_at_once() -> None:
    """The settings are read for each lookup: a new resolv.conf needs no restart."""
    async with serving(A, B) as (one, two):
        source = FixedSettings(Settings(nameservers=(one.endpoint,)))
        resolver = StubResolver(source, open_socket, 5)
        before = await resolver.resolve("db.test")
        source.settings = Settings(nameservers=(two.endpoint,))
        after = await resolver.resolve("db.test")
    assert (before.addresses, after.addresses) == (("10.0.0.1",), ("10.0.0.2",))


async def test_unreadable_settings_are_ignorance() -> None:
    """Without any known nameserver nothing is said about the name."""
    resolver = stub(problems=("/etc/resolv.conf can't be read: Permission denied",))
    resolution = await resolver.resolve("db.test")
    assert resolution.reason is Reason.PERMISSION_DENIED
    assert "Permission denied" in resolution.evidence
    lookup = await resolver.lookup("db.test", thorough=True, first=0)
    assert (lookup.answers, lookup.problems) == ((), (resolution.evidence,))


async def test_starved_is_not_the_names_fault() -> None:
    """When this host has no socket left the resolution says so, even beside a nameserver that is silent."""

    def starved(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    resolver = StubResolver(FixedSettings(Settings()), starved, SHORT_S)
    assert (await resolver.resolve("db.test")).reason is Reason.PROBER_STARVED
    lookup = await resolver.lookup("db.test", thorough=True, first=0)
    assert lookup.answers[0].klass is AnswerClass.UNASKED
