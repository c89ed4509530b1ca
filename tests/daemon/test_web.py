"""The HTTP server: what it answers, to whom, and how it ends."""

import asyncio
import contextlib
import gzip
import json
import socket
import stat
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.config.schema import Web
from daemon.view import EngineFigures
from daemon.web import Limits, WebError, WebServer
from daemon.web_rules import MAX_BODY_BYTES
from tests.support.exposed import series
from tests.support.office import office, seen
from tests.support.servers import accepts, free_port, require, running
from tests.support.webs import Reply, ask, backend, local, serving

OPENMETRICS = "Accept: application/openmetrics-text;version=1.0.0"
BACK = backend(lambda: seen(office()).view(), history=[{"status": "ok"}, {"status": "critical"}])


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


async def test_only_metrics_and_health_are_public() -> None:
    """On an address that others reach nothing is served that tells more than numbers."""
    public = [a for a in _own_addresses() if not a.startswith("127.")]
    if not public:
        pytest.skip("needs an address other than loopback on this host")
    async with serving(Web(listen=(Endpoint(public[0], 0),)), BACK) as server:
        for target, status in (("/metrics", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/", 403),
                               ("/api/v1/status", 403), ("/api/v1/history?id=clock:system", 403)):  # fmt: skip
            assert (await ask(server, target)).status == status
        assert (await ask(server, "/-/reload", method="POST")).status == 403


def _own_addresses() -> list[str]:
    """Return this host's own IPv4 address of the default route, without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [sock.getsockname()[0]]


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


async def test_unix_socket(tmp_path: Path) -> None:
    """The socket has mode 0660, takes any Host, serves everything, and is gone afterwards."""
    path = tmp_path / "api.sock"
    async with serving(local(socket=str(path)), BACK):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert (await ask(path, "/api/v1/status", headers=["Host: anything"])).status == 200
    assert not path.exists()


async def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    """What a killed process left behind does not keep the next one from starting."""
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(local(socket=str(path)), BACK):
        assert (await ask(path, "/-/healthy")).status == 200


async def test_socket_in_use(tmp_path: Path) -> None:
    """A socket on which somebody listens is never taken away, nor is the TCP port kept."""
    path, port = tmp_path / "api.sock", free_port()
    async with serving(local(socket=str(path)), BACK):
        with pytest.raises(WebError, match="a process listens on"):
            await WebServer(Web(listen=(Endpoint("127.0.0.1", port),), socket=str(path)), BACK).start()
        assert (await ask(path, "/-/healthy")).status == 200
        assert not accepts(port)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_text("mine"), "exists and is no socket; remove it, or choose another path"),
        (lambda path: path.parent.rmdir(), "its directory does not exist; with systemd set RuntimeDirectory="),
    ],
)
async def test_socket_in_the_way(tmp_path: Path, make: Callable[[Path], object], sentence: str) -> None:
    """Nothing but a socket is ever removed, and the error says what to do."""
    path = tmp_path / "run" / "api.sock"
    path.parent.mkdir()
    make(path)
    with pytest.raises(WebError, match=sentence):
        await WebServer(local(socket=str(path)), BACK).start()


async def test_port_in_use() -> None:
    """A port in use is one clear error, and the addresses before it are given up again."""
    first = free_port()
    async with serving(local(), BACK) as server:
        taken = server.addresses[0]
        with pytest.raises(WebError, match=rf"web.listen: {taken} is in use .* ss -ltnp 'sport = :{taken.port}'"):
            await WebServer(Web(listen=(Endpoint("127.0.0.1", first), taken)), BACK).start()
    assert not accepts(first)


@pytest.mark.parametrize(
    ("listen", "sentence"),
    [
        (Endpoint("192.0.2.1", 19440), "is no address of this host"),
        (Endpoint("gw.example.com", 19440), "needs an IP address"),
    ],
)
async def test_bad_address(listen: Endpoint, sentence: str) -> None:
    """An address that can't be listened on is named, with what to do."""
    with pytest.raises(WebError, match=sentence):
        await WebServer(Web(listen=(listen,)), BACK).start()


async def test_authentication_is_not_pretended() -> None:
    """A file that asks for TLS or passwords is refused, rather than served without."""
    with pytest.raises(WebError, match=r"web\.config_file"):
        await WebServer(local(config_file="/etc/web.yml"), BACK).start()


async def test_close_with_open_connections() -> None:
    """Idle, half-written and unread connections do not keep the end from coming."""
    server = WebServer(local(), BACK)
    await server.start()
    at = server.addresses[0]
    idle = await asyncio.open_connection(at.host, at.port)
    half = await asyncio.open_connection(at.host, at.port)
    half[1].write(b"GET /metrics HTTP/1.1\r\nHost: 127.")
    unread = await asyncio.open_connection(at.host, at.port)
    unread[1].write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
    await half[1].drain()
    async with asyncio.timeout(1.5):
        await server.close()
    for reader, writer in (idle, half):
        assert await asyncio.wait_for(reader.read(), 1) == b""
        writer.close()
    unread[1].close()
    assert not accepts(at.port)


async def test_one_connection_too_many() -> None:
    """Idle clients can't take every file descriptor: beyond the limit a connection is closed at once."""
    async with serving(local(), BACK, Limits(connections=3)) as server:
        at = server.addresses[0]
        idle = [await asyncio.open_connection(at.host, at.port) for _ in range(3)]
        reader, last = await asyncio.open_connection(at.host, at.port)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        for _, writer in (*idle, (reader, last)):
            writer.close()
        await _until(lambda: not server.connections)
        assert (await ask(server, "/-/healthy")).status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX"])
async def test_who_does_not_ask_is_cut_off(sent: bytes) -> None:
    """A client that connects and never ends its request is closed after a bounded time."""
    async with serving(local(), BACK, Limits(idle_s=0.2)) as server:
        at = server.addresses[0]
        reader, writer = await asyncio.open_connection(at.host, at.port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_who_does_not_read_is_cut_off() -> None:
    """A client that asks and never reads keeps its answers in our memory for a bounded time only."""
    async with serving(local(), BACK, Limits(send_s=0.2)) as server:
        at, loop = server.addresses[0], asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, (at.host, at.port))
            for _ in range(400):  # more than the buffers of the kernel on both sides take
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(sock, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await _until(lambda: server.connections > 0)
            await _until(lambda: server.connections == 0)


async def _until(reached: Callable[[], bool]) -> None:
    """Wait for something that other tasks of this loop bring about, bounded."""
    async with asyncio.timeout(15):
        while not reached():  # noqa: ASYNC110 - the server has no event for it, and needs none
            await asyncio.sleep(0.01)


async def test_close_twice_and_before_start() -> None:
    """Closing what is closed, or never started, does nothing."""
    server = WebServer(local(), BACK)
    await server.close()
    await server.start()
    await server.close()
    await server.close()


async def test_prometheus_scrapes_it(tmp_path: Path) -> None:
    """A real Prometheus scrapes it and has the series that it should have."""
    require("prometheus")
    port = free_port()
    async with serving(local(), BACK) as server:
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
            f"scrape_configs: [{{job_name: connector, static_configs: [{{targets: ['{server.addresses[0]}']}}]}}]\n"
        )
        found: dict[str, object] = {}

        def query(expression: str) -> list[dict[str, object]]:
            url = f"http://127.0.0.1:{port}/api/v1/query?query={expression}"
            with urllib.request.urlopen(url, timeout=2) as reply:
                result: list[dict[str, object]] = json.load(reply)["data"]["result"]
                return result

        def scraped() -> bool:
            if accepts(port):
                try:
                    found["up"] = query("up==1")
                    found["tcp"] = query("connector_health_resource_tcp_up")
                    found["lag"] = query("connector_health_scheduler_lag_seconds_bucket")
                except OSError:
                    return False
            return bool(found.get("up") and found.get("tcp"))

        argv = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        await asyncio.to_thread(_run_until, argv, tmp_path / "log", scraped)  # noqa: TID251 - the loop must serve meanwhile
    assert len(list(found["tcp"])) == 5  # type: ignore[call-overload]
    assert found["lag"]


def _run_until(argv: list[str], log: Path, ready: Callable[[], bool]) -> None:
    with running(argv, log, ready):
        pass
