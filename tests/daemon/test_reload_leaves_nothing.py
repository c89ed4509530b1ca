"""Targets that a reload removed are gone at once: from what is shown, and from the memory of the whole daemon."""

import asyncio
import gc
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.net import dnsquestion
from checks.net.endpoint import Endpoint
from daemon.app import App, Options, load
from daemon.judge import TICK_S
from daemon.notify import Notifier
from tests.support.process import quiet_config, quiet_port
from tests.support.webs import ask

MARK = "zqgone"  # in every name and address of what will go
STAYS = "  - {name: Stays, address: 127.0.0.1, tcp: [9]}\n"
FAST = (
    "schedule: {interval: 1s, timeout: 500ms, confirm: {interval: 50ms}}\nmetrics: {detail: all}\n"
    "probing: {allow: [127.0.0.0/8]}\n"
)
TEXT, BYTES = re.compile(f"{MARK}[- ]"), re.compile(rf"{MARK}[- ]".encode())  # patterns that don't fit themselves
GONE_WITHIN_S = 10.0  # most of it is gone already


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Let nobody keep what is logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _text(count: int) -> str:
    """Write Resources by name (which fails), by address (refused), and with ports that are not probed."""
    lines = "".join(
        f"  - {{name: {MARK} {n}, address: {MARK}-{n}.test, tcp: [443, 5432], labels: {{team: {MARK}}}}}\n"
        f"  - {{name: {MARK} port {n}, address: 127.0.1.{n + 1}, tcp: [9]}}\n"
        f'  - {{name: {MARK} all {n}, address: "*.{MARK}-{n}.test"}}\n'
        for n in range(count)
    )
    return f"resources:\n{STAYS}{lines}{FAST}"


def _holders() -> list[str]:
    """Return what holds a text in which something of MARK is named: the kinds of the objects."""
    gc.collect()
    return [type(one).__name__ for one in gc.get_objects() if any(map(_names_it, gc.get_referents(one)))]


def _names_it(held: object) -> bool:
    if isinstance(held, str):
        return TEXT.search(held) is not None
    return isinstance(held, bytes) and BYTES.search(held) is not None


async def test_nothing_is_left_of_what_was_removed(tmp_path: Path) -> None:
    """No metric names targets that a reload removed, and seconds later no page and no object does."""
    options = Options(config_file=str(quiet_config(tmp_path, _text(5))), listen=(Endpoint("127.0.0.1", quiet_port()),))
    app = App(options, load(options), notifier=Notifier())
    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        running = group.create_task(app.run())
        await app.settled()
        while not any(TEXT.search(str(key)) for key in app.view().alerts.pending):  # noqa: ASYNC110 - it judges by itself
            await asyncio.sleep(0.2)
        for page in ("/metrics", "/", "/api/v1/status"):
            assert MARK in (await ask(options.listen[0], page)).body.decode(), page
        quiet_config(tmp_path, _text(0))
        assert await app.reload() is None
        shown = (await ask(options.listen[0], "/metrics")).body.decode()
        assert [line for line in shown.splitlines() if MARK in line and "_diagnosis" not in line] == []
        assert not any(MARK in row_id for row_id in app.engine.board.rows)
        await asyncio.sleep(2 * TICK_S)
        for page in ("/metrics", "/", "/api/v1/status"):
            assert MARK not in (await ask(options.listen[0], page)).body.decode(), page
        await app._store.flush()  # as it does every few seconds
        dnsquestion.question.cache_clear()  # bounded, and knows names by themselves
        end = asyncio.get_running_loop().time() + GONE_WITHIN_S
        while _holders() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - nobody tells that nothing is held
            await asyncio.sleep(0.5)
        assert _holders() == []
        app.stop()
        await running
