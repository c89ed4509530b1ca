"""One DNS question to one nameserver: over UDP, and over TCP when the answer did not fit.

What went wrong becomes a class of answer, never an exception (the table is `_class_of` and the errno table of
checks.net.errors):

    what was seen                                                  class     reason
    ECONNREFUSED: ICMP port unreachable, nobody listens there      timeout   refused: known at once, not waited for
    EHOSTUNREACH, ENETUNREACH, EINVAL, ENETDOWN                    timeout   unreachable, no_route
    EPERM, EACCES from send or connect: a firewall of this host    timeout   blocked_locally
    EAFNOSUPPORT, EADDRNOTAVAIL towards an IPv6 nameserver         timeout   address_family_unavailable
    the time-out, or the kernel's ETIMEDOUT over TCP               timeout   timeout
    right id and question, but what follows can't be decoded       error     malformed_answer
    truncated again over TCP, or TCP closed or reset by the server error     malformed_answer
    EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN, no local port left    unasked   prober_starved
    EPERM, EACCES when the socket is made (sandbox, namespace)     unasked   permission_denied

The question goes out without EDNS, so that answers over 512 bytes come truncated: evdns, the Connector's resolver,
sends none by default, and a middlebox that drops EDNS (or large datagrams) would show a fault that no user meets.
"""

import asyncio
import errno
import secrets
import socket
from dataclasses import replace

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass
from checks.net.dnscodec import MalformedError, Question, Reply
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError, SeatError, net_error
from checks.net.seat import SocketFactory
from checks.net.tcp import family_of

MAX_MESSAGE = 65535  # what the two length bytes of DNS over TCP can say; no UDP datagram is longer either

_OURS = frozenset({Reason.PROBER_STARVED, Reason.PERMISSION_DENIED})


async def ask(open_socket: SocketFactory, nameserver: Endpoint, name: str, kind: str, timeout_s: float) -> Answer:
    """Ask one nameserver for the records of type `kind` ("A", "AAAA", "NS") of an absolute name.

    `timeout_s` bounds the whole, UDP and TCP together. Raises: ValueError, when `name` can't be a DNS name.
    Source: RFC 1035 section 4.2, RFC 5452 (random id and port, question compared), RFC 7766 (TCP).
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    question = Question(name, kind, secrets.randbelow(1 << 16))
    exchange = _Exchange(open_socket, nameserver, question)
    answer = Answer(nameserver=nameserver, name=name, kind=kind, klass=AnswerClass.TIMEOUT)
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            reply = await exchange.run()
    except NetError as error:
        answer = replace(answer, klass=_class_of(error.reason), reason=error.reason, evidence=error.evidence)
    except TimeoutError:
        if not deadline.expired():
            raise
        answer = replace(answer, reason=Reason.TIMEOUT, evidence=exchange.silence(timeout_s))
    else:
        answer = reply.judged(answer)
    return replace(answer, seconds=loop.time() - started, over_tcp=exchange.over_tcp)


def _class_of(reason: Reason) -> AnswerClass:
    if reason in _OURS:
        return AnswerClass.UNASKED
    return AnswerClass.ERROR if reason is Reason.MALFORMED_ANSWER else AnswerClass.TIMEOUT


class _Exchange:
    """The question on its way; remembers how far it came, for the time-out's sentence."""

    def __init__(self, open_socket: SocketFactory, nameserver: Endpoint, question: Question) -> None:
        self._open_socket = open_socket
        self._nameserver = nameserver
        self._family = family_of(nameserver.host)
        self._question = question
        self._progress = ""
        self._ignored = 0
        self._last_ignored = ""
        self.over_tcp = False

    async def run(self) -> Reply:
        """Exchange until there is an answer. Raises: NetError."""
        try:
            reply = await self._udp()
            if not reply.truncated:
                return reply
            self.over_tcp = True
            reply = await self._tcp()
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:
                raise  # our own deadline
            raise self._network_error(error) from error
        except MalformedError as error:
            raise NetError(Reason.MALFORMED_ANSWER, str(error)) from error
        if reply.truncated:
            raise NetError(Reason.MALFORMED_ANSWER, "the answer over TCP is marked as truncated too")
        return reply

    def silence(self, timeout_s: float) -> str:
        """Say what was seen instead of an answer."""
        parts = [f"no answer within {timeout_s:.3g} s"]
        if self._progress:
            parts.append(self._progress)
        if self._ignored:
            parts.append(f"{self._ignored} ignored, the last because of its {self._last_ignored}")
        return "; ".join(parts)

    async def _udp(self) -> Reply:
        loop = asyncio.get_running_loop()
        with self._socket(socket.SOCK_DGRAM) as sock:
            # A socket of its own for each question makes the source port random; connected, the kernel drops whatever
            # comes from elsewhere and reports ICMP errors at once.
            sock.connect(self._address())
            sock.send(self._question.wire)
            while True:
                reply = self._read(await loop.sock_recv(sock, MAX_MESSAGE))
                if reply:
                    return reply
                await asyncio.sleep(0)  # under a flood sock_recv never waits: let the deadline have its turn

    async def _tcp(self) -> Reply:
        loop = asyncio.get_running_loop()
        self._progress = "truncated over UDP, and TCP does not connect"
        with self._socket(socket.SOCK_STREAM) as sock:
            await loop.sock_connect(sock, self._address())
            self._progress = "truncated over UDP, and nothing came over TCP"
            wire = self._question.wire
            await loop.sock_sendall(sock, len(wire).to_bytes(2) + wire)
            while True:
                length = int.from_bytes(await self._receive(sock, 2))
                reply = self._read(await self._receive(sock, length))
                if reply:
                    return reply
                await asyncio.sleep(0)

    async def _receive(self, sock: socket.socket, length: int) -> bytes:
        """Read exactly `length` bytes. Raises: MalformedError when the stream ends before."""
        loop = asyncio.get_running_loop()
        got = bytearray()
        while len(got) < length:
            chunk = await loop.sock_recv(sock, length - len(got))
            if not chunk:
                raise MalformedError(f"the nameserver closed TCP after {len(got)} of {length} bytes")
            got += chunk
            self._progress = f"truncated over UDP, {len(got)} of {length} bytes over TCP"
        return bytes(got)

    def _read(self, wire: bytes) -> Reply | None:
        """Decode what came in; None when it does not answer our question. Raises: MalformedError."""
        reply = self._question.read(wire)
        if isinstance(reply, Reply):
            return reply
        self._ignored += 1
        self._last_ignored = reply
        return None

    def _socket(self, kind: int) -> socket.socket:
        try:
            return self._open_socket(self._family, kind)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                raise NetError(Reason.ADDRESS_FAMILY_UNAVAILABLE, net_error(error).evidence) from error
            found = net_error(error)
            if found.reason is Reason.PROBER_STARVED:
                raise found from error
            why = found.evidence if isinstance(error, SeatError) else f"no socket could be made: {found.evidence}"
            raise NetError(Reason.PERMISSION_DENIED, why) from error

    def _address(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """Return the socket address; a scoped one with its number, so that nothing would resolve it in a thread.

        Raises: OSError, when there is no interface of that name.
        """
        host, percent, scope = self._nameserver.host.partition("%")
        if not percent:
            return host, self._nameserver.port
        number = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
        return host, self._nameserver.port, 0, number

    def _network_error(self, error: OSError) -> NetError:
        found = net_error(error, self._family)
        if found.reason is Reason.RESET:
            return NetError(Reason.MALFORMED_ANSWER, "truncated over UDP, and reset over TCP within the answer")
        if self.over_tcp:
            return NetError(found.reason, f"truncated over UDP, then over TCP: {found.evidence}")
        if found.reason is Reason.REFUSED:
            return NetError(found.reason, "port unreachable (ICMP): no nameserver listens there")
        return found
