"""An answer before it is sent, and the headers that every answer carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

_HEADERS = {
    "Server": "connector-health",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
TEXT = "text/plain; charset=utf-8"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answer:
    """A body, in pieces, and what is said about it; `headers` win over the ones that every answer carries."""

    pieces: Sequence[bytes]
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)


class Response(StreamResponse):
    """What aiohttp sends: one piece after another, for put together they would be there twice. `size`: bytes."""

    def __init__(self, answer: Answer) -> None:
        headers = {**_HEADERS, "Content-Type": answer.content_type, **answer.headers}
        super().__init__(status=answer.status, headers=headers)
        self._pieces = answer.pieces
        self.content_length = self.size = sum(map(len, answer.pieces))

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Begin to answer this request; HEAD is answered without the body."""
        if request.method == "HEAD":
            self._pieces = ()
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, and return once the kernel has it. Raises: ConnectionError."""
        pieces, self._pieces = self._pieces, ()
        for piece in pieces[:-1]:
            await self.write(piece)
        await super().write_eof(pieces[-1] if pieces else data)


def plain(status: int, text: str, headers: Mapping[str, str] = _NONE) -> Response:
    """Return an answer of one sentence."""
    return Response(Answer(((text + "\n").encode(),), TEXT, status, headers))


def closing(response: Response) -> Response:
    """Have the connection closed behind this answer: what follows on it can't be trusted."""
    response.force_close()
    return response
