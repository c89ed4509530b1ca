import contextlib
import logging
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store import Store
from daemon.storefile import APPLICATION, MAX_BASELINES, MAX_SET_ASIDE, SCHEMA
from tests.daemon.test_store import ID, names, note, opened
from tests.support.servers import find, require


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB of its own."""
    require("root", "mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", disk)
    try:
        yield disk
    finally:
        subprocess.run([find("umount") or "umount", "-l", str(disk)], check=True, timeout=20)


def mount(*arguments: object) -> None:
    """Run mount."""
    subprocess.run([find("mount") or "mount", *map(str, arguments)], check=True, timeout=20)


async def fill(path: Path) -> None:
    """Make a state file with a past."""
    async with opened(path) as store:
        note(store, "oco")


@pytest.mark.parametrize("how", ["garbage", "cut-off", "overwritten-inside"])
async def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
    """A damaged file is kept beside a new one; the daemon goes on with the new one, and says so once."""
    path = tmp_path / "state.db"
    await fill(path)
    content = path.read_bytes()
    damaged = {
        "garbage": os.urandom(20_000),
        "cut-off": content[: len(content) // 2 + 100],
        "overwritten-inside": content[:4096] + b"\xff" * (len(content) - 4096),
    }[how]
    path.write_bytes(damaged)
    async with opened(path) as store:
        note(store, "o", 1000.0)
        await store.flush()
        await store.flush()
        assert store.problem is None
    assert (tmp_path / "state.db.corrupt-1").read_bytes() == damaged
    assert caplog.text.count("is damaged") == 1
    async with opened(path) as store:
        assert store.ever_up == {ID}


async def test_damage_found_only_when_it_is_read_is_set_aside_too(tmp_path: Path) -> None:
    """Pages that opening does not look at can be damaged as well: found by a question, healed by the next flush."""
    path = tmp_path / "state.db"
    await fill(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'spell'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    async with opened(path) as store:
        note(store, "o", 1000.0)
        assert [s.began for s in await store.history(ID)] == [1000.0]
        await store.flush()
        assert store.problem is None
        assert [s.began for s in await store.history(ID)] == [1000.0]
    assert (tmp_path / "state.db.corrupt-1").exists()
    assert (await Store.read_only(str(path))).ever_up == {ID}


async def test_damaged_files_do_not_fill_the_disk(tmp_path: Path) -> None:
    """However often the disk damages the file, only a few are kept, the latest among them."""
    for n in range(MAX_SET_ASIDE + 3):
        (tmp_path / "state.db").write_bytes(f"garbage {n} ".encode() * 1000)
        os.utime(tmp_path / "state.db", (n, n))
        async with opened(tmp_path / "state.db") as store:
            assert store.problem is None
    aside = [name for name in names(tmp_path) if "corrupt" in name]
    assert aside == [f"state.db.corrupt-{n + 1}" for n in range(MAX_SET_ASIDE)]
    assert any(f"garbage {MAX_SET_ASIDE + 2} ".encode() in (tmp_path / name).read_bytes() for name in aside)


async def test_a_journal_of_the_damaged_file_goes_with_it(tmp_path: Path) -> None:
    """What was left of a write into the damaged file is not rolled back into the new one."""
    (tmp_path / "state.db").write_bytes(b"garbage " * 1000)
    (tmp_path / "state.db-journal").write_bytes(b"")
    async with opened(tmp_path / "state.db"):
        pass
    assert (tmp_path / "state.db.corrupt-1-journal").exists()


@pytest.mark.parametrize(
    ("statement", "why"),
    [(f"PRAGMA user_version = {SCHEMA + 1}", "newer version"), ("PRAGMA application_id = 1", "another program")],
    ids=["newer", "foreign"],
)
async def test_a_file_that_is_not_for_us_is_left_untouched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, statement: str, why: str
) -> None:
    """A newer version's file, or another program's, is not touched: the daemon runs without a past and says so."""
    path = tmp_path / "state.db"
    await fill(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(statement)
    before = path.read_bytes()
    async with opened(path) as store:
        assert store.ever_up == set()
        note(store, "o", 1000.0)
        await store.flush()
        await store.flush()
        assert [s.began for s in await store.history(ID)] == [1000.0]
        assert why in str(store.problem)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["state.db"]
    assert caplog.text.count("left untouched") == 1
    assert (await Store.read_only(str(path))).ever_up == frozenset()


@pytest.mark.parametrize("value", ["5", "1.5", "x'ff00'", "NULL", "'" + "[" * 100_000 + "'", "'nonsense'"])
async def test_whatever_a_file_holds_is_no_past_rather_than_an_error(tmp_path: Path, value: str) -> None:
    """Values that no run of ours has written, in a table that none has made, are nothing that was learned."""
    path = tmp_path / "state.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.execute(f"PRAGMA user_version={SCHEMA}")
        db.execute("CREATE TABLE baseline (key, value)")
        db.execute(f"INSERT INTO baseline VALUES ('alerts', {value})")
        db.commit()
    async with opened(path) as store:
        assert store.recall("alerts") is None
    assert (await Store.read_only(str(path))).recall("alerts") is None


async def test_an_endless_past_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A view without end in place of a table costs no more than as much as there can be."""
    path = tmp_path / "state.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.execute("CREATE TABLE ever_up (id TEXT)")
        db.execute(
            "CREATE VIEW baseline (key, value) AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "
            "SELECT i, i FROM n"
        )
        db.commit()
    assert len((await Store.read_only(str(path))).baselines) == MAX_BASELINES


async def test_a_full_disk_costs_the_past_not_the_present(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the disk full nothing raises and memory serves; when there is room again, all of it is written."""
    caplog.set_level(logging.INFO)
    path = small_disk / "state.db"
    await fill(path)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    async with opened(path) as store:
        assert store.ever_up == {ID}
        for n in range(50):
            note(store, "cu" * 10, 1000.0 + 1000.0 * n)
        store.remember("learned", "x" * 1000)
        await store.flush()
        await store.flush()
        assert "full" in str(store.problem)
        assert len(await store.history(ID, 1000)) >= 1000
        assert caplog.text.count("can't be used") == 1
        ballast.unlink()
        await store.flush()
        assert store.problem is None
    assert "can be written again" in caplog.text
    async with opened(path) as store:
        assert store.recall("learned") == "x" * 1000
        assert len(await store.history(ID, 1000)) > 50


async def test_a_read_only_disk_is_read(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that can only be read gives its past; the daemon says once that it can't write, and heals by itself."""
    path = small_disk / "state.db"
    await fill(path)
    mount("-o", "remount,ro", small_disk)
    async with opened(path) as store:
        assert store.ever_up == {ID}
        note(store, "c", 1000.0)
        await store.flush()
        await store.flush()
        assert "readonly" in str(store.problem)
        assert caplog.text.count("can't be used") == 1
        assert (await Store.read_only(str(path))).ever_up == {ID}
        mount("-o", "remount,rw", small_disk)
        await store.flush()
        assert store.problem is None
        assert len(await store.history(ID)) == 4


async def test_a_locked_file_is_waited_for_later(tmp_path: Path) -> None:
    """Another process that holds the file costs no result."""
    path = tmp_path / "state.db"
    await fill(path)
    async with opened(path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            note(store, "c", 1000.0)
            await store.flush()
            assert "locked" in str(store.problem)
        await store.flush()
        assert store.problem is None
        assert len(await store.history(ID)) == 4


@pytest.mark.parametrize("where", ["below-a-file", "a-directory"])
async def test_an_impossible_path_costs_the_past_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """A path that can't be a file is said once, and everything else works from memory."""
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "state.db" if where == "below-a-file" else tmp_path
    async with opened(path) as store:
        note(store, "oc")
        await store.flush()
        assert store.ever_up == {ID}
        assert len(await store.history(ID)) == 2
    assert caplog.text.count("can't be used") == 1
    assert str(path) in caplog.text


async def test_the_directory_is_made(tmp_path: Path) -> None:
    """A state directory that is not there yet is made."""
    async with opened(tmp_path / "a" / "b" / "state.db") as store:
        assert store.problem is None
