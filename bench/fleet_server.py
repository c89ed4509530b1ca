"""A fleet's worth of `/metrics` on one port of 127.0.0.1, in a process of its own: `/c/17` is Connector 17.

Every Connector shows the same round of looks under labels of its own: name, Remote Network (two Connectors each),
Resources and addresses of that network. The answers are compressed where Prometheus asks for it, as the daemon does.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import time
import zlib
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import cast

from bench.fleet_connector import INTERVAL_S, NAME, NETWORK
from daemon.metrics.exposition import OPENMETRICS_TYPE

PER_NETWORK = 2  # Connectors of a Remote Network: one may fail
GZIP = 16 + zlib.MAX_WBITS
FASTEST = 1  # our side of it is not what is measured
MAX_REQUEST = 16 * 1024


def name(number: int) -> str:
    """Return the name of a Connector."""
    return f"office-{number:04}"


def network(number: int) -> str:
    """Return the Remote Network of a Connector."""
    return f"net-{number // PER_NETWORK:04}"


class Show:
    """What is shown now: the rounds of a quiet fleet one after the other, and from `storm` on those of a storm."""

    def __init__(self, quiet: Sequence[str], stormy: Sequence[str]) -> None:
        self._rounds = [text.encode() for text in quiet], [text.encode() for text in stormy]
        self._began = time.monotonic()
        self._stormy = False

    def storm(self) -> None:
        """Let the storm break."""
        self._stormy, self._began = True, time.monotonic()

    def page(self, number: int) -> bytes:
        """Return what a Connector shows."""
        rounds = self._rounds[self._stormy]
        now = min(int((time.monotonic() - self._began) / INTERVAL_S), len(rounds) - 1)
        return rounds[now].replace(NAME.encode(), name(number).encode()).replace(
            NETWORK.encode(), network(number).encode()
        )  # fmt: skip


class Answering(asyncio.Protocol):
    """One kept connection of Prometheus, which asks for one Connector again and again."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._asked = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._asked += data
        while b"\r\n\r\n" in self._asked and self._transport is not None:
            request, _, self._asked = self._asked.partition(b"\r\n\r\n")
            self._transport.write(self._answer(request))
        if len(self._asked) > MAX_REQUEST and self._transport is not None:
            self._transport.abort()

    def _answer(self, request: bytes) -> bytes:
        number = int(request.split(b" ", 2)[1].rpartition(b"/")[2])
        body, encoding = self._show.page(number), ""
        if b"gzip" in request:
            squeeze = zlib.compressobj(FASTEST, zlib.DEFLATED, GZIP)
            body, encoding = squeeze.compress(body) + squeeze.flush(), "Content-Encoding: gzip\r\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {OPENMETRICS_TYPE}\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


async def _serve(show: Show, told: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(show), "127.0.0.1", 0)
    loop.add_signal_handler(signal.SIGUSR1, show.storm)
    told.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def _main(quiet: Sequence[str], stormy: Sequence[str], told: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Show(quiet, stormy), told))


class Fleet:
    """The running server: its port, and the storm."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def targets(self, size: int) -> list[dict[str, object]]:
        """Return the scrape targets of so many Connectors, as Prometheus' file discovery reads them."""
        return [
            {
                "targets": [f"127.0.0.1:{self.port}"],
                "labels": {"__metrics_path__": f"/c/{number}", "instance": f"{name(number)}.example:19440"},
            }
            for number in range(size)
        ]

    def storm(self) -> None:
        """Let every Connector lose the Controller, from the next scrape on."""
        os.kill(self._pid, signal.SIGUSR1)


@contextlib.contextmanager
def fleet(quiet: Sequence[str], stormy: Sequence[str]) -> Iterator[Fleet]:
    """Serve these rounds until the block ends."""
    hear, tell = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=_main, args=(quiet, stormy, tell), daemon=True)
    process.start()
    try:
        yield Fleet(hear.recv(), cast("int", process.pid))
    finally:
        process.terminate()
        process.join()
