"""What survives a restart: what was ever up, learned values, and the history of each row.

On the event loop there are only bounded buffers; a thread writes them every few seconds, and at the stop. The store
may cost the past, never the present: whatever is wrong with the file, the daemon runs, says so once, keeps what it
can in memory and tries again.
"""

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections import deque
from collections.abc import Iterable
from typing import NoReturn

from checks.blocking import Blocking, BusyError
from checks.model import Event, Json, Reason, Status
from daemon.history import Spell, Unsaved
from daemon.jobs import SECOND_SEAT, Result
from daemon.state import Transition
from daemon.storefile import (
    MAX_BASELINES,
    Changes,
    Past,
    RefusedError,
    SpellRow,
    StoreFile,
    decoded,
    is_damage,
    read_past,
)

log = logging.getLogger("connector_health.store")

FLUSH_S = 5.0  # a crash costs what was learned in this time; more often would only wear out flash
RETRY_S = 60.0  # after trouble: soon enough for who has just made room, rare enough for a disk that is gone
CALL_S = 10.0  # a write that takes longer is given up on (its thread may still end it: writing twice is harmless)
READ_S = 1.0  # somebody waits for a page
STOP_S = 0.9  # systemd and the person at the terminal wait: then what is not written is lost
MAX_CHANGES_UNSAVED = 20_000
MAX_HISTORY = 1000  # spells in one answer

_TROUBLE = (sqlite3.Error, OSError, BusyError)  # TimeoutError is an OSError


class Store:
    """Reads the past when opened, and writes what is noted. Made on the event loop on which it runs.

    - `ever_up`: ids of the rows that were ok at least once, in earlier runs and in this one.
    - `problem`: why nothing is written at present (one clause), else None.
    """

    def __init__(
        self, path: str, *, blocking: Blocking | None = None, flush_s: float = FLUSH_S, retry_s: float = RETRY_S
    ) -> None:
        self.ever_up: set[str] = set()
        self.problem: str | None = None
        self._path = path
        self._file = StoreFile(path)
        self._thread = blocking or Blocking("store")
        self._flush_s, self._retry_s = flush_s, retry_s
        self._clock = asyncio.get_running_loop().time
        self._open = False
        self._refused = False
        self._past_known = False
        self._retry_at = 0.0
        self._spells = Unsaved()
        self._changes: deque[tuple[float, str, str, str]] = deque()
        self._changes_dropped = 0
        self._up: dict[str, float] = {}  # ok in this run: id → when that was first noted
        self._up_unsaved: set[str] = set()
        self._baselines: dict[str, str] = {}
        self._baselines_unsaved: set[str] = set()

    @property
    def dropped(self) -> int:
        """How many spells and transitions were lost because the buffers were full."""
        return self._spells.dropped + self._changes_dropped

    async def open(self) -> None:
        """Read the past. Never raises: without a usable file there is none, and `problem` says why."""
        try:
            past = await self._thread.call(self._file.open, CALL_S)
        except RefusedError as error:
            self._refused, self.problem = True, str(error)
            log.warning(
                "%s is left untouched: %s. Running without a past (which ports were ever up, since when alerts fire, "
                "what was learned); nothing is saved. Set state.path to another file, or install the newer version",
                self._path, error,
            )  # fmt: skip
            return
        except _TROUBLE as error:
            self._in_trouble(error)
            if not self._past_known:
                self._restore(await self._readable_past())
            return
        self._restore(past)
        self._open = True

    def note_result(self, result: Result) -> None:
        """Keep a result for the history, and whether its row was ever up."""
        if result.second:
            return
        self._spells.note(result)
        if result.id not in self._up and result.accepted:
            self._up[result.id] = result.started_at
            self._up_unsaved.add(result.id)
            self.ever_up.add(result.id)

    def note_gone(self, row_ids: Iterable[str]) -> None:
        """Let go of rows that are gone; their history is in the file, and that they were up is known."""
        for row_id in row_ids:
            self._spells.end(row_id)

    def note_transition(self, transition: Transition) -> None:
        """Keep a change of state; a row's first state is none."""
        if transition.before is None or transition.id.endswith(SECOND_SEAT):
            return
        self._changes.append((transition.at, transition.id, transition.before, transition.after))
        if len(self._changes) > MAX_CHANGES_UNSAVED:
            self._changes.popleft()
            self._changes_dropped += 1

    def remember(self, key: str, value: Json) -> None:
        """Keep a learned value under a key for the next run; None forgets it. Raises: TypeError if it is no JSON."""
        self._baselines_unsaved.add(key)
        self._baselines.pop(key, None)
        if value is not None:
            self._baselines[key] = json.dumps(value, default=dict, allow_nan=False)
        if len(self._baselines) > MAX_BASELINES:
            oldest = next(iter(self._baselines))
            del self._baselines[oldest]
            self._baselines_unsaved.add(oldest)

    def recall(self, key: str) -> Json:
        """Return what was last remembered under a key, in this run or an earlier one; else None."""
        return decoded(self._baselines.get(key))

    async def history(self, row_id: str, limit: int = 100) -> list[Spell]:
        """Return a row's latest spells, newest first: all that are kept while the file can be read, else this run's."""
        limit = max(0, min(limit, MAX_HISTORY))
        found: dict[float, Spell] = {}
        if self._open:
            try:
                rows = await self._thread.call(lambda: self._file.spells(row_id, limit), READ_S)
                found = {row[1]: spell for row in rows if (spell := _spell(row)) is not None}
            except _TROUBLE as error:
                self._in_trouble(error)
        found.update((spell.began, spell) for spell in self._spells.of(row_id))
        return [found[began] for began in sorted(found, reverse=True)[:limit]]

    async def run(self) -> NoReturn:
        """Write what was noted every few seconds, until cancelled; `close` writes the rest."""
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted; after trouble first open the file anew, but not before it is time for that."""
        if not self._open and not self._refused and self._clock() >= self._retry_at:
            await self.open()
        if self._open:
            await self._write(CALL_S)

    async def close(self) -> None:
        """Write the rest and close the file, in less than a second; what can't be written by then is given up."""
        end = self._clock() + STOP_S
        if self._open:
            self._spells.mark_all()
            await self._write(STOP_S)
            with contextlib.suppress(*_TROUBLE):
                await self._thread.call(self._file.close, end - self._clock())
        if not await self._thread.close(end - self._clock()):
            log.warning("%s does not answer: what was learned in the last seconds is lost", self._path)

    @staticmethod
    async def read_only(path: str) -> Past:
        """Return the past, for `healthctl check`: writes nothing; an empty one when the file can't be read."""
        thread = Blocking("store-reader")
        try:
            return await thread.call(lambda: read_past(path), READ_S)
        except (RefusedError, *_TROUBLE) as error:
            log.debug("%s can't be read: %s", path, error)
            return Past()
        finally:
            await thread.close(0.0)

    async def _readable_past(self) -> Past:
        """Return the past from a file that can be read though not written."""
        try:
            return await self._thread.call(lambda: read_past(self._path), READ_S)
        except (RefusedError, *_TROUBLE):
            return Past()

    async def _write(self, timeout_s: float) -> None:
        changes, spells = self._take()
        try:
            if not changes.empty:
                await self._thread.call(lambda: self._file.write(changes), timeout_s)
            if self.problem is not None:  # not when it could be opened: a full disk allows that
                self.problem = None
                log.info("%s can be written again", self._path)
        except _TROUBLE as error:
            self._put_back(changes, spells)
            self._in_trouble(error)
        except asyncio.CancelledError:  # the daemon stops: `close` writes it (twice is harmless)
            self._put_back(changes, spells)
            raise

    def _take(self) -> tuple[Changes, list[Spell]]:
        """Empty the buffers. Spells go on while the thread writes: it gets copies."""
        spells = self._spells.take()
        changes = Changes(
            ever_up=tuple((row_id, self._up[row_id]) for row_id in self._up_unsaved),
            baselines=tuple((key, self._baselines.get(key)) for key in self._baselines_unsaved),
            spells=tuple(_row(spell) for spell in spells),
            changes=tuple(self._changes),
        )
        self._up_unsaved, self._baselines_unsaved = set(), set()
        self._changes.clear()
        return changes, spells

    def _put_back(self, changes: Changes, spells: list[Spell]) -> None:
        self._up_unsaved.update(row_id for row_id, _ in changes.ever_up)
        self._baselines_unsaved.update(key for key, _ in changes.baselines)
        self._spells.put_back(spells)
        room = MAX_CHANGES_UNSAVED - len(self._changes)
        self._changes_dropped += max(0, len(changes.changes) - room)
        self._changes.extendleft(reversed(changes.changes[-room:] if room else ()))

    def _restore(self, past: Past) -> None:
        """Join what the file holds with what this run has learned so far; have all of that written."""
        self._past_known = True
        self.ever_up |= past.ever_up
        self._up_unsaved.update(self._up)
        forgotten = {key for key in self._baselines_unsaved if key not in self._baselines}
        learned = self._baselines
        self._baselines = {key: value for key, value in past.baselines.items() if key not in forgotten} | learned
        self._baselines_unsaved.update(learned)

    def _in_trouble(self, error: Exception) -> None:
        self._open = False
        if isinstance(error, sqlite3.Error) and is_damage(error):
            self._file.damaged, self._retry_at = True, 0.0  # a new file can be had at once
            return
        self._retry_at = self._clock() + self._retry_s
        reason = str(error) or type(error).__name__
        if self.problem is None:
            log.warning(
                "%s can't be used (%s): state is kept in memory only, tried again every %g s; see df and ls -l on it",
                self._path, reason, self._retry_s,
            )  # fmt: skip
        self.problem = reason


def _row(spell: Spell) -> SpellRow:
    return (
        spell.id, spell.began, spell.ended, spell.runs, spell.status, spell.reason, spell.event,
        spell.last_s, spell.most_s, spell.summary,
    )  # fmt: skip


def _spell(row: SpellRow) -> Spell | None:
    """Make a spell of what lies in the file; None for words of another version."""
    row_id, began, ended, runs, status, reason, event, last_s, most_s, summary = row
    try:
        return Spell(
            id=row_id, began=began, ended=ended, runs=runs, status=Status(status),
            reason=None if reason is None else Reason(reason), event=None if event is None else Event(event),
            last_s=last_s, most_s=most_s, told=summary,
        )  # fmt: skip
    except ValueError:
        return None
