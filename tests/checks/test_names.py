"""The `dns` check against real nameservers that know, lack, strip and fall silent."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks import names
from checks.model import Event, Reason, Status
from checks.names import NameMemory, NameSpec, probe
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import Settings, SystemSettings
from checks.net.seat import Context, Seat, open_socket
from checks.net.stub import StubResolver
from tests.support.cancel import check_cancellation
from tests.support.nameservers import local, says, scripted, silent, unbound
from tests.support.servers import free_port

NAME = "orders-db.corp.internal"
PRIVATE = "10.1.2.3"
SPEC = NameSpec(name=NAME, timeout_s=0.5)


def _context(
    *nameservers: Endpoint, thorough: bool = True, memory: object = None, search: tuple[str, ...] = ()
) -> Context:
    settings = SystemSettings(hosts="/nonexistent", nameservers=nameservers, search=search)
    resolver = StubResolver(settings, open_socket, 0.5)
    return Context(seat=Seat(resolver=resolver), thorough=thorough, memory=memory)


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Unbound that knows the name."""
    zone = local("corp.internal", f"{NAME}. 60 IN A {PRIVATE}")
    with unbound(tmp_path_factory.mktemp("knowing"), *zone) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def ignorant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Unbound with the same zone, but without the name."""
    with unbound(tmp_path_factory.mktemp("ignorant"), *local("corp.internal")) as endpoint:
        yield endpoint


async def test_real_ok(knowing: Endpoint) -> None:
    """A name that unbound knows is ok, with its addresses and its time."""
    rows = await probe(SPEC, _context(knowing))
    outcome = rows[NAME]
    assert (outcome.status, outcome.facts["addresses"]) == (Status.OK, (PRIVATE,))
    assert outcome.measurements["lookup_seconds"] > 0


async def test_real_search_list(knowing: Endpoint) -> None:
    """A short name found by the search list names the candidate that was found in its facts."""
    short = NAME.partition(".")[0]
    outcome = (await probe(NameSpec(name=short, timeout_s=2), _context(knowing, search=("corp.internal",))))[short]
    assert outcome.status is Status.OK, outcome
    assert outcome.facts["candidate"] == f"{NAME}."


async def test_aliases_are_a_fact() -> None:
    """The chain of aliases is kept as a fact."""
    async with scripted(says(f"{NAME}. 60 IN CNAME db.test.", "db.test. 30 IN A 10.0.0.1")) as server:
        outcome = (await probe(SPEC, _context(server.endpoint)))[NAME]
    assert (outcome.facts["cnames"], outcome.facts["ttl"]) == (("db.test",), 30)


async def test_real_disagreement(knowing: Endpoint, ignorant: Endpoint) -> None:
    """Two nameservers of which one lacks the name disagree."""
    outcome = (await probe(SPEC, _context(knowing, ignorant)))[NAME]
    assert (outcome.status, outcome.reason) == (Status.WARNING, Reason.RESOLVERS_DISAGREE)
    assert outcome.facts["failing_share"] == 0.5
    assert f"dig @127.0.0.1 -p {ignorant.port} {NAME} A" in outcome.action


async def test_real_rebind_protection(tmp_path: Path, knowing: Endpoint) -> None:
    """A forwarder that strips private addresses is rebind_protected."""
    forward = ["forward-zone:", '  name: "corp.internal."', f"  forward-addr: 127.0.0.1@{knowing.port}"]
    with unbound(tmp_path, "  private-address: 10.0.0.0/8", *forward) as stripping:
        outcome = (await probe(NameSpec(name=NAME, timeout_s=5), _context(stripping, knowing)))[NAME]
    assert (outcome.status, outcome.reason) == (Status.WARNING, Reason.REBIND_PROTECTED)
    assert str(stripping.port) in outcome.summary


async def test_real_nxdomain(ignorant: Endpoint) -> None:
    """A name that no nameserver knows is what the user's event will say."""
    outcome = (await probe(SPEC, _context(ignorant)))[NAME]
    assert (outcome.status, outcome.reason, outcome.event) == (
        Status.CRITICAL, Reason.NXDOMAIN, Event.DNS_LOOKUP_ERROR,
    )  # fmt: skip


async def test_closed_nameserver() -> None:
    """A nameserver that nobody runs is a timeout, known at once."""
    outcome = (await probe(SPEC, _context(Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM)))))[NAME]
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.TIMEOUT)
    assert "port unreachable" in outcome.summary


async def test_daemon_asks_in_turn(knowing: Endpoint) -> None:
    """Run by run the next nameserver is asked, and only that one while it has an address."""
    async with scripted(says(f"{NAME}. 60 IN A 10.9.9.9")) as other:
        context = _context(knowing, other.endpoint, thorough=False, memory=names.new_memory())
        asked = [tuple((await probe(SPEC, context))[NAME].facts["matrix"]) for _ in range(4)]  # type: ignore[arg-type]
    assert all(len(row) == 1 for row in asked)
    assert asked[0] == asked[2] != asked[1] == asked[3]


@pytest.mark.parametrize("turn", [0, 1])
async def test_daemon_asks_all_on_failure(knowing: Endpoint, ignorant: Endpoint, turn: int) -> None:
    """When the one asked fails all are asked in the same run; when it answers nobody else is."""
    context = _context(knowing, ignorant, thorough=False, memory=NameMemory(turn=turn))
    rows = [(await probe(SPEC, context))[NAME].reason for _ in range(2)]
    assert set(rows) == {None, Reason.RESOLVERS_DISAGREE}


async def test_starved_host_is_unknown() -> None:
    """Without a free descriptor nothing is said about the name."""

    def starved(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    class Source:
        def current(self) -> Settings:
            return Settings()

    resolver = StubResolver(Source(), starved, 0.5)
    outcome = (await probe(SPEC, Context(seat=Seat(resolver=resolver))))[NAME]
    assert (outcome.status, outcome.reason, outcome.event) == (Status.UNKNOWN, Reason.PROBER_STARVED, None)


@pytest.mark.parametrize("thorough", [True, False])
async def test_cancellation_leaves_nothing(thorough: bool) -> None:
    """Cancelled at any await, the probe leaves no socket and no task."""
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(scripted(says(f"{NAME}. 60 IN AAAA fd00::1")))
        two = await stack.enter_async_context(scripted(silent))
        context = _context(one.endpoint, two.endpoint, thorough=thorough)
        await check_cancellation(lambda: probe(NameSpec(name=NAME, timeout_s=0.1), context))


def test_documentation_names_every_reason() -> None:
    """What `explain dns` prints names every reason with which the check can be critical."""
    assert names.__doc__
    assert all(reason in names.__doc__ for reason in names.CRITICAL_REASONS)
