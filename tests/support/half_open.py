"""Half-open probers for tests: from this process, from a namespace, and with a scripted wire."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from checks.half_open import HalfOpen
from checks.net.rawtcp import Ear, open_reserved
from checks.net.seat import open_socket
from checks.net.tcp import Attempt
from tests.support.netns import Namespace, link, namespace
from tests.support.servers import require

FAR, SILENT = "10.77.0.2", 2001
_FILTER = f"""table inet far {{
  chain before {{
    type filter hook prerouting priority -300
    ip daddr 10.88.0.0/16 drop
  }}
  chain input {{
    type filter hook input priority 0
    tcp dport {SILENT} drop
    tcp dport 3000-3999 reject with icmp type admin-prohibited
  }}
}}
"""


@contextlib.contextmanager
def prober(ns: Namespace | None = None) -> Iterator[HalfOpen]:
    """Make a prober that stands in a namespace (None: where this process stands) and close it."""
    require("root")

    def raw(family: int) -> Ear:
        with ns.entered() if ns else contextlib.nullcontext():
            return open_reserved(family)

    made = HalfOpen(raw, ns.open_socket if ns else open_socket)
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Syn:
    """One SYN as it came in: addresses of 4 bytes, ports, its sequence number."""

    source: bytes
    target: bytes
    from_port: int
    to_port: int
    sequence: int


def begun(near: HalfOpen, address: str, port: int, timeout_s: float) -> "asyncio.Future[list[Attempt]]":
    """Begin a look, and return what will have its end."""
    future: asyncio.Future[list[Attempt]] = asyncio.get_running_loop().create_future()
    near.look((address,), port, timeout_s, future.set_result)
    return future


class Wire:
    """The far end of a `link`, seen and played by hand: who asks, and answers that nobody's TCP made."""

    def __init__(self, ns: Namespace) -> None:
        with ns.entered():
            self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(0x0800))
            self._tap.bind(("v0", 0x0800))
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def close(self) -> None:
        """Close both sockets."""
        self._tap.close()
        self._raw.close()

    def syns(self, port: int) -> list[Syn]:
        """Return the SYNs to a port that have come since the last call."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, where = self._tap.recvfrom(2048)
                if where[2] == socket.PACKET_OUTGOING or packet[9] != socket.IPPROTO_TCP:
                    continue
                start = (packet[0] & 15) * 4
                from_port, to_port, sequence = struct.unpack_from("!HHI", packet, start)
                if to_port == port and packet[start + 13] == 0x02:
                    found.append(Syn(packet[12:16], packet[16:20], from_port, to_port, sequence))
        return found

    async def next_syn(self, port: int) -> Syn:
        """Wait for a SYN to a port, and return it."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._tap, news.set)
        try:
            async with asyncio.timeout(5):
                while not (found := self.syns(port)):
                    news.clear()
                    await news.wait()
        finally:
            loop.remove_reader(self._tap)
        return found[0]

    def answer(
        self, syn: Syn, *, flags: int = 0x12, acknowledged: int = 1, source: str = "", port: int = 0, to_port: int = 0
    ) -> None:
        """Answer a SYN; `acknowledged` is counted from its sequence number."""
        origin = socket.inet_aton(source) if source else syn.target
        ack = (syn.sequence + acknowledged) & 0xFFFFFFFF
        tcp = struct.pack(
            "!HHIIBBHHH", port or syn.to_port, to_port or syn.from_port, 7, ack, 5 << 4, flags, 1024, 0, 0
        )
        pseudo = origin + syn.source + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
        total = sum(struct.unpack(f"!{(len(pseudo) + len(tcp)) // 2}H", pseudo + tcp))
        total = (total >> 16) + (total & 0xFFFF)
        tcp = tcp[:16] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + tcp[18:]
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, socket.IPPROTO_TCP, 0)
        self._raw.sendto(header + origin + syn.source + tcp, (socket.inet_ntoa(syn.source), 0))


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Namespace, Namespace]]:
    """Link two hosts, 10.77.0.1 and FAR. The second hears 5432, is silent at SILENT and rejects at 3000 to 3999.

    What the first sends to 10.88.0.0/16 falls into a black hole.
    """
    with namespace() as here, namespace() as there:
        link(here, there)
        here.run(f"ip route add 10.88.0.0/16 via {FAR}")
        there.run("sysctl -qw net.ipv4.icmp_ratemask=0")
        there.nft(_FILTER)
        with there.open_socket(socket.AF_INET, socket.SOCK_STREAM) as service:
            service.bind(("", 5432))
            service.listen(64)
            yield here, there
