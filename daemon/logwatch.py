"""Reads the Connector's own log, since its start and then live, and hands on what the parser lets through.

One root task. What the log says is evidence and never needed: when it can't be read the probes go on as before, the
reason is said once and shown, and silence is never taken for health.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, NoReturn

from checks.connlog.model import LogSource, LogUnreadableError, RawLine
from checks.connlog.parser import LogParser
from checks.model import Json
from checks.net.errors import NetError
from checks.net.text import printable
from checks.runtime.model import LogPlace
from daemon.insight import Insight, Memory
from daemon.vantage.watch import ConnectorWatch

log = logging.getLogger("connector_health.log")

CURSOR_KEY = "log:cursor"
BOOK_KEY = "log:book"  # what the lines before the cursor said and still holds
RETRY_S = 60.0  # a permission or a log driver that lacks does not come back by itself
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0)  # a connection that broke: the engine may be starting anew
QUIET_S = 0.3  # a log that says nothing for so long has been read to its end
LINES_AT_ONCE = 20  # a few ms of parsing and learning at worst: then the loop, and with it the probes, has its turn

MakeSource = Callable[[LogPlace, str], LogSource]
"""Makes the reader of a place; the second argument is the Docker engine's address."""


def source_of(place: LogPlace, docker_host: str) -> LogSource:
    """Return the reader of a place; its module is imported only now."""
    if place.kind == "docker":
        from checks.runtime.docker_log import DockerLog  # noqa: PLC0415

        return DockerLog(docker_host, place.id, tty=place.tty, note=_note)
    from checks.connlog.journal import JournalSource  # noqa: PLC0415

    return JournalSource(unit=place.id, note=_note)


def _note(clause: str) -> None:
    log.warning("the Connector's log: %s", printable(clause))


class LogWatch:
    """Follows the log of the Connector that `watch` follows; `memory` keeps the place to go on from."""

    def __init__(
        self, watch: ConnectorWatch, insight: Insight, memory: Memory, make_source: MakeSource = source_of
    ) -> None:
        self._watch = watch
        self._insight = insight
        self._memory = memory
        self._make_source = make_source
        self._parser = LogParser(None)
        self._failures = 0
        self._kept: Json = None
        self._restored = ""

    async def run(self) -> NoReturn:
        """Follow the log until cancelled, wherever the Connector goes."""
        while True:
            place = self._place()
            if self._watch.sighting is not None:
                self._insight.note_sighting(self._watch.sighting)  # before its lines: whose they are, and since when
            if place is None or place.problem:
                self._insight.unreadable(place.problem if place is not None else "")
                await self._watch.next_look()
                continue
            await _first_to_end(self._read_again_and_again(place), self._until_it_leaves(place))

    async def read_for(self, seconds: float) -> None:
        """Read what is there already, for at most `seconds`: a single look can't wait for what comes."""
        place = self._place()
        if place is None or place.problem:
            self._insight.unreadable(place.problem if place is not None else "")
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(end, loop.time() + 2 * QUIET_S)) as deadline:
                await self._read(place, lambda: deadline.reschedule(min(end, loop.time() + QUIET_S)))

    def _place(self) -> LogPlace | None:
        return self._watch.sighting.log if self._watch.sighting is not None else None

    async def _until_it_leaves(self, place: LogPlace) -> None:
        while self._place() == place:
            await self._watch.next_look()

    async def _read_again_and_again(self, place: LogPlace) -> NoReturn:
        while True:
            worth_it = await self._read(place)
            pause = BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1] if self._failures else BACKOFF_S[0]
            await asyncio.sleep(pause if worth_it else RETRY_S)

    async def _read(self, place: LogPlace, heard: Callable[[], None] = lambda: None) -> bool:
        """Read until the stream ends or breaks; return False when trying again soon is of no use.

        `heard` is called after each batch.
        """
        source = self._make_source(place, self._watch.connector.docker_host)
        sighting = self._watch.sighting
        since = sighting.started_at if sighting is not None else None
        self._insight.reading()
        cursor = self._cursor(place)
        if cursor is not None:
            self._restore(place)
        batches = source.follow(cursor, since)
        try:
            async for batch in batches:
                self._failures = 0
                await self._take(batch, place)
                heard()
        except LogUnreadableError as error:
            self._insight.unreadable(printable(str(error)))
            return False
        except (NetError, OSError) as error:
            self._failures += 1
            log.debug("the Connector's log broke off: %s", printable(str(error)))
        finally:
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()
        return True

    async def _take(self, batch: Sequence[RawLine], place: LogPlace) -> None:
        for start in range(0, len(batch), LINES_AT_ONCE):
            lines = batch[start : start + LINES_AT_ONCE]
            events = [event for line in lines if (event := self._parser.feed(line)) is not None]
            self._insight.note(events, lines=len(lines), at=lines[-1].at)
            # At once: who is cancelled here reads on from here, and counts nothing twice.
            self._memory.remember(CURSOR_KEY, {"place": place.id, "cursor": lines[-1].cursor})
            if events:
                self._keep(place)
            await asyncio.sleep(0)  # the probes have their turn

    def _keep(self, place: LogPlace) -> None:
        standing = {"place": place.id, "book": self._insight.book.standing()}
        if standing != self._kept:
            self._kept = standing
            self._memory.remember(BOOK_KEY, standing)

    def _restore(self, place: LogPlace) -> None:
        """Once for each place: what held when an earlier process of ours had read as far as we go on from."""
        if self._restored == place.id:
            return
        self._restored = place.id
        held = self._memory.recall(BOOK_KEY)
        if isinstance(held, dict) and held.get("place") == place.id:
            self._insight.book.restore(held.get("book"))

    def _cursor(self, place: LogPlace) -> str | None:
        held = self._memory.recall(CURSOR_KEY)
        if isinstance(held, dict) and held.get("place") == place.id:
            cursor = held.get("cursor")
            return cursor if isinstance(cursor, str) else None
        return None


async def _first_to_end(*parts: Coroutine[Any, Any, None]) -> None:
    """Run parts side by side until one of them ends; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in parts]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
