import asyncio
import contextlib
import dataclasses
import errno
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from checks.model import Outcome, Reason, Status
from checks.nat import NatSpec, probe
from checks.net.endpoint import Endpoint
from checks.net.seat import Context
from checks.stun import MAGIC_COOKIE
from tests.support.cancel import check_cancellation
from tests.support.fakes import context

TIMEOUT_S = 0.7  # one retransmission
Address = tuple[str, int]
Answerer = Callable[[bytes, Address], list[bytes]]
NAMES = {f"stun{n}.example": (f"127.0.0.{n}",) for n in (1, 2, 3)} | {
    "v6.example": ("::1",),
    "twin.example": ("127.0.0.1",),
}


def success(request: bytes, mapped: Address) -> bytes:
    """Answer a request with a mapped address, in the old form that needs no XOR."""
    value = struct.pack("!xBH4s", 1, mapped[1], socket.inet_aton(mapped[0]))
    return struct.pack("!HHI", 0x0101, 12, MAGIC_COOKIE) + request[8:20] + struct.pack("!HH", 1, 8) + value


def truth(request: bytes, source: Address) -> list[bytes]:
    """Answer as a STUN server does."""
    return [success(request, source)]


def refusal(request: bytes, _: Address) -> list[bytes]:
    """Answer with error 400."""
    return [struct.pack("!HHI", 0x0111, 8, MAGIC_COOKIE) + request[8:20] + struct.pack("!HH", 9, 4) + b"\0\0\4\0"]


def silence(_request: bytes, _source: Address) -> list[bytes]:
    """Answer nothing."""
    return []


def mapping(host: str, port: int) -> Answerer:
    """Answer with a fixed mapping, as seen behind a NAT."""
    return lambda request, _: [success(request, (host, port))]


def lies(request: bytes, source: Address) -> list[bytes]:
    """Answer with another transaction, with noise, with a cut answer, and then with the truth."""
    right = success(request, source)
    other = success(b"\0" * 8 + b"guessed.....", ("203.0.113.66", 666))
    return [other, b"noise", right[:-4], request, right, success(request, ("203.0.113.66", 666))]


@contextlib.asynccontextmanager
async def serving(host: str, answer: Answerer) -> AsyncIterator[Endpoint]:
    """Serve scripted STUN on a loopback address; the endpoint has the name of that address."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Address) -> None:
            for reply in answer(data, addr):
                self.transport.sendto(reply, addr)  # type: ignore[attr-defined]

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, (host, 0))
    try:
        yield Endpoint(f"stun{host[-1]}.example", transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


async def look(answers: list[Answerer], where: Context | None = None, *, egress: bool | None = None) -> Outcome:
    """Probe one scripted server for each answer, on 127.0.0.1, 127.0.0.2 …"""
    async with contextlib.AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(serving(f"127.0.0.{n}", answer)) for n, answer in enumerate(answers, 1)
        ]
        where = dataclasses.replace(where or context(NAMES), egress=egress)
        rows = await probe(NatSpec(servers=tuple(servers), timeout_s=TIMEOUT_S), where)
    assert list(rows) == ["udp"]
    outcome = rows["udp"]
    assert len(outcome.summary) <= 120
    assert outcome.event is None
    return outcome


async def test_two_servers_that_see_the_same_mapping_mean_a_direct_path_is_possible() -> None:
    """Ok: UDP gets out, the mapping is endpoint-independent, and without NAT that is a fact too."""
    outcome = await look([truth, truth])
    assert outcome.status is Status.OK
    assert (outcome.facts["udp_egress"], outcome.facts["endpoint_independent"], outcome.facts["nat"]) == (
        True, True, False,
    )  # fmt: skip
    assert 0 < outcome.measurements["rtt_seconds"] < TIMEOUT_S
    assert str(outcome.facts["mapped"]).startswith("127.0.0.1:")


async def test_behind_a_nat_the_mapped_address_is_a_fact() -> None:
    """The same foreign mapping from both servers: a NAT that permits direct paths."""
    outcome = await look([mapping("203.0.113.9", 4242), mapping("203.0.113.9", 4242)])
    assert outcome.status is Status.OK
    assert (outcome.facts["mapped"], outcome.facts["nat"]) == ("203.0.113.9:4242", True)


@pytest.mark.parametrize("second", [("203.0.113.9", 4243), ("203.0.113.10", 4242)])
async def test_a_mapping_that_differs_is_a_warning(second: Address) -> None:
    """Another port or another address for another destination: users are relayed."""
    outcome = await look([mapping("203.0.113.9", 4242), mapping(*second)])
    assert (outcome.status, outcome.reason) == (Status.WARNING, Reason.MAPPING_VARIES)
    assert outcome.facts["endpoint_independent"] is False
    assert outcome.facts["udp_egress"] is True


@pytest.mark.parametrize(
    ("answers", "egress", "status", "reason"),
    [
        ([silence, silence], True, Status.WARNING, Reason.UDP_BLOCKED),
        ([silence, silence, silence], True, Status.WARNING, Reason.UDP_BLOCKED),
        ([silence, silence], None, Status.UNKNOWN, Reason.TIMEOUT),
        ([silence, silence], False, Status.UNKNOWN, Reason.TIMEOUT),
        ([silence], True, Status.UNKNOWN, Reason.TIMEOUT),
        ([silence, truth], True, Status.OK, None),
        ([truth], True, Status.OK, None),
        ([refusal, silence], True, Status.OK, None),
        ([lies, lies], True, Status.OK, None),
    ],
)
async def test_silence_means_blocked_only_with_two_servers_and_tcp_working(
    answers: list[Answerer], egress: bool | None, status: Status, reason: Reason | None
) -> None:
    """The contract's corroboration; one answer of any kind proves that UDP gets out."""
    outcome = await look(answers, egress=egress)
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.facts.get("udp_egress") is {Status.OK: True, Status.WARNING: False}.get(status)
    if status is Status.OK:
        assert outcome.facts["endpoint_independent"] is (True if answers == [lies, lies] else None)
        assert "203.0.113.66" not in str(outcome.facts), "a lie was believed"


async def test_two_names_of_one_server_prove_nothing_about_the_mapping() -> None:
    """Endpoint-independent needs two addresses; one server under two names is asked once."""
    asked = []

    def count(request: bytes, source: Address) -> list[bytes]:
        asked.append(request)
        return truth(request, source)

    async with serving("127.0.0.1", count) as server:
        servers = (server, Endpoint("twin.example", server.port))
        outcome = (await probe(NatSpec(servers=servers, timeout_s=TIMEOUT_S), context(NAMES)))["udp"]
    assert (outcome.status, outcome.facts["endpoint_independent"]) == (Status.OK, None)
    assert len(asked) == 1


async def test_two_ports_of_one_address_prove_nothing_about_the_mapping() -> None:
    """A NAT whose mapping depends on the address alone looks the same from both."""
    async with serving("127.0.0.1", truth) as one, serving("127.0.0.1", truth) as two:
        outcome = (await probe(NatSpec(servers=(one, two), timeout_s=TIMEOUT_S), context(NAMES)))["udp"]
    assert (outcome.status, outcome.facts["endpoint_independent"]) == (Status.OK, None)


async def test_a_lost_request_is_sent_again_and_not_timed() -> None:
    """UDP may lose a datagram: the second request is answered, and its round trip is not known."""
    asked = []

    def second_only(request: bytes, source: Address) -> list[bytes]:
        asked.append(request)
        return truth(request, source) if len(asked) > 1 else []

    outcome = await look([second_only])
    assert outcome.status is Status.OK
    assert len(set(asked)) == 1
    assert outcome.measurements == {}


async def test_an_answer_from_another_address_is_ignored() -> None:
    """The right transaction from the wrong source does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def by_a_stranger(request: bytes, source: Address) -> list[bytes]:
            stranger.sendto(success(request, ("203.0.113.66", 666)), source)
            return []

        outcome = await look([by_a_stranger])
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.TIMEOUT)


@pytest.mark.parametrize(
    ("names", "reason"), [(("gone.example", "v6.example"), Reason.NXDOMAIN), (("v6.example",), Reason.NO_IPV4)]
)
async def test_servers_without_an_ipv4_address_are_not_silent_servers(names: tuple[str, ...], reason: Reason) -> None:
    """Unknown with the reason of DNS, even while TCP works: nothing was sent."""
    spec = NatSpec(servers=tuple(Endpoint(name, 3478) for name in names), timeout_s=TIMEOUT_S)
    outcome = (await probe(spec, dataclasses.replace(context(NAMES), egress=True)))["udp"]
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, reason)


async def test_no_descriptor_left_is_our_limit() -> None:
    """Out of descriptors: unknown."""

    def no_socket(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, "scripted")

    outcome = await look([truth], context(NAMES, no_socket))
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PROBER_STARVED)


class Endless(socket.socket):
    """A socket in which noise from the server is always waiting."""

    reads = 0

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Address]:
        """Return noise."""
        del size, flags
        Endless.reads += 1
        assert Endless.reads < 100_000, "it reads for ever"
        return b"noise", ("127.0.0.1", 3478)


async def test_a_flood_of_noise_does_not_outlast_the_time_out() -> None:
    """A server that floods us with wrong datagrams is still only silent, and the loop keeps turning."""

    def make(family: int, kind: int) -> socket.socket:
        sock = Endless(family, kind)
        sock.settimeout(0)
        return sock

    spec = NatSpec(servers=(Endpoint("127.0.0.1", 3478),), timeout_s=0.1)
    outcome = (await probe(spec, context(sockets=make)))["udp"]
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.TIMEOUT)
    assert Endless.reads > 1


async def test_cancelling_leaves_no_socket_and_no_task() -> None:
    """Cancelled at any await, before and after the first answer."""
    async with serving("127.0.0.1", truth) as one, serving("127.0.0.2", silence) as two:
        spec = NatSpec(servers=(one, two), timeout_s=0.05)
        assert await check_cancellation(lambda: probe(spec, context(NAMES))) >= 2
