"""The log of a unit under a real journald: live, rotated, vacuumed, resumed, rejoined; no line lost, none twice."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence

import pytest

from checks.connlog.journal import MAX_BYTES, MAX_LINE, MAX_LINES, JournalSource
from checks.connlog.model import RawLine
from tests.support.journals import Speaker, read, texts
from tests.support.servers import require_module
from tests.support.systemd_lab import REPOSITORY, SystemdLab, systemd_lab

UNITS = iter(f"speaker-{number}.service" for number in range(1000))
FOLLOWER = str(REPOSITORY / "tests/support/journal_follower.py")
VACUUM = "journalctl --rotate --vacuum-time=1us"


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    """One booted systemd for this module."""
    require_module("systemd", "systemd")
    with systemd_lab() as booted:
        yield booted


@pytest.fixture
def unit() -> str:
    """A unit of its own for each test."""
    return next(UNITS)


@pytest.fixture
def speaker(lab: SystemdLab, unit: str) -> Iterator[Speaker]:
    """The unit, running."""
    yield Speaker(lab, unit)
    lab.run(f"systemctl stop {unit}")


@pytest.fixture
def notes() -> list[str]:
    """What the source had to say."""
    return []


@pytest.fixture
def source(lab: SystemdLab, unit: str, notes: list[str]) -> JournalSource:
    """What reads the unit's log, through the container's journal files."""
    return JournalSource(unit=unit, path=lab.journal, note=notes.append)


def following(
    source: JournalSource, cursor: str | None = None, since: float | None = None
) -> contextlib.aclosing[AsyncGenerator[Sequence[RawLine], None]]:
    """Follow for the block."""
    return contextlib.aclosing(source.follow(cursor, since))


async def test_the_past_then_live(speaker: Speaker, source: JournalSource, notes: list[str]) -> None:
    """What was written before is read first, then each line as it comes, in order, with rising times."""
    speaker.say("one", "two")
    async with following(source) as follow:
        lines = await read(follow, b"two")
        speaker.say("three")
        lines += await read(follow, b"three")
        speaker.say("four", "five")
        lines += await read(follow, b"five")
    assert texts(lines) == ["one", "two", "three", "four", "five"]
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert notes == []


async def test_only_its_own_unit(lab: SystemdLab, speaker: Speaker, source: JournalSource) -> None:
    """Other units' lines, and systemd's about this one, are not the Connector's log."""
    other = Speaker(lab, next(UNITS))
    other.say("not mine")
    speaker.say("mine")
    other.say("not mine either")
    speaker.say("end")
    async with following(source) as follow:
        assert texts(await read(follow, b"end")) == ["mine", "end"]


async def test_rotation_while_following(lab: SystemdLab, speaker: Speaker, source: JournalSource) -> None:
    """journald may begin new files at any time: every line comes exactly once."""
    async with following(source) as follow:
        lines: list[RawLine] = []
        for turn in range(4):
            speaker.say(*(f"{turn}-{number}" for number in range(50)))
            lab.run("journalctl --rotate")
            lines += await read(follow, f"{turn}-49".encode())
        speaker.say("end")
        lines += await read(follow, b"end")
    assert texts(lines) == [f"{turn}-{number}" for turn in range(4) for number in range(50)] + ["end"]


@pytest.mark.parametrize("vacuum", [VACUUM, "journalctl --rotate --vacuum-files=1"])
async def test_vacuum_while_following(lab: SystemdLab, speaker: Speaker, source: JournalSource, vacuum: str) -> None:
    """Deleted files take nothing with them that was already read, and nothing is read twice."""
    async with following(source) as follow:
        speaker.say("one", "two")
        lines = await read(follow, b"two")
        lab.run(vacuum)
        speaker.say("three")
        lines += await read(follow, b"three")
        lab.run(vacuum)
        lab.run(vacuum)
        speaker.say("four")
        lines += await read(follow, b"four")
    assert texts(lines) == ["one", "two", "three", "four"]


async def test_journald_restarts_while_following(lab: SystemdLab, speaker: Speaker, source: JournalSource) -> None:
    """A restart of journald itself is survived."""
    async with following(source) as follow:
        speaker.say("one")
        lines = await read(follow, b"one")
        lab.run("systemctl restart systemd-journald.service")
        speaker.say("two")
        lines += await read(follow, b"two")
    assert texts(lines) == ["one", "two"]


async def test_the_unit_restarts_while_following(
    lab: SystemdLab, unit: str, speaker: Speaker, source: JournalSource
) -> None:
    """The log goes on when the unit's process is another."""
    async with following(source) as follow:
        speaker.say("one")
        lines = await read(follow, b"one")
        lab.run(f"systemctl restart {unit}")
        speaker.say("two")
        lines += await read(follow, b"two")
    assert texts(lines) == ["one", "two"]


async def test_resumed_by_cursor(lab: SystemdLab, speaker: Speaker, source: JournalSource, notes: list[str]) -> None:
    """After our own restart reading goes on after the last line that was read, over rotated files too."""
    speaker.say("one", "two")
    async with following(source) as follow:
        lines = await read(follow, b"two")
    speaker.say("three")
    lab.run("journalctl --rotate")
    speaker.say("four")
    async with following(source, lines[-1].cursor) as follow:
        lines += await read(follow, b"four")
    assert texts(lines) == ["one", "two", "three", "four"]
    async with following(source, lines[-1].cursor) as follow:
        speaker.say("five")
        assert texts(await read(follow, b"five")) == ["five"]
    assert notes == []


async def test_resumed_from_the_middle_of_a_batch(speaker: Speaker, source: JournalSource) -> None:
    """Every line's own cursor is a place to go on from."""
    speaker.say(*(str(number) for number in range(20)))
    async with following(source) as follow:
        lines = await read(follow, b"19")
    for line in lines[:-1]:
        async with following(source, line.cursor) as follow:
            assert texts(await read(follow, b"19")) == [str(n) for n in range(int(line.text) + 1, 20)]


async def test_a_vacuumed_cursor(lab: SystemdLab, speaker: Speaker, source: JournalSource, notes: list[str]) -> None:
    """When journald has deleted the place, reading goes on with the next line that is left, and says so once."""
    speaker.say("one", "two")
    async with following(source) as follow:
        gone = (await read(follow, b"two"))[0]
    lab.run(VACUUM)
    speaker.say("three", "four")
    async with following(source, gone.cursor) as follow:
        assert texts(await read(follow, b"four")) == ["three", "four"]
        speaker.say("five")
        assert texts(await read(follow, b"five")) == ["five"]
    assert notes == ["the journal no longer holds the place where reading had stopped: lines may be missing"]


async def test_a_vacuumed_cursor_with_nothing_after_it(
    lab: SystemdLab, speaker: Speaker, source: JournalSource, notes: list[str]
) -> None:
    """When nothing at all is left, the next line is read when it comes."""
    speaker.say("one")
    async with following(source) as follow:
        gone = (await read(follow, b"one"))[0]
    lab.run(VACUUM)
    async with following(source, gone.cursor) as follow, asyncio.TaskGroup() as group:
        first = group.create_task(anext(follow))
        await asyncio.sleep(0)
        speaker.say("two")
        assert texts(await first) == ["two"]
    assert len(notes) == 1


async def test_long_lines_are_rejoined(speaker: Speaker, source: JournalSource) -> None:
    """journald splits at 48 KiB; what comes out is whole, in its place, and too long ones are cut, not dropped."""
    whole = "".join(f"{number:07d}-" for number in range(25_000))
    endless = "x" * (MAX_LINE + 100_000)
    speaker.say("before", whole, "between", endless, "after")
    async with following(source) as follow:
        lines = await read(follow, b"after")
    assert [len(line.text) for line in lines] == [6, 200_000, 7, MAX_LINE, 5]
    assert lines[1].text.decode() == whole
    async with following(source, lines[0].cursor) as follow:
        assert (await read(follow, b"after"))[0].text.decode() == whole


async def test_bytes_that_are_no_text(speaker: Speaker, source: JournalSource) -> None:
    """Whatever bytes are in a line come through as they are."""
    strange = b"\xff\xfe \x1b[31mred \xc3\x28 \xe2\x80\xae"
    speaker.say(strange, "end")
    async with following(source) as follow:
        assert [line.text for line in await read(follow, b"end")] == [strange, b"end"]


async def test_a_flood_is_read_in_small_steps(speaker: Speaker, source: JournalSource) -> None:
    """Batches are bounded, and others have their turn on the loop between any two of them."""
    lines = [f"{number:06d} {'x' * 500}" for number in range(10_000)]
    speaker.say(*lines, "end")
    turns = 0

    async def ticker() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    seen: list[str] = []
    async with asyncio.TaskGroup() as group, following(source) as follow:
        task = group.create_task(ticker())
        while not seen or seen[-1] != "end":
            before = turns
            batch = await anext(follow)
            assert 0 < len(batch) <= MAX_LINES
            assert sum(len(line.text) for line in batch) <= MAX_BYTES
            assert not seen or turns > before, "it kept the loop to itself"
            seen += texts(batch)
        task.cancel()
    assert seen == [*lines, "end"]


def follower(lab: SystemdLab, *arguments: str) -> list[str]:
    """Run our code inside, on the machine's own journal; return what it said."""
    return lab.run_python(FOLLOWER, *arguments).splitlines()


def test_our_own_process_inside(lab: SystemdLab, unit: str, speaker: Speaker) -> None:
    """A process of ours in the container follows the machine's own journal, and goes on where another had stopped."""
    speaker.say("one", "two")
    *first, cursor = follower(lab, unit, "two")
    speaker.say("three")
    *second, _ = follower(lab, unit, "three", "--cursor", cursor.removeprefix("cursor: "))
    assert [*first, *second] == ["line: one", "line: two", "line: three"]


def test_permission(lab: SystemdLab, unit: str, speaker: Speaker) -> None:
    """An account that may not read the journal is told which group it needs; in that group it reads."""
    speaker.say("one")
    group = lab.run("getent group systemd-journal").split(":")[2]
    said = follower(lab, unit, "one", "--as-nobody")
    assert said[0].startswith("unreadable: this process may not read the journal: ")
    assert "group systemd-journal" in said[0]
    assert said[1:] == ["permission: True"]
    assert follower(lab, unit, "one", "--as-nobody", "--group", group)[0] == "line: one"
