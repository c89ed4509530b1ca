"""Answers that are large, asked for by several at once, or not waited for."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Callable
from functools import partial

import pytest

from checks.blocking import Blocking
from daemon.config.schema import Config, Resource
from daemon.config.schema import Metrics as MetricsConfig
from daemon.view import View
from daemon.web import routes
from daemon.web.body import compress
from daemon.web.server import Limits
from daemon.web.shared import Shared
from tests.support.exposed import series
from tests.support.views import Stage, tcp_job
from tests.support.webs import ask, backend, local, serving

FACTS = {"accepted": ("10.0.0.1",)}
OPENMETRICS = "Accept: application/openmetrics-text;version=1.0.0"


class Watched:
    """A board of many ports whose views are counted: each exposition asks for one."""

    def __init__(self, ports: int = 3000, summary: str = "seen") -> None:
        resources = (Resource(name="R", address="10.0.0.1"),)
        jobs = [tcp_job("10.0.0.1", port, "R") for port in range(1, ports + 1)]
        config = Config(resources=resources, metrics=MetricsConfig(detail="all"))
        self.stage = Stage(jobs, resources, config)
        for job in jobs:
            self.stage.see(job.id, summary=summary, measurements={"connect_seconds": 0.001}, facts=FACTS)
        self.views = 0

    def view(self) -> View:
        """Return a view, and count it."""
        self.views += 1
        return self.stage.view()


async def test_scrapes_at_the_same_time_share_one_rendering() -> None:
    """Ten that come while one is made get that one, byte for byte; who comes later gets a new one."""
    watched = Watched()
    async with serving(local(), backend(watched.view)) as server:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(server, "/metrics", headers=[OPENMETRICS])) for _ in range(10)]
        bodies = {task.result().body for task in tasks}
        assert len(bodies) == watched.views
        assert watched.views < 10
        assert len(series(bodies.pop().decode())) > 6000
        watched.stage.see(watched.stage.plan.jobs[0].id, measurements={"connect_seconds": 0.5}, facts=FACTS)
        before = watched.views
        later = await ask(server, "/metrics", headers=[OPENMETRICS])
    assert watched.views == before + 1
    assert " 0.5\n" in later.text


async def test_formats_are_not_mixed_up() -> None:
    """Who asks for another format or encoding at the same time gets that."""
    watched = Watched(1000)
    async with serving(local(), backend(watched.view)) as server, asyncio.TaskGroup() as group:
        asked = [[], [OPENMETRICS], ["Accept-Encoding: gzip"], [OPENMETRICS, "Accept-Encoding: gzip"]] * 2
        tasks = [group.create_task(ask(server, "/metrics", headers=headers)) for headers in asked]
        replies = [await task for task in tasks]
    for headers, reply in zip(asked, replies, strict=True):
        packed = "Accept-Encoding: gzip" in headers
        assert (reply.headers.get("content-encoding") == "gzip") is packed
        text = (gzip.decompress(reply.body) if packed else reply.body).decode()
        assert text.endswith("# EOF\n") is (OPENMETRICS in headers)
        assert int(reply.headers["content-length"]) == len(reply.body)


async def test_a_client_that_goes_away_meanwhile() -> None:
    """Who hangs up while its answer is made or sent takes nobody else's away, and nothing is left of it."""
    watched = Watched()
    async with serving(local(), backend(watched.view), Limits(send_s=0.2)) as server:
        at = server.addresses[0]
        for views in (1, 2):
            _, writer = await asyncio.open_connection(at.host, at.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await until(partial(lambda n: watched.views >= n, views))
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(server, "/metrics"))
                await asyncio.sleep(0)
                writer.transport.abort()
            assert b"resource_tcp_up" in asking.result().body
            watched.views = views
        await until(lambda: not server.connections)
        assert (await ask(server, "/metrics")).status == 200


async def until(true: Callable[[], bool]) -> None:
    """Let the loop run until something holds that nobody tells."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0)


async def test_head_of_a_large_answer() -> None:
    """HEAD tells the length of several pieces and sends none of them."""
    async with serving(local(), backend(Watched().view)) as server:
        for target in ("/metrics", "/api/v1/status"):
            reply = await ask(server, target, method="HEAD")
            assert (reply.status, reply.body) == (200, b"")
            assert int(reply.headers["content-length"]) > 100_000


async def test_who_does_not_read_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """While too much waits to be taken nothing more is made: 503, and try again; afterwards it goes on."""
    monkeypatch.setattr(routes, "MAX_UNSENT_BYTES", 100_000)
    large = Watched(2000, summary="x" * 5000)  # more than the kernel takes off our hands
    async with serving(local(), backend(large.view), Limits(send_s=0.3)) as server:
        at, loop = server.addresses[0], asyncio.get_running_loop()
        with socket.socket() as lazy:
            lazy.setblocking(False)
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(lazy, (at.host, at.port))
            await loop.sock_sendall(lazy, b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await until(lambda: server.unsent >= 100_000)
            reply = await ask(server, "/metrics")
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert (await ask(server, "/-/healthy")).status == 200, "the loop lives"
            await until(lambda: not server.connections)
        assert server.unsent == 0
        assert (await ask(server, "/metrics")).status == 200


async def test_large_bodies_are_packed_in_the_thread() -> None:
    """What is packed piece by piece, elsewhere, unpacks to the same; a small body needs no thread."""
    pool = Blocking("gzip")
    pieces = [f"line {n} {'x' * (n % 90)}\n".encode() * 200 for n in range(300)]
    for body in (pieces, pieces[:1], [b"a"]):
        packed = await compress(body, pool)
        assert gzip.decompress(b"".join(packed)) == b"".join(body)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("gzip")] == ["gzip-0"]
    assert await pool.close(5)


async def test_who_waits_takes_over() -> None:
    """If the one who makes it is cancelled, one of those who wait makes it; a waiter that leaves disturbs nobody."""
    shared: Shared[int] = Shared()
    made = 0
    go = asyncio.Event()

    async def make() -> int:
        nonlocal made
        made += 1
        await go.wait()
        return made

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(shared.get("x", make)) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        tasks[0].cancel()
        await until(lambda: made == 2)
        await asyncio.sleep(0)
        go.set()
    assert [task.result() for task in tasks if not task.cancelled()] == [2, 2]
    assert made == 2
    assert await shared.get("x", make) == 3


async def test_an_error_is_everybodys_own() -> None:
    """A rendering that fails is not handed on: each who waits tries, and hears of it."""
    shared: Shared[int] = Shared()

    async def make() -> int:
        await asyncio.sleep(0)
        raise ValueError("broken")

    async def ask_for_it() -> str:
        with pytest.raises(ValueError, match="broken") as raised:
            await shared.get("x", make)
        return str(raised.value)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask_for_it()) for _ in range(3)]
    assert [task.result() for task in tasks] == ["broken"] * 3
