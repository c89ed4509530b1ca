"""`healthctl status` as a process, asked while a server of this test's own loop answers; and servers that lie."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.net.endpoint import Endpoint
from tests.support.cli import COMMAND, TIMEOUT_S, environment

Lie = Callable[[socket.socket], None]


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


async def status(*arguments: str, env: Mapping[str, str] | None = None) -> Done:
    """Run `healthctl status` to its end without stopping this loop."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "status", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=environment(env),
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Done(process.returncode or 0, out.decode(), err.decode())


def write_web(folder: Path, web: str, more: str = "") -> str:
    """Write a configuration that says where the daemon listens."""
    file = folder / "config.yaml"
    file.write_text(f"web: {web}\n{more}")
    return str(file)


@contextlib.contextmanager
def liar(lie: Lie, *, at: Path | None = None, port: int = 0) -> Iterator[Endpoint | str]:
    """Answer each connection with `lie` once its request was read; on loopback, or on the unix socket `at`."""
    server = socket.create_server(("127.0.0.1", port)) if at is None else _unix(at)
    server.settimeout(0.05)  # how soon the thread sees that the test is over
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):  # nobody came; or the client has gone: that is its right
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(TIMEOUT_S)
                    connection.recv(4096)
                    lie(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(at) if at else Endpoint("127.0.0.1", server.getsockname()[1])
    finally:
        over.set()
        thread.join()
        server.close()


def _unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen()
    return sock


def answer(body: bytes, *, status: str = "200 OK", more: str = "") -> bytes:
    """Return an HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body
