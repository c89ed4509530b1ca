"""The log as journald's own entries: priority, logger and place of each line are fields that `journalctl` can filter.

An entry is one datagram, and nothing waits for journald: what it can't take just now is lost, and how much that was is
said with the next line that it takes.
Source: systemd.io/JOURNAL_NATIVE_PROTOCOL, systemd.journal-fields(7).
"""

import logging
import re
import socket
import struct
import traceback
from collections.abc import Iterator

from checks.net.text import printable

JOURNAL_SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "connector-health"
OWN = "CONNECTOR_HEALTH_"  # before the names of a record's own fields, so that none is taken for one of journald's
MAX_VALUE = 1000  # characters of one value: a line must stay readable, whatever the network said
MAX_TRACEBACK = 16_000  # characters: a traceback is for us, and cut it is worth little

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Syslog severities, RFC 5424 §6.2.1."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_NO_NAME = re.compile(r"[^A-Z0-9_]")
_MAX_NAME = 64  # characters that journald allows


def priority(level: int) -> int:
    """Return the severity of a level of `logging`."""
    return min((number for at, number in _PRIORITIES.items() if level >= at), default=7)


def own_fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """Return what was passed as `extra={…}`, by name."""
    for key, value in record.__dict__.items():
        if key not in _STANDARD and not key.startswith("_"):
            yield key, value


class PlainFormatter(logging.Formatter):
    """Writes a line for standard error where that is the journal's stream: the priority, and the text of an entry."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Source: sd-daemon(3)."""
        return f"<{priority(record.levelno)}>{dict(_fields(record))['MESSAGE']}"


class JournalHandler(logging.Handler):
    """Sends records to journald as entries; where that can't be, they go to `stream`, a handler of standard error.

    So does what is critical: after such a line the process ends, and journald, which looks up the unit of who sent a
    datagram, would not find it any more. A stream it knows by its unit.
    """

    def __init__(self, stream: logging.Handler, path: str = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._stream = stream
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the method's only argument
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; never waits for journald, never raises for what it does."""
        if record.levelno >= logging.CRITICAL:
            self._stream.handle(record)
            return
        try:
            if self._lost:
                self._send(_loss(record, self._lost))
                self._lost = 0
            self._send(record)
        except BlockingIOError:
            self._lost += 1
        except OSError:  # there is no journald, or not there
            self._stream.handle(record)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        super().close()

    def _send(self, record: logging.LogRecord) -> None:
        self._socket.sendto(b"".join(_field(name, value) for name, value in _fields(record)), self._path)


def _loss(beside: logging.LogRecord, lines: int) -> logging.LogRecord:
    text = f"journald was busy: {lines} lines before this one are lost"
    return logging.LogRecord(__name__, logging.WARNING, beside.pathname, beside.lineno, text, None, None)


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    text = printable(record.getMessage(), MAX_VALUE)
    own = {name: _plain(value) for name, value in own_fields(record)}
    yield "PRIORITY", str(priority(record.levelno))
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "LOGGER", printable(record.name)
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", str(record.lineno)
    yield "CODE_FUNC", record.funcName or ""
    for name, value in own.items():
        yield (OWN + _NO_NAME.sub("_", name.upper()))[:_MAX_NAME], value
    if record.exc_info and record.exc_info[1] is not None:
        trace = logging.Formatter().formatException(record.exc_info)[-MAX_TRACEBACK:].splitlines()
        yield "EXCEPTION", "\n".join(printable(line, MAX_VALUE) for line in trace)
        what = "".join(traceback.format_exception_only(record.exc_info[1])).strip()
        text += f": {printable(what, MAX_VALUE)} (its traceback: journalctl -o verbose, EXCEPTION)"
    yield "MESSAGE", " ".join((text, *(f"{printable(name)}={value}" for name, value in own.items())))


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return printable(str(value), MAX_VALUE)


def _field(name: str, value: str) -> bytes:
    """Return one field as journald reads it: a value of several lines has its length before it."""
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return b"%b=%b\n" % (name.encode(), data)
    return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(data)), data)
