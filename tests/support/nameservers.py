"""Nameservers for tests: unbound with local data, and a scripted one that lies, stalls or falls silent on demand."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from checks.net.endpoint import Endpoint
from tests.support.peers import ended
from tests.support.servers import answers_udp, require, running

UNBOUND = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  interface: 127.0.0.1@{port}
  port: {port}
"""


@contextlib.contextmanager
def unbound(folder: Path, *lines: str, access: str = "allow", ready: bool = True, port: int = 0) -> Iterator[Endpoint]:
    """Run unbound with these further lines (the first ones belong to `server:`); it answers only what they hold."""
    require("unbound")
    port = port or _free_port()
    conf = folder / f"unbound-{port}.conf"
    rules = [f"  access-control: 127.0.0.0/8 {access}", '  local-zone: "ready.test." static']
    conf.write_text(UNBOUND.format(folder=folder, port=port) + "\n".join([*rules, *lines]) + "\n")
    question = dns.message.make_query("ready.test.", "A").to_wire()
    argv = ["unbound", "-d", "-c", str(conf)]
    with running(argv, folder / f"unbound-{port}.log", lambda: not ready or answers_udp(port, question)):
        yield Endpoint("127.0.0.1", port)


def local(zone: str, *records: str) -> list[str]:
    """Return the lines for a static zone with these records: other names in it do not exist."""
    return [f'  local-zone: "{zone}." static', *(f'  local-data: "{record}"' for record in records)]


Send = Callable[[bytes], None]
OnUdp = Callable[[dns.message.Message, Send], None]
OnTcp = Callable[[dns.message.Message, asyncio.StreamWriter], Awaitable[None]]


class Scripted:
    """A nameserver in this loop. `asked` holds (transport, name, type) of each question."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.asked: list[tuple[str, str, str]] = []

    def note(self, transport: str, query: dns.message.Message) -> None:
        question = query.question[0]
        self.asked.append((transport, question.name.to_text(), str(question.rdtype.name)))


@contextlib.asynccontextmanager
async def scripted(on_udp: OnUdp, on_tcp: OnTcp | None = None) -> AsyncIterator[Scripted]:
    """Serve UDP, and TCP on the same port when `on_tcp` is given (the connection is closed when it returns)."""
    loop = asyncio.get_running_loop()
    sock, listening = _pair()
    server = Scripted(Endpoint("127.0.0.1", sock.getsockname()[1]))

    def send_to(reply: bytes, address: tuple[str, int]) -> None:
        sock.sendto(reply, address)  # not through the transport: that drops empty datagrams

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            query = dns.message.from_wire(data)
            server.note("udp", query)
            on_udp(query, lambda reply: send_to(reply, addr))

        def error_received(self, exc: Exception) -> None:
            """A client that is gone is no error of ours."""

    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
        try:
            await said(reader, writer)
        finally:
            writer.close()

    async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            length = int.from_bytes(await reader.readexactly(2))
            query = dns.message.from_wire(await reader.readexactly(length))
            server.note("tcp", query)
            if on_tcp:
                await on_tcp(query, writer)

    transport, _ = await loop.create_datagram_endpoint(Protocol, sock=sock)
    tcp = await asyncio.start_server(connected, sock=listening) if on_tcp else None
    if not tcp:
        listening.close()
    try:
        yield server
    finally:
        transport.close()
        if tcp:
            tcp.close()
            await ended(tcp, tasks)
        await asyncio.sleep(0)


def _free_port() -> int:
    """Return a port that is free for UDP and TCP, below those that the kernel hands out to every client meanwhile."""
    while True:
        port = random.randrange(10_000, 32_000)
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


def _pair() -> tuple[socket.socket, socket.socket]:
    """Bind UDP and TCP to one port: what is free for one may be taken for the other."""
    while True:
        udp, tcp = (socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
        try:
            udp.bind(("127.0.0.1", 0))
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp


def reply(
    query: dns.message.Message, *records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, truncated: bool = False
) -> bytes:
    """Return a reply with these records ("NAME TTL CLASS TYPE DATA", absolute names) as its answer section."""
    message = dns.message.make_response(query)
    message.set_rcode(rcode)
    for record in records:
        name, ttl, klass, kind, data = record.split(maxsplit=4)
        message.answer.append(dns.rrset.from_text(name, int(ttl), klass, kind, data))
    if truncated:
        message.flags |= dns.flags.TC
    return message.to_wire(max_size=65535)


def silent(_query: dns.message.Message, _send: Send) -> None:
    """Never answer."""


def says(*records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> OnUdp:
    """Answer every question with the same records."""
    return lambda query, send: send(reply(query, *records, rcode=rcode))
