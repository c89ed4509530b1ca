"""A nameserver that sees from which port and with which id it is asked, and gives every name an address of its own."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import dns.message

from checks.net.answers import Answer
from checks.net.dnswire import Asker
from checks.net.endpoint import Endpoint
from tests.support.nameservers import Send, reply

Script = Callable[[dns.message.Message, Send], None]
TIMEOUT_S = 5.0


class Nameserver(asyncio.DatagramProtocol):
    """Answers by a script, and remembers who asked what: (port, id, name)."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[tuple[int, int, str]] = []
        self.endpoint = Endpoint("127.0.0.1", 0)
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.endpoint = Endpoint("127.0.0.1", transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.seen.append((addr[1], query.id, query.question[0].name.to_text()))
        transport = self.transport
        assert transport is not None
        self.script(query, lambda wire: transport.sendto(wire, addr))

    def error_received(self, exc: Exception) -> None:
        """A client that is gone is no error of ours."""

    @property
    def ports(self) -> Counter[int]:
        return Counter(port for port, _, _ in self.seen)


@contextlib.asynccontextmanager
async def nameserver(script: Script, port: int = 0, sock: socket.socket | None = None) -> AsyncIterator[Nameserver]:
    """Serve by a script, on `sock` if that is given; closed at the end of the block, so that its port is."""
    loop = asyncio.get_running_loop()
    if sock is None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    transport, server = await loop.create_datagram_endpoint(lambda: Nameserver(script), sock=sock)
    try:
        yield server
    finally:
        transport.close()
        await asyncio.sleep(0)


def number_of(name: str) -> int:
    """Return the number in `host-N.test.`."""
    return int(name.partition(".")[0].partition("-")[2])


def right(query: dns.message.Message) -> bytes:
    """Return the answer to `host-N.test.`: an address that holds N."""
    name = query.question[0].name.to_text()
    number = number_of(name)
    return reply(query, f"{name} 60 IN A 10.0.{number >> 8}.{number & 255}")


def truthful(query: dns.message.Message, send: Send) -> None:
    """Answer at once."""
    send(right(query))


async def together(*asking: Coroutine[Any, Any, Answer]) -> list[Answer]:
    """Ask at the same time; return the answers in order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in asking]
    return [task.result() for task in tasks]


async def ask_for(asker: Asker, where: Nameserver | Endpoint, number: int, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask for the address of `host-NUMBER.test.`."""
    endpoint = where if isinstance(where, Endpoint) else where.endpoint
    return await asker.ask(endpoint, f"host-{number}.test.", "A", timeout_s)


async def ask_many(asker: Asker, where: Nameserver | Endpoint, count: int) -> list[Answer]:
    """Ask for hosts 0 to `count` - 1 at the same time."""
    return await together(*(ask_for(asker, where, number) for number in range(count)))


def is_right(answer: Answer) -> bool:
    """Tell whether an answer is that to its own question."""
    number = number_of(answer.name)
    return answer.addresses == (f"10.0.{number >> 8}.{number & 255}",)


def open_sockets() -> int:
    """Return how many sockets this process holds."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            found += str(link.readlink()).startswith("socket:")
    return found


class Batch:
    """Holds questions back until `count` of them came, then answers them in reverse, by `answer`."""

    def __init__(self, count: int, answer: Script = truthful) -> None:
        self.held: list[tuple[dns.message.Message, Send]] = []
        self.count = count
        self.answer = answer
        self.full = asyncio.Event()

    def __call__(self, query: dns.message.Message, send: Send) -> None:
        self.held.append((query, send))
        if len(self.held) == self.count:
            self.full.set()
            self.release()

    def release(self) -> None:
        for query, send in reversed(self.held):
            self.answer(query, send)
