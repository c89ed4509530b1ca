import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checks.blocking import Blocking
from checks.model import Reason, Status
from daemon.history import MAX_UNSAVED, Unsaved
from daemon.state import State, Transition
from daemon.store import MAX_CHANGES_UNSAVED, Store
from daemon.storefile import KEEP_BAD, KEEP_GOOD, Changes, StoreFile, read_past
from tests.support.rows import make_job, make_result

ID = "tcp:a:1"


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """Open a store for the block, and close it as the daemon does; trouble may be retried at once."""
    store = Store(str(path), retry_s=0.0)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def names(directory: Path) -> list[str]:
    """Return the names of the files there."""
    return sorted(file.name for file in directory.iterdir())


def note(store: Store, letters: str, begin: float = 0.0) -> None:
    """Note a result for each letter, 30 s apart."""
    for n, letter in enumerate(letters):
        store.note_result(make_result(letter, begin + 30.0 * n))


async def test_what_was_noted_survives_a_restart(tmp_path: Path) -> None:
    """What was ever up, learned values and the history are there after a restart."""
    path = tmp_path / "state.db"
    async with opened(path) as store:
        note(store, "ooc")
        await store.flush()
        note(store, "c", 90.0)
        store.remember("learned", {"relays": ["a", "b"], "at": 1.5})
        store.remember("gone", 1)
        store.remember("gone", None)
    async with opened(path) as store:
        assert store.ever_up == {ID}
        assert store.recall("learned") == {"relays": ["a", "b"], "at": 1.5}
        assert store.recall("gone") is None
        bad, good = await store.history(ID)
    assert (good.status, good.began, good.ended, good.runs) == (Status.OK, 0.0, 30.0, 2)
    assert (bad.status, bad.reason, bad.began, bad.ended, bad.runs) == (Status.CRITICAL, Reason.REFUSED, 60.0, 90.0, 2)
    assert names(tmp_path) == ["state.db"], "nothing stays beside the file"


async def test_a_start_without_news_writes_nothing(tmp_path: Path) -> None:
    """Opening a file that is fine and closing it leaves every byte as it was."""
    async with opened(tmp_path / "state.db") as store:
        note(store, "o")
    before = (tmp_path / "state.db").read_bytes()
    async with opened(tmp_path / "state.db"):
        pass
    assert (tmp_path / "state.db").read_bytes() == before


async def test_a_crash_costs_the_last_seconds_only(tmp_path: Path) -> None:
    """What was flushed is in the file, whatever happens to the process then."""
    store = Store(str(tmp_path / "state.db"))
    await store.open()
    note(store, "oc")
    await store.flush()
    note(store, "o", 60.0)
    past = StoreFile(str(tmp_path / "state.db"))
    past.open()
    assert [row[4] for row in past.spells(ID, 10)] == ["critical", "ok"]
    past.close()
    await store.close()


async def test_run_flushes_by_itself(tmp_path: Path) -> None:
    """The root task writes what was noted without being asked."""
    store = Store(str(tmp_path / "state.db"), flush_s=0.01)
    await store.open()
    note(store, "o")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(store.run())
        for _ in range(900):  # it waits for a thread that has no way to tell
            if read_past(str(tmp_path / "state.db")).ever_up:
                break
            await asyncio.sleep(0.01)
        task.cancel()
    assert read_past(str(tmp_path / "state.db")).ever_up == {ID}
    await store.close()


async def test_history_is_newest_first_and_limited(tmp_path: Path) -> None:
    """What is on disk and what is not yet are one history."""
    async with opened(tmp_path / "state.db") as store:
        note(store, "oc")
        await store.flush()
        note(store, "uo", 60.0)
        assert [s.status for s in await store.history(ID)] == ["ok", "unknown", "critical", "ok"]
        assert [s.began for s in await store.history(ID, 2)] == [90.0, 60.0]
        assert await store.history("tcp:nobody:1") == []


async def test_failures_are_kept_longer_than_successes(tmp_path: Path) -> None:
    """A row that flaps keeps its latest good spells and more of the bad ones; another row's are not touched."""
    async with opened(tmp_path / "state.db") as store:
        store.note_result(make_result("o", 0.0, make_job("b:1")))
        note(store, "oc" * 100)
        await store.flush()
        spells = await store.history(ID, 1000)
        assert len(await store.history("tcp:b:1")) == 1
    good = [s for s in spells if s.status is Status.OK]
    bad = [s for s in spells if s.status is not Status.OK]
    assert (len(good), len(bad)) == (KEEP_GOOD, KEEP_BAD)
    assert bad[0].began == 199 * 30.0


def test_over_the_cap_the_oldest_good_spells_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file is full of spells, successes make room and failures stay, and the newest success is kept."""
    monkeypatch.setattr("daemon.storefile.MAX_SPELLS", 100)  # a constant of ours made smaller: 100,000 take a while
    file = StoreFile(str(tmp_path / "state.db"))
    file.open()
    for n in range(120):
        status = "critical" if n % 2 else "ok"
        file.write(Changes(spells=((f"tcp:{n}", float(n), float(n), 1, status, None, None, 0.1, 0.1, ""),)))
    kept = [n for n in range(120) if file.spells(f"tcp:{n}", 1)]
    file.close()
    assert len(kept) <= 100
    assert set(range(1, 120, 2)) <= set(kept)
    assert 118 in kept
    assert 0 not in kept


def test_a_steady_row_writes_nothing() -> None:
    """While nothing changes there is nothing to write, but for a sign of life of each spell from time to time."""
    unsaved = Unsaved()
    writes = 0
    for n in range(2880):
        unsaved.note(make_result("o", 30.0 * n))
        writes += len(unsaved.take())
    assert writes == 24
    for n in range(2880):
        unsaved.note(make_result("c", 86400.0 + 30.0 * n))
    (spell,) = [s for s in unsaved.take() if s.status is Status.CRITICAL]
    assert (spell.runs, spell.began, spell.ended) == (2880, 86400.0, 172770.0)


def test_a_row_that_is_gone_is_written_to_its_end_and_let_go() -> None:
    """Of a target that was removed the history has the last look; nothing of it waits in memory for another one."""
    unsaved = Unsaved()
    for at in (0.0, 30.0, 60.0):
        unsaved.note(make_result("o", at))
        unsaved.take()
    unsaved.end(ID)
    unsaved.end(ID)
    assert [(spell.id, spell.ended) for spell in unsaved.take()] == [(ID, 60.0)]
    assert unsaved.of(ID) == []


async def test_buffers_are_bounded_without_a_disk(tmp_path: Path) -> None:
    """Without a disk the oldest spells and transitions are dropped, and counted."""
    (tmp_path / "file").write_text("")
    async with opened(tmp_path / "file" / "state.db") as store:
        for n in range(MAX_UNSAVED + 10):
            store.note_result(make_result("c", 30.0 * n, make_job(f"t{n}:1")))
        for n in range(MAX_CHANGES_UNSAVED + 5):
            store.note_transition(Transition(id=ID, before=State.OK, after=State.PENDING, at=float(n)))
        await store.flush()
        assert store.dropped == 15
        assert store.problem is not None


async def test_a_hanging_disk_delays_neither_the_loop_nor_the_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While a write hangs, results are taken and history answers from memory; the stop gives up within its second."""
    thread, release = Blocking("store"), threading.Event()
    store = Store(str(tmp_path / "state.db"), blocking=thread)
    await store.open()
    with pytest.raises(TimeoutError):
        await thread.call(release.wait, 0.01)
    note(store, "oc")
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await store.close()
    assert loop.time() - begin < 1.0
    assert "does not answer" in caplog.text
    assert [s.status for s in await store.history(ID)] == ["critical", "ok"]
    release.set()
    assert await thread.close(5.0)


async def test_cancelling_a_flush_loses_nothing(tmp_path: Path) -> None:
    """When the root task is cancelled in the middle of a write, the close writes it."""
    thread, release = Blocking("store"), threading.Event()
    store = Store(str(tmp_path / "state.db"), blocking=thread)
    await store.open()
    note(store, "oc")
    with pytest.raises(TimeoutError):
        await thread.call(release.wait, 0.01)
    flush = asyncio.get_running_loop().create_task(store.flush())
    await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    release.set()
    await store.close()
    assert read_past(str(tmp_path / "state.db")).ever_up == {ID}


async def test_read_only_reads_and_writes_nothing(tmp_path: Path) -> None:
    """`healthctl check` learns what was ever up, and leaves no trace; no file, no directory, no database: nothing."""
    path = tmp_path / "state.db"
    async with opened(path) as store:
        note(store, "o")
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert (await Store.read_only(str(path))).ever_up == {ID}
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    (tmp_path / "garbage").write_bytes(b"no database " * 100)
    for absent in (tmp_path / "none.db", tmp_path / "none" / "state.db", tmp_path, tmp_path / "garbage"):
        assert (await Store.read_only(str(absent))).ever_up == frozenset()
    assert names(tmp_path) == ["garbage", "state.db"]


async def test_transitions_are_kept_and_idempotent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Changes of state reach the file once each; a row's first state is no change."""
    caplog.set_level(logging.INFO)
    async with opened(tmp_path / "state.db") as store:
        store.note_transition(Transition(id=ID, before=None, after=State.OK, at=1.0))
        store.note_transition(Transition(id=ID, before=State.OK, after=State.PENDING, at=2.0))
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as db:
        assert db.execute("SELECT * FROM change").fetchall() == [(2.0, ID, "ok", "pending")]
    assert caplog.text == ""


async def test_what_need_not_accept_was_never_up(tmp_path: Path) -> None:
    """A port that is ok because it may be closed (`expect: any`, `down`) is not remembered as up."""
    async with opened(tmp_path / "state.db") as store:
        note(store, "x")
        assert store.ever_up == set()
        note(store, "o", 30.0)
        assert store.ever_up == {ID}
