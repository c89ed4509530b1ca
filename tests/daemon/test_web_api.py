"""The JSON API: filters, pages, and what is no valid question."""

import json

import pytest

from tests.support.office import office, seen
from tests.support.webs import ask, backend, local, serving

BACK = backend(lambda: seen(office()).view(), history=[{"status": "ok"}, {"status": "critical"}])


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("status=critical", ["control_plane:old.twingate.com", "relay:relay-2.twingate.com:30000",
                             "dns:wiki.corp.internal", "tcp:10.9.8.7:631", "tcp:git.corp.internal:22",
                             "tcp:orders-db.corp.internal:5432@host"]),
        ("status=critical&check=tcp,dns", ["dns:wiki.corp.internal", "tcp:10.9.8.7:631", "tcp:git.corp.internal:22",
                                           "tcp:orders-db.corp.internal:5432@host"]),
        ("resource=Wiki", ["dns:wiki.corp.internal", "tcp:wiki.corp.internal:443"]),
        ("resource=Wiki&resource=Git&check=dns", ["dns:git.corp.internal", "dns:wiki.corp.internal"]),
        ("resource=Nobody", []),
        ("check=relay&limit=1", ["relay:relay-2.twingate.com:30000"]),
    ],
)  # fmt: skip
async def test_filters(query: str, ids: list[str]) -> None:
    """Each parameter narrows the rows; the verdict speaks of the whole."""
    async with serving(local(), BACK) as server:
        reply = await ask(server, f"/api/v1/status?{query}")
    document = json.loads(reply.body)
    assert [row["id"] for row in document["checks"]] == ids
    assert document["status"] == "critical"


async def test_pages_cover_everything_once() -> None:
    """Following `rel="next"` yields every row once, in the order of the whole."""
    async with serving(local(), BACK) as server:
        whole = json.loads((await ask(server, "/api/v1/status")).body)
        target, found = "/api/v1/status?limit=4", []
        while target:
            reply = await ask(server, target)
            found += json.loads(reply.body)["checks"]
            target = reply.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert [row["id"] for row in found] == [row["id"] for row in whole["checks"]]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status=bad", "parameter 'status': 'bad' is not one of ok, warning, critical, unknown, skipped"),
        ("status=ok,", "parameter 'status': '' is not one of ok, warning, critical, unknown, skipped"),
        ("limit=0", "parameter 'limit': '0' is no whole number from 1 to 10000"),
        ("limit=1&limit=2", "parameter 'limit' is given twice: give it once"),
        ("limit=%D9%A1", "parameter 'limit': '\u0661' is no whole number from 1 to 10000"),
        ("states=ok", "unknown parameter 'states': expected one of status, resource, check, limit, after"),
        ("%1b%5b31m=1", "unknown parameter '\\x1b[31m': expected one of status, resource, check, limit, after"),
    ],
)
async def test_bad_parameters(query: str, sentence: str) -> None:
    """A typo is told in one sentence, never answered with everything."""
    async with serving(local(), BACK) as server:
        reply = await ask(server, f"/api/v1/status?{query}")
    assert (reply.status, json.loads(reply.body)) == (400, {"error": sentence})


async def test_history() -> None:
    """The history of a row is its own; a row that is not there has none."""
    async with serving(local(), BACK) as server:
        reply = await ask(server, "/api/v1/history?id=clock:system&limit=1")
        gone = await ask(server, "/api/v1/history?id=clock:gone")
    assert json.loads(reply.body) == {"id": "clock:system", "history": [{"status": "ok"}]}
    assert (gone.status, json.loads(gone.body)) == (404, {"error": "there is no row 'clock:gone'"})
