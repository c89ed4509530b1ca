"""The Connector's row against a real Docker: a container that runs, ends, starts anew, and tells of itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from checks.connector import ConnectorSpec, new_memory, probe
from checks.model import Outcome, Reason, Status
from checks.net.seat import Context, Seat
from checks.net.text import printable_json
from checks.runtime.docker import DockerRuntime
from tests.support.dockerd import DockerHost
from tests.support.fakes import FakeResolver
from tests.support.servers import free_port


class Watcher:
    """Looks again and again, as the daemon does."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def look(self) -> Outcome:
        """Look once."""
        return (await probe(ConnectorSpec(), self._context))["process"]

    async def until(self, holds: Callable[[Outcome], bool]) -> Outcome:
        """Look until it holds: what Docker does takes its time."""
        async with asyncio.timeout(20):
            while True:
                outcome = await self.look()
                if holds(outcome):
                    return outcome
                await asyncio.sleep(0.05)


@asynccontextmanager
async def watching(docker: DockerHost) -> AsyncIterator[Watcher]:
    """Watch the one Connector of this dockerd."""
    runtime = DockerRuntime(docker.url)
    seat = Seat(resolver=FakeResolver(), wall_clock=time.time)  # noqa: TID251 - the true clock of the test
    try:
        yield Watcher(Context(seat=seat, connector=runtime, memory=new_memory()))
    finally:
        await runtime.close()


async def test_it_runs_ends_and_starts_again(docker: DockerHost) -> None:
    """ok, then not_running with its exit code, then ok with one restart; no token is in any outcome."""
    docker.run("office", env={"TWINGATE_ACCESS_TOKEN": "s3cret-access", "TWINGATE_LABEL_HOSTNAME": "h"})
    async with watching(docker) as watcher:
        seen = [await watcher.look()]
        docker.order("office", "exit 3")
        seen.append(await watcher.until(lambda outcome: outcome.status is not Status.OK))
        docker.start_container("office")
        seen.append(await watcher.until(lambda outcome: outcome.status is Status.OK))
        docker.restart("office")
        seen.append(await watcher.until(lambda outcome: outcome.facts["restarts"] == 2))
    assert [(outcome.status, outcome.reason) for outcome in seen] == [
        (Status.OK, None), (Status.CRITICAL, Reason.NOT_RUNNING), (Status.OK, None), (Status.OK, None),
    ]  # fmt: skip
    assert "container office does not run: exited since 20" in seen[1].summary
    assert (seen[1].facts["exit_code"], seen[1].facts["running"], seen[2].facts["restarts"]) == (3, False, 1)
    shown = json.dumps([printable_json(outcome.facts) for outcome in seen]) + repr(seen)
    assert "s3cret" not in shown
    assert "TWINGATE_LABEL_HOSTNAME" in shown


async def test_a_restart_loop_is_seen(docker: DockerHost) -> None:
    """A container that Docker starts again and again: not_running between two attempts, and restarting beside that."""
    docker.run("loop", ["/bin/sh", "-c", "exit 7"], restart_policy={"Name": "always"})
    async with watching(docker) as watcher:
        await watcher.look()
        found = await watcher.until(lambda outcome: "restarting" in str(outcome.facts["also"]))
    assert (found.reason, found.facts["status"], found.facts["exit_code"]) == (Reason.NOT_RUNNING, "restarting", 7)


async def test_its_descriptors_and_health_are_seen(docker: DockerHost) -> None:
    """The limit of a real process is read, and its own health command is a warning at most."""
    docker.run("low", health="/connectorctl health", ulimits=[{"Name": "nofile", "Soft": 40, "Hard": 40}])
    async with watching(docker) as watcher:
        fine = await watcher.until(lambda outcome: outcome.facts["health"] == "healthy")
        docker.order("low", "run touch /run/unhealthy")
        ill = await watcher.until(lambda outcome: outcome.facts["health"] == "unhealthy")
    assert fine.status is Status.OK
    assert (ill.status, ill.reason) == (Status.WARNING, Reason.UNHEALTHY)
    limits = fine.facts["fds"]
    assert isinstance(limits, dict)
    assert limits["limit"] == 40


async def test_its_own_port_is_left_alone_where_its_network_is_not_ours(docker: DockerHost) -> None:
    """The same number on this host may be anything: it is not asked, and that is told."""
    docker.run("away", env={"TWINGATE_METRICS_PORT": str(free_port())})
    async with watching(docker) as watcher:
        assert "network namespace" in str((await watcher.look()).facts["own_metrics"])
