"""Where packets die: the routers on the way to an address, found without privilege.

Every packet carries a number of routers that it may pass (TTL, in IPv6 the hop limit). The router at which that number
is used up says so by ICMP, and the kernel hands the answer to the very socket that sent the packet, on its error queue
(IP_RECVERR): no raw socket is needed. Several numbers are in flight at the same time, and all is over in MAX_S seconds.

What is sent must not hurt: over TCP a single SYN for each number (the kernel repeats an unanswered one after a second),
to no other port than the one that is asked about; if it is accepted after all, the connection ends with FIN at once and
no further one is begun. Over UDP one empty datagram for each number, to ports where by convention nobody listens.
Source: ip(7), tcp(7), udp(7), recvmsg(2); RFC 792, RFC 4443, RFC 1812 section 5.2.7.1; Linux net/ipv4/tcp_ipv4.c.
"""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from checks.model import Reason
from checks.net.errors import net_error
from checks.net.icmp import MAX_REPLY, Answer, Stop, read_error_queue, stop_of_errno, want_errors
from checks.net.seat import Seat
from checks.net.tcp import close_politely, dropped_here, family_of

HopMethod: TypeAlias = Literal["tcp", "udp"]

MAX_HOPS = 20  # paths to private Resources are short; a longer one is told as far as it was seen
MAX_S = 3.0  # for the whole trace
BATCH, BATCH_S = 5, 0.25  # a path of up to five routers costs five packets; longer ones wait for the first answers
LAST_WAIT_S = 1.3  # after the last packet: the kernel repeats a SYN after 1 s, and a router may lose the first
GRACE_S = 0.3  # for routers on the way, once the end of it is known
UDP_AGAIN_S = 0.6  # a datagram is repeated by nobody else
UDP_PORT = 33434  # traceroute's first port: nobody listens there, and firewalls know the convention

_OWN_LIMITS = (Reason.PROBER_STARVED, Reason.PERMISSION_DENIED, Reason.NOT_RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A router that answered: after how many routers it stands, its address, and seconds until its answer."""

    ttl: int
    address: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HopTrace:
    """What was seen on the way to an address.

    - `hops` in order of their distance; one that stays silent is left out.
    - `by`: who answered in the end: a router, the target, an address of this host; None where nobody did.
    - `icmp`: type and code of that answer. `evidence`: why nothing could be tried, else empty.
    """

    method: HopMethod
    hops: tuple[Hop, ...] = ()
    stop: Stop = Stop.SILENCE
    by: str | None = None
    icmp: tuple[int, int] | None = None
    seconds: float = 0.0
    evidence: str = ""

    @property
    def last(self) -> Hop | None:
        """The farthest router that answered."""
        return self.hops[-1] if self.hops else None


async def trace_hops(
    seat: Seat, address: str, port: int, *, method: HopMethod = "tcp", budget_s: float = MAX_S
) -> HopTrace:
    """Trace the way to a literal address within `budget_s` seconds; never raises for what the network says.

    Over TCP to `port`; where not even the first router answers, what is left of the time is given to UDP. `udp` never
    touches `port`.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = began + min(budget_s, MAX_S)
    found = await _Trace(seat, address, port, method, end).run()
    unseen = found.stop is Stop.SILENCE and not found.hops and method == "tcp"
    if unseen and end - loop.time() > BATCH_S:
        other = await _Trace(seat, address, port, "udp", end).run()
        if other.hops or other.stop is not Stop.SILENCE:
            found = other
    return HopTrace(
        method=found.method, hops=found.hops, stop=found.stop, by=found.by, icmp=found.icmp,
        evidence=found.evidence, seconds=loop.time() - began,
    )  # fmt: skip


class _Packet:
    """One packet on its way: its socket, and what came of it."""

    def __init__(self, ttl: int, sent_at: float) -> None:
        self.ttl = ttl
        self.sent_at = sent_at
        self.sock: socket.socket | None = None
        self.seconds = 0.0
        self.answer: Answer | None = None


class _Trace:
    """One trace by one method."""

    def __init__(self, seat: Seat, address: str, port: int, method: HopMethod, end: float) -> None:
        self._seat = seat
        self._address = address
        self._family = family_of(address)
        self._port = port
        self._method = method
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._packets: list[_Packet] = []
        self._news = asyncio.Event()
        self._own: set[str] = set()

    async def run(self) -> HopTrace:
        """Send, wait, judge; every socket is closed at the end."""
        try:
            await self._send_all()
            await self._wait(LAST_WAIT_S, until_ended=True)
            if self._ended():
                await self._wait(GRACE_S, until_ended=False)
            return self._judged()
        finally:
            for packet in self._packets:
                self._leave(packet)

    async def _send_all(self) -> None:
        ttl = 0
        while ttl < MAX_HOPS and not self._ended() and self._loop.time() < self._end:
            for _ in range(BATCH):
                ttl += 1
                self._send(ttl)
                if self._ended():
                    return
            await self._wait(BATCH_S, until_ended=True)

    async def _wait(self, seconds: float, *, until_ended: bool) -> None:
        """Wait for answers: until the end of the way is known, or until all have come; bounded."""
        end = min(self._end, self._loop.time() + seconds)
        while self._loop.time() < end:
            if all(p.answer for p in self._packets) or (until_ended and self._ended()):
                return
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await self._news.wait()

    def _ended(self) -> bool:
        return any(packet.answer is not None and packet.answer.stop is not None for packet in self._packets)

    def _send(self, ttl: int) -> None:
        packet = _Packet(ttl, self._loop.time())
        self._packets.append(packet)
        try:
            sock = packet.sock = self._seat.open_socket(
                self._family, socket.SOCK_STREAM if self._method == "tcp" else socket.SOCK_DGRAM
            )
            want_errors(sock, self._family, ttl)
            with contextlib.suppress(BlockingIOError):
                sock.connect((self._address, self._port if self._method == "tcp" else UDP_PORT + ttl))
            self._own.add(sock.getsockname()[0])
            if self._method == "tcp":
                self._loop.add_writer(sock, self._heard, packet, sock)
                return
            sock.send(b"")
            self._loop.add_reader(sock, self._heard, packet, sock)
            self._loop.call_at(packet.sent_at + UDP_AGAIN_S, self._send_again, packet)
        except OSError as error:
            self._take(packet, self._local(error))

    def _send_again(self, packet: _Packet) -> None:
        if packet.answer is None and packet.sock is not None and packet.sock.fileno() >= 0:
            with contextlib.suppress(OSError):  # the error of the first one: it is read from the queue
                packet.sock.send(b"")

    def _heard(self, packet: _Packet, sock: socket.socket) -> None:
        """Read what came for a packet: an entry of the error queue, an acceptance, a reset."""
        told = self._icmp(sock)
        if told is None:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                told = self._local(OSError(code, ""))
            elif self._method == "tcp":
                told = Answer(Stop.ACCEPTED, self._address)
            else:
                with contextlib.suppress(OSError):  # somebody answers on that port: the target was reached
                    sock.recv(MAX_REPLY)
                    told = Answer(Stop.REACHED, self._address)
        if told is not None:
            self._take(packet, told)

    def _take(self, packet: _Packet, answer: Answer) -> None:
        packet.answer = answer
        packet.seconds = self._loop.time() - packet.sent_at
        self._leave(packet)
        self._news.set()

    def _leave(self, packet: _Packet) -> None:
        sock = packet.sock
        if sock is None or sock.fileno() < 0:
            return
        self._loop.remove_writer(sock)
        self._loop.remove_reader(sock)
        if packet.answer is not None and packet.answer.stop is Stop.ACCEPTED and self._method == "tcp":
            close_politely(sock)
        else:
            sock.close()

    def _icmp(self, sock: socket.socket) -> Answer | None:
        """Return what the error queue holds, if anything."""
        told = read_error_queue(sock)
        if told is None or told.icmp is None:
            return told
        if told.by == self._address and told.stop is Stop.REFUSED and self._method == "udp":
            return replace(told, stop=Stop.REACHED)  # the target may be this host itself
        if told.by in self._own:
            # What this host tells itself: its own firewall rejects, or nobody on the link answered for the next hop.
            stop = Stop.OWN_FIREWALL if told.stop in (Stop.PROHIBITED, Stop.REFUSED) else told.stop
            return replace(told, stop=stop)
        if told.stop is Stop.REFUSED and self._method == "udp":
            return replace(told, stop=Stop.PROHIBITED)
        return told

    def _local(self, error: OSError) -> Answer:
        """Return what an error of the kernel itself means; the target's reset is one too."""
        found = net_error(error, self._family)
        if found.reason in (Reason.REFUSED, Reason.RESET) and self._method == "tcp":
            return Answer(Stop.REFUSED if found.reason is Reason.REFUSED else Stop.ACCEPTED, self._address)
        if found.reason in _OWN_LIMITS:
            return Answer(Stop.NOT_TRIED, evidence=found.evidence)
        return Answer(stop_of_errno(error.errno or 0), evidence=found.evidence)

    def _judged(self) -> HopTrace:
        hops = tuple(
            Hop(ttl=p.ttl, address=p.answer.by, seconds=p.seconds)
            for p in self._packets
            if p.answer is not None and p.answer.stop is None and p.answer.by is not None
        )
        ends = [p.answer for p in self._packets if p.answer is not None and p.answer.stop is not None]
        end = ends[0] if ends else Answer(Stop.SILENCE)
        if not ends and _goes_round(hops):
            end = Answer(Stop.LOOP, hops[-1].address)
        elif (
            not ends
            and self._method == "tcp"
            and any(p.sock and dropped_here(p.sock) for p in self._packets if not p.answer)
        ):
            end = Answer(Stop.OWN_FIREWALL)
        return HopTrace(
            method=self._method, hops=hops, stop=end.stop or Stop.SILENCE, by=end.by, icmp=end.icmp,
            evidence=end.evidence,
        )  # fmt: skip


def _goes_round(hops: tuple[Hop, ...]) -> bool:
    """Tell whether a router was met again, with another one in between."""
    addresses = [hop.address for hop in hops]
    for number, address in enumerate(addresses):
        later = addresses[number + 1 :]
        if address in later and any(other != address for other in later[: later.index(address)]):
            return True
    return False
