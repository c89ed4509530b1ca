"""One half-open look: what is sent, what counts as an answer, and what the other side sees of it."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from checks.half_open import HalfOpen
from checks.model import Reason
from checks.net.tcp import Attempt
from tests.support.cancel import check_cancellation
from tests.support.half_open import FAR, SILENT, Syn, Wire, begun, prober
from tests.support.netns import Namespace
from tests.support.tcp import listening, port_of


@pytest.fixture
def ours() -> Iterator[HalfOpen]:
    """A prober where this process stands."""
    with prober() as made:
        yield made


async def test_the_application_never_sees_it(pair: tuple[Namespace, Namespace], near: HalfOpen) -> None:
    """A hundred acceptances: nothing to accept for the listener, and no connection in any state on either side."""
    here, there = pair
    with there.open_socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((FAR, 0))
        server.listen(64)
        for _ in range(100):
            (attempt,) = await near.attempt_all((FAR,), port_of(server), 2.0)
            assert attempt.accepted
        with pytest.raises(BlockingIOError):
            server.accept()
        held = here.run("cat /proc/net/tcp").splitlines()[1:], there.run("cat /proc/net/tcp").splitlines()[1:]
    states = [[line.split()[3] for line in lines] for lines in held]
    assert states == [[], ["0A", "0A"]], "nothing here; there the two servers, which LISTEN"


FORGERIES: dict[str, Callable[[Wire, Syn], None]] = {
    "an acknowledgement of something else": lambda wire, syn: wire.answer(syn, acknowledged=2),
    "a reset that acknowledges something else": lambda wire, syn: wire.answer(syn, flags=0x14, acknowledged=0),
    "a reset that acknowledges nothing": lambda wire, syn: wire.answer(syn, flags=0x04),
    "another address": lambda wire, syn: wire.answer(syn, source="10.77.0.3"),
    "another port": lambda wire, syn: wire.answer(syn, port=SILENT + 5),
    "to another port of ours": lambda wire, syn: wire.answer(syn, to_port=syn.from_port ^ 1),
    "an acknowledgement without SYN": lambda wire, syn: wire.answer(syn, flags=0x10),
    "a SYN without acknowledgement": lambda wire, syn: wire.answer(syn, flags=0x02),
}


async def test_only_the_right_answer_counts(near: HalfOpen, wire: Wire) -> None:
    """What does not acknowledge our random number, from the very endpoint that was asked, is as good as silence."""
    looking = begun(near, FAR, SILENT, 0.3)
    syn = await wire.next_syn(SILENT)
    for forge in FORGERIES.values():
        forge(wire, syn)
    (attempt,) = await looking
    assert attempt.error
    assert attempt.error.reason is Reason.TIMEOUT
    looking = begun(near, FAR, SILENT, 5.0)
    wire.answer(await wire.next_syn(SILENT))
    (attempt,) = await looking
    assert attempt.accepted
    assert attempt.seconds < 5.0


async def test_a_reset_with_the_right_number_refuses(near: HalfOpen, wire: Wire) -> None:
    """It counts even when SYN is set as well, as it does for the kernel."""
    for flags in (0x14, 0x16):
        looking = begun(near, FAR, SILENT, 5.0)
        wire.answer(await wire.next_syn(SILENT), flags=flags)
        (attempt,) = await looking
        assert attempt.error
        assert attempt.error.reason is Reason.REFUSED


async def test_it_tells_who_said_what(near: HalfOpen) -> None:
    """The evidence names type and code of the ICMP message, what they mean, and the sender."""
    (attempt,) = await near.attempt_all((FAR,), 3000, 2.0)
    assert attempt.error
    expected = "No route to host (EHOSTUNREACH): ICMP type 3 code 13 (administratively prohibited) from 10.77.0.2"
    assert attempt.error.evidence == expected


async def test_looks_at_the_same_endpoint_share_one_syn(near: HalfOpen, wire: Wire) -> None:
    """Two rows on one endpoint at the same time: a second SYN would only be answered with a challenge."""
    looking = [begun(near, FAR, SILENT, 2.0) for _ in range(3)]
    twice: list[Attempt] = []
    near.look((FAR, FAR), SILENT, 2.0, twice.extend)
    wire.answer(await wire.next_syn(SILENT))
    for each in looking:
        assert (await each)[0].accepted
    assert [attempt.accepted for attempt in twice] == [True, True]
    assert wire.syns(SILENT) == []


async def test_who_joins_late_has_a_syn_sent(near: HalfOpen, wire: Wire) -> None:
    """A look with a short time-out does not wait for the next retransmission of a black hole that others look at."""
    near.look((FAR,), SILENT, 5.0, lambda _: None)
    first = await wire.next_syn(SILENT)
    await asyncio.sleep(0.25)
    looking = begun(near, FAR, SILENT, 0.4)
    again = await wire.next_syn(SILENT)
    assert again == first
    wire.answer(again)
    assert (await looking)[0].accepted


async def test_a_lost_syn_is_sent_again_after_a_second(pair: tuple[Namespace, Namespace], wire: Wire) -> None:
    """One lost packet is no verdict; nor is the address that this host had a moment ago."""
    here, _ = pair
    with prober(here) as lost, prober(here) as moved:
        assert (await moved.attempt_all((FAR,), 5432, 1.0))[0].accepted
        here.run("ip addr add 10.77.0.7/24 dev v0")
        here.run(f"ip route add {FAR}/32 dev v0 src 10.77.0.7")
        try:
            looking = begun(lost, FAR, SILENT, 3.0)
            stale = begun(moved, FAR, 5432, 3.0)
            first = await wire.next_syn(SILENT)
            again = await wire.next_syn(SILENT)
            wire.answer(again)
            assert again == first
            for attempt in (*await looking, *await stale):
                assert attempt.accepted
                assert 1.0 <= attempt.seconds < 2.0
            here.run("ip addr del 10.77.0.7/24 dev v0")
            moved.network_changed()
            (attempt,) = await moved.attempt_all((FAR,), 5432, 3.0)
            assert attempt.accepted
            assert attempt.seconds < 1.0
        finally:
            here.run("ip route flush cache")


async def test_a_short_time_out_does_not_keep_an_address_that_went(pair: tuple[Namespace, Namespace]) -> None:
    """Where nothing is sent twice, the look after one that was not answered asks anew from where packets leave."""
    here, _ = pair
    with prober(here) as moved:
        assert (await moved.attempt_all((FAR,), 5432, 0.5))[0].accepted
        here.run("ip addr add 10.77.0.8/24 dev v0")
        here.run(f"ip route add {FAR}/32 dev v0 src 10.77.0.8")
        try:
            assert [(await moved.attempt_all((FAR,), 5432, 0.5))[0].accepted for _ in range(2)] == [False, True]
        finally:
            here.run("ip addr del 10.77.0.8/24 dev v0")


async def test_a_challenge_is_no_answer(pair: tuple[Namespace, Namespace], near: HalfOpen, wire: Wire) -> None:
    """Our reset was lost, and the target still holds the last half-open connection: the retransmission decides."""
    here, _ = pair
    drop = "table ip lost { chain out { type filter hook output priority 0; tcp flags rst drop; }; }"
    (attempt,) = await near.attempt_all((FAR,), 5432, 2.0)
    assert attempt.seconds < 1.0
    here.nft(drop)
    (attempt,) = await near.attempt_all((FAR,), 5432, 2.0)
    here.nft("delete table ip lost")
    assert attempt.accepted
    (attempt,) = await near.attempt_all((FAR,), 5432, 3.0)
    assert attempt.accepted
    assert attempt.seconds >= 1.0
    assert len(wire.syns(5432)) == 4


async def test_a_cancelled_look_is_never_heard_of(near: HalfOpen) -> None:
    """Neither an answer nor the time-out reaches who has gone."""
    heard: list[object] = []
    answered, silent = (near.look((FAR,), port, 0.1, heard.append) for port in (5432, SILENT))
    answered.cancel()
    silent.cancel()
    (attempt,) = await near.attempt_all((FAR,), SILENT, 0.2)
    assert attempt.error
    assert heard == []


async def test_done_is_never_called_before_look_has_returned(ours: HalfOpen) -> None:
    """Not for what is known at once, and not when a later look finds the answer of an earlier one."""
    heard: list[object] = []
    with listening() as server:
        for _ in range(100):
            ours.look(("127.0.0.1", "224.0.0.9"), port_of(server), 1.0, heard.append)
            assert heard == []
        ours.look((), 1, 1.0, heard.append)
        await begun(ours, "127.0.0.1", port_of(server), 1.0)
    assert len(heard) == 101


async def test_one_that_breaks_keeps_no_other_from_being_called(ours: HalfOpen) -> None:
    """A fault in whoever listens is his own."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    faults: list[Exception] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def broken(_: object) -> None:
        raise RuntimeError("scripted")

    with listening() as server:
        ours.look(("127.0.0.1",), port_of(server), 1.0, broken)
        ours.look(("127.0.0.1",), 1, 1.0, lambda _: heard.set())
        async with asyncio.timeout(5):
            await heard.wait()
    assert [str(fault) for fault in faults] == ["scripted"]


async def test_cancelling_leaves_nothing_behind(ours: HalfOpen) -> None:
    """At whatever moment."""
    with listening() as server:
        port = port_of(server)
        await ours.attempt_all(("127.0.0.1", "::1"), port, 1.0)
        assert await check_cancellation(lambda: ours.attempt_all(("127.0.0.1", "::1"), port, 1.0)) > 0


async def test_a_name_is_a_mistake_of_ours(ours: HalfOpen) -> None:
    """Names are resolved by the Connector's resolver, nowhere else."""
    with pytest.raises(ValueError, match="is a name"):
        await ours.attempt_all(("localhost",), 1, 1.0)
