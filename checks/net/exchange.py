"""One address of an HTTP endpoint, looked at from the first packet to the answer, phase by phase.

Source: RFC 9110 (HEAD); the dates of RFC 5280 section 4.1.2.5 are judged by the seat's wall clock.
"""

import asyncio
import datetime as dt
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from checks.model import Reason
from checks.net.certificates import Certificate, date_problem, issued_as_expected
from checks.net.errors import NetError
from checks.net.http import HttpConnection, HttpResponse
from checks.net.seat import Context
from checks.net.stream import PlainStream, Stream
from checks.net.tcp import connect
from checks.net.tls import TlsFacts, judge_untrusted, show_chain, start_tls
from checks.net.url import Url

MAX_ISSUER = 32  # characters of an issuer's name in a one-line summary; the facts have all of it


class Phase(StrEnum):
    """How far an exchange came; a later phase tells more about the peer."""

    CONNECT = "connect"
    TLS = "tls"
    HTTP = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What one address did.

    `seconds` has each phase that ended well. `error` with the `phase` in which it happened, or `answer`. `certificate`
    is what was shown, also when it was not accepted.
    """

    address: str
    phase: Phase
    seconds: Mapping[Phase, float]
    certificate: TlsFacts | None = None
    answer: HttpResponse | None = None
    error: NetError | None = None


@dataclass(slots=True)
class _Progress:
    phase: Phase = Phase.CONNECT
    seconds: dict[Phase, float] = field(default_factory=dict)
    certificate: TlsFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks addresses of one endpoint: HEAD `url`, trusting the public roots, `ca_file` and `expected_issuers`."""

    context: Context
    url: Url
    ca_file: str | None
    expected_issuers: tuple[str, ...]
    timeout_s: float

    async def ask(self, address: str) -> Exchange:
        """Ask a literal address within `timeout_s` seconds; a bad certificate is looked at for as long again."""
        progress = _Progress()
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        try:
            answer = await self._ask(address, deadline, progress)
        except NetError as error:
            error = await self._explained(error, address, progress)
            return self._exchange(address, progress, error=error)
        return self._exchange(address, progress, answer=answer)

    async def _ask(self, address: str, deadline: float, progress: _Progress) -> HttpResponse:
        loop = asyncio.get_running_loop()
        started = loop.time()
        sock = await self._connect(address)
        progress.seconds[Phase.CONNECT] = loop.time() - started
        stream: Stream = PlainStream(sock)
        if self.url.tls:
            progress.phase = Phase.TLS
            started = loop.time()
            stream = tls = await start_tls(
                sock, self.url.endpoint.host, ca_file=self.ca_file, timeout_s=deadline - started
            )
            progress.seconds[Phase.TLS] = loop.time() - started
            progress.certificate = tls.facts
            if problem := self._chain_problem(tls.facts.chain):
                stream.close()
                raise problem
        progress.phase = Phase.HTTP
        connection = HttpConnection(stream)
        try:
            answer = await connection.request(
                "HEAD", self.url.target, host=self.url.host_header, timeout_s=deadline - loop.time()
            )
        finally:
            connection.close()
        progress.seconds[Phase.HTTP] = answer.received_at - answer.sent_at
        return answer

    async def _connect(self, address: str) -> socket.socket:
        return await connect(self.context.seat, address, self.url.endpoint.port, self.timeout_s)

    def _chain_problem(self, chain: tuple[Certificate, ...]) -> NetError | None:
        if not issued_as_expected(chain, self.expected_issuers):
            return NetError(Reason.TLS_INTERCEPTED, f"issuer {issuer_of(chain)} is not among the expected ones")
        if problem := date_problem(chain, self.context.seat.wall_clock()):
            reason, certificate = problem
            date, verb = (
                (certificate.not_after, "expired on")
                if reason is Reason.TLS_EXPIRED
                else (certificate.not_before, "is not valid before")
            )
            whose = "certificate" if certificate is chain[0] else "a certificate of its chain"
            return NetError(reason, f"{whose} {verb} {iso(date)}")
        return None

    async def _explained(self, error: NetError, address: str, progress: _Progress) -> NetError:
        """Return the error with the certificate that caused it looked at (the failed handshake keeps none)."""

        async def again() -> socket.socket:
            return await self._connect(address)

        host = self.url.endpoint.host
        if error.reason is Reason.TLS_NAME_MISMATCH:
            progress.certificate = await show_chain(again, host, self.timeout_s)
            return NetError(error.reason, "certificate is for another name")
        if error.reason is not Reason.TLS_UNTRUSTED:
            return error
        reason, progress.certificate = await judge_untrusted(again, host, self.timeout_s)
        issuer = issuer_of(progress.certificate.chain) if progress.certificate else "(not shown)"
        if reason is Reason.TLS_INTERCEPTED:
            return NetError(reason, f"issuer {issuer} is trusted by this host alone")
        return NetError(reason, f"issuer {issuer} is not trusted: {error.evidence}")

    def _exchange(
        self, address: str, progress: _Progress, *, answer: HttpResponse | None = None, error: NetError | None = None
    ) -> Exchange:
        return Exchange(
            address=address,
            phase=progress.phase,
            seconds=progress.seconds,
            certificate=progress.certificate,
            answer=answer,
            error=error,
        )


def issuer_of(chain: tuple[Certificate, ...]) -> str:
    """Return the name of the leaf's issuer for one line of text."""
    name = next(iter(chain[0].issuer_names), "") if chain else ""
    name = name or (chain[0].issuer if chain else "") or "(unnamed)"
    return name if len(name) <= MAX_ISSUER else name[: MAX_ISSUER - 1] + "…"


def iso(seconds: float) -> str:
    """Write Unix seconds as a UTC date and time."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):  # ASN.1 has dates that Python has not
        return str(seconds)
