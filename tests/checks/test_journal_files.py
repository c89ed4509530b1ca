"""Journal files of every kind: bounds on the past, places to go on from, split lines, and why one can't be read."""

import asyncio
import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from checks.connlog.journal import MAX_BYTES, MAX_LINE, MAX_LINES, JournalSource
from checks.connlog.model import LogUnreadableError, RawLine
from checks.connlog.rejoin import MAX_STREAMS, Rejoin
from tests.support.journals import FIRST_AT, entry, journal_files, read, texts
from tests.support.servers import require_module

UNIT = "twingate-connector.service"
PART = {"_LINE_BREAK": "line-max"}


@pytest.fixture(autouse=True)
def _reader() -> None:
    require_module("systemd", "systemd")


async def everything(source: JournalSource, cursor: str | None = None, since: float | None = None) -> list[RawLine]:
    """Read up to the line that says "end"."""
    async with contextlib.aclosing(source.follow(cursor, since)) as follow:
        return await read(follow, b"end")


def numbered(count: int) -> Iterable[bytes]:
    """Entries "0", "1" and so on, a second apart, and one that says "end"."""
    yield from (entry(number, str(number)) for number in range(count))
    yield entry(count, "end")


async def test_since(tmp_path: Path) -> None:
    """Reading begins with the first line at or after the time that was asked for."""
    source = JournalSource(unit=UNIT, path=journal_files(tmp_path / "j", numbered(10)))
    assert texts(await everything(source, since=FIRST_AT + 7)) == ["7", "8", "9", "end"]
    assert texts(await everything(source, since=FIRST_AT + 8.5)) == ["9", "end"]
    lines = await everything(source, since=0.0)
    assert len(lines) == 11
    assert lines[3].at == FIRST_AT + 3


@pytest.mark.parametrize(("most", "left"), [(3, 3), (10, 10), (11, 11), (12, 11), (5000, 11)])
async def test_the_past_is_bounded(tmp_path: Path, most: int, left: int) -> None:
    """Only the newest entries are read where there are more, and that is said; otherwise nothing is said."""
    notes: list[str] = []
    source = JournalSource(
        unit=UNIT, path=journal_files(tmp_path / "j", numbered(10)), max_past=most, note=notes.append
    )
    assert texts(await everything(source)) == [*map(str, range(10)), "end"][-left:]
    assert notes == ([] if left == 11 else [f"only the last {most} entries of the journal are read"])


async def test_the_bound_holds_after_a_cursor(tmp_path: Path) -> None:
    """A place very far back is as much too far as a time is; one within the bound is not."""
    notes: list[str] = []
    folder = journal_files(tmp_path / "j", numbered(5000))
    lines = await everything(JournalSource(unit=UNIT, path=folder))
    source = JournalSource(unit=UNIT, path=folder, max_past=3000, note=notes.append)
    assert len(await everything(source, lines[10].cursor)) == 3000
    assert notes == ["only the last 3000 entries of the journal are read"]
    assert texts(await everything(source, lines[2500].cursor)) == [*map(str, range(2501, 5000)), "end"]
    assert len(notes) == 1


async def test_since_is_nearer_than_the_bound(tmp_path: Path) -> None:
    """A recent time is not moved by the bound, nor by how far back one step looks."""
    notes: list[str] = []
    folder = journal_files(tmp_path / "j", numbered(3000))
    source = JournalSource(unit=UNIT, path=folder, max_past=2500, note=notes.append)
    assert texts(await everything(source, since=FIRST_AT + 2998)) == ["2998", "2999", "end"]
    assert notes == []


@pytest.mark.parametrize("cursor", ["", "nonsense", "s=1;i=zz", "\x1b[2J", "x" * 100_000])
async def test_a_cursor_that_is_none(tmp_path: Path, cursor: str) -> None:
    """A place that is no place is said, and reading begins where it would have begun without."""
    notes: list[str] = []
    source = JournalSource(unit=UNIT, path=journal_files(tmp_path / "j", numbered(5)), note=notes.append)
    assert texts(await everything(source, cursor, FIRST_AT + 3)) == ["3", "4", "end"]
    assert notes == ["the remembered place in the journal is no place of a journal: reading begins anew"]


async def test_parts_of_two_streams(tmp_path: Path) -> None:
    """Split lines of two processes that write at once are put together each for itself."""
    one, two = {"_STREAM_ID": "1" * 32}, {"_STREAM_ID": "2" * 32}
    written = [
        entry(0, "a1 ", {**PART, **one}),
        entry(1, "b1 ", {**PART, **two}),
        entry(2, "whole", {"_STREAM_ID": "3" * 32}),
        entry(3, "a2 ", {**PART, **one}),
        entry(4, "b2", {**two, "_LINE_BREAK": "eof"}),
        entry(5, "a3", one),
        entry(6, "end"),
    ]
    lines = await everything(JournalSource(unit=UNIT, path=journal_files(tmp_path / "j", written)))
    assert texts(lines) == ["whole", "b1 b2", "a1 a2 a3", "end"]
    assert lines[2].at == FIRST_AT + 5


async def test_hostile_entries(tmp_path: Path) -> None:
    """Entries without text, with megabytes of it, with line breaks and with any bytes harm nothing that follows."""
    written = [
        entry(0, b"", {}),
        entry(1, b"\0\xff\n\r", {}),
        entry(2, b"x" * 3_000_000, {}),
        *(entry(3, b"begun and never ended", {**PART, "_STREAM_ID": f"{n:032x}"}) for n in range(MAX_STREAMS + 10)),
        entry(4, b"odd mark", {"_LINE_BREAK": b"\xff"}),
        entry(5, b"end", {}),
    ]
    lines = await everything(JournalSource(unit=UNIT, path=journal_files(tmp_path / "j", written)))
    assert [line.text for line in lines if line.text] == [b"\0\xff\n\r", b"x" * MAX_LINE, b"odd mark", b"end"]


@pytest.mark.parametrize(("count", "text"), [(20, b"y" * 200_000), (5000, b"")], ids=["long lines", "short lines"])
async def test_batches_are_bounded(tmp_path: Path, count: int, text: bytes) -> None:
    """A batch is bounded in lines and in bytes, and all batches together are the whole."""
    written = [entry(number, b"%d" % number + text) for number in range(count)]
    source = JournalSource(unit=UNIT, path=journal_files(tmp_path / "j", [*written, entry(count, "end")]))
    batches: list[Sequence[RawLine]] = []
    async with contextlib.aclosing(source.follow(None, None)) as follow:
        while not batches or batches[-1][-1].text != b"end":
            batches.append(await anext(follow))
    assert all(sum(len(line.text) for line in batch) <= MAX_BYTES for batch in batches)
    assert all(len(batch) <= MAX_LINES for batch in batches)
    lines = [line.text for batch in batches for line in batch]
    assert lines == [*(b"%d" % number + text for number in range(count)), b"end"]


async def test_cancelled_while_it_waits(tmp_path: Path) -> None:
    """Cancelling a reader that waits for news lets go of the journal's files."""
    folder = journal_files(tmp_path / "j", numbered(3))
    async with contextlib.aclosing(JournalSource(unit=UNIT, path=folder).follow(None, None)) as follow:
        await read(follow, b"end")
        assert mapped(folder)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(follow)
        assert not mapped(folder)


def mapped(folder: Path) -> bool:
    """Tell whether this process has files below the folder in its memory."""
    return str(folder) in Path("/proc/self/maps").read_text()


async def test_no_journal_here(tmp_path: Path) -> None:
    """A directory without journal files, or none at all, is said, not waited for."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LogUnreadableError, match="there are no journal files in") as no:
            await everything(JournalSource(unit=UNIT, path=folder))
        assert not no.value.permission


async def test_without_the_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without systemd-python one line names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.delitem(sys.modules, "checks.connlog.journal_reader", raising=False)
    with pytest.raises(LogUnreadableError, match=r"pip install connector-health\[systemd\]"):
        await everything(JournalSource(unit=UNIT, path=tmp_path))


def test_rejoin_is_bounded() -> None:
    """What never ends is cut at the bound, and of many begun lines the oldest are given up."""
    rejoin = Rejoin(10)
    assert rejoin.add(b"", b"x" * 100, goes_on=False) == b"x" * 10
    for _ in range(5):
        assert rejoin.add(b"s", b"abcd", goes_on=True) is None
    assert rejoin.add(b"s", b"abcd", goes_on=False) == b"abcdabcdab"
    for number in range(MAX_STREAMS + 1):
        rejoin.add(b"%d" % number, b"begun ", goes_on=True)
    assert rejoin.add(b"0", b"end", goes_on=False) == b"end"
    assert rejoin.add(b"1", b"end", goes_on=False) == b"begun end"
