"""What the server answers: a fixed table of paths, behind the same few rules for every request."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from checks.model import Json
from checks.net.text import printable
from daemon.document import Document
from daemon.metrics.collection import Metrics
from daemon.metrics.exposition import OPENMETRICS_TYPE, TEXT_TYPE
from daemon.report import encode
from daemon.report_filter import filter_rows
from daemon.view import View
from daemon.web.accept import wants_gzip, wants_openmetrics
from daemon.web.answer import Answer, plain, response_of
from daemon.web.body import MIN_GZIP_BYTES, compress
from daemon.web.hostguard import HostGuard
from daemon.web.page import Page
from daemon.web.query import HISTORY_PARAMETERS, PAGE_PARAMETERS, STATUS_PARAMETERS, BadQueryError, parse_query
from daemon.web.rules import RELOAD, Rules

MAX_IN_FLIGHT = 40  # requests answered at a time, as node_exporter does
MAX_RENDERS = 2  # bodies made at a time: each may take megabytes
JSON_TYPE = "application/json"

HISTORY_LIMIT = 100  # entries, unless asked otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What the server needs of the rest of the daemon.

    - `view`: the present moment. `report`: the JSON document of a view.
    - `history(id, limit)`: the newest entries of one row, newest first; None when there is no such row.
    - `reload()`: loads the configuration again; returns why that failed, or None.
    - `scraped()`: is told that /metrics was read.
    """

    view: Callable[[], View]
    report: Callable[[View], Document]
    history: Callable[[str, int], Awaitable[Sequence[Json] | None]]
    reload: Callable[[], Awaitable[str | None]]
    scraped: Callable[[], None] = lambda: None


class Routes:
    """Answers requests; holds the caches of what it renders."""

    def __init__(self, backend: Backend, guard: HostGuard, send_s: float) -> None:
        self._backend = backend
        self._metrics = Metrics()
        self._page = Page()
        self._send_s = send_s
        self._in_flight = 0
        self._renders = asyncio.Semaphore(MAX_RENDERS)
        self._get: Mapping[str, Callable[[web.BaseRequest], Awaitable[Answer]]] = {
            "/": self._answer_page,
            "/metrics": self._answer_metrics,
            "/api/v1/status": self._answer_status,
            "/api/v1/history": self._answer_history,
            "/-/healthy": self._answer_healthy,
            "/-/ready": self._answer_ready,
        }
        self._rules = Rules(guard, tuple(self._get))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, and see to it that the answer is taken."""
        if self._in_flight >= MAX_IN_FLIGHT:
            return plain(503, f"{MAX_IN_FLIGHT} requests are being answered already: try again", {"Retry-After": "1"})
        self._in_flight += 1
        try:
            response = self._rules.refusal(request) or await self._answer(request)
            await _send(request, response, self._send_s)
        finally:
            self._in_flight -= 1
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        try:
            if request.path == RELOAD:
                return await self._reload()
            async with self._renders:
                answer = await self._get[request.path](request)
                body = answer.body
                headers = {**answer.headers, "Vary": "Accept, Accept-Encoding"}
                if len(body) >= MIN_GZIP_BYTES and wants_gzip(request.headers.get("Accept-Encoding", "")):
                    body = await compress(body)
                    headers["Content-Encoding"] = "gzip"
        except BadQueryError as error:
            answer = _json({"error": str(error)}, 400)
            body, headers = answer.body, dict(answer.headers)
        return response_of(Answer(body, answer.content_type, answer.status, headers))

    async def _reload(self) -> web.Response:
        failed = await self._backend.reload()
        return plain(500, failed) if failed else plain(200, "the configuration was loaded again")

    async def _answer_page(self, request: web.BaseRequest) -> Answer:
        wanted = parse_query(tuple(request.query.items()), PAGE_PARAMETERS)
        view = self._backend.view()
        refresh = not wanted.choices("refresh")
        text = self._page.render(self._backend.report(view), view.now, refresh=refresh)
        return Answer(text.encode(), "text/html; charset=utf-8", headers={"Content-Security-Policy": self._page.policy})

    async def _answer_metrics(self, request: web.BaseRequest) -> Answer:
        self._backend.scraped()
        openmetrics = wants_openmetrics(",".join(request.headers.getall("Accept", [])))
        body = self._metrics.render(self._backend.view(), openmetrics=openmetrics)
        return Answer(body, OPENMETRICS_TYPE if openmetrics else TEXT_TYPE)

    async def _answer_status(self, request: web.BaseRequest) -> Answer:
        wanted = parse_query(tuple(request.query.items()), STATUS_PARAMETERS)
        whole = self._backend.report(self._backend.view())
        page = filter_rows(
            whole,
            status=wanted.choices("status"),
            resource=wanted.choices("resource"),
            check=wanted.choices("check"),
            limit=wanted.number("limit"),
            after=wanted.text("after"),
        )
        headers = _next_page(request, page, wanted.number("limit"))
        return Answer(encode(page, indent=None).encode(), JSON_TYPE, headers=headers)

    async def _answer_history(self, request: web.BaseRequest) -> Answer:
        wanted = parse_query(tuple(request.query.items()), HISTORY_PARAMETERS)
        row_id = wanted.text("id")
        if not row_id:
            raise BadQueryError("parameter 'id' is missing: the id of a row in /api/v1/status, such as 'clock:system'")
        entries = await self._backend.history(row_id, wanted.number("limit") or HISTORY_LIMIT)
        if entries is None:
            return _json({"error": f"there is no row '{printable(row_id, 200)}'"}, 404)
        return _json({"id": row_id, "history": entries})

    async def _answer_healthy(self, _: web.BaseRequest) -> Answer:
        return Answer(b"healthy\n", "text/plain; charset=utf-8")  # that this runs at all is the proof

    async def _answer_ready(self, _: web.BaseRequest) -> Answer:
        if self._backend.view().engine.ready:
            return Answer(b"ready\n", "text/plain; charset=utf-8")
        return Answer(b"not ready: not every check has reported yet\n", "text/plain; charset=utf-8", 503)


async def _send(request: web.BaseRequest, response: web.StreamResponse, send_s: float) -> None:
    transport = request.transport
    try:
        async with asyncio.timeout(send_s):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if transport is not None:
            transport.abort()
    except ConnectionError:
        return  # the client has gone: nobody is left to be told


def _next_page(request: web.BaseRequest, page: Document, limit: int | None) -> dict[str, str]:
    """Return the Link header of RFC 8288 to the page that follows; a page that is not full is the last."""
    rows = page["checks"]
    if limit is None or len(rows) < limit:
        return {}
    pairs = [(name, text) for name, text in request.query.items() if name != "after"] + [("after", rows[-1]["id"])]
    return {"Link": f'<{request.path}?{urlencode(pairs)}>; rel="next"'}


def _json(value: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(json.dumps(value, default=list).encode(), JSON_TYPE, status)
