"""Sockets over which many questions go to one nameserver at the same time.

A socket of its own for each question would make its port random, and costs more than all the rest of the question. So a
socket is shared, for a little while: at most MAX_QUESTIONS questions or MAX_AGE_S seconds, and no longer than one of
them stays without an answer; then a fresh one, from another random port, takes its place while the old one waits for
what is still to come. Who wants to forge an answer from elsewhere has to guess the port and the id, and the port holds
for moments. Each socket is connected: the kernel drops what comes from any other address or port, and reports ICMP
errors at once. Ids are random, and none is used twice on one socket: what comes late never meets another question.

At rest nothing is held: a socket that is not used for IDLE_S seconds is closed.
Source: RFC 5452 sections 4.4, 4.5 and 9 (id, port, question compared; unpredictable port).
"""

import asyncio
import errno
import heapq
import itertools
import os
import socket
import struct
import weakref

from checks.net.answers import Said
from checks.net.dnsquestion import Question
from checks.net.dnsquick import HEADER_BYTES
from checks.net.dnsread import SILENT, Missing, read
from checks.net.dnssocket import MAX_MESSAGE, failed, make_socket, socket_address
from checks.net.endpoint import Endpoint
from checks.net.seat import SocketFactory

MAX_QUESTIONS = 64  # over one socket: making it costs 40 µs, so it is 1 % of each; and 64 answers fit its buffer
MAX_AGE_S = 2.0  # who finds out a port, which takes thousands of tries, has hardly any time left to use it
IDLE_S = 0.2  # with fewer questions than this the price of a new socket does not matter
MAX_READS = 16  # datagrams read before others in the loop have their turn: a flood must not stall it
_IDS = struct.Struct(f"!{MAX_QUESTIONS + 8}H")  # some may be drawn twice

_SENDERS = (errno.EPERM, errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)  # our firewall, our want: about what is being sent

Answered = Said | Missing


class Asked:
    """A question under way, its answer due at `deadline` (seconds of the loop's clock).

    `answer` ends with what is said or was reported by the kernel, with TRUNCATED, or with SILENT after the deadline.
    """

    __slots__ = ("_ignored_before", "answer", "channel", "deadline", "number", "question")

    def __init__(
        self, question: Question, channel: "Channel", number: int, deadline: float, answer: asyncio.Future[Answered]
    ) -> None:
        self.question = question
        self.channel = channel
        self.number = number
        self.deadline = deadline
        self.answer = answer
        self._ignored_before = channel.ignored

    @property
    def ignored(self) -> int:
        """How many datagrams came on its socket meanwhile that answer nothing which was ever asked there."""
        return self.channel.ignored - self._ignored_before


class Channel:
    """One socket and the questions in flight on it. `ignored` counts what came and was none of their answers."""

    def __init__(self, nameserver: Endpoint, sock: socket.socket, now: float) -> None:
        self.nameserver = nameserver
        self.sock = sock
        self.asked: dict[int, Asked] = {}
        self.ids = list(dict.fromkeys(_IDS.unpack(os.urandom(_IDS.size))))[:MAX_QUESTIONS]
        self.over: set[int] = set()  # ids of questions that ended: what still comes for them is late, not false
        self.expires = now + MAX_AGE_S
        self.used_at = now
        self.worn = False
        self.ignored = 0
        self.last_ignored = ""
        # A resolver may be dropped together with its loop, and then nobody is left who would close it.
        self.close = weakref.finalize(self, sock.close)


class Pool:
    """The sockets of one seat, towards all its nameservers; of one loop at a time."""

    def __init__(self, open_socket: SocketFactory) -> None:
        self._open_socket = open_socket
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh: dict[Endpoint, Channel] = {}  # the one for new questions
        self._open: set[Channel] = set()
        self._deadlines: list[tuple[float, int, Asked]] = []
        self._numbers = itertools.count()  # equal deadlines need an order
        self._timer: asyncio.TimerHandle | None = None

    def send(self, nameserver: Endpoint, question: Question, deadline: float) -> Asked:
        """Send a question, whose answer is due at `deadline` on the loop's clock. Raises: NetError, OSError."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin(loop)
        now = loop.time()
        channel = self._fresh.get(nameserver)
        if channel is not None and (not channel.ids or now > channel.expires):
            self._retire(channel)
            channel = None
        if channel is None:
            asked = self._send(self._make(nameserver, now), question, deadline, loop)
        else:
            try:
                asked = self._send(channel, question, deadline, loop)
            except OSError as error:
                asked = self._send_afresh(channel, error, question, deadline)
        asked.channel.used_at = now
        heapq.heappush(self._deadlines, (deadline, next(self._numbers), asked))
        timer = self._timer
        if timer is None or deadline < timer.when():
            self._wake(min(deadline, now + IDLE_S))
        return asked

    def forget(self, asked: Asked) -> None:
        """Let go of a question that nobody waits for any more, and of its socket if that has no other."""
        self._ended(asked)
        if not asked.channel.asked:
            self._retire(asked.channel)

    def renew(self) -> None:
        """Use fresh sockets from now on. Of the old ones those that wait for an answer stay open until it came."""
        for channel in list(self._fresh.values()):
            self._retire(channel)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave behind what belonged to another loop, which is over."""
        for channel in self._open:
            channel.close()
        self._fresh, self._open, self._deadlines, self._timer = {}, set(), [], None
        self._loop = loop

    def _make(self, nameserver: Endpoint, now: float) -> Channel:
        sock = make_socket(self._open_socket, nameserver, socket.SOCK_DGRAM)
        try:
            sock.connect(socket_address(nameserver))
        except BaseException:
            sock.close()
            raise
        channel = self._fresh[nameserver] = Channel(nameserver, sock, now)
        self._open.add(channel)
        asyncio.get_running_loop().add_reader(sock, self._readable, channel)
        return channel

    def _send_afresh(self, channel: Channel, error: OSError, question: Question, deadline: float) -> Asked:
        """Send over another socket what `error` kept from being sent over this one. Raises: NetError, OSError.

        The kernel may have told what it had to tell about an earlier question. A fresh socket has no past: what it
        reports is about this question; and when it has nothing to report, the error was about those in flight.
        """
        self._retire(channel)
        if error.errno == errno.ECONNREFUSED:  # nothing but ICMP says that
            self._broken(channel, error)
        loop = asyncio.get_running_loop()
        asked = self._send(self._make(channel.nameserver, loop.time()), question, deadline, loop)
        if error.errno not in _SENDERS:
            self._broken(channel, error)
        return asked

    def _send(self, channel: Channel, question: Question, deadline: float, loop: asyncio.AbstractEventLoop) -> Asked:
        number = channel.ids.pop()
        try:
            channel.sock.send(number.to_bytes(2) + question.tail)
        except OSError:
            if not channel.asked:
                self._retire(channel)
            raise
        asked = channel.asked[number] = Asked(question, channel, number, deadline, loop.create_future())
        return asked

    def _readable(self, channel: Channel) -> None:
        """Read what came, as long as there is something that it could answer."""
        for _ in range(MAX_READS):
            try:
                wire = channel.sock.recv(MAX_MESSAGE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._broken(channel, error)
                return
            number = int.from_bytes(wire[:2])
            asked = channel.asked.get(number)
            if asked is not None:
                answer = read(asked.question, number, wire)
                if not isinstance(answer, str):
                    self._ended(asked)
                    if not asked.answer.done():
                        asked.answer.set_result(answer)
                    if not channel.asked:
                        if channel.worn:
                            self._close(channel)
                        return
                    continue
                channel.last_ignored = answer
            elif number in channel.over and len(wire) >= HEADER_BYTES:
                continue
            else:
                channel.last_ignored = "id" if len(wire) >= HEADER_BYTES else "length"
            channel.ignored += 1

    def _broken(self, channel: Channel, error: OSError) -> None:
        """Tell every question in flight on a socket what the kernel reported there, and close it."""
        said = failed(error, channel.nameserver, over_tcp=False)
        for asked in list(channel.asked.values()):
            self._ended(asked)
            if not asked.answer.done():
                asked.answer.set_result(said)
        self._retire(channel)

    def _ended(self, asked: Asked) -> None:
        if asked.channel.asked.pop(asked.number, None) is not None:
            asked.channel.over.add(asked.number)

    def _retire(self, channel: Channel) -> None:
        """Send nothing more over a socket, and close it as soon as nothing is in flight there."""
        channel.worn = True
        if self._fresh.get(channel.nameserver) is channel:
            del self._fresh[channel.nameserver]
        if not channel.asked:
            self._close(channel)

    def _close(self, channel: Channel) -> None:
        if channel in self._open:
            self._open.remove(channel)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(channel.sock)
            channel.close()

    def _wake(self, when: float) -> None:
        if self._loop is not None:
            if self._timer is not None:
                self._timer.cancel()
            # Weakly: else a resolver that is dropped with its loop would wait for the garbage collector.
            self._timer = self._loop.call_at(when, _tick, weakref.ref(self))

    def tick(self, now: float) -> None:
        """End what is due at `now`, close what is idle, and wake up again as long as anything is open."""
        self._timer = None
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].answer.done()):
            _, _, asked = heapq.heappop(self._deadlines)
            if not asked.answer.done():
                self._ended(asked)
                asked.answer.set_result(SILENT)
                # Silence may be a matter of this one port: of one of several lines, or of a firewall that forgot it.
                self._retire(asked.channel)
        if len(self._deadlines) > MAX_QUESTIONS:  # most of them were answered long ago
            self._deadlines = [entry for entry in self._deadlines if not entry[2].answer.done()]
            heapq.heapify(self._deadlines)
        for channel in list(self._fresh.values()):
            if not channel.asked and channel.used_at + IDLE_S <= now:
                self._retire(channel)
        if self._open:
            due = self._deadlines[0][0] if self._deadlines else now + IDLE_S
            self._wake(min(due, now + IDLE_S))


def _tick(pool: "weakref.ref[Pool]") -> None:
    found = pool()
    if found is not None:
        found.tick(asyncio.get_running_loop().time())
