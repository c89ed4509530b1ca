"""An answer before it is sent, and the headers that every answer carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from aiohttp import web

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
    """A body and what is said about it; `headers` win over the ones that every answer carries."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)


def plain(status: int, text: str, headers: Mapping[str, str] = _NONE) -> web.Response:
    """Return an answer of one sentence."""
    return response_of(Answer((text + "\n").encode(), TEXT, status, headers))


def closing(response: web.Response) -> web.Response:
    """Have the connection closed behind this answer: what follows on it can't be trusted."""
    response.force_close()
    return response


def response_of(answer: Answer) -> web.Response:
    """Return what aiohttp sends."""
    headers = {**_HEADERS, "Content-Type": answer.content_type, **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
