"""What is needed of systemd's journal, one entry at a time, with as little conversion as possible.

Only `checks.connlog.journal` imports this, and only once a journal is to be read: it needs the module systemd-python.
The library's own `get_next` converts every field of an entry (13 µs); the few fields needed here cost 3 µs.
Source: sd-journal(3), sd_journal_get_data(3), sd_journal_seek_cursor(3).
"""

from pathlib import Path

from systemd import journal

MICRO = 1e-6


class Entries(journal.Reader):  # type: ignore[misc] # the library has no types
    """The entries that match (FIELD=value), and a position among them. Raises: OSError when they can't be opened."""

    def __init__(self, match: str, path: Path | None, most_bytes: int) -> None:
        if path is None:
            super().__init__(flags=journal.LOCAL_ONLY)
        else:
            super().__init__(path=str(path))
        self.data_threshold = most_bytes  # where the library must decompress, it stops there
        self.add_match(match)

    def step(self) -> bool:
        """Move to the next entry; False at the end, where the position stays."""
        return bool(self._next())

    def back(self, entries: int) -> bool:
        """Move up to so many entries back; False when there was none."""
        return bool(self._previous(entries))

    def at(self) -> float:
        """Return when journald received this entry, in Unix seconds."""
        return float(self._get_realtime() * MICRO)

    def cursor(self) -> str:
        """Return the text that finds this entry again."""
        return str(self._get_cursor())

    def field(self, name: str) -> bytes | None:
        """Return a field of this entry; None when it has none, or when the file is damaged just there."""
        try:
            value = self._get(name)
        except (KeyError, OSError):
            return None
        return value if isinstance(value, bytes) else None

    def find(self, cursor: str) -> bool | None:
        """Move to the entry of this cursor: True; to the nearest later one: False; None when there is none later.

        Raises: ValueError when this is no cursor.
        """
        try:
            self.seek_cursor(cursor)
        except OSError as error:
            raise ValueError("not a cursor of a journal") from error
        if not self.step():
            return None
        return bool(self.test_cursor(cursor))

    def find_time(self, at: float) -> bool:
        """Move to the first entry at or after this time (Unix seconds); False when there is none."""
        self.seek_realtime(max(0, int(at / MICRO)))
        return self.step()
