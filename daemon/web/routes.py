"""What the server answers: a fixed table of paths, behind the same few rules for every request."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from checks.blocking import Blocking, BusyError
from checks.model import Json
from checks.net.text import printable
from daemon.document import Document
from daemon.metrics.collection import Metrics
from daemon.metrics.exposition import OPENMETRICS_TYPE, TEXT_TYPE
from daemon.report_filter import filter_steps
from daemon.report_text import text_steps
from daemon.slices import Steps, in_slices
from daemon.view import View
from daemon.web.accept import wants_gzip, wants_openmetrics
from daemon.web.answer import TEXT, Answer, Response, plain
from daemon.web.body import MIN_GZIP_BYTES, compress, length
from daemon.web.gate import Gate
from daemon.web.hostguard import HostGuard
from daemon.web.query import HISTORY_PARAMETERS, PAGE_PARAMETERS, STATUS_PARAMETERS, BadQueryError, parse_query
from daemon.web.rules import RELOAD, Rules
from daemon.web.shared import Shared

if TYPE_CHECKING:  # see `_loaded_page`
    from daemon.web.page import Page

MAX_IN_FLIGHT = 40  # requests answered at a time, as node_exporter does
MAX_RENDERS = 2  # bodies made at a time: each may take megabytes
MAX_UNSENT_BYTES = 96 * 1024 * 1024  # then nothing more is made: who asks and does not read must not fill our memory
HEALTH = frozenset({"/-/healthy", "/-/ready"})  # a few bytes: else who reads slowly could have us taken for dead
LOAD_S = 20.0  # to load the page's template: longer means that this process gets no CPU
CLOSE_S = 0.3  # for the thread that packs: a slice takes a millisecond
JSON_TYPE = "application/json"

HISTORY_LIMIT = 100  # entries, unless asked otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What the server needs of the rest of the daemon.

    - `view`: the present moment. `report`: makes the JSON document of a view, in steps.
    - `history(id, limit)`: the newest entries of one row, newest first; None when there is no such row.
    - `reload()`: loads the configuration again; returns why that failed, or None.
    - `scraped()`: is told that /metrics was read.
    """

    view: Callable[[], View]
    report: Callable[[View], Steps[Document]]
    history: Callable[[str, int], Awaitable[Sequence[Json] | None]]
    reload: Callable[[], Awaitable[str | None]]
    scraped: Callable[[], None] = lambda: None


class Routes:
    """Answers requests; what takes long is made in slices, and once for all who ask for the same at the same time.

    `unsent`: how many bytes of answers wait to be taken.
    """

    def __init__(self, backend: Backend, guard: HostGuard, gate: Gate, send_s: float) -> None:
        self._backend = backend
        self._gate = gate
        self._metrics = Metrics()
        self._page: Page | None = None
        self._send_s = send_s
        self._in_flight = 0
        self.unsent = 0
        self._renders = asyncio.Semaphore(MAX_RENDERS)
        self._expositions: Shared[Answer] = Shared()
        self._packing = Blocking("gzip")
        self._get: Mapping[str, Callable[[BaseRequest], Awaitable[Answer]]] = {
            "/": self._answer_page,
            "/metrics": self._answer_metrics,
            "/api/v1/status": self._answer_status,
            "/api/v1/history": self._answer_history,
            "/-/healthy": self._answer_healthy,
            "/-/ready": self._answer_ready,
        }
        self._rules = Rules(guard, gate, tuple(self._get))

    async def close(self) -> None:
        """End the thread that packs."""
        await self._packing.close(CLOSE_S)

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer one request, and see to it that the answer is taken."""
        full = self._in_flight >= MAX_IN_FLIGHT or self.unsent >= MAX_UNSENT_BYTES
        if full and request.path not in HEALTH:
            busy = f"{self._in_flight} requests are being answered already: try again"
            refusal = plain(503, busy, {"Retry-After": "1"})
            self._gate.dress(refusal)
            await _send(request, refusal, self._send_s)
            return refusal
        self._in_flight += 1
        size = 0
        try:
            response = await self._rules.refusal(request) or await self._answer(request)
            self._gate.dress(response)
            size = response.size
            self.unsent += size
            await _send(request, response, self._send_s)
        finally:
            self._in_flight -= 1
            self.unsent -= size
        return response

    async def _answer(self, request: BaseRequest) -> Response:
        if request.path == RELOAD:
            return await self._reload()
        try:
            answer = await self._get[request.path](request)
        except BadQueryError as error:
            return Response(_json({"error": str(error)}, 400))
        except (BusyError, TimeoutError):
            return plain(503, "this process has too little time to answer: try again", {"Retry-After": "1"})
        return Response(replace(answer, headers={"Vary": "Accept, Accept-Encoding", **answer.headers}))

    async def _packed(self, request: BaseRequest, answer: Answer) -> Answer:
        """Compress an answer that has just been made, where that is wanted and worth it."""
        if length(answer.pieces) < MIN_GZIP_BYTES or not _gzip(request):
            return answer
        try:
            packed = await compress(answer.pieces, self._packing)
        except (BusyError, TimeoutError):
            return answer  # the thread gets no CPU: larger is better than not at all
        return replace(answer, pieces=packed, headers={**answer.headers, "Content-Encoding": "gzip"})

    async def _reload(self) -> Response:
        failed = await self._backend.reload()
        return plain(500, failed) if failed else plain(200, "the configuration was loaded again")

    async def _answer_page(self, request: BaseRequest) -> Answer:
        wanted = parse_query(tuple(request.query.items()), PAGE_PARAMETERS)
        refresh = not wanted.choices("refresh")
        page = await self._loaded_page()
        async with self._renders:
            view = self._backend.view()
            whole = await in_slices(self._backend.report(view))
            parts = await in_slices(page.steps(whole, view.now, refresh=refresh))
            policy = {"Content-Security-Policy": page.policy}
            answer = Answer([part.encode() for part in parts], "text/html; charset=utf-8", headers=policy)
            return await self._packed(request, answer)

    async def _loaded_page(self) -> "Page":
        """Return the page. Library and template take 4 MiB and 50 ms of a thread, once somebody asks for it."""
        if self._page is None:
            self._page = await self._packing.call(_load_page, LOAD_S)
        return self._page

    async def _answer_metrics(self, request: BaseRequest) -> Answer:
        self._backend.scraped()
        openmetrics = wants_openmetrics(",".join(request.headers.getall("Accept", [])))

        async def make() -> Answer:
            async with self._renders:
                pieces = await in_slices(self._metrics.steps(self._backend.view(), openmetrics=openmetrics))
                return await self._packed(request, Answer(pieces, OPENMETRICS_TYPE if openmetrics else TEXT_TYPE))

        return await self._expositions.get((openmetrics, _gzip(request)), make)

    async def _answer_status(self, request: BaseRequest) -> Answer:
        wanted = parse_query(tuple(request.query.items()), STATUS_PARAMETERS)
        async with self._renders:
            whole = await in_slices(self._backend.report(self._backend.view()))
            filtered = filter_steps(
                whole,
                status=wanted.choices("status"),
                resource=wanted.choices("resource"),
                check=wanted.choices("check"),
                limit=wanted.number("limit"),
                after=wanted.text("after"),
            )
            page = await in_slices(filtered)
            pieces = await in_slices(text_steps(page))
            headers = _next_page(request, page, wanted.number("limit"))
            return await self._packed(request, Answer(pieces, JSON_TYPE, headers=headers))

    async def _answer_history(self, request: BaseRequest) -> Answer:
        wanted = parse_query(tuple(request.query.items()), HISTORY_PARAMETERS)
        row_id = wanted.text("id")
        if not row_id:
            raise BadQueryError("parameter 'id' is missing: the id of a row in /api/v1/status, such as 'clock:system'")
        entries = await self._backend.history(row_id, wanted.number("limit") or HISTORY_LIMIT)
        if entries is None:
            return _json({"error": f"there is no row '{printable(row_id, 200)}'"}, 404)
        return await self._packed(request, _json({"id": row_id, "history": entries}))

    async def _answer_healthy(self, _: BaseRequest) -> Answer:
        return Answer((b"healthy\n",), TEXT)  # that this runs at all is the proof

    async def _answer_ready(self, _: BaseRequest) -> Answer:
        if self._backend.view().engine.ready:
            return Answer((b"ready\n",), TEXT)
        return Answer((b"not ready: not every check has reported yet\n",), TEXT, 503)


async def _send(request: BaseRequest, response: Response, send_s: float) -> None:
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


def _load_page() -> "Page":
    from daemon.web.page import Page  # noqa: PLC0415 - see `_loaded_page`

    return Page()


def _next_page(request: BaseRequest, page: Document, limit: int | None) -> dict[str, str]:
    """Return the Link header of RFC 8288 to the page that follows; a page that is not full is the last."""
    rows = page["checks"]
    if limit is None or len(rows) < limit:
        return {}
    pairs = [(name, text) for name, text in request.query.items() if name != "after"] + [("after", rows[-1]["id"])]
    return {"Link": f'<{request.path}?{urlencode(pairs)}>; rel="next"'}


def _json(value: Mapping[str, object], status: int = 200) -> Answer:
    return Answer((json.dumps(value, default=list).encode(),), JSON_TYPE, status)


def _gzip(request: BaseRequest) -> bool:
    return wants_gzip(request.headers.get("Accept-Encoding", ""))
