"""The Connector in a real Docker, watched: over recreation, restarts, a dockerd that stops or hangs. Tokens."""

import asyncio
import contextlib
import gc
import logging
import threading
from collections.abc import Iterator

import msgspec

from checks.model import Reason
from tests.support.docker_watch import until, watching
from tests.support.dockerd import DockerHost


async def test_recreated_under_its_name(docker: DockerHost) -> None:
    """`docker compose up` makes another container of the same name: it is watched on, also beside another Connector."""
    docker.run("elder")
    docker.stop_container("elder")
    docker.run("office")
    async with watching(docker) as runtime:
        before = await runtime.look()
        docker.start_container("elder")
        docker.remove("office")
        gone = await runtime.look()
        docker.run("office")
        after = await runtime.look()
    assert gone.problem is Reason.NOT_FOUND
    assert (before.name, after.name, after.running) == ("office", "office", True)
    assert before.log != after.log


async def test_an_older_connector_is_no_heir(docker: DockerHost) -> None:
    """When ours is removed, a Connector that was here before it is not taken for it."""
    docker.run("elder")
    docker.run("ours")
    docker.stop_container("elder")
    async with watching(docker) as runtime:
        assert (await runtime.look()).name == "ours"
        docker.start_container("elder")
        docker.remove("ours")
        seen = await runtime.look()
        assert seen.problem is Reason.NOT_FOUND
        assert "elder" in seen.evidence
        await asyncio.sleep(1.1)  # Docker lists the time of making in whole seconds
        docker.run("heir")
        assert (await runtime.look()).name == "heir"


async def test_docker_restart(docker: DockerHost) -> None:
    """After `docker restart` it is the same container, and another process: the id of the sighting differs."""
    docker.run("office")
    async with watching(docker) as runtime:
        before = await runtime.look()
        docker.restart("office")
        after = await runtime.look()
    assert before.id != after.id
    assert before.pid != after.pid
    assert before.log == after.log


async def test_dockerd_stopped_and_started(docker: DockerHost) -> None:
    """A dockerd that is stopped is a clear answer, and once it is back so is its Connector."""
    docker.run("office", restart_policy={"Name": "always"})
    async with watching(docker) as runtime:
        assert (await runtime.look()).running
        docker.stop()
        seen = await runtime.look()
        assert seen.problem is Reason.PERMISSION_DENIED
        assert "Docker" in seen.evidence
        assert "systemctl start docker" in seen.action
        docker.start()
        assert (await until(runtime, lambda seen: seen.running is True)).name == "office"


async def test_hanging_dockerd(docker: DockerHost) -> None:
    """A dockerd that hangs costs one bounded look each time and never a second thread; afterwards it is seen again."""
    docker.run("office")
    async with watching(docker) as runtime:
        runtime._look_s = 0.2
        await until(runtime, lambda seen: seen.problem is None)
        docker.pause()
        try:
            for _ in range(12):
                seen = await runtime.look()
                assert seen.problem is Reason.PERMISSION_DENIED
                assert "not answer" in seen.evidence
            assert sum(thread.name.startswith("docker-") for thread in threading.enumerate()) == 1
        finally:
            docker.resume()
        assert (await until(runtime, lambda seen: seen.problem is None)).running


async def test_tokens_stay_out(docker: DockerHost) -> None:
    """Tokens in the container's environment are in no string of this process, whatever was looked at."""
    mark = "".join(reversed("nekot-detnalp"))  # written so that this file and its byte code do not hold it
    docker.run("office", env={"TWINGATE_ACCESS_TOKEN": f"{mark}1", "TWINGATE_REFRESH_TOKEN": f"{mark}2", "OTHER": mark})
    gc.collect()
    assert not strings_with(mark), "the test itself holds it"
    with caught_logs() as logs:
        async with watching(docker) as runtime:
            seen = await runtime.look()
            assert seen.running
            gc.collect()
            assert not strings_with(mark)
            assert mark not in repr(seen)
            docker.stop_container("office")
            await runtime.look()
    assert not any(mark in line for line in logs)


def strings_with(mark: str) -> list[str]:
    """Return the strings and bytes of this process that hold the mark: as far as three steps from what is collected."""
    held = list({id(each): each for each in gc.get_referents(*gc.get_objects())}.values())
    held += {id(each): each for each in gc.get_referents(*held)}.values()
    texts = [each for each in held if isinstance(each, str) and each != mark]
    texts += [bytes(each).decode("latin-1") for each in held if isinstance(each, bytes | bytearray | msgspec.Raw)]
    return [text[:80] for text in texts if mark in text]


@contextlib.contextmanager
def caught_logs() -> Iterator[list[str]]:
    """Collect all that is logged, at every level, by whatever library."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler, root = Collect(level=0), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(0)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
