"""One question to another program: bounded in time and in what it may answer, without a shell."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

MAX_OUTPUT = 64 << 10  # bytes of each stream: the properties that are asked for have about 1 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the program said, each stream cut at `MAX_OUTPUT` bytes, and its exit code (negative: the signal)."""

    code: int
    output: str
    errors: str


class _Collect(asyncio.SubprocessProtocol):
    """Keeps the beginning of both streams; `ended` is told when the program has ended and both are read."""

    def __init__(self, ended: "asyncio.Future[None]") -> None:
        self.streams = {1: bytearray(), 2: bytearray()}
        self._ended = ended

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what there is still room for."""
        kept = self.streams[fd]
        kept += data[: MAX_OUTPUT - len(kept)]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that nothing more will come."""
        del exc
        if not self._ended.done():
            self._ended.set_result(None)


async def ask(argv: Sequence[str], timeout_s: float) -> Answer:
    """Run the program and return what it said; it is killed when it has not ended after `timeout_s` seconds.

    It speaks English, and times in UTC. Raises: OSError when it can't be started, TimeoutError.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    async with asyncio.timeout(timeout_s):
        transport, protocol = await loop.subprocess_exec(
            lambda: _Collect(ended),
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        )
        try:
            await ended
        finally:
            transport.close()  # kills it if it still runs
    output, errors = (bytes(protocol.streams[fd]).decode("utf-8", "replace") for fd in (1, 2))
    return Answer(code=transport.get_returncode() or 0, output=output, errors=errors)
