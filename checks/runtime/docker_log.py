"""The Connector's log from Docker: the past, then live, on the event loop; lines that Docker has split are whole again.

By hand: docker logs --follow --timestamps --since TIME NAME
Source: Docker Engine API, ContainerLogs.
"""

import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final
from urllib.parse import quote

from checks.connlog.model import LogUnreadableError, RawLine
from checks.model import Reason
from checks.net.errors import NetError
from checks.runtime.docker_frames import BareRecords, FramedRecords
from checks.runtime.docker_http import DockerConnection, docker_connection
from checks.runtime.docker_lines import MAX_LINE, Lines, Place, parse_place
from checks.runtime.docker_time import NS

MAX_PAST = 200_000  # records: the Connector's log of days at its usual level
MAX_LINES = 1000
CLOCK_SLACK_NS = NS  # a cursor further in the future than this was made before the clock was set back
_VERSION: Final = re.compile(r"[1-9]\d?\.\d{1,3}\Z", re.ASCII)


class DockerLog:
    """Follows what one container writes (a `LogSource`): it ends when the container stops and all was read.

    `container` is its id, `tty` whether it has a terminal; `note` is told what was left out (one clause). Close the
    iterator (`aclose`) when it is not read to the end.
    """

    def __init__(
        self,
        docker_host: str,
        container: str,
        *,
        tty: bool = False,
        max_past: int = MAX_PAST,
        note: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,  # noqa: TID251 - this is where `now` is injected
    ) -> None:
        self._host = docker_host
        self._container = container
        self._tty = tty
        self._max_past = max_past
        self._note = note
        self._now = now

    async def follow(self, cursor: str | None, since: float | None) -> AsyncGenerator[Sequence[RawLine], None]:
        """Yield batches from after `cursor`, else from `since` (Unix seconds), then live.

        Raises: LogUnreadableError; NetError or OSError when the connection breaks: then call again.
        """
        place = self._place(cursor, since)
        lines = Lines(place)
        records = BareRecords() if self._tty else FramedRecords()
        async with docker_connection(self._host) as docker:
            await self._open(docker, place)
            while data := await docker.receive():
                for batch in _batches(line for one in records.feed(data) if (line := lines.add(*one)) is not None):
                    yield batch
                if lines.cut:
                    self._note(f"{lines.cut} lines longer than {MAX_LINE >> 10} KiB were cut")
                    lines.cut = 0
            for batch in _batches(line for one in records.end() if (line := lines.add(*one)) is not None):
                yield batch

    def _place(self, cursor: str | None, since: float | None) -> Place:
        place = parse_place(cursor) if cursor is not None else None
        now = int(self._now() * NS)
        if place is not None and place.last > now + CLOCK_SLACK_NS:
            # Docker would leave out all that is older by its time stamps, however new it is.
            self._note("the clock was set back since the log was read last: reading begins with what is new")
            return Place(base=now)
        if place is None:
            return Place(base=max(0, int((since or 0.0) * NS)))
        return place

    async def _open(self, docker: DockerConnection, place: Place) -> None:
        """Ask for the log in the engine's own version of the API, and judge the head of the answer."""
        ping = await docker.get("/_ping")
        version = dict(ping.headers).get(b"api-version", b"").decode("ascii", "replace")
        await docker.small()
        if not _VERSION.match(version):
            raise LogUnreadableError(f"what answers at {self._host} is not Docker: it names no version of its API")
        since = f"&since={place.base // NS}.{place.base % NS:09d}" if place.base else ""
        answer = await docker.get(
            f"/v{version}/containers/{quote(self._container, safe='')}/logs"
            f"?follow=1&stdout=1&stderr=1&timestamps=1&tail={self._max_past}{since}"
        )
        match answer.status_code:
            case 200:
                return
            case 404:
                raise LogUnreadableError("the container is gone")
            case 501:
                raise LogUnreadableError("its log driver keeps nothing that Docker could read")
            case 401 | 403:
                raise LogUnreadableError(
                    "whoever stands before Docker's socket does not let logs through", permission=True
                )
            case status:
                raise NetError(Reason.HTTP_STATUS, f"Docker answered HTTP {status} to the question for the log")


def _batches(lines: Iterable[RawLine]) -> Iterable[Sequence[RawLine]]:
    """Cut what one read has brought (less than 1 MiB: a read, and what was begun of a line before) into batches."""
    batch: list[RawLine] = []
    for line in lines:
        batch.append(line)
        if len(batch) == MAX_LINES:
            yield batch
            batch = []
    if batch:
        yield batch
