"""Looking at a Connector in a real Docker, in tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from checks.runtime.docker import DockerRuntime
from checks.runtime.model import Sighting
from tests.support.dockerd import DockerHost


@contextlib.asynccontextmanager
async def watching(docker: DockerHost, container: str | None = None) -> AsyncIterator[DockerRuntime]:
    """Make a runtime for the block."""
    runtime = DockerRuntime(docker.url, container)
    try:
        yield runtime
    finally:
        await runtime.close()


async def look(docker: DockerHost, container: str | None = None) -> Sighting:
    """Look once, with a runtime of its own."""
    async with watching(docker, container) as runtime:
        return await runtime.find()


async def until(runtime: DockerRuntime, holds: Callable[[Sighting], bool]) -> Sighting:
    """Look until it holds: what Docker does takes its time."""
    async with asyncio.timeout(15):
        while not holds(sighting := await runtime.look()):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.05)
    return sighting


def now() -> float:
    """Return Unix seconds."""
    return time.time_ns() / 1e9
