"""The HTTP server: what it answers, and to whom."""

import asyncio
import gzip
import socket

import pytest

from daemon.view import EngineFigures
from daemon.web.rules import MAX_BODY_BYTES
from tests.support.exposed import series
from tests.support.office import office, seen
from tests.support.webs import Reply, ask, backend, local, serving

OPENMETRICS = "Accept: application/openmetrics-text;version=1.0.0"
BACK = backend(lambda: seen(office()).view())


async def test_metrics_in_both_formats() -> None:
    """The format goes by Accept, and the text is the same with gzip."""
    async with serving(local(), BACK) as server:
        plain = await ask(server, "/metrics")
        strict = await ask(server, "/metrics", headers=[OPENMETRICS])
        packed = await ask(server, "/metrics", headers=[OPENMETRICS, "Accept-Encoding: gzip"])
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert strict.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert packed.headers["content-encoding"] == "gzip"
    assert series(gzip.decompress(packed.body).decode()).keys() == series(strict.text).keys()
    assert packed.headers["vary"] == "Accept, Accept-Encoding"


async def test_health_and_readiness() -> None:
    """The loop answers for its own health; readiness waits for the engine, and neither for what is watched."""
    engine = EngineFigures(connector="office-1")
    async with serving(local(), backend(lambda: office().view(engine))) as server:
        assert (await ask(server, "/-/healthy")).status == 200
        not_yet = await ask(server, "/-/ready")
        assert (not_yet.status, not_yet.text) == (503, "not ready: not every check has reported yet\n")
        engine = EngineFigures(connector="office-1", ready=True)
        assert (await ask(server, "/-/ready")).status == 200


async def test_reload() -> None:
    """A reload by POST tells whether it succeeded, and why not."""
    why = "config.yaml:3:5: schedule.interval: expected a duration, got 'soon'"
    async with serving(local(), backend(lambda: office().view(), reload=[None, why])) as server:
        assert (await ask(server, "/-/reload", method="POST")).status == 200
        failed = await ask(server, "/-/reload", method="POST")
        assert (failed.status, failed.text) == (500, why + "\n")
        refused = await ask(server, "/-/reload", method="POST", headers=["Origin: https://evil.example.com"])
        assert refused.status == 403


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        ("GET", "/-/reload", 405, "POST"),
        ("POST", "/metrics", 405, "GET, HEAD"),
        ("DELETE", "/", 405, "GET, HEAD"),
        ("GET", "/nothing", 404, None),
        ("GET", "/probe?target=10.0.0.1", 404, None),
        ("GET", "/metrics/", 404, None),
        ("GET", "/../etc/passwd", 404, None),
        ("GET", "/api/v1/history", 400, None),
    ],
)
async def test_refusals(method: str, target: str, status: int, allow: str | None) -> None:
    """What is not there, or not so, is told plainly."""
    async with serving(local(), BACK) as server:
        reply = await ask(server, target, method=method)
    assert (reply.status, reply.headers.get("allow")) == (status, allow)
    assert reply.text.endswith(("\n", "}"))


@pytest.mark.parametrize("target", ["/", "/metrics", "/api/v1/status", "/-/healthy"])
async def test_head(target: str) -> None:
    """HEAD tells what GET would, without the body."""
    async with serving(local(), BACK) as server:
        whole, head = await ask(server, target), await ask(server, target, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert int(head.headers["content-length"]) == pytest.approx(len(whole.body), rel=0.02)


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:1", 200), ("[::1]", 200), ("localhost", 200), (socket.gethostname(), 200), ("health.example.com", 200),
     ("evil.example.com", 421), ("localhost.evil.org:80", 421), ("", 421)],
)  # fmt: skip
async def test_host_header(host: str, status: int) -> None:
    """A name that somebody else made point here is not answered, whatever is asked."""
    async with serving(local(external_url="https://health.example.com"), BACK) as server:
        for target in ("/-/healthy", "/nothing" if status == 421 else "/metrics"):
            assert (await ask(server, target, headers=[f"Host: {host}"])).status == status


async def test_two_hosts_are_no_request() -> None:
    """A request that names two hosts is meant to confuse somebody."""
    async with serving(local(), BACK) as server:
        assert (await ask(server, "/metrics", headers=["Host: 127.0.0.1", "Host: 127.0.0.1"])).status == 400


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([f"Content-Length: {MAX_BODY_BYTES + 1}"], b""),
        (["Content-Length: 100000000"], b"x" * 1000),
        (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n"),
    ],
)
@pytest.mark.parametrize(("method", "target"), [("POST", "/-/reload"), ("GET", "/metrics")])
async def test_bodies_are_refused(method: str, target: str, headers: list[str], body: bytes) -> None:
    """Nobody can make the daemon read a large or endless body."""
    async with serving(local(), BACK) as server:
        assert (await ask(server, target, method=method, headers=headers, body=body)).status == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: 1\r\n" * 100 + b"\r\n",
    ],
)
async def test_no_http(raw: bytes) -> None:
    """What is no HTTP, or too much of it, gets a plain 400 that does not name the library."""
    async with serving(local(), BACK) as server:
        at = server.addresses[0]
        reader, writer = await asyncio.open_connection(at.host, at.port)
        writer.write(raw)
        reply = Reply(await asyncio.wait_for(reader.read(), 5))
        writer.close()
    assert (reply.status, reply.text) == (400, "this is no valid request\n")
    assert "aiohttp" not in str(reply.headers)


@pytest.mark.parametrize("target", ["/", "/metrics", "/nothing", "/api/v1/status?x=1"])
async def test_headers_of_every_answer(target: str) -> None:
    """No answer can be framed, sniffed or cached, and none tells which library made it."""
    async with serving(local(), BACK) as server:
        headers = (await ask(server, target)).headers
    assert headers["server"] == "connector-health"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "unsafe" not in headers["content-security-policy"]


async def test_many_scrapes_at_once() -> None:
    """Twenty clients at a time each get a whole exposition."""
    async with serving(local(), BACK) as server, asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(server, "/metrics", headers=[OPENMETRICS])) for _ in range(20)]
        replies = [await task for task in tasks]
    assert {len(series(reply.text)) for reply in replies} == {len(series(replies[0].text))}


async def test_a_failing_report_is_one_500() -> None:
    """A bug behind one path is a plain 500 without a traceback; the server goes on."""

    def broken() -> None:
        raise RuntimeError("secret detail")

    async with serving(local(), backend(broken)) as server:  # type: ignore[arg-type]
        reply = await ask(server, "/api/v1/status")
        assert (reply.status, reply.text) == (500, "this request failed: see the log of connector-health\n")
        assert (await ask(server, "/-/healthy")).status == 200
