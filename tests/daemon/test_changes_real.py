"""From a fault to `failing`, in real time: a real engine in a network of its own, and a real process that ends."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from checks.runtime.model import RuntimeName, Sighting, Wanted
from daemon.board import Board
from daemon.changes.ring import Changes
from daemon.changes.watch import ChangeWatch
from daemon.config.load import parse_config
from daemon.engine import Engine
from daemon.looplag import LoopLag
from daemon.state import Policy, State, Transition
from daemon.vantage.watch import ConnectorWatch
from tests.support.netns import Namespace, link, namespace
from tests.support.servers import find, wait_until
from tests.support.sightings import RUNNING

BOUND_S = 10.0  # with confirm.interval at 0.5 s it takes 0.6 s on an idle machine; a slot would be minutes away
QUIET = """
clock: {servers: [], controller_date: false}
relays: {endpoints: []}
provider: {enabled: never}
"""
CONFIG = f"""
connector: {{name: t, runtime: none}}
{QUIET}
dns: {{nameservers: ["10.77.0.2"], search: []}}
checks: {{control_plane: false, resolver: false}}
schedule: {{timeout: 1s, interval: 5m, intervals: {{host: 10m}}, confirm: {{interval: 500ms}}}}
resources: [{{name: A, address: 10.88.0.1, tcp: [443]}}]
"""
DEFAULT, BESIDE = "ip route add default via 10.77.0.2", "ip route add 10.88.0.0/16 via 10.77.0.2"
HOST, PORT = "host:network", "tcp:10.88.0.1:443"


class Standing:
    """An engine in a namespace, and what it prints into a file."""

    def __init__(self, here: Namespace, said: Path) -> None:
        self.here = here
        self._said = said
        self._seen = 0
        self.texts: list[object] = []

    def until(self, **what: object) -> None:
        """Wait for a line that has all this in it, after those that were waited for before."""
        wait_until(lambda: self._find(what), lambda: True, self._said.read_text)

    def _find(self, what: dict[str, object]) -> bool:
        lines = self._said.read_text().split("\n")[:-1]
        for line in lines[self._seen :]:
            self._seen += 1
            found = json.loads(line)
            self.texts.append(found.get("text"))
            if what.items() <= found.items():
                return True
        return False


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """An engine at 10.77.0.1 that reaches 10.88.0.1 through its gateway 10.77.0.2, and has looked at all."""
    folder = tmp_path_factory.mktemp("real")
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    with namespace() as here, namespace() as there, contextlib.ExitStack() as stack:
        link(here, there)
        there.run("ip addr add 10.88.0.1/32 dev lo")
        service = stack.enter_context(there.open_socket(socket.AF_INET, socket.SOCK_STREAM))
        service.bind(("10.88.0.1", 443))
        service.listen(64)
        here.run(DEFAULT)
        here.run(BESIDE)
        argv = [find("ip") or "ip", "netns", "exec", here.name, sys.executable]
        with (folder / "said").open("wb") as out:
            process = subprocess.Popen(
                [*argv, "-m", "tests.support.engine_in_namespace", str(config)],
                stdout=out, cwd=Path(__file__).parents[2],
            )  # fmt: skip
        try:
            made = Standing(here, folder / "said")
            made.until(ready=True)
            yield made
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("fault", "mended", "row", "text"),
    [
        (["ip link set v0 down"], ["ip link set v0 up", DEFAULT, BESIDE], HOST, "link v0 went down"),
        (["ip route del default"], [DEFAULT], HOST, "the IPv4 default route was removed (it led via 10.77.0.2 on v0)"),
        (
            ["ip route replace unreachable 10.88.0.0/16"],
            [BESIDE.replace("add", "replace")],
            PORT,
            "route 10.88.0.0/16 via 10.77.0.2 on v0 was removed",
        ),
    ],
    ids=["link-down", "no-default-route", "route-to-a-resource"],
)
def test_fault_is_failing_at_once(standing: Standing, fault: list[str], mended: list[str], row: str, text: str) -> None:
    """A link or route that goes is noted, and what it breaks is failing long before its next slot; so is healing."""
    for command in fault:
        standing.here.run(command)
    standing.until(id=row, state="failing")
    assert text in standing.texts
    for command in mended:
        standing.here.run(command)
    standing.until(id=row, state="ok")


class Running:
    """A runtime whose Connector is a real process of this test."""

    name: RuntimeName = "docker"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def look(self) -> Sighting:
        """Look whether it runs."""
        if self._process.returncode is None:
            return replace(RUNNING, pid=self._process.pid)
        return replace(RUNNING, running=False, pid=None, status="exited", exit_code=self._process.returncode)

    async def close(self) -> None:
        """Do nothing: nothing is held."""


async def test_connector_that_ends_is_failing_at_once() -> None:
    """The Connector is killed: its row is failing after confirm.interval, and why is noted; no slot is waited for."""
    text = f"connector: {{name: t, runtime: docker, vantage: host}}\n{QUIET}dns: {{nameservers: ['127.0.0.1:9']}}\n"
    text += "checks: {host: false, control_plane: false, resolver: false}\n"
    text += "schedule: {intervals: {connector: 10m}, confirm: {interval: 500ms}}\n"
    config = parse_config(text.encode(), "test.yaml").config
    process = await asyncio.create_subprocess_exec("sleep", "600")

    async def find(_: Wanted) -> Running:
        return Running(process)

    watch = ConnectorWatch(config, find=find)
    await watch.begin()
    loop, wall_clock = asyncio.get_running_loop(), watch.seats.first.wall_clock
    failing = asyncio.Event()

    def hear(_: object, told: Iterable[Transition]) -> None:
        if any(change.after is State.FAILING for change in told):
            failing.set()

    board, changes = Board(Policy(), wall_clock, clock=loop.time), Changes(wall_clock)
    engine = Engine(config, board, LoopLag(), hear, watch)
    await engine.look_around()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(root) for root in (engine.scheduler.run(), ChangeWatch(watch, changes, engine).run())
        ]
        await asyncio.sleep(0.1)
        process.kill()
        async with asyncio.timeout(BOUND_S):
            await failing.wait()
            while not changes.recent():  # noqa: ASYNC110 - noted at the next tick
                await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
    assert board.rows["connector:process"].state is State.FAILING
    assert [c.text for c in changes.recent()] == ["the Connector (twingate-1) has stopped: exited, exit code -9"]
    await process.wait()
    await watch.close()
