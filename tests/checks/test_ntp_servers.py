import asyncio
import time
from collections.abc import Mapping

import pytest

from checks.net.endpoint import Endpoint
from checks.net.seat import Resolution, Seat, open_socket
from checks.ntp_servers import MAX_ADDRESSES, MAX_REMEMBERED, Backoff, Survey, survey
from checks.timescale import Timescale, boot_seconds, read_clocks
from tests.support.fakes import FakeResolver
from tests.support.ntp_server import reply, scripted

wall = time.time  # noqa: TID251 - the true clock of the test
PLACE = Endpoint("192.0.2.1", 123)


class Clock:
    """Elapsed time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def ask(
    servers: list[Endpoint],
    names: Mapping[str, tuple[str, ...]] | None = None,
    backoff: Backoff | None = None,
    elapsed: Clock | None = None,
) -> Survey:
    """Ask servers from this host."""
    scale = Timescale(read_clocks(wall, boot_seconds), boot_seconds)
    seat = Seat(resolver=FakeResolver(names))
    return await survey(seat, servers, scale, backoff or Backoff(), elapsed or Clock(), timeout_s=0.3)


def states(found: Survey) -> list[tuple[str, str, str]]:
    """Return who said what."""
    return [(s.source, s.address, s.state) for s in found.sources]


async def test_every_address_of_a_name() -> None:
    """Each address of a name is asked once; an address behind two names is asked once."""
    async with scripted(lambda q: [reply(q, wall())]) as (port, asked):
        names = {"pool.example": ("127.0.0.1", "127.0.0.2"), "alias.example": ("127.0.0.1",)}
        found = await ask([Endpoint("pool.example", port), Endpoint("alias.example", port)], names)
    assert [s[:2] for s in states(found)] == [
        (f"pool.example:{port}", "127.0.0.1"), (f"pool.example:{port}", "127.0.0.2")
    ]  # fmt: skip
    assert states(found)[0][2] == "usable"
    assert len(asked) == 1


async def test_bounded_and_fair() -> None:
    """At most 4 addresses of a server and 16 in all are asked, and every server gets its first before a second."""
    names = {f"s{n}.example": tuple(f"127.0.{n}.{i}" for i in range(1, 10)) for n in range(10)}
    asked: list[tuple[int, int]] = []

    def refuse(_family: int, _kind: int) -> None:
        asked.append((_family, _kind))
        raise OSError(1, "Operation not permitted")

    seat = Seat(resolver=FakeResolver(names), open_socket=refuse)  # type: ignore[arg-type]
    scale = Timescale(read_clocks(wall, boot_seconds), boot_seconds)
    servers = [Endpoint(name, 123) for name in names]
    found = await survey(seat, servers, scale, Backoff(), boot_seconds, timeout_s=0.3)
    assert len(asked) == len(found.sources) == MAX_ADDRESSES
    assert [s.source for s in found.sources[:10]] == list(names)
    one = await survey(seat, servers[:1], scale, Backoff(), boot_seconds, timeout_s=0.3)
    assert [s.address for s in one.sources] == ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]


async def test_names_that_do_not_resolve() -> None:
    """A name without an address is told with the resolver's word; the others are asked."""
    async with scripted(lambda q: [reply(q, wall())]) as (port, _):
        found = await ask([Endpoint("gone.example", 123), Endpoint("127.0.0.1", port)])
    assert states(found)[0] == ("gone.example", "", "unresolved: the name does not exist")
    assert states(found)[1][2] == "usable"


async def test_a_resolver_that_hangs() -> None:
    """A resolver that never answers costs one time-out."""

    class Hanging(FakeResolver):
        async def resolve(self, name: str) -> Resolution:
            await asyncio.Event().wait()
            return Resolution(name=name)

    seat = Seat(resolver=Hanging(), open_socket=open_socket)
    scale = Timescale(read_clocks(wall, boot_seconds), boot_seconds)
    found = await survey(seat, [Endpoint("x.example", 123)], scale, Backoff(), boot_seconds, timeout_s=0.05)
    assert states(found) == [("x.example", "", "unresolved: no answer within the time-out")]


async def test_rate_is_obeyed() -> None:
    """RATE doubles the interval of that address: 128 s, then 256 s; meanwhile no packet is sent there."""
    backoff, clock = Backoff(), Clock()
    async with scripted(lambda q: [reply(q, wall(), stratum=0, code=b"RATE")]) as (port, asked):
        server = [Endpoint("127.0.0.1", port)]
        first = await ask(server, None, backoff, clock)
        assert (states(first)[0][2], first.next_question_s) == ("kiss:RATE", 128.0)
        clock.now += 64
        waiting = await ask(server, None, backoff, clock)
        assert (states(waiting)[0][2], waiting.next_question_s) == ("backing_off: RATE", 64.0)
        assert len(asked) == 1
        clock.now += 64
        again = await ask(server, None, backoff, clock)
        assert again.next_question_s == 256.0
        assert len(asked) == 2


def test_doubling_is_bounded() -> None:
    """However often an address says RATE, it is asked again within 4096 s."""
    backoff = Backoff()
    waits = []
    for _ in range(9):
        backoff.kissed(PLACE, "RATE", 0.0)
        waits.append(backoff.seconds_left(PLACE, 0.0))
    assert waits == [128, 256, 512, 1024, 2048, 4096, 4096, 4096, 4096]


def test_the_lower_rate_stays() -> None:
    """An address that answers again after RATE is still asked at the lower rate."""
    backoff = Backoff()
    backoff.kissed(PLACE, "RATE", 0.0)
    assert backoff.waiting(PLACE, 128.0) is None
    backoff.answered(PLACE, 128.0)
    assert backoff.waiting(PLACE, 192.0) == "RATE"
    assert backoff.waiting(PLACE, 256.0) is None


@pytest.mark.parametrize(("code", "wait"), [("DENY", 3600), ("RSTR", 3600), ("INIT", 128), ("0x00000000", 128)])
def test_other_codes(code: str, wait: int) -> None:
    """DENY and RSTR cost an hour, any other code two intervals; a good answer after them clears it."""
    backoff = Backoff()
    backoff.kissed(PLACE, code, 0.0)
    assert backoff.waiting(PLACE, wait - 1) == code
    assert backoff.waiting(PLACE, wait) is None
    backoff.answered(PLACE, wait)
    assert backoff.waiting(PLACE, wait + 1) is None


def test_remembered_addresses_are_bounded() -> None:
    """A pool that gives other addresses each day does not grow the memory; who must wait longest is kept."""
    backoff = Backoff()
    backoff.kissed(PLACE, "DENY", 0.0)
    for n in range(1000):
        backoff.kissed(Endpoint(f"198.51.{n // 250}.{n % 250}", 123), "RATE", 0.0)
    assert len(backoff._waits) == MAX_REMEMBERED
    assert backoff.waiting(PLACE, 1.0) == "DENY"
