"""A log that is played from a script, and a watch on the Connector that writes it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from checks.connlog.model import RawLine
from checks.model import Json
from checks.runtime.model import LogPlace, Runtime, Wanted
from daemon.config.load import parse_config
from daemon.insight import Insight, Memory
from daemon.logwatch import CURSOR_KEY, LogWatch
from daemon.vantage.watch import ConnectorWatch
from tests.support.sightings import NOW, RUNNING, Looks

PLACE = LogPlace(kind="docker", id="container-1", driver="json-file")
LOGGED = replace(RUNNING, log=PLACE)
Step = Sequence[RawLine] | Exception | None
"""One batch, an error, or None: the stream ends."""


def line(text: str, number: int = 1) -> RawLine:
    """Make a line that was written a minute before NOW."""
    return RawLine(at=NOW - 60 + number, text=text.encode(), cursor=str(number))


class Source:
    """Plays one script after the other; after the last step it follows in silence."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = list(scripts)
        self.asked: list[tuple[str, str | None, float | None]] = []
        self.closed = 0
        self.silent = asyncio.Event()

    def make(self, place: LogPlace, docker_host: str) -> "Source":
        """Stand in for the maker of sources."""
        assert docker_host.startswith("unix://")
        self._place = place
        return self

    async def follow(self, cursor: str | None, since: float | None) -> AsyncIterator[Sequence[RawLine]]:
        """Play the next script."""
        self.asked.append((self._place.id, cursor, since))
        try:
            for step in self.scripts.pop(0) if self.scripts else ():
                if isinstance(step, Exception):
                    raise step
                if step is None:
                    return
                yield step
            self.silent.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Rig:
    """A watch on a Connector, what its log tells, and what is remembered."""

    def __init__(self, source: Source, *sightings: object, held: Json = None) -> None:
        self.source = source
        self.held: dict[str, Json] = {CURSOR_KEY: held}
        config = parse_config(b"connector: {name: t, runtime: docker, vantage: host}\n", "test.yaml").config

        async def find(_: Wanted) -> Runtime:
            return Looks(*(sightings or (LOGGED,)))  # type: ignore[arg-type]

        self.watch = ConnectorWatch(config, find=find)
        memory = Memory(self.held.get, self.held.__setitem__)
        self.insight = Insight(config, lambda: NOW, lambda _: None, memory)
        self.log = LogWatch(self.watch, self.insight, memory, source.make)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the log for the block."""
        await self.watch.begin()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.log.run())
            yield
            task.cancel()


async def test_a_silent_log_is_followed_all_the_same() -> None:
    """At its default level a Connector may say nothing for days: what its log can show is told."""
    source = Source([])
    rig = Rig(source, replace(LOGGED, environment={"TWINGATE_NETWORK": "acme"}))
    async with rig.running():
        await source.silent.wait()
        summary = rig.insight.log()
        assert summary is not None
        assert (summary.lines, summary.problem) == (0, "")
        can = summary.capability
        assert (can.errors, can.states, len(can.advice)) == (True, False, 2)
