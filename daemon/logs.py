"""Log lines for machines and people, harmless to a terminal: logfmt or JSON, one line each, to standard error.

Where standard error is systemd's journal, entries with fields of their own instead (daemon/journal.py), unless JSON is
asked for: that stays the text of the entry, for who collects it from there.
"""

import datetime as dt
import json
import logging
import os
import sys
from typing import Literal, TextIO, TypeAlias

from checks.net.text import printable
from daemon.journal import (
    JOURNAL_SOCKET,
    MAX_TRACEBACK,
    MAX_VALUE,
    JournalHandler,
    PlainFormatter,
    own_fields,
    priority,
)

Format: TypeAlias = Literal["logfmt", "json"]
LEVELS = ("debug", "info", "warning", "error")


def configure(form: Format, level: str, stream: TextIO = sys.stderr, journald: str = JOURNAL_SOCKET) -> None:
    """Send all log records of at least `level` to `stream`. Raises: ValueError for an unknown level."""
    if level not in LEVELS:
        raise ValueError(f"{level!r} is not a log level ({', '.join(LEVELS)})")
    journal = _is_journal(stream)
    handler: logging.Handler = logging.StreamHandler(stream)
    if journal and form == "logfmt":
        handler.setFormatter(PlainFormatter())
        handler = JournalHandler(handler, journald)
    else:
        handler.setFormatter(LineFormatter(form, journal=journal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class LineFormatter(logging.Formatter):
    """Writes one line a record. For the journal a priority stands before it, and the journal's own time is enough.

    Fields passed as `extra={…}` follow the message, by name.
    """

    def __init__(self, form: Format, *, journal: bool = False) -> None:
        super().__init__()
        self._form = form
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, object] = {}
        if not self._journal:
            fields["ts"] = _timestamp(record.created)
        fields["level"] = record.levelname.lower()
        fields["logger"] = record.name
        fields["msg"] = printable(record.getMessage(), MAX_VALUE)
        for key, value in own_fields(record):
            fields[printable(key)] = _plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            fields["exc"] = printable(self.formatException(record.exc_info), MAX_TRACEBACK)
        line = json.dumps(fields, ensure_ascii=False) if self._form == "json" else _logfmt(fields)
        return f"<{priority(record.levelno)}>{line}" if self._journal else line  # sd-daemon(3)


def _logfmt(fields: dict[str, object]) -> str:
    return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def _quoted(value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if text and not any(char in text for char in ' "=\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(str(value), MAX_VALUE)


def _timestamp(unix_seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(unix_seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_journal(stream: TextIO) -> bool:
    """Tell whether the stream is the journal's: systemd names its device and inode in $JOURNAL_STREAM."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
