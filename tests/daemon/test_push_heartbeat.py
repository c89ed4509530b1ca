"""The heartbeat: to a secret address, while the daemon judges, and told of in the log without that address."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.alert import Alerts
from daemon.config.schema import Alerting
from daemon.push.heartbeat import Heartbeat
from daemon.push.http import HttpClient, Reply
from tests.support.fakes import FakeResolver
from tests.support.peers import scripted
from tests.support.push_lab import GONE, SilentClient, Ways, holds, pushing

URL = "https://beat.example.com/s3cret-id"
BEAT_S = 0.02


@contextlib.asynccontextmanager
async def beating(heartbeat: Heartbeat) -> AsyncIterator[None]:
    """Run it until the block ends."""
    task = asyncio.get_running_loop().create_task(heartbeat.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await heartbeat.close()


async def test_it_beats_while_the_daemon_judges(tmp_path: Path) -> None:
    """One GET each resend while the daemon judges, none while it does not, to what the file says now."""
    file, judging = tmp_path / "url", [True]
    file.write_text(URL + "\n")
    client = SilentClient()
    heartbeat = Heartbeat(lambda: str(file), lambda: BEAT_S, lambda: judging[0], client)
    async with beating(heartbeat):
        await holds(lambda: len(client.asked) >= 2)
        assert set(client.asked) == {("GET", URL)}
        file.write_text(URL + "-new")
        await holds(lambda: client.asked[-1] == ("GET", URL + "-new"))
        judging[0] = False
        await asyncio.sleep(3 * BEAT_S)  # one that was under way may end
        before = len(client.asked)
        await asyncio.sleep(3 * BEAT_S)
    assert len(client.asked) == before


async def test_it_beats_in_shadow_mode_too(tmp_path: Path) -> None:
    """In shadow mode the daemon judges as ever, and its heartbeat says so, from its first decision on."""
    file = tmp_path / "url"
    file.write_text(URL)
    client = SilentClient()
    push = pushing(Ways(), heartbeat_client=client)
    push.load(Alerting(mode="shadow", heartbeat_url_file=str(file)))
    task = asyncio.get_running_loop().create_task(push.run())
    await asyncio.sleep(0.05)
    assert not client.asked
    push.publish(Alerts())
    await holds(lambda: client.asked)
    task.cancel()
    await asyncio.wait([task])
    await push.close()


@pytest.mark.parametrize(
    ("content", "reply", "expected"),
    [
        pytest.param(URL, GONE, "Connection refused (ECONNREFUSED)", id="refused"),
        pytest.param(URL, Reply(problem="its certificate is not for beat.example.com"),
                     "its certificate is not for <host>", id="not even its host"),
        pytest.param(URL, Reply(status=404, text=URL), "it is answered with 404", id="not found"),
        pytest.param(URL, Reply(status=301), "it is answered with 301", id="redirect"),
        pytest.param("s3cret-id", Reply(status=200), "does not hold an http:// or https:// URL", id="no URL"),
        pytest.param("https://u:s3cret-id@beat.example.com/", Reply(status=200), "does not hold an http:// or",
                     id="password"),
        pytest.param(None, Reply(status=200), "can't be read: No such file or directory", id="no file"),
    ],
)  # fmt: skip
async def test_a_failure_is_told_once_without_the_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None, reply: Reply, expected: str
) -> None:
    """A heartbeat that is not heard is one line in the log, and neither it nor its end shows the address."""
    caplog.set_level("DEBUG", "connector_health.push")
    file = tmp_path / "url"
    if content is not None:
        file.write_text(content)
    client = SilentClient()
    client.reply = reply
    async with beating(Heartbeat(lambda: str(file), lambda: BEAT_S, lambda: True, client)):
        await holds(lambda: caplog.records)
        await asyncio.sleep(4 * BEAT_S)  # some more beats
        assert len(caplog.records) == 1
        file.write_text(URL)
        client.reply = Reply(status=200)
        await holds(lambda: len(caplog.records) == 2)
    assert expected in caplog.messages[0]
    assert caplog.messages[1] == "the heartbeat is heard again"
    assert "s3cret" not in caplog.text
    assert "beat.example.com" not in caplog.text


async def test_a_real_one(tmp_path: Path) -> None:
    """Over HTTP it is a GET of path and query, with nothing of ours but the name of the program."""
    heard: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        await writer.drain()

    file = tmp_path / "url"
    async with scripted(answer) as port:
        file.write_text(f"http://127.0.0.1:{port}/ping/1?source=a%20b")
        heartbeat = Heartbeat(lambda: str(file), lambda: BEAT_S, lambda: True, HttpClient(FakeResolver()))
        async with beating(heartbeat):
            await holds(lambda: heard)
    assert heard[0].startswith("GET /ping/1?source=a%20b HTTP/1.1\r\n")
    assert "office" not in heard[0].lower()
