"""The daemon in this process: it begins, reloads and ends in good order, and a part that ends takes it down."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.app import App, Options, load
from daemon.config.problems import ConfigError
from daemon.jobs import Result
from daemon.notify import Notifier
from daemon.state import State, Transition
from daemon.web.server import WebError
from tests.support.process import quiet_config, quiet_port
from tests.support.tcp import listening, port_of
from tests.support.webs import ask

FAST = "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 50ms}}\n"
HERE = "127.0.0.1"


def _options(config: Path, port: int | None = None) -> Options:
    return Options(config_file=str(config), listen=(Endpoint(HERE, port or quiet_port()),))


class Heard:
    """What a Notifier said and what the app observed, in the order in which it came."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.results: list[str] = []
        self.changes: list[tuple[str, State]] = []

    def observe(self, results: Iterable[Result], transitions: Iterable[Transition]) -> None:
        """Take what a run brought."""
        self.results += [result.id for result in results]
        self.changes += [(change.id, change.after) for change in transitions]


@contextlib.asynccontextmanager
async def running_app(options: Options, heard: Heard | None = None) -> AsyncIterator[App]:
    """Run the app for the block; enter when it listens, stop it at the end and see that this works."""
    heard = heard or Heard()
    up = asyncio.Event()

    def say(text: str) -> None:
        heard.said.append(text)
        if text == "READY=1":
            up.set()

    app = App(options, load(options), observe=heard.observe, notifier=Notifier(say))
    task = asyncio.get_running_loop().create_task(app.run())
    waiting = asyncio.get_running_loop().create_task(up.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield app
    finally:
        app.stop()
        await task


@pytest.fixture
def port() -> Iterator[int]:
    """A port that accepts."""
    with listening() as sock:
        yield port_of(sock)


def _one(folder: Path, port: int, more: str = FAST) -> Path:
    return quiet_config(folder, f"resources: [{{name: A, address: {HERE}, tcp: [{port}]}}]\n{more}")


async def test_begins_and_ends_in_good_order(tmp_path: Path, port: int) -> None:
    """READY when it listens, STOPPING at the end; then neither task, socket, thread nor signal handler is left."""
    before = {*Path("/proc/self/fd").iterdir()}
    options, heard = _options(_one(tmp_path, port)), Heard()
    async with asyncio.timeout(20), running_app(options, heard) as app:
        assert heard.said[0] == "READY=1"
        assert (await ask(options.listen[0], "/-/healthy")).status == 200
        await app.settled()
        assert heard.results[0] == f"tcp:{HERE}:{port}"
        assert heard.changes == [(f"tcp:{HERE}:{port}", State.OK)]
    assert heard.said[-1] == "STOPPING=1"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len({*Path("/proc/self/fd").iterdir()}) <= len(before)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("store")] == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends(number: signal.Signals, tmp_path: Path, port: int) -> None:
    """SIGTERM and SIGINT end `run`, before anybody else stops it."""
    options, heard = _options(_one(tmp_path, port)), Heard()
    async with asyncio.timeout(20), running_app(options, heard):
        signal.raise_signal(number)
        while "STOPPING=1" not in heard.said:  # noqa: ASYNC110 - the notifier is told, nobody awaits it
            await asyncio.sleep(0)
    assert heard.said[-1] == "STOPPING=1"


class _Ends(Notifier):
    """A part with a bug: its root task returns."""

    async def keep_alive(self) -> None:
        """Return at once."""


class _Breaks(Notifier):
    """A part with a bug: its root task fails."""

    async def keep_alive(self) -> None:
        """Fail at once."""
        raise OSError("scripted")


@pytest.mark.parametrize(
    ("notifier", "kind", "text"),
    [(_Ends, RuntimeError, "the root task 'watchdog' has ended"), (_Breaks, OSError, "scripted")],
)
async def test_root_task_that_ends_takes_the_process_down(
    notifier: type[Notifier], kind: type[Exception], text: str, tmp_path: Path, port: int
) -> None:
    """A root task that returns or fails ends `run` with that error; the port is closed in good order."""
    options = _options(_one(tmp_path, port))
    app = App(options, load(options), notifier=notifier(lambda _: None))
    async with asyncio.timeout(20):
        with pytest.RaisesGroup(pytest.RaisesExc(kind, match=text)):
            await app.run()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with socket.socket() as client:
        assert client.connect_ex((HERE, options.listen[0].port)) != 0


async def test_port_in_use_leaves_nothing_open(tmp_path: Path, port: int) -> None:
    """When the page's port is taken, `run` says so, and the store that was open already is closed."""
    options = _options(_one(tmp_path, port), port)
    with pytest.raises(WebError, match=f"{HERE}:{port} is in use"):
        await App(options, load(options)).run()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("store")] == []


async def test_reload_says_why_it_failed_and_keeps_the_last_good_one(
    tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A file with mistakes changes nothing but the figure that tells of it; a good one is put in force."""
    options = _options(_one(tmp_path, port))
    async with asyncio.timeout(20), running_app(options) as app:
        await app.settled()
        quiet_config(tmp_path, "resources: [{name: B}]")
        why = await app.reload()
        assert why is not None
        assert "config.yaml:8:13: resources[0].address" in why
        view = app.view()
        assert (view.engine.reload_ok, [r.name for r in view.plan.resources]) == (False, ["A"])
        assert f"tcp:{HERE}:{port}" in view.board.rows
        _one(tmp_path, port).write_text(_one(tmp_path, port).read_text().replace("name: A", "name: B"))
        assert await app.reload() is None
        view = app.view()
        assert (view.engine.reload_ok, [r.name for r in view.plan.resources]) == (True, ["B"])
        assert view.board.rows[f"tcp:{HERE}:{port}"].state == State.OK, "the same endpoint goes on as it was"
        (tmp_path / "config.yaml").unlink()
        why = await app.reload()
        assert why is not None
        assert "config.yaml" in why
    assert sum("the last good one stays" in record.getMessage() for record in caplog.records) == 2


async def test_reload_says_what_needs_a_restart(tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture) -> None:
    """A changed address of the page, or of the state file, is said to wait for a restart; the rest is in force."""
    options = _options(_one(tmp_path, port))
    async with asyncio.timeout(20), running_app(options) as app:
        config = _one(tmp_path, port, FAST + "web: {external_url: 'http://health.test/'}\n")
        config.write_text(config.read_text().replace("state.db", "other.db"))
        assert await app.reload() is None
    said = [record.getMessage() for record in caplog.records if "only after a restart" in record.getMessage()]
    assert [text.partition(":")[0] for text in said] == ["web", "state"]
    assert not (tmp_path / "other.db").exists()


async def test_change_of_a_verdict_is_logged_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A verdict that changes is one line in the log, and one spell in the history."""
    options = _options(_one(tmp_path, quiet_port()))
    with caplog.at_level(logging.INFO):
        async with asyncio.timeout(20), running_app(options) as app:
            await app.settled()
            (row_id,) = (row.id for row in app.view().board.rows.values() if row.result.check == "tcp")
            reply = await ask(options.listen[0], f"/api/v1/history?id={row_id}")
            assert (reply.status, '"refused"' in reply.text) == (200, True)
            assert (await ask(options.listen[0], "/api/v1/history?id=tcp:no.such:1")).status == 404
    assert sum(f"{row_id}: pending -> failing: " in record.getMessage() for record in caplog.records) == 1


def test_command_line_wins_over_the_file(tmp_path: Path) -> None:
    """--web.listen-address replaces `web.listen`; without it the file's stands; a bad file is a ConfigError."""
    config = quiet_config(tmp_path, "web: {listen: ['127.0.0.3:1234']}")
    assert load(Options(config_file=str(config))).config.web.listen == (Endpoint("127.0.0.3", 1234),)
    given = Options(config_file=str(config), listen=(Endpoint(HERE, 1),))
    assert load(given).config.web.listen == given.listen
    with pytest.raises(ConfigError):
        load(Options(config_file=str(tmp_path / "none.yaml")))


async def test_proxy_in_the_environment_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Proxy variables are ignored, and that is said at the start."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    options = _options(quiet_config(tmp_path, ""))
    App(options, load(options))
    assert any("HTTPS_PROXY" in record.getMessage() for record in caplog.records)
