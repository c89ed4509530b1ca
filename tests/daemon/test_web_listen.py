"""Where the server listens, how it ends, and what a client may take."""

import asyncio
import contextlib
import json
import socket
import stat
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.config.schema import Web
from daemon.web.server import Limits, WebError, WebServer
from tests.support.netns import namespace
from tests.support.office import office, seen
from tests.support.servers import accepts, free_port, require, running
from tests.support.webs import ask, backend, local, serving

BACK = backend(lambda: seen(office()).view())
PUBLIC = Endpoint("10.77.9.1", 19440)


@pytest.mark.parametrize("listen", [PUBLIC, Endpoint("0.0.0.0", PUBLIC.port), Endpoint("::", PUBLIC.port)])
async def test_only_metrics_and_health_are_public(listen: Endpoint) -> None:
    """On an address that others reach nothing is served that tells more than numbers; on loopback everything is."""
    with namespace() as ns:
        ns.run(f"ip address add {PUBLIC.host}/32 dev lo")
        server = WebServer(Web(listen=(listen,)), BACK)
        with ns.entered():  # a socket keeps the namespace in which it was made
            await server.start()
        try:
            for target, status in (("/metrics", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/", 403),
                                   ("/api/v1/status", 403), ("/api/v1/history?id=clock:system", 403)):  # fmt: skip
                assert (await ask(PUBLIC, target, sockets=ns.open_socket)).status == status
            assert (await ask(PUBLIC, "/-/reload", method="POST", sockets=ns.open_socket)).status == 403
            if listen is not PUBLIC:
                assert (await ask(Endpoint("127.0.0.1", PUBLIC.port), "/", sockets=ns.open_socket)).status == 200
        finally:
            await server.close()


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
    """Idle clients can neither take every file descriptor nor keep others out: the oldest one has to go."""
    async with serving(local(), BACK, Limits(connections=3)) as server:
        at = server.addresses[0]
        idle = [await asyncio.open_connection(at.host, at.port) for _ in range(3)]
        assert (await ask(server, "/-/healthy")).status == 200
        assert await asyncio.wait_for(idle[0][0].read(), 2) == b""
        idle[2][1].write(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await asyncio.wait_for(idle[2][0].readuntil(b"healthy\n"), 2)
        for _, writer in idle:
            writer.close()
        await _until(lambda: not server.connections)


async def test_whoever_is_answered_keeps_its_connection(tmp_path: Path) -> None:
    """When all are busy, one more is closed at once; the unix socket has connections of its own, and as few."""
    begun, may_go = asyncio.Event(), asyncio.Event()

    async def reload() -> None:
        begun.set()
        await may_go.wait()

    path = tmp_path / "api.sock"
    config, limits = local(socket=str(path)), Limits(connections=1, own=2)
    async with serving(config, replace(BACK, reload=reload), limits) as server, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(ask(server, "/-/reload", method="POST"))
        await begun.wait()
        at = server.addresses[0]
        reader, writer = await asyncio.open_connection(at.host, at.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        own = [await asyncio.open_unix_connection(path) for _ in range(2)]
        assert (await ask(path, "/-/healthy")).status == 200
        assert await asyncio.wait_for(own[0][0].read(), 2) == b""
        for _, writer in own:
            writer.close()
        may_go.set()
        assert (await asked).status == 200


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
