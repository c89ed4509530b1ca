"""The Connector's log from a real Docker: whole lines, nothing lost and nothing twice, whatever happens meanwhile."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from checks.blocking import Blocking
from checks.connlog.model import LogUnreadableError, RawLine
from checks.net.errors import NetError
from checks.runtime.docker_log import MAX_LINES, DockerLog
from tests.support.cancel import check_cancellation
from tests.support.dockerd import DockerHost

DRIVERS = pytest.mark.parametrize("driver", ["json-file", "local"])
FILE = "/tmp/lines"


@pytest.fixture
async def aside() -> AsyncIterator[Callable[[Callable[[], object]], "asyncio.Future[object]"]]:
    """What Docker is told to do while its log is followed."""
    blocking = Blocking("test")
    yield lambda function: blocking.call(function, 30)  # type: ignore[misc, return-value]
    await blocking.close(5)


def run(docker: DockerHost, name: str = "office", driver: str = "json-file", *, tty: bool = False) -> str:
    """Run a stand-in Connector whose log goes to this driver."""
    return docker.run(name, log_config={"Type": driver, "Config": {}}, tty=tty, network_mode="none")


async def read(
    log: DockerLog, until: Callable[[list[RawLine]], bool], cursor: str | None = None, since: float | None = None
) -> list[RawLine]:
    """Follow until it holds, or to the end."""
    found: list[RawLine] = []
    async with asyncio.timeout(20), contextlib.aclosing(log.follow(cursor, since)) as batches:
        async for batch in batches:
            assert 0 < len(batch) <= MAX_LINES
            found += batch
            if until(found):
                break
    return found


def now() -> float:
    """Return Unix seconds."""
    return time.time_ns() / 1e9


def texts(lines: Sequence[RawLine]) -> list[bytes]:
    """Return the lines' texts."""
    return [line.text for line in lines]


def ends_with(text: bytes) -> Callable[[list[RawLine]], bool]:
    """Tell when the last line is this one."""
    return lambda lines: lines[-1].text == text


@DRIVERS
@pytest.mark.parametrize("tty", [False, True], ids=["frames", "terminal"])
async def test_past_then_live(docker: DockerHost, driver: str, tty: bool) -> None:
    """The past comes first, then each new line as it is written, with its time."""
    run(docker, driver=driver, tty=tty)
    docker.order("office", "say one", "say two words  ")
    log = DockerLog(docker.url, "office", tty=tty)
    found: list[RawLine] = []
    before = now() - 30
    async with asyncio.timeout(20), contextlib.aclosing(log.follow(None, None)) as batches:
        async for batch in batches:
            found += batch
            if ends_with(b"two words  ")(found):
                docker.order("office", "say three")
            if ends_with(b"three")(found):
                break
    assert texts(found) == [b"one", b"two words  ", b"three"]
    assert all(before < line.at < now() + 1 for line in found)


@DRIVERS
async def test_long_lines(docker: DockerHost, driver: str) -> None:
    """Lines that Docker has split, also where exactly, are whole again; one too long is cut, and that is said."""
    run(docker, driver=driver)
    lines = [letter * length for letter, length in ((b"A", 102400), (b"B", 16384), (b"C", 16383), (b"D", 16385))]
    lines += [b"E" * 32768, b"F" * 300_000, b"", b"short", b"last, never ended"]
    docker.write("office", FILE, b"\n".join(lines))
    docker.order("office", f"cat {FILE}", "exit 0")
    docker.until("office", "exited")
    notes: list[str] = []
    found = await read(DockerLog(docker.url, "office", note=notes.append), lambda _: False)
    lines[5] = lines[5][: 256 << 10]
    assert texts(found) == lines
    assert notes == ["1 lines longer than 256 KiB were cut"]


async def test_long_lines_of_a_terminal(docker: DockerHost) -> None:
    """The same where the container has a terminal, and its records have no frames."""
    run(docker, tty=True)
    lines = [b"A" * 40000, b"B" * 16382, b"C" * 16383, b"D" * 16384, b"E" * 16385, b"", b"end"]
    docker.write("office", FILE, b"\n".join(lines) + b"\n")
    docker.order("office", f"cat {FILE}", "exit 0")
    docker.until("office", "exited")
    assert texts(await read(DockerLog(docker.url, "office", tty=True), lambda _: False)) == lines


async def test_two_streams(docker: DockerHost) -> None:
    """Standard output and standard error are both read, and their split lines are not mixed."""
    run(docker)
    docker.write("office", FILE, b"o" * 50000 + b"\n")
    docker.write("office", "/tmp/errors", b"e" * 50000 + b"\n")
    docker.order("office", f"run cat {FILE} & cat /tmp/errors >&2; wait", "err done", "exit 0")
    docker.until("office", "exited")
    found = texts(await read(DockerLog(docker.url, "office"), lambda _: False))
    assert sorted(found) == [b"done", b"e" * 50000, b"o" * 50000]


@DRIVERS
async def test_resumed_at_every_line(docker: DockerHost, driver: str) -> None:
    """From the cursor of any line the log goes on with the next one: nothing is lost and nothing comes twice."""
    run(docker, driver=driver)
    docker.write("office", FILE, b"".join(b"line %d\n" % number for number in range(40)))
    # The second burst is more than the cursor's overlap later, and some lines are of standard error.
    docker.order("office", f"cat {FILE}", "run sleep 1.2", f"run cat {FILE} >&2", f"cat {FILE}", "say end", "exit 0")
    docker.until("office", "exited")
    log = DockerLog(docker.url, "office")
    whole = await read(log, lambda _: False)
    assert len(whole) == 121
    for number in range(0, len(whole), 7):
        rest = await read(log, lambda _: False, whole[number].cursor)
        assert texts(rest) == texts(whole[number + 1 :])
        assert [line.at for line in rest] == [line.at for line in whole[number + 1 :]]
    assert await read(log, lambda _: False, whole[-1].cursor) == []


async def test_restart_loses_nothing(
    docker: DockerHost, aside: Callable[[Callable[[], object]], "asyncio.Future[object]"]
) -> None:
    """`docker restart` while the log is followed ends the stream; called again from the cursor, nothing is missing."""
    run(docker)
    docker.order("office", "run trap 'echo stopping; exit 0' TERM", *(f"say {number}" for number in range(50)))
    log = DockerLog(docker.url, "office")
    found = await read(log, ends_with(b"49"))
    async with asyncio.TaskGroup() as group:
        rest = group.create_task(read(log, lambda _: False, found[-1].cursor))
        await aside(lambda: docker.restart("office"))
        await aside(lambda: docker.order("office", "say after", "say more"))
    found += rest.result()
    found += await read(log, ends_with(b"more"), found[-1].cursor)
    assert texts(found) == [b"%d" % number for number in range(50)] + [b"stopping", b"after", b"more"]


async def test_dockerd_restart_loses_nothing(
    docker: DockerHost, aside: Callable[[Callable[[], object]], "asyncio.Future[object]"]
) -> None:
    """dockerd stopped while the log is followed ends the stream or breaks it; once it is back the log goes on."""
    docker.run("office", restart_policy={"Name": "always"})
    docker.order("office", "say before")
    log = DockerLog(docker.url, "office")
    found: list[RawLine] = []
    begun = asyncio.Event()

    async def follow() -> None:
        with contextlib.suppress(NetError, OSError):
            async with contextlib.aclosing(log.follow(None, None)) as batches:
                async for batch in batches:
                    found.extend(batch)
                    begun.set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await begun.wait()
        await aside(docker.stop)
    with pytest.raises(OSError, match=r"No such file|refused"):
        await read(log, lambda _: False)
    await aside(docker.start)
    docker.until("office", "running")
    docker.order("office", "say after")
    found += await read(log, ends_with(b"after"), found[-1].cursor)
    assert texts(found) == [b"before", b"after"]


async def test_since(docker: DockerHost) -> None:
    """Without a cursor it begins at the time that was asked for, and not with what is older than the bound."""
    run(docker)
    docker.order("office", "say old", "run sleep 0.2", "say new", "say newer", "exit 0")
    docker.until("office", "exited")
    whole = await read(DockerLog(docker.url, "office"), lambda _: False)
    assert texts(whole) == [b"old", b"new", b"newer"]
    late = await read(DockerLog(docker.url, "office"), lambda _: False, since=whole[1].at - 0.1)
    assert texts(late) == [b"new", b"newer"]
    assert texts(await read(DockerLog(docker.url, "office", max_past=1), lambda _: False)) == [b"newer"]
    assert len(await read(DockerLog(docker.url, "office"), lambda _: False, cursor="no cursor of ours")) == 3


async def test_clock_set_back(docker: DockerHost) -> None:
    """A cursor from before the clock was set back does not silence what is new for as long as it was ahead."""
    run(docker)
    docker.order("office", "say one")
    cursor = (await read(DockerLog(docker.url, "office"), ends_with(b"one")))[-1].cursor
    ahead = ":".join((f"{(time.time_ns() + 3600 * 10**9)}", "1", f"{time.time_ns() + 3601 * 10**9}"))
    assert len(ahead) >= len(cursor)
    notes: list[str] = []
    log = DockerLog(docker.url, "office", note=notes.append)
    found: list[RawLine] = []
    async with asyncio.timeout(20), contextlib.aclosing(log.follow(ahead, None)) as batches:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(anext(batches))
            while not waiting.done():
                docker.order("office", "say two")
                await asyncio.wait([waiting], timeout=0.1)
        found += waiting.result()
    assert found[0].text == b"two"
    assert "set back" in notes[0]


async def test_unreadable(docker: DockerHost) -> None:
    """A driver that keeps nothing, and a container that is gone, are each one clear clause."""
    run(docker, driver="none")
    with pytest.raises(LogUnreadableError, match="its log driver keeps nothing that Docker could read"):
        await read(DockerLog(docker.url, "office"), lambda _: False)
    with pytest.raises(LogUnreadableError, match="the container is gone"):
        await read(DockerLog(docker.url, "nonesuch"), lambda _: False)


async def test_a_large_past_in_bounded_batches(docker: DockerHost) -> None:
    """20,000 lines of the past come complete, in order, in bounded batches, and leave the loop its turns."""
    run(docker)
    lines = [b"%d" % number for number in range(20_000)]
    docker.write("office", FILE, b"\n".join(lines) + b"\n")
    docker.order("office", f"cat {FILE}", "exit 0")
    docker.until("office", "exited")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as group:
        counter = group.create_task(count())
        found = await read(DockerLog(docker.url, "office"), lambda _: False)
        counter.cancel()
    assert texts(found) == lines
    assert turns >= 20, "the loop was kept for more than 1,000 lines on end"


async def test_cancelled_anywhere(docker: DockerHost) -> None:
    """Cancelled at any of its waits, it leaves no socket and no task."""
    run(docker)
    docker.order("office", "say one", "say two")
    log = DockerLog(docker.url, "office")
    assert await check_cancellation(lambda: read(log, ends_with(b"two"))) >= 2
