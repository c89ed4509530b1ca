"""One DNS question to one nameserver: over UDP, and over TCP when the answer did not fit.

What went wrong becomes a class of answer, never an exception (the table is `failed` in checks.net.dnssocket and the
errno table of checks.net.errors):

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

An ICMP error is told to every question in flight on the socket that it came for (checks.net.dnspool), since it does not
say which of them it is about.

The question goes out without EDNS, so that answers over 512 bytes come truncated: evdns, the Connector's resolver,
sends none by default, and a middlebox that drops EDNS (or large datagrams) would show a fault that no user meets.
"""

import asyncio

from checks.model import Reason
from checks.net.answers import Answer, AnswerClass, Said
from checks.net.dnspool import Asked, Pool
from checks.net.dnsquestion import Question, question
from checks.net.dnsread import TRUNCATED, Missing
from checks.net.dnssocket import failed
from checks.net.dnstcp import OverTcp
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError
from checks.net.seat import SocketFactory


class Asker:
    """Asks nameservers from one seat, over sockets that questions share; `renew` when the seat has moved, or ends."""

    def __init__(self, open_socket: SocketFactory) -> None:
        self._open_socket = open_socket
        self._pool = Pool(open_socket)

    async def ask(self, nameserver: Endpoint, name: str, kind: str, timeout_s: float) -> Answer:
        """Ask one nameserver for the records of type `kind` ("A", "AAAA", "NS") of an absolute name.

        `timeout_s` bounds the whole, UDP and TCP together. Raises: ValueError, when `name` can't be a DNS name.
        Source: RFC 1035 section 4.2, RFC 5452 (random id and port, question compared), RFC 7766 (TCP).
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        over_tcp = False
        asking = question(name, kind)
        said: Said | Missing
        try:
            asked = self._pool.send(nameserver, asking, started + timeout_s)
            try:
                said = await asked.answer
                if said is TRUNCATED:
                    over_tcp = True
                    said = await self._over_tcp(nameserver, asking, asked, timeout_s)
            except asyncio.CancelledError:
                self._pool.forget(asked)
                raise
            if isinstance(said, Missing):
                said = _silence(timeout_s, "", asked.ignored, asked.channel.last_ignored)
        except (NetError, OSError) as error:
            said = failed(error, nameserver, over_tcp=over_tcp)
        klass, reason, evidence, addresses, cnames, ttl, rcode = said
        return Answer(
            nameserver=nameserver,
            name=name,
            kind=kind,
            klass=klass,
            reason=reason,
            addresses=addresses,
            cnames=cnames,
            ttl=ttl,
            rcode=rcode,
            seconds=loop.time() - started,
            evidence=evidence,
            over_tcp=over_tcp,
        )

    def renew(self) -> None:
        """Use fresh sockets from now on; the old ones are closed as soon as nothing is in flight on them."""
        self._pool.renew()

    async def _over_tcp(self, nameserver: Endpoint, asking: Question, asked: Asked, timeout_s: float) -> Said:
        """Ask again over TCP within what is left of the time. Raises: NetError, OSError."""
        exchange = OverTcp(self._open_socket, nameserver, asking)
        deadline = asyncio.timeout_at(asked.deadline)
        try:
            async with deadline:
                return await exchange.run()
        except TimeoutError:  # ours, or the kernel's
            if not deadline.expired():
                raise
            ignored = asked.ignored + exchange.ignored
            return _silence(timeout_s, exchange.progress, ignored, exchange.last_ignored or asked.channel.last_ignored)


def _silence(timeout_s: float, progress: str, ignored: int, last_ignored: str) -> Said:
    """Say what was seen instead of an answer."""
    parts = [f"no answer within {timeout_s:.3g} s"]
    if progress:
        parts.append(progress)
    if ignored:
        parts.append(f"{ignored} ignored, the last because of its {last_ignored}")
    return Said(AnswerClass.TIMEOUT, Reason.TIMEOUT, "; ".join(parts))
