"""TLS to a peer whose certificate dates we judge ourselves, over OpenSSL.

The host's clock may be the very thing that is wrong, so OpenSSL verifies everything about a chain but its dates, and
whoever needs them reads them from `TlsStream.facts`. Roots are the bundled public store (certifi) and `ca_file`,
never this host's own store: a company's inspection root is installed exactly there, and Twingate pins.

The handshake runs over memory buffers instead of an asyncio transport: a failed or cancelled one then leaves a socket
to close and nothing else, no transport that waits half a minute for the peer's goodbye.
Source: OpenSSL X509_VERIFY_PARAM_set_flags(3), verify(1); Python `ssl`.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from checks.model import Reason
from checks.net.certificates import Certificate, chain_of
from checks.net.errors import NetError, net_error
from checks.net.stream import READ_BYTES, receive_some, timed_out
from checks.net.tcp import close_politely
from checks.net.trust import blind_context, host_context, public_context

_NAME_MISMATCH = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What a completed handshake showed; `chain` has the leaf first."""

    protocol: str
    chain: tuple[Certificate, ...]


class TlsStream:
    """A TLS connection; it takes the socket over. Made by `start_tls`."""

    facts: TlsFacts

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self, *, verified: bool) -> None:
        """Complete the handshake and read the facts. Raises: OSError, of which ssl.SSLError is one; ValueError."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
        await self._flush()
        self.facts = TlsFacts(protocol=self._tls.version() or "", chain=chain_of(self._tls, verified=verified))

    async def receive(self) -> bytes:
        """Return the next bytes, empty at the end. Raises: NetError."""
        try:
            while True:
                try:
                    return self._tls.read(READ_BYTES)
                except ssl.SSLWantReadError:
                    await self._flush()
                    await self._fill()
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # many servers end without close_notify; what they sent is judged by HTTP's own framing
        except OSError as error:
            raise net_error(error, self._sock.family) from error

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises: NetError."""
        try:
            self._tls.write(data)
            await self._flush()
        except OSError as error:
            raise net_error(error, self._sock.family) from error

    def close(self) -> None:
        """Say goodbye as far as that needs no waiting, and close with FIN; closing again does nothing."""
        with contextlib.suppress(OSError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):  # also the alert that tells the peer's log why we left
            self._sock.send(self._outgoing.read())
        close_politely(self._sock)

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _fill(self) -> None:
        if data := await receive_some(self._sock):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


async def start_tls(sock: socket.socket, server_name: str, *, ca_file: str | None, timeout_s: float) -> TlsStream:
    """Start TLS on a connected socket, which it takes over: it is closed on any failure.

    The chain is verified against the bundled public store and `ca_file`, and must be for `server_name`, a host name
    or literal address. Its dates are NOT judged: see `certificates.date_problem`.
    Raises: NetError: `tls_name_mismatch`, `tls_untrusted` (see `judge_untrusted`), `tls_failed`, `reset`, `timeout`;
    `not_found`, `permission_denied` when `ca_file` can't be read.
    """
    try:
        context = public_context(ca_file)
    except BaseException:
        sock.close()
        raise
    return await _start(sock, context, server_name, timeout_s)


async def judge_untrusted(
    connect: Callable[[], Awaitable[socket.socket]], server_name: str, timeout_s: float
) -> tuple[Reason, TlsFacts | None]:
    """Tell an untrusted chain from an intercepted one, and show it: the peer is asked up to twice more.

    `connect` opens a connection to the same address. Returns `tls_intercepted` when this host's own store trusts the
    chain, else `tls_untrusted`; the facts are None when the peer did not show its certificate again.
    Raises nothing for what the network says; `timeout_s` bounds all of it.
    """
    with contextlib.suppress(NetError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(NetError):
                return Reason.TLS_INTERCEPTED, await _look(connect, host_context(), server_name, timeout_s)
            return Reason.TLS_UNTRUSTED, await _look(connect, blind_context(), server_name, timeout_s)
    return Reason.TLS_UNTRUSTED, None


async def show_chain(
    connect: Callable[[], Awaitable[socket.socket]], server_name: str, timeout_s: float
) -> TlsFacts | None:
    """Return what the peer shows to one who verifies nothing; None when it does not. `timeout_s` bounds all of it."""
    with contextlib.suppress(NetError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await _look(connect, blind_context(), server_name, timeout_s)
    return None


async def _look(
    connect: Callable[[], Awaitable[socket.socket]], context: ssl.SSLContext, server_name: str, timeout_s: float
) -> TlsFacts:
    stream = await _start(await connect(), context, server_name, timeout_s)
    stream.close()
    return stream.facts


async def _start(sock: socket.socket, context: ssl.SSLContext, server_name: str, timeout_s: float) -> TlsStream:
    stream = None
    deadline = asyncio.get_running_loop().time() + timeout_s
    try:
        stream = TlsStream(sock, context, server_name)
        async with asyncio.timeout_at(deadline):
            await stream.handshake(verified=context.verify_mode is ssl.CERT_REQUIRED)
    except BaseException as error:
        if stream is None:
            sock.close()
        else:
            stream.close()
        if isinstance(error, OSError | ValueError):
            raise _tls_error(error, sock.family, deadline) from error
        raise
    return stream


def _tls_error(error: OSError | ValueError, family: int, deadline: float) -> NetError:
    """Return the `NetError` for what a handshake raised that had until `deadline` (of `loop.time()`)."""
    match error:
        case ssl.SSLCertVerificationError():
            mismatch = error.verify_code in _NAME_MISMATCH
            reason = Reason.TLS_NAME_MISMATCH if mismatch else Reason.TLS_UNTRUSTED
            return NetError(reason, error.verify_message.rstrip("."))
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return NetError(Reason.TLS_FAILED, "the peer ended the connection during the TLS handshake")
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "PACKET_LENGTH_TOO_LONG"):
            return NetError(Reason.TLS_FAILED, "the port answers, but not with TLS")
        case TimeoutError(errno=None):
            return timed_out(deadline, "the TLS handshake did not finish within the time-out")
        case OSError():
            return net_error(error, family)
    return NetError(Reason.TLS_FAILED, str(error))
