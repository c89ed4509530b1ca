"""What journald hears: a socket stands in for its own."""

import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.journal import MAX_VALUE, JournalHandler
from daemon.logs import configure

FULL = 200  # datagrams: more than a socket that nobody reads has room for


class Journald:
    """Receives entries; `stream` is what went to standard error instead."""

    def __init__(self, sock: socket.socket, stream: Path) -> None:
        self.socket = sock
        self.stream = stream

    def entry(self) -> dict[str, str]:
        """Return the next entry, read as journald does."""
        data, found = self.socket.recv(1 << 20), {}
        while data:
            name, mark, rest = data.partition(b"\n") if b"=" not in data.partition(b"\n")[0] else data.partition(b"=")
            if mark == b"=":
                value, _, data = rest.partition(b"\n")
            else:
                (size,) = struct.unpack("<Q", rest[:8])
                value, data = rest[8 : 8 + size], rest[9 + size :]
            found[name.decode()] = value.decode()
        return found


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journald]:
    """Log to a stand-in of journald at level debug; afterwards the root logger is as it was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, (tmp_path / "stream").open("w") as stream:
        sock.bind(str(tmp_path / "socket"))
        sock.settimeout(0)
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure("logfmt", "debug", stream, str(tmp_path / "socket"))
        yield Journald(sock, tmp_path / "stream")
        ours = root.handlers[0]
        root.handlers[:] = before
        root.setLevel(level)
        ours.close()


def test_an_entry_has_fields(journald: Journald) -> None:
    """Text, severity, logger and place in the code, and a record's own fields under names that journald allows."""
    logging.getLogger("connector_health.x").warning("row %s failed", "a", extra={"row-id": "tcp:a", "ok": True})
    entry = journald.entry()
    line = entry.pop("CODE_LINE")
    assert entry == {
        "MESSAGE": "row a failed row-id=tcp:a ok=true", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "connector-health",
        "LOGGER": "connector_health.x", "CODE_FILE": __file__, "CODE_FUNC": "test_an_entry_has_fields",
        "CONNECTOR_HEALTH_ROW_ID": "tcp:a", "CONNECTOR_HEALTH_OK": "true",
    }  # fmt: skip
    assert line.isdigit()


def test_text_from_outside_makes_no_field(journald: Journald) -> None:
    """Line feeds, escape sequences and broken text stay text, cut to a bound; a name from outside stays a name."""
    evil = "a\nPRIORITY=0\nMESSAGE=forged\x1b[2J\udcff" + "x" * 5000
    logging.getLogger().error("%s", evil, extra={"é=\n": evil})
    entry = journald.entry()
    assert (entry["PRIORITY"], "forged" in entry["MESSAGE"]) == ("3", True)
    assert not {"\n", "\x1b"} & set("".join(entry.values()))
    assert max(map(len, entry.values())) <= 3 * MAX_VALUE


def test_a_traceback_is_a_field_of_lines(journald: Journald) -> None:
    """The text names the exception, the field EXCEPTION has its traceback, of which no line is a field of its own."""

    def fail() -> None:
        raise ValueError("boom\nPRIORITY=0")

    try:
        fail()
    except ValueError:
        logging.getLogger().exception("failed")
    entry = journald.entry()
    assert entry["MESSAGE"].startswith(r"failed: ValueError: boom\x0aPRIORITY=0 (its traceback")
    assert entry["PRIORITY"] == "3"
    assert "test_a_traceback_is_a_field_of_lines" in entry["EXCEPTION"]
    assert entry["EXCEPTION"].splitlines()[-2:] == ["ValueError: boom", "PRIORITY=0"]


def test_the_last_words_go_by_the_stream(journald: Journald) -> None:
    """What is critical comes before the end of the process: the stream is known by its unit even after that."""
    logging.getLogger().critical("config.yaml:1:1: unknown key")
    assert journald.stream.read_text() == "<2>config.yaml:1:1: unknown key\n"
    with pytest.raises(BlockingIOError):
        journald.entry()


def test_a_journald_that_is_busy_is_not_waited_for(journald: Journald) -> None:
    """What it can't take is lost, nothing stands still for it; the next line it takes tells how much that was."""
    for number in range(FULL):
        logging.getLogger().info("line %d", number)
    taken = 0
    while True:
        try:
            last = journald.entry()
        except BlockingIOError:
            break
        taken += 1
    assert 0 < taken < FULL
    assert last["MESSAGE"] == f"line {taken - 1}"
    logging.getLogger().info("again")
    told = journald.entry()
    assert told["MESSAGE"] == f"journald was busy: {FULL - taken} lines before this one are lost"
    assert (told["PRIORITY"], journald.entry()["MESSAGE"]) == ("4", "again")


def test_without_journald_the_stream_is_used(journald: Journald) -> None:
    """A socket that nobody listens on any more: lines go to standard error, with their severity."""
    journald.socket.close()
    logging.getLogger().info("still here")
    assert journald.stream.read_text() == "<6>still here\n"


def test_a_closed_handler_says_nothing_more(tmp_path: Path) -> None:
    """Closing lets go of the socket; a late record goes to the stream."""
    late: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            late.append(record)

    handler = JournalHandler(Kept(), str(tmp_path / "nobody"))
    handler.close()
    handler.handle(logging.makeLogRecord({"name": "x", "msg": "late", "levelno": logging.INFO}))
    assert [record.msg for record in late] == ["late"]
    assert sys.exc_info() == (None, None, None)
