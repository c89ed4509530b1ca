"""What systemd is told, and when it is told nothing."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator

import pytest

from daemon.notify import BEATS_PER_TIMEOUT, Notifier

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


def test_missing_module_is_said_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """systemd waits but systemd-python is missing: one warning names the extra, and the daemon runs on."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/nowhere")
    monkeypatch.setitem(sys.modules, "systemd", None)
    with caplog.at_level(logging.WARNING):
        Notifier().ready()
    assert [record.getMessage() for record in caplog.records] == [
        "systemd waits for notifications but systemd-python is missing: install connector-health[systemd]"
    ]
