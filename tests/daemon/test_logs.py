import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.journal import MAX_TRACEBACK
from daemon.logs import LineFormatter, configure


def _record(message: str, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    record = logging.getLogger("connector_health.x").makeRecord(
        "connector_health.x", level, "f", 1, message, args, None, extra=extra
    )
    record.created = 1767323045.678
    return record


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger back as it was."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    for handler in logger.handlers:
        if handler not in handlers:
            handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_logfmt_is_one_line_of_pairs() -> None:
    """Time, level, logger, message, then the record's own fields; only what needs quotes has them."""
    line = LineFormatter("logfmt").format(_record("row %s failed", "tcp:a", status="critical", count=3, empty=""))
    assert line == (
        "ts=2026-01-02T03:04:05.678Z level=info logger=connector_health.x "
        'msg="row tcp:a failed" status=critical count=3 empty=""'
    )


def test_json_has_the_same_fields() -> None:
    """The JSON line is valid, and keeps numbers and booleans."""
    line = LineFormatter("json").format(_record('say "hi"', count=3, ok=True, none=None))
    assert json.loads(line) == {
        "ts": "2026-01-02T03:04:05.678Z", "level": "info", "logger": "connector_health.x", "msg": 'say "hi"',
        "count": 3, "ok": True, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_text_from_outside_stays_on_its_line_and_harmless(form: str) -> None:
    """Line feeds, escape sequences and bidi characters can't forge a line or move a terminal."""
    evil = 'a\nlevel=error msg="forged"\x1b[2J\u202e'
    line = LineFormatter("json" if form == "json" else "logfmt").format(_record("%s", evil, field=evil))
    assert not {"\n", "\x1b", "\u202e"} & set(line)
    assert line.count("level=error") == 2


def test_quotes_and_backslashes_are_escaped() -> None:
    """A value can't end its own quotes."""
    assert LineFormatter("logfmt").format(_record("%s", 'a\\" b')).endswith(r'msg="a\\\" b"')


def test_a_traceback_is_one_field() -> None:
    """An exception stays on the record's line."""
    record = _record("failed", level=logging.ERROR)
    record.exc_info = (ValueError, ValueError("boom\nsecond line"), None)
    line = LineFormatter("logfmt").format(record)
    assert "\n" not in line
    assert "ValueError: boom" in line
    assert len(line) < MAX_TRACEBACK


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("json", '{"level": "LEVEL", "logger": "root", "msg": "x"}'),
        ("logfmt", "x"),  # where journald takes no entries: its own fields are lost, its text is the same
    ],
)
def test_the_journals_stream_gets_priorities_and_its_own_time(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str, line: str
) -> None:
    """When standard error is the journal, each line begins with its priority and has no second time stamp."""
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure("json" if form == "json" else "logfmt", "info", stream, str(tmp_path / "nobody"))
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            root.log(level, "x")
        lines = (tmp_path / "journal").read_text().splitlines()
    levels = {6: "info", 4: "warning", 3: "error", 2: "critical"}
    assert lines == [f"<{number}>{line.replace('LEVEL', level)}" for number, level in levels.items()]


def test_elsewhere_lines_have_a_time_and_no_priority(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's journal stream, inherited by accident, changes nothing."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    stream = io.StringIO()
    configure("logfmt", "warning", stream)
    root.info("unseen")
    root.warning("seen")
    assert stream.getvalue().startswith("ts=")
    assert stream.getvalue().count("\n") == 1


def test_an_unknown_level_is_refused(root: logging.Logger) -> None:
    """A level that does not exist is an error, not silence."""
    before = list(root.handlers)
    with pytest.raises(ValueError, match="loud"):
        configure("logfmt", "loud")
    assert root.handlers == before
