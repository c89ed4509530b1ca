"""Half-open probes: does a port accept connections, without making one?

How it is done: a raw socket sends the first packet of a connection (SYN). If it is answered by SYN/ACK the port
accepts, if by RST it refuses; and as no connection of this host expects the answer, the kernel resets at once what the
SYN began. No application ever sees any of it: accept() does not return, nothing is logged, no limit of failed
connections is counted up, the only slot of a controller stays free. Here it takes no descriptor and no port for each
probe, and leaves nothing in TIME_WAIT.

- What counts: only an answer from the endpoint that was asked which acknowledges our random number. What routers and
  hosts say by ICMP counts as it does for connect(), with type, code and sender as evidence. Everything else is ignored.
- An unanswered SYN is sent again after 1 s, after 3 s, 7 s and so on, each time from the address that this host has
  then. Each failure has the reason that connect() would have; a packet that this host's own filter drops is told from
  silence at once.
- Where it is used: `probing.method`, `probing.ports` and a Resource's `probe` decide; `auto` means half-open where it
  can be had, else connect. The fact `method` of a `tcp` row tells which it was.
- What it takes: CAP_NET_RAW while the process starts. The sockets are opened, a filter that passes only answers to our
  own port is locked to them, and the right is given up: see the log of the start, or `grep Cap /proc/PID/status`. In a
  Connector's own network `connector-health-netns` makes them.
- What it can't see: whether anything behind the port works, as with connect. A firewall or load balancer that answers
  for the server (SYN proxy) is believed, as with connect.

By hand, as root: nmap -Pn -sS -p 5432 10.1.2.3
Source: RFC 9293 (TCP), RFC 6298 (retransmission), RFC 6528 (sequence numbers), raw(7), ip(7), capabilities(7).
"""

import asyncio
import errno
from collections import deque

from checks.model import Reason
from checks.net.errors import NetError, SeatError, net_error
from checks.net.seat import SocketFactory
from checks.net.synlook import RETRANSMIT_S, Agenda, Done, Life, Look, Syn, refused, silence
from checks.net.synport import OpenRaw, SynPort
from checks.net.synports import SynPorts
from checks.net.synwire import Sequences
from checks.net.tcp import Attempt

TICK_S = 0.025  # between two looks at what is due: a time-out may be noticed that late
DRAIN_EVERY = 16  # SYNs until we look for answers: these must not wait for the end of our own batch
GRACE_S = 0.05  # our own packet filter says "no" a moment before the answer comes that it may have made itself
FULL_AGAIN_S, FULL_S = 0.05, 1.0  # the way out is full: tried again so soon, and given up after that
JOIN_S = 0.2  # who joins a look at the same endpoint has the SYN sent again, unless it went out just now

_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)


class HalfOpen:
    """The prober of one seat. It lives on one event loop; its sockets are opened when first needed, or by `open`.

    `open_raw` makes the raw sockets, `open_socket` the others; both stand where the seat stands.
    """

    def __init__(self, open_raw: OpenRaw, open_socket: SocketFactory) -> None:
        self._ports = SynPorts(open_raw, open_socket, self._heard)
        self._pending: dict[int, Syn] = {}
        self._agenda = Agenda()
        self._landed: deque[Look] = deque()
        self._sequences = Sequences()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._soon: asyncio.Handle | None = None
        self._place: object = None

    @property
    def available(self) -> bool:
        """Tell whether this seat has the right; asked of the kernel only now and then."""
        return self._ports.available

    def open(self) -> dict[str, NetError]:
        """Open the sockets now, while there is the right to; return what failed, by family (IPv4, IPv6)."""
        return self._ports.open()

    def look(self, addresses: tuple[str, ...], port: int, timeout_s: float, done: Done) -> Look:
        """Ask every literal address once whether it accepts on `port`; answer within `timeout_s` seconds.

        `done` is called exactly once, never before this has returned, with a try for each address, in their order;
        `cancel` of what is returned forbids it. Nothing is raised for what the network says.
        """
        loop = self._loop or self._begin()
        now = loop.time()
        look = Look(addresses, now, now + timeout_s, done)
        ways, pending = self._ports.ways, self._pending
        for index, address in enumerate(addresses):
            way = ways.get(address)
            if way is None:
                try:
                    way = self._ports.way(address)
                except NetError as error:
                    self._tell(look, index, now, error)
                    continue
            key = way.base | port
            syn = pending.get(key)
            if syn is not None:
                self._join(syn, look, index, now)
                continue
            sequence, via = self._sequences.next(), way.via
            syn = pending[key] = Syn(key, way, sequence, look, index)
            self._agenda.add(syn)
            try:
                via.send(way, port, sequence)
            except OSError as error:
                self._not_sent(syn, error, now)
            if via.unheard >= DRAIN_EVERY:
                self._drain(via)
        if self._timer is None or self._timer_at > now + min(RETRANSMIT_S, timeout_s):
            self._arm(now)
        if not addresses:
            self._landed.append(look)
        if self._landed:
            self._deliver_soon()
        return look

    async def attempt_all(self, addresses: tuple[str, ...], port: int, timeout_s: float) -> list[Attempt]:
        """Look, and wait for what is found: in the order of `addresses`."""
        future: asyncio.Future[list[Attempt]] = asyncio.get_running_loop().create_future()

        def done(attempts: list[Attempt]) -> None:
            if not future.done():
                future.set_result(attempts)

        look = self.look(addresses, port, timeout_s, done)
        try:
            return await future
        finally:
            look.cancel()

    def network_changed(self) -> None:
        """Links, addresses or routes changed: find out anew from which address packets leave."""
        self._ports.ways.clear()

    def stands_in(self, place: object) -> None:
        """Say which network namespace the seat is in now: when that is another one, begin anew there."""
        before, self._place = self._place, place
        if before is not None and before != place:
            self._end(NetError(Reason.NOT_RUNNING, "the Connector was started anew meanwhile, in another network"))

    def close(self) -> None:
        """Give back every socket, for good; what is under way ends."""
        self._end(NetError(Reason.PROBER_STARVED, "the prober was closed"))
        self._ports.close_for_good()

    def _begin(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.get_running_loop()
        self._ports.listen(loop)
        return loop

    def _join(self, syn: Syn, look: Look, index: int, now: float) -> None:
        """Wait for the SYN that others wait for already: a second one to the same endpoint would only confuse it."""
        life = syn.living(syn.look.began if syn.look is not None else now)
        life.more.append((look, index))
        if life.trouble is None and now > life.sent_at + JOIN_S:
            self._send_again(syn, life, now, RETRANSMIT_S)
        self._plan(syn, now)

    def _send_again(self, syn: Syn, life: Life, now: float, gap_s: float) -> None:
        """Send a SYN once more, from the address that this host has for it now: the one known may have been wrong."""
        syn.way.part = None
        life.gap, life.again_at = gap_s, now + gap_s
        try:
            syn.way.via.send(syn.way, syn.key & 0xFFFF, syn.sequence)
        except OSError as error:
            self._not_sent(syn, error, now)
        else:
            life.sent_at, life.trouble, life.trouble_at = now, None, float("inf")

    def _not_sent(self, syn: Syn, error: OSError, now: float) -> None:
        """Judge what kept a SYN from going out."""
        failed = net_error(error, syn.way.via.family)
        full = error.errno in _FULL
        if isinstance(error, SeatError) or not (full or error.errno == errno.EPERM):
            self._answered(syn, now, failed)
            return
        life = syn.living(now)
        life.again_at = now + (FULL_AGAIN_S if full else RETRANSMIT_S)
        if life.trouble is None:
            life.trouble, life.trouble_at = failed, now + (FULL_S if full else GRACE_S)
        self._plan(syn, now)

    def _plan(self, syn: Syn, now: float) -> None:
        """See to it that a SYN is looked at again when something is to be done."""
        due = syn.next_due()
        if due is None:
            if self._pending.get(syn.key) is syn:
                del self._pending[syn.key]
            return
        self._agenda.add_at(syn, max(due, now + TICK_S))
        self._arm(now)

    def _arm(self, now: float) -> None:
        """Have the one timer ring when the first of all is due."""
        head = self._agenda.head()
        if head is None or self._loop is None:
            return
        due = max(head, now + TICK_S)
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        # However late this is: the loop has let the sockets be read first, so what was answered is not late.
        self._timer, now = None, self._now()
        for syn in self._agenda.pop(now):
            self._look_at(syn, now)
        self._arm(now)
        self._deliver()

    def _look_at(self, syn: Syn, now: float) -> None:
        """Do what is due with a SYN, if anybody still waits for it."""
        if self._pending.get(syn.key) is not syn:
            return
        life = syn.living(syn.look.began if syn.look is not None else now)
        if life.trouble is not None and now >= life.trouble_at:
            self._answered(syn, now, life.trouble)
            return
        for look, index in syn.take_late(now):
            syn.way.part = None  # a time-out of less than RETRANSMIT_S never has it looked up anew
            self._tell(look, index, now, life.trouble or silence(now - look.deadline))
        if now >= life.again_at and syn.waited_for:
            self._send_again(syn, life, now, RETRANSMIT_S if life.trouble else 2 * life.gap)
        if self._pending.get(syn.key) is syn:
            self._plan(syn, now)

    def _heard(self, port: SynPort) -> None:
        self._drain(port)
        self._deliver()

    def _drain(self, port: SynPort) -> None:
        """Take in whatever has come."""
        replies = port.receive()
        now = self._now()
        for key, acknowledged, accepts in replies:
            syn = self._pending.get(key)
            if syn is not None and acknowledged == (syn.sequence + 1) & 0xFFFFFFFF:
                self._answered(syn, now, None if accepts else refused())
        for key, error in port.take_errors():
            syn = self._pending.get(key)
            if syn is not None and syn.sequence == error.sequence:
                failed = net_error(OSError(error.number, ""), port.family)
                self._answered(syn, now, NetError(failed.reason, f"{failed.evidence}: {error.text}"))

    def _answered(self, syn: Syn, now: float, error: NetError | None) -> None:
        del self._pending[syn.key]
        look = syn.look
        if syn.life is None and look is not None:  # as nearly always
            syn.look = None
            self._tell(look, syn.index, now, error)
            return
        for each, index in syn.take_all():
            self._tell(each, index, now, error)

    def _tell(self, look: Look, index: int, now: float, error: NetError | None) -> None:
        if look.tell(index, now, error):
            self._landed.append(look)

    def _deliver_soon(self) -> None:
        if self._soon is None and self._loop is not None and not self._loop.is_closed():
            self._soon = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Call those whose answers are complete. One that breaks keeps no other from being called."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        landed = self._landed
        try:
            while landed:
                landed.popleft().land()
        finally:
            if landed:
                self._deliver_soon()

    def _end(self, error: NetError) -> None:
        """End what is under way, and give back the sockets."""
        self._ports.close()
        self._agenda.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for syn in list(self._pending.values()):
            self._answered(syn, self._now(), error)
        if self._landed:
            self._deliver_soon()

    def _now(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0
