"""The Connector's log from systemd's journal: the past, then live, without a thread and without `journalctl`.

The reader's descriptor becomes readable when journald has written; entries are read in small steps, and the event loop
goes on between them. journald rotates and deletes its files at any time: the library keeps our place.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from checks.connlog.model import LogUnreadableError, RawLine
from checks.connlog.rejoin import Rejoin

if TYPE_CHECKING:
    from checks.connlog.journal_reader import Entries

PLACES = (Path("/var/log/journal"), Path("/run/log/journal"))
MACHINE_ID = Path("/etc/machine-id")
MAX_PAST = 200_000  # entries: the Connector's log of days at its usual level, read in about a second
MAX_LINES = 1000
MAX_BYTES = 1 << 20
MAX_LINE = 256 << 10  # a line of ANALYTICS has about 2 KiB; what is longer than this is cut
STEP_S = 0.010  # how long one step may keep the event loop; a tenth of what makes our own measurements doubtful
ENTRIES_BETWEEN_LOOKS = 32  # at the clock: 0.1 ms of reading
BACK_STEP = 2000  # entries: walking back costs 0.4 µs an entry while the file is in memory
# The descriptor tells when there is news. Where inotify can't (watches used up, a network file system), nothing does.
LONGEST_SLEEP_S = 30.0
SHORTEST_SLEEP_S = 0.1


# journald cuts at LineMax= (48 KiB). Source: systemd.journal-fields(7).
GOES_ON = ("_LINE_BREAK", b"line-max")
STREAM = "_STREAM_ID"


class JournalSource:
    """Follows what one unit writes (a `LogSource`).

    `path` is a directory of journal files instead of this machine's; `note` is told what was left out (one clause).
    It never ends by itself: a unit may be started again. Close it (`aclose`) when it is not read to the end.
    """

    def __init__(
        self,
        *,
        unit: str,
        path: Path | None = None,
        max_past: int = MAX_PAST,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._match = f"_SYSTEMD_UNIT={unit}"
        self._path = path
        self._max_past = max_past
        self._note = note

    async def follow(self, cursor: str | None, since: float | None) -> AsyncGenerator[Sequence[RawLine], None]:
        """Yield batches from after `cursor`, else from `since` (Unix seconds), then live.

        Without both: all the past within the bound. A cursor whose entry was deleted leads to the next later one.
        Raises: LogUnreadableError; OSError when the journal's files break: then call again.
        """
        entries = self._open()
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        try:
            descriptor = entries.fileno()
            loop.add_reader(descriptor, news.set)
            try:
                steps = _Steps(entries, loop.time)
                await self._seek(steps, cursor, since)
                while True:
                    news.clear()
                    entries.process()  # files that are gone are let go of, new ones are found
                    lines, more = steps.read()
                    if lines:
                        yield lines
                    if more:
                        await asyncio.sleep(0)
                    else:
                        await _sleep(entries, news)
            finally:
                loop.remove_reader(descriptor)
        finally:
            entries.close()

    def _open(self) -> "Entries":
        try:
            from checks.connlog.journal_reader import Entries  # noqa: PLC0415 - an extra: only who reads it needs it
        except ImportError as error:
            raise LogUnreadableError(
                "reading the journal needs the Python module systemd: pip install connector-health[systemd]"
            ) from error
        _check_files([self._path] if self._path else _own_folders())
        try:
            return Entries(self._match, self._path, MAX_LINE)
        except OSError as error:
            raise LogUnreadableError(
                f"the journal can't be opened: {error.strerror}", permission=isinstance(error, PermissionError)
            ) from error

    async def _seek(self, steps: "_Steps", cursor: str | None, since: float | None) -> None:
        """Go to where reading begins: at the cursor, else at the time, but never before the bound on the past."""
        entries = steps.entries
        nearest: bool | None = None
        if cursor is not None:
            try:
                nearest = entries.find(cursor)
            except ValueError:
                self._note("the remembered place in the journal is no place of a journal: reading begins anew")
                cursor = None
            else:
                since = entries.at() if nearest is not None else since
        if (cursor is None or nearest is not None) and await steps.back(since, self._max_past):
            self._note(f"only the last {self._max_past} entries of the journal are read")
        elif cursor is None:
            steps.unread = entries.find_time(since or 0.0)
        else:
            exactly = entries.find(cursor)  # once more: going back has moved us
            steps.unread = exactly is False
            if not exactly:
                self._note("the journal no longer holds the place where reading had stopped: lines may be missing")


class _Steps:
    """Reads on from a position in bounded steps. `unread`: the entry at the position has not been read yet."""

    def __init__(self, entries: "Entries", time: Callable[[], float]) -> None:
        self.entries = entries
        self.unread = False
        self._time = time
        self._rejoin = Rejoin(MAX_LINE)

    def read(self) -> tuple[list[RawLine], bool]:
        """Return the whole lines of one step, and whether there may be more."""
        lines: list[RawLine] = []
        size = 0
        end = self._time() + STEP_S
        for count in range(1, MAX_LINES + 1):
            if not self.unread and not self.entries.step():
                return lines, False
            self.unread = False
            line = self._line()
            if line is not None:
                lines.append(line)
                size += len(line.text)
            if size > MAX_BYTES - MAX_LINE or (count % ENTRIES_BETWEEN_LOOKS == 0 and self._time() > end):
                break
        return lines, True

    async def back(self, since: float | None, most: int) -> bool:
        """Go back so many entries from the end; True when even the one before those is not earlier than `since`.

        Then the position is that one, so that reading begins after it.
        """
        self.entries.seek_tail()
        for done in range(0, most, BACK_STEP):
            if not self.entries.back(min(BACK_STEP, most - done)) or self._before(since):
                return False
            await asyncio.sleep(0)
        return self.entries.back(1) and not self._before(since)

    def _before(self, since: float | None) -> bool:
        return since is not None and self.entries.at() < since

    def _line(self) -> RawLine | None:
        """Return the line that ends with this entry; None when it goes on in another, or the entry holds none."""
        entries = self.entries
        text = entries.field("MESSAGE")
        if text is None:
            return None
        goes_on = entries.field(GOES_ON[0]) == GOES_ON[1]
        # Whose part it is matters only while there are parts; most lines are whole, and a field costs 1 µs.
        stream = entries.field(STREAM) or b"" if goes_on or self._rejoin.pending else b""
        whole = self._rejoin.add(stream, text, goes_on=goes_on)
        return None if whole is None else RawLine(at=entries.at(), text=whole, cursor=entries.cursor())


async def _sleep(entries: "Entries", news: asyncio.Event) -> None:
    """Wait until journald has written; not longer than the library allows where it can't be told of that."""
    allowed_ms = entries.get_timeout_ms()
    seconds = LONGEST_SLEEP_S if allowed_ms < 0 else min(max(allowed_ms / 1000, SHORTEST_SLEEP_S), LONGEST_SLEEP_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()


def _own_folders() -> list[Path]:
    try:
        machine = MACHINE_ID.read_text().strip()
    except (OSError, UnicodeError):
        return []
    return [place / machine for place in PLACES]


def _check_files(folders: Sequence[Path]) -> None:
    """Say why the journal can't be read; the library itself opens an empty one without a word.

    A user who may not read the system's journal still has one of his own: that is not enough.
    Raises: LogUnreadableError.
    """
    readable = denied = system_denied = False
    for folder in folders:
        try:
            files = list(folder.iterdir())
        except PermissionError:
            denied = True
            continue
        except OSError:
            continue
        for file in files:
            if file.suffix != ".journal":
                continue
            if os.access(file, os.R_OK, effective_ids=True):
                readable = True
            else:
                denied = True
                system_denied = system_denied or file.name == "system.journal"
    if system_denied or (denied and not readable):
        raise LogUnreadableError(
            "this process may not read the journal: its user must be in the group systemd-journal "
            "(SupplementaryGroups=systemd-journal in its unit)",
            permission=True,
        )
    if not readable:
        where = " or ".join(str(folder) for folder in folders) or f"{PLACES[0]} or {PLACES[1]}"
        raise LogUnreadableError(f"there are no journal files in {where}: journald runs elsewhere, or keeps none")
