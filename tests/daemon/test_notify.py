"""What systemd is told, and when it is told nothing."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checks.model import Status
from daemon.notify import BEATS_PER_TIMEOUT, STATUS_LINE_S, Notifier

TIMEOUT_S = 30.0


@contextlib.asynccontextmanager
async def _alive(notifier: Notifier) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(notifier.keep_alive())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_line_is_told_once() -> None:
    """Ready, stopping and the status line are said in systemd's words; the same status is not said again."""
    said: list[str] = []
    notifier = Notifier(said.append)
    notifier.ready()
    for text in ("3 ok", "3 ok", "2 ok, 1 critical"):
        notifier.status(text)
    notifier.stopping()
    assert said == ["READY=1", "STATUS=3 ok", "STATUS=2 ok, 1 critical", "STOPPING=1"]


@pytest.mark.looptime
async def test_watchdog_is_fed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog hears from us three times within its time, from the first moment on."""
    monkeypatch.setenv("WATCHDOG_USEC", str(int(TIMEOUT_S * 1e6)))
    loop = asyncio.get_running_loop()
    beats: list[float] = []
    async with _alive(Notifier(lambda _: beats.append(loop.time()))):
        await asyncio.sleep(4 * TIMEOUT_S - 1)
    assert beats == pytest.approx([n * TIMEOUT_S / BEATS_PER_TIMEOUT for n in range(4 * BEATS_PER_TIMEOUT)])


async def test_watchdog_is_not_fed_while_the_loop_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is stuck feeds nothing: systemd sees that, and restarts the service."""
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    said: list[str] = []
    heard = asyncio.Event()

    def hear(text: str) -> None:
        said.append(text)
        heard.set()

    async with _alive(Notifier(hear)):
        await heard.wait()
        before = len(said)
        time.sleep(0.1)  # noqa: ASYNC251 - the fault itself: five beats long nothing turns
        assert len(said) == before
        heard.clear()
        await heard.wait()
    assert set(said) == {"WATCHDOG=1"}


@pytest.mark.looptime
@pytest.mark.parametrize("microseconds", [None, "", "0", "-1", "soon"])
async def test_without_a_watchdog_nothing_is_fed(microseconds: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WATCHDOG_USEC, or with nonsense in it, the root task waits for ever and says nothing."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    if microseconds is not None:
        monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    said: list[str] = []
    async with _alive(Notifier(said.append)) as task:
        await asyncio.sleep(1000)
        assert (said, task.done()) == ([], False)


@pytest.mark.looptime
async def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without NOTIFY_SOCKET every word is dropped, also with a watchdog's time left in the environment."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    notifier = Notifier()
    notifier.ready()
    notifier.status("3 ok")
    notifier.stopping()
    async with _alive(notifier) as task:
        await asyncio.sleep(1000)
        assert not task.done()


def test_a_reload_is_told_while_the_service_is_up() -> None:
    """RELOADING=1 with the time it began, then READY=1, also when it fails; not while it starts or ends."""
    said: list[str] = []
    notifier = Notifier(said.append)
    with notifier.reloading():
        pass
    notifier.ready()
    with pytest.raises(ValueError, match="bad file"), notifier.reloading():
        raise ValueError("bad file")
    with notifier.reloading():
        notifier.stopping()
    words = [text.partition("=")[0] for text in said]
    assert words == ["READY", "RELOADING", "READY", "RELOADING", "STOPPING"]
    began = int(said[1].partition("MONOTONIC_USEC=")[2])
    assert 0 < began <= time.monotonic_ns() // 1000


@pytest.mark.looptime
async def test_the_status_line_tells_of_a_failed_reload() -> None:
    """`systemctl status` shows how many rows are how, and that the last configuration could not be loaded."""
    said: list[str] = []
    notifier, good = Notifier(said.append), [True]
    task = asyncio.get_running_loop().create_task(notifier.keep_told(lambda: {Status.OK: 3}, lambda: good[0]))
    await asyncio.sleep(STATUS_LINE_S)
    good[0] = False
    await asyncio.sleep(STATUS_LINE_S)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert said == ["STATUS=3 ok", "STATUS=3 ok; the configuration could not be loaded again: see the log"]


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_systemd_is_told_by_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool) -> None:
    """NOTIFY_SOCKET names a socket, by its path or abstract: each word is one datagram there."""
    name = f"connector-health-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if abstract else str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else str(tmp_path / "notify"))
        notifier = Notifier()
        notifier.ready()
        notifier.status("3 ok")
        assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"STATUS=3 ok"]


def test_a_systemd_that_does_not_hear_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody listens there: a warning says what could not be told, and the daemon runs on."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with caplog.at_level(logging.WARNING):
        Notifier().ready()
    assert [record.getMessage() for record in caplog.records] == [
        "systemd could not be told READY: No such file or directory"
    ]


async def test_a_busy_systemd_hears_the_last_words_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While systemd's socket is full nothing waits; then it hears that we are ready and how things are, once."""
    monkeypatch.setattr("daemon.notify.STATUS_LINE_S", 0.01)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others,
        caplog.at_level(logging.WARNING),
    ):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        others.setblocking(False)
        waiting = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                others.sendto(b"X=1", str(tmp_path / "notify"))
                waiting += 1
        notifier = Notifier()
        notifier.status("starting")
        notifier.ready()
        with notifier.reloading():
            pass
        assert [systemd.recv(100) for _ in range(waiting)] == [b"X=1"] * waiting
        systemd.settimeout(0)
        loop = asyncio.get_running_loop()
        telling = loop.create_task(notifier.keep_told(lambda: {Status.OK: 3}))
        assert await asyncio.wait_for(loop.sock_recv(systemd, 100), 5) == b"READY=1\nSTATUS=3 ok"
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
    assert not caplog.records
