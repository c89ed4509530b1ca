"""Sockets that questions share: every answer finds its own question, nothing else does, and no socket lasts."""

import asyncio
import errno
import socket
from collections import defaultdict

import dns.message
import pytest

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass
from checks.net.dnspool import IDLE_S, MAX_AGE_S, MAX_QUESTIONS, MAX_READS
from checks.net.dnswire import Asker
from checks.net.endpoint import Endpoint
from checks.net.seat import open_socket
from tests.support.asked import (
    Batch,
    ask_for,
    ask_many,
    is_right,
    nameserver,
    number_of,
    open_sockets,
    right,
    together,
    truthful,
)  # fmt: skip
from tests.support.nameservers import Send, silent
from tests.support.servers import free_port


async def test_500_in_flight_find_their_questions() -> None:
    """500 questions in flight at once, answered the other way round, each get their own answer over few sockets."""
    asker = Asker(open_socket)
    async with nameserver(Batch(500)) as server, asyncio.TaskGroup() as group:
        tasks = []
        for number in range(500):
            tasks.append(group.create_task(ask_for(asker, server, number)))
            while number % 100 == 99 and len(server.seen) <= number:  # noqa: ASYNC110 - it reads one in a turn
                await asyncio.sleep(0)
    assert all(is_right(task.result()) for task in tasks)
    assert len(server.ports) == -(-500 // MAX_QUESTIONS)


async def test_ports_and_ids_are_renewed() -> None:
    """One after the other, questions share a port for a while; no id comes twice on it, and then comes another port."""
    asker = Asker(open_socket)
    async with nameserver(truthful) as server:
        for number in range(2 * MAX_QUESTIONS + 1):
            assert is_right(await ask_for(asker, server, number))
    ids = defaultdict(list)
    for port, number, _ in server.seen:
        ids[port].append(number)
    assert [len(numbers) for numbers in ids.values()] == [MAX_QUESTIONS, MAX_QUESTIONS, 1]
    assert all(len(set(numbers)) == len(numbers) for numbers in ids.values())
    assert max(ids[server.seen[0][0]]) > 1 << 14, "64 random ids are not all small"


@pytest.mark.looptime
async def test_socket_does_not_last() -> None:
    """However slowly questions come, no port is used for longer than MAX_AGE_S, and an idle one is closed."""
    asker, before = Asker(open_socket), open_sockets()
    loop = asyncio.get_running_loop()
    used: dict[int, list[float]] = defaultdict(list)
    async with nameserver(truthful) as server:
        for number in range(40):
            await ask_for(asker, server, number)
            used[server.seen[-1][0]].append(loop.time())
            await asyncio.sleep(IDLE_S / 2)
        assert len(used) == pytest.approx(40 * IDLE_S / 2 / MAX_AGE_S, abs=1.1)
        assert all(times[-1] - times[0] <= MAX_AGE_S for times in used.values())
        assert open_sockets() == before + 2
        await asyncio.sleep(2 * IDLE_S)
        assert open_sockets() == before + 1, "only the nameserver's own"
        ports = len(server.ports)
        await ask_for(asker, server, 1)
        assert len(server.ports) == ports + 1


async def test_answers_with_swapped_ids_are_ignored() -> None:
    """An answer with the id of one question and the text of another is nobody's; the right ones behind it count."""

    def swapped(query: dns.message.Message, send: Send) -> None:
        for other, _ in batch.held:
            if other.id != query.id:
                wire = bytearray(right(other))
                wire[:2] = query.id.to_bytes(2)
                send(bytes(wire))
        send(right(query))

    batch = Batch(5, swapped)
    async with nameserver(batch) as server:
        answers = await ask_many(Asker(open_socket), server, 5)
    assert all(is_right(answer) for answer in answers)


async def test_late_and_double_answers_harm_nobody() -> None:
    """What comes for a question that is over is neither another's answer nor counted as false."""
    held: list[tuple[dns.message.Message, Send]] = []

    def script(query: dns.message.Message, send: Send) -> None:
        held.append((query, send))
        if number_of(query.question[0].name.to_text()) == 3:
            truthful(*held[2])
            truthful(*held[2])

    asker = Asker(open_socket)
    async with nameserver(script) as server, asyncio.TaskGroup() as group:
        early = group.create_task(ask_for(asker, server, 1, 0.05))
        waiting = group.create_task(ask_for(asker, server, 2, 0.3))
        assert (await early).reason is Reason.TIMEOUT
        assert not (await ask_for(asker, server, 3)).reason
        truthful(*held[0])
    assert [port == server.seen[0][0] for port, _, _ in server.seen] == [True, True, False], "silence renews the port"
    assert waiting.result().evidence == "no answer within 0.3 s"


async def test_time_out_of_one_leaves_the_others() -> None:
    """One question without an answer ends alone, in its time, and says what came instead on its socket."""

    def script(query: dns.message.Message, send: Send) -> None:
        if number_of(query.question[0].name.to_text()):
            asyncio.get_running_loop().call_later(0.1, send, right(query))
            return
        wire = bytearray(right(query))
        wire[0] ^= 0x55
        send(bytes(wire))

    async with nameserver(script) as server:
        asker = Asker(open_socket)
        one, *others = await together(ask_for(asker, server, 0, 0.05), *(ask_for(asker, server, n) for n in (1, 2, 3)))
    assert one.evidence == "no answer within 0.05 s; 1 ignored, the last because of its id"
    assert all(is_right(answer) for answer in others)


async def test_closed_port_is_told_to_all() -> None:
    """An ICMP error ends all 51 questions in flight on its socket at once, each as refused, and closes the socket."""
    asker, before = Asker(open_socket), open_sockets()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        endpoint = Endpoint(*deaf.getsockname())
        waiting = [asyncio.ensure_future(ask_for(asker, endpoint, number, 3600)) for number in range(50)]  # noqa: TID251
        await asyncio.sleep(0)
    answers = [await ask_for(asker, endpoint, 50, 3600), *[await task for task in waiting]]
    assert {(answer.klass, answer.reason) for answer in answers} == {(AnswerClass.TIMEOUT, Reason.REFUSED)}
    assert open_sockets() == before


async def test_restarted_nameserver_is_asked_at_once() -> None:
    """A nameserver that went and came back on its port is refused, then answers: nothing of the past is left."""
    asker, port = Asker(open_socket), free_port(socket.SOCK_DGRAM)
    for _ in range(3):
        async with nameserver(truthful, port) as server:
            assert is_right(await ask_for(asker, server, 7))
        assert (await ask_for(asker, Endpoint("127.0.0.1", port), 7)).reason is Reason.REFUSED


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ECONNREFUSED, Reason.REFUSED),
        (errno.EHOSTUNREACH, Reason.UNREACHABLE),
        (errno.EPERM, None),
        (errno.ENOBUFS, None),
    ],
    ids=errno.errorcode.get,
)
async def test_error_of_an_earlier_question_is_not_the_next_ones(number: int, told: Reason | None) -> None:
    """What the kernel reports while a question is sent, but about one before it, does not keep it from being asked."""
    sent: list[socket.socket] = []

    class Late(socket.socket):
        def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]
            if self in sent:
                raise OSError(number, "about an earlier one")
            sent.append(self)
            return super().send(data, flags)

    def factory(family: int, kind: int) -> socket.socket:
        sock = Late(family, kind)
        sock.settimeout(0)
        return sock

    async with nameserver(Batch(2)) as server:
        asker = Asker(factory)
        one, two = await together(ask_for(asker, server, 1), ask_for(asker, server, 2))
    assert is_right(two)
    assert one.reason is told


async def test_no_socket_left_spares_those_in_flight() -> None:
    """When no further socket can be made the next question is unasked, and those under way get their answers."""
    made: list[socket.socket] = []

    def factory(family: int, kind: int) -> socket.socket:
        if made:
            raise OSError(errno.EMFILE, "too many open files")
        made.append(open_socket(family, kind))
        return made[0]

    batch = Batch(MAX_QUESTIONS)
    async with nameserver(batch) as server:
        *answers, last = await ask_many(Asker(factory), server, MAX_QUESTIONS + 1)
    assert all(is_right(answer) for answer in answers)
    assert (last.klass, last.reason) == (AnswerClass.UNASKED, Reason.PROBER_STARVED)


async def test_cancelling_one_leaves_the_others() -> None:
    """Cancelling one of many in flight on a socket harms none of the others, whatever comes for it later."""
    batch = Batch(20)
    asker = Asker(open_socket)
    async with nameserver(batch) as server:
        tasks = [asyncio.ensure_future(ask_for(asker, server, number)) for number in range(19)]  # noqa: TID251
        await asyncio.sleep(0)
        tasks[7].cancel()
        tasks.append(asyncio.ensure_future(ask_for(asker, server, 19)))  # noqa: TID251
        await asyncio.wait(tasks)
    assert tasks.pop(7).cancelled()
    assert all(is_right(task.result()) for task in tasks)
    assert len(server.ports) == 1


async def test_cancelling_the_last_closes_the_socket() -> None:
    """A socket whose only question is cancelled is closed at once."""
    asker, before = Asker(open_socket), open_sockets()
    async with nameserver(silent) as server:
        task = asyncio.ensure_future(ask_for(asker, server, 1))  # noqa: TID251
        await asyncio.sleep(0)
        assert open_sockets() == before + 2
        task.cancel()
        await asyncio.wait([task])
        assert open_sockets() == before + 1


async def test_renewed_sockets_drain() -> None:
    """After `renew` new questions go over another port, and those under way still get their answers over the old."""
    batch = Batch(4)
    asker = Asker(open_socket)
    async with nameserver(batch) as server, asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask_for(asker, server, number)) for number in range(3)]
        await asyncio.sleep(0)
        asker.renew()
        tasks.append(group.create_task(ask_for(asker, server, 3)))
    assert all(is_right(task.result()) for task in tasks)
    assert sorted(server.ports.values()) == [1, 3]


async def test_flood_lets_others_have_their_turn() -> None:
    """A nameserver that never stops to send garbage is read a little at a time, and nothing of it is kept."""
    turns, reads, most = 0, 0, 0

    class Flooded(socket.socket):
        def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
            nonlocal reads
            del bufsize, flags
            reads += 1
            return bytes(12)

    def factory(family: int, kind: int) -> socket.socket:
        sock = Flooded(family, kind)
        sock.settimeout(0)
        return sock

    def turn() -> None:
        nonlocal turns, reads, most
        turns, most, reads = turns + 1, max(most, reads), 0
        handle[0] = loop.call_soon(turn)

    loop = asyncio.get_running_loop()
    async with nameserver(truthful) as server:
        handle = [loop.call_soon(turn)]
        answer = await ask_for(Asker(factory), server, 1, 0.2)
        handle[0].cancel()
    assert answer.reason is Reason.TIMEOUT
    assert turns > 10
    assert 0 < most <= MAX_READS


def test_askers_of_another_loop_begin_anew() -> None:
    """What was left by a loop that is over hinders nobody in the next."""
    asker = Asker(open_socket)

    async def once() -> Answer:
        async with nameserver(truthful) as server:
            return await ask_for(asker, server, 5)

    assert [is_right(asyncio.run(once())) for _ in range(2)] == [True, True]
