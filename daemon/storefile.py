"""The file behind the store: SQLite. Everything here blocks, and runs in the store's one thread.

A rollback journal, not WAL: reading needs no write access and no shared memory (so `healthctl check` can look as
another user, or on a read-only file system), nothing stays beside the file, and there is one writer that writes a few
times a minute at most, so WAL's concurrency would gain nothing. `synchronous=FULL`: a power cut costs the last seconds.
"""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from checks.model import Json

log = logging.getLogger("connector_health.store")

APPLICATION = 0x43484C54  # "CHLT" in the file's header: another program's database is never touched
SCHEMA = 1
LOCK_S = 0.25  # the wait for another's lock; nobody but a reader should ever hold it
CACHE_KIB = 1024  # little: the file is written more than it is read
MAX_SET_ASIDE = 3  # damaged files kept for a look; more would fill the disk of a host whose disk is failing
KEEP_GOOD, KEEP_BAD = 20, 50  # spells of a row: what went wrong is what will be asked for
MAX_SPELLS = 100_000  # in all, about 20 MiB; over it the oldest good ones go first
MAX_CHANGES = 10_000
MAX_EVER_UP = 200_000
MAX_BASELINES = 10_000  # learned values; the one learned first goes first

_TABLES = """
CREATE TABLE IF NOT EXISTS ever_up (id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baseline (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS change (
  at REAL NOT NULL, id TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, PRIMARY KEY (at, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spell (
  id TEXT NOT NULL, began REAL NOT NULL, ended REAL NOT NULL, runs INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT,
  event TEXT, last_s REAL NOT NULL, most_s REAL NOT NULL, summary TEXT NOT NULL, PRIMARY KEY (id, began)
) WITHOUT ROWID;
"""
_TRIM_ROW = """
DELETE FROM spell WHERE id = :id AND (status = 'ok') = :good AND began < (
  SELECT began FROM spell WHERE id = :id AND (status = 'ok') = :good ORDER BY began DESC LIMIT 1 OFFSET :keep - 1)
"""
_TRIM_ALL = """
DELETE FROM spell WHERE (id, began) IN (SELECT id, began FROM spell ORDER BY status = 'ok' DESC, began LIMIT ?)
"""
_TRIM_CHANGES = "DELETE FROM change WHERE at < (SELECT at FROM change ORDER BY at DESC LIMIT 1 OFFSET ?)"
_TRIM_EVER_UP = "DELETE FROM ever_up WHERE id IN (SELECT id FROM ever_up ORDER BY at DESC LIMIT -1 OFFSET ?)"

SpellRow = tuple[str, float, float, int, str, str | None, str | None, float, float, str]
"""A spell as it lies in the file: id, began, ended, runs, status, reason, event, last_s, most_s, summary."""


def decoded(text: object) -> Json:
    """Return a learned value; None when there is none, or what a failing disk or a hand with ill intent made of it."""
    try:
        value: Json = json.loads(text or "null")  # type: ignore[arg-type]  # whatever lies in the file
    except (ValueError, TypeError, RecursionError):
        return None
    return value


class RefusedError(Exception):
    """The file is not for this version: it stays as it is. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What an earlier run left: ids that were ever up, and learned values as JSON by key."""

    ever_up: frozenset[str] = frozenset()
    baselines: dict[str, str] = field(default_factory=dict)

    def recall(self, key: str) -> Json:
        """Return the value learned under a key, else None."""
        return decoded(self.baselines.get(key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be written together. A baseline of None is deleted."""

    ever_up: tuple[tuple[str, float], ...] = ()
    baselines: tuple[tuple[str, str | None], ...] = ()
    spells: tuple[SpellRow, ...] = ()
    changes: tuple[tuple[float, str, str, str], ...] = ()

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not (self.ever_up or self.baselines or self.spells or self.changes)


class StoreFile:
    """One open database. Raises: sqlite3.Error, OSError, from each method; after one, call `open` again.

    `damaged` has the next `open` set the file aside: not all damage shows when a file is opened.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.damaged = False
        self._db: sqlite3.Connection | None = None

    def open(self) -> Past:
        """Open or make the file and return what it holds. A damaged file is set aside. Raises also: RefusedError."""
        self.close()
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if self.damaged:
            self._set_aside()
        try:
            return self._open()
        except RefusedError:
            self.close()  # it is not ours to hold: its own program, or who moves it away, must find it free
            raise
        except sqlite3.DatabaseError as error:
            self.close()
            if not is_damage(error):
                raise
            self._set_aside()
            return self._open()

    def write(self, changes: Changes) -> None:
        """Write all of it, or nothing."""
        db = self._connected()
        with _transaction(db):
            db.executemany("INSERT OR REPLACE INTO ever_up VALUES (?, ?)", changes.ever_up)
            for key, value in changes.baselines:
                if value is None:
                    db.execute("DELETE FROM baseline WHERE key = ?", (key,))
                else:
                    db.execute("INSERT OR REPLACE INTO baseline VALUES (?, ?)", (key, value))
            db.executemany("INSERT OR REPLACE INTO spell VALUES (?,?,?,?,?,?,?,?,?,?)", changes.spells)
            db.executemany("INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?)", changes.changes)
            self._trim(db, changes)

    def spells(self, row_id: str, limit: int) -> list[SpellRow]:
        """Return the latest spells of a row, newest first."""
        found = self._connected().execute(
            "SELECT * FROM spell WHERE id = ? ORDER BY began DESC LIMIT ?", (row_id, limit)
        )
        return found.fetchall()

    def close(self) -> None:
        """Close the file; without effect when it is not open."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> Past:
        db = self._db = sqlite3.connect(self.path, timeout=LOCK_S, isolation_level=None)
        version = _refuse_foreign(db)
        for pragma in ("journal_mode=DELETE", "synchronous=FULL", "temp_store=MEMORY", f"cache_size=-{CACHE_KIB}"):
            db.execute(f"PRAGMA {pragma}")
        with _transaction(db):
            for statement in _TABLES.split(";"):
                db.execute(statement)
            if version != SCHEMA:  # a file that is fine is opened without a write: the disk may be full
                db.execute(f"PRAGMA application_id={APPLICATION}")
                db.execute(f"PRAGMA user_version={SCHEMA}")
            db.execute(_TRIM_EVER_UP, (MAX_EVER_UP,))
        return _read_past(db)

    def _trim(self, db: sqlite3.Connection, changes: Changes) -> None:
        touched = {(spell[0], spell[4] == "ok") for spell in changes.spells}
        keep = {True: KEEP_GOOD, False: KEEP_BAD}
        db.executemany(_TRIM_ROW, [{"id": i, "good": good, "keep": keep[good]} for i, good in touched])
        if changes.changes:
            db.execute(_TRIM_CHANGES, (MAX_CHANGES - 1,))
        if changes.spells:
            (held,) = db.execute("SELECT count(*) FROM spell").fetchone()
            if held > MAX_SPELLS:
                db.execute(_TRIM_ALL, (held - MAX_SPELLS + MAX_SPELLS // 10,))  # a tenth more: not again at once

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.OperationalError("the file is not open")
        return self._db

    def _set_aside(self) -> None:
        names = [self.path.with_name(f"{self.path.name}.corrupt-{n}") for n in range(1, MAX_SET_ASIDE + 1)]
        free = [name for name in names if not name.exists()]
        aside = free[0] if free else min(names, key=lambda name: name.stat().st_mtime)
        self.path.replace(aside)
        # A journal that stays behind would be rolled back into the new file.
        for suffix in ("-journal", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        self.damaged = False
        log.warning("%s is damaged: set aside as %s, starting a new one", self.path, aside.name)


def read_past(path: str) -> Past:
    """Return what the daemon's file holds, without writing anything anywhere. Raises: sqlite3.Error, RefusedError."""
    uri = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, timeout=LOCK_S, isolation_level=None, uri=True)) as db:
        _refuse_foreign(db)
        return _read_past(db)


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file itself is broken, rather than out of reach, locked or out of space."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _refuse_foreign(db: sqlite3.Connection) -> int:
    """Return the schema's version, 0 for a new file. Raises: RefusedError."""
    version: int
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise RefusedError("it is the database of another program")
    if version > SCHEMA:
        raise RefusedError(f"it was written by a newer version (schema {version}, this version knows {SCHEMA})")
    return version


def _read_past(db: sqlite3.Connection) -> Past:
    return Past(
        ever_up=frozenset(row[0] for row in db.execute("SELECT id FROM ever_up LIMIT ?", (MAX_EVER_UP,))),
        baselines=dict(db.execute("SELECT key, value FROM baseline LIMIT ?", (MAX_BASELINES,))),
    )


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has rolled back by itself when the disk is full
            db.execute("ROLLBACK")
        raise
