"""TLS between a connection and the HTTP that is spoken on it.

asyncio can do this itself, with three gaps that matter to a server which strangers reach: a client that connects and
says nothing is counted by nobody until its handshake ends, a refused handshake is cut off without the alert that says
why, and what waits to be sent is kept in two buffers of which HTTP sees one. Here every connection is counted from its
first moment, alerts are sent, and there is one buffer: the kernel's, then the raw transport's.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from daemon.web.access import Access, names_of

RECORD_BYTES = 16384  # the most that one TLS record holds: cut so, nothing is copied twice
PLAIN_HTTP = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"this address speaks TLS: ask with https://, or on the host itself at the unix socket (web.socket)\n"
)
"""For who speaks plain HTTP here, as a browser or a Prometheus with the wrong scheme does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshakes:
    """What happens to clients that are not in yet: `began`, `ended`, and `refused` with the reason.

    `patience_s`: seconds after which one that is still not in is cut off.
    """

    patience_s: float
    began: Callable[["TlsConnection"], object]
    ended: Callable[["TlsConnection"], object]
    refused: Callable[[str], object]


class TlsConnection(asyncio.Protocol):
    """One connection of a client; `inner` sees it only after a handshake that `access` accepts."""

    def __init__(self, inner: asyncio.Protocol, access: Access, handshakes: Handshakes) -> None:
        if access.tls is None:
            raise ValueError("TLS needs a context")
        self._inner = inner
        self._access = access
        self._handshakes = handshakes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = access.tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw: asyncio.Transport | None = None
        self._front: _Front | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._unsent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's first words, not for ever."""
        self._raw = raw = cast("asyncio.Transport", transport)
        raw.set_write_buffer_limits(high=0)
        self._patience = asyncio.get_running_loop().call_later(self._handshakes.patience_s, raw.abort)
        self._handshakes.began(self)

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, then hand over what was said."""
        self._incoming.write(data)
        if self._front is not None or self._handshake():
            self.read()

    def eof_received(self) -> bool | None:
        """End: a client that has closed its half without saying so in TLS has no more to say, and hears no more."""
        if self._front is not None:
            self._inner.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who knew of the connection."""
        self._end_of_handshake()
        front, self._front, self._raw = self._front, None, None  # they hold each other
        if front is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the client does not take what it was sent. Until it does, it is not heard either.

        Else what TLS answers by itself (to each wish for new keys, say) would pile up, and HTTP know nothing of it.
        """
        self._unsent = True
        self.hear()
        if self._front is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the kernel has everything."""
        self._unsent = False
        self.hear()
        if self._front is not None:
            self._inner.resume_writing()

    def hear(self) -> None:
        """Listen to the client, or do not for now."""
        if self._raw is None or self._raw.is_closing():
            return
        if self._unsent or (self._front is not None and not self._front.reads):
            self._raw.pause_reading()
        else:
            self._raw.resume_reading()

    def end(self) -> None:
        """Say farewell, and end as soon as the client has taken what was sent; it is not waited for without end."""
        raw = self._raw
        if raw is None or raw.is_closing():
            return
        self.farewell()
        raw.close()
        if raw.get_write_buffer_size() and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self._handshakes.patience_s, raw.abort)

    def abort(self) -> None:
        """Break it off at once."""
        if self._raw is not None:
            self._raw.abort()

    def read(self) -> None:
        """Hand over what has come, as long as it is wanted."""
        front = self._front
        while front is not None and front.reads:
            try:
                data = self._tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                self.flush()  # the alert
                self.abort()
                return
            if not data:  # the client has said that it ends
                self._inner.eof_received()
                front.close()
                return
            self._inner.data_received(data)
        self.flush()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Encrypt and send, record by record."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view[:RECORD_BYTES]) :]
                self.flush()
        except ssl.SSLError:
            self.abort()

    def flush(self) -> None:
        """Give the raw transport what was encrypted."""
        if self._outgoing.pending and self._raw is not None and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    def farewell(self) -> None:
        """Say in TLS that nothing more follows, so that an answer cut short can be told from a whole one."""
        with contextlib.suppress(ssl.SSLError):  # it would wait for the client's own farewell, which is of no use
            self._tls.unwrap()
        self.flush()

    def _handshake(self) -> bool:
        raw = self._raw
        if raw is None or raw.is_closing():
            return False
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        except ssl.SSLError as error:
            self._refuse(raw, error)
            return False
        certificate = self._tls.getpeercert()
        if self._access.sans and self._access.sans.isdisjoint(names_of(certificate)):
            self._handshakes.refused("the client's certificate has none of the names in client_allowed_sans")
            self.end()
            return False
        self._end_of_handshake()
        self.flush()
        self._front = _Front(self, raw, {"sslcontext": self._access.tls, "peercert": certificate})
        self._inner.connection_made(self._front)
        return True

    def _refuse(self, raw: asyncio.Transport, error: ssl.SSLError) -> None:
        if error.reason == "HTTP_REQUEST":
            raw.write(PLAIN_HTTP)
            self._handshakes.refused("plain HTTP was spoken to it")
        else:
            self.flush()  # the alert, which tells the client why
            verify = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
            why = f"the client's certificate: {verify}" if verify else (error.reason or "").replace("_", " ").lower()
            self._handshakes.refused(why or "the connection ended")
        raw.close()

    def _end_of_handshake(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._handshakes.ended(self)


class _Front(asyncio.Transport):
    """What HTTP writes to."""

    def __init__(self, owner: TlsConnection, raw: asyncio.Transport, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._owner = owner
        self._raw = raw
        self._paused = False
        self._closed = False

    @property
    def reads(self) -> bool:
        """Tell whether HTTP wants to hear more."""
        return not (self._paused or self.is_closing())

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as the library has it
        """Return what is known of the connection: of its TLS, else of its socket."""
        found = super().get_extra_info(name)
        return self._raw.get_extra_info(name, default) if found is None else found

    def is_closing(self) -> bool:
        """Tell whether it ends."""
        return self._closed or self._raw.is_closing()

    def is_reading(self) -> bool:
        """Tell whether HTTP wants to hear more."""
        return self.reads

    def pause_reading(self) -> None:
        """Hear nothing more for now."""
        self._paused = True
        self._owner.hear()

    def resume_reading(self) -> None:
        """Hear again, also what had come before the pause."""
        self._paused = False
        if not self.is_closing():
            self._owner.hear()
            asyncio.get_running_loop().call_soon(self._owner.read)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send, unless it ends."""
        if not self.is_closing():
            self._owner.write(data)

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        """Send several pieces."""
        for data in list_of_data:
            self.write(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when HTTP is told to wait."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return self._raw.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """Tell that one half can't be closed alone: TLS 1.2 forbids it."""
        return False

    def close(self) -> None:
        """Send what there is, say farewell, and end."""
        if not self.is_closing():
            self._closed = True
            self._owner.end()

    def abort(self) -> None:
        """Break it off."""
        self._closed = True
        self._raw.abort()
