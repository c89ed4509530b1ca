"""Following the Connector's log: over restarts, broken connections and logs that can't be read, and none twice."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from checks.connlog.model import ConnectionKind, LogCause, LogState, LogUnreadableError
from checks.model import Json, Reason
from checks.net.errors import NetError
from checks.runtime.model import Sighting
from daemon.logwatch import BOOK_KEY, CURSOR_KEY, LINES_AT_ONCE, RETRY_S
from tests.support.cancel import check_cancellation
from tests.support.played_log import LOGGED, PLACE, Rig, Source, Step, line
from tests.support.sightings import NOW, RUNNING, STARTED_AT


async def test_lines_become_what_is_known() -> None:
    """What is read reaches the book, and the place to go on from is remembered."""
    source = Source([[line("[INFO] [connector] State: Online")], [line("noise", 2)]])
    rig = Rig(source)
    async with rig.running():
        await source.silent.wait()
        summary = rig.insight.log()
        assert summary is not None
        assert (summary.lines, summary.state) == (2, LogState.ONLINE)
    assert source.asked == [("container-1", None, STARTED_AT)]
    assert rig.held[CURSOR_KEY] == {"place": "container-1", "cursor": "2"}
    assert source.closed == 1


@pytest.mark.parametrize(
    ("held", "cursor"),
    [
        ({"place": "container-1", "cursor": "7"}, "7"),
        ({"place": "another", "cursor": "7"}, None),
        ({"place": "container-1", "cursor": 7}, None),
        ("garbage", None),
    ],
    ids=["ours", "another-container", "not-text", "garbage"],
)
async def test_goes_on_where_it_was(held: Json, cursor: str | None) -> None:
    """After our own restart the log is read from the remembered place of this very container, else from its start."""
    source = Source([])
    async with Rig(source, held=held).running():
        await source.silent.wait()
    assert source.asked == [("container-1", cursor, STARTED_AT)]


@pytest.mark.looptime
async def test_broken_connection_is_made_again_ever_more_slowly() -> None:
    """An engine that is away is asked again after 1, 2, 5 … seconds, from the last line, and at once patient again."""
    broken: Step = NetError(Reason.REFUSED, "connection refused")
    source = Source([broken], [OSError(5, "a file is gone")], [broken], [[line("x", 5)], None], [])
    rig = Rig(source)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with rig.running():
        await source.silent.wait()
        assert loop.time() - began == pytest.approx(1 + 2 + 5 + 1 + 0, abs=1.1)
    assert [cursor for _, cursor, _ in source.asked] == [None, None, None, None, "5"]
    assert source.closed == 5


@pytest.mark.looptime
async def test_log_that_cannot_be_read_is_said_and_tried_again_seldom() -> None:
    """Without permission the reason is shown, silence proves nothing, and it is tried again a minute later."""
    source = Source([LogUnreadableError("no permission for the journal", permission=True)], [[line("x")]])
    rig = Rig(source)
    loop = asyncio.get_running_loop()
    async with rig.running():
        while (summary := rig.insight.log()) is None:  # noqa: ASYNC110 - until the other task had its turn
            await asyncio.sleep(0)
        assert summary.problem == "no permission for the journal"
        assert summary.capability.errors is None
        began = loop.time()
        await source.silent.wait()
        assert loop.time() - began == pytest.approx(RETRY_S, abs=0.1)
        after = rig.insight.log()
        assert after is not None
        assert after.problem == ""


async def test_follows_the_connector_into_another_container() -> None:
    """A container that was made anew has its own log, and what the old one said of itself is over."""
    gone = [line("[ERROR] [connector] failed to get SD: Gone, code 410")]
    source = Source([gone], [[replace(line("[INFO] [connector] State: Online"), at=NOW - 5)]])
    anew = replace(RUNNING, id="b" * 12, started_at=NOW - 10, log=replace(PLACE, id="container-2"))
    rig = Rig(source, LOGGED, anew)
    async with rig.running():
        await source.silent.wait()
        first = rig.insight.log()
        assert first is not None
        assert first.token is not None
        source.silent.clear()
        rig.insight.note_sighting(LOGGED)
        rig.insight.note_sighting(await rig.watch.look())
        await source.silent.wait()
        second = rig.insight.log()
        assert second is not None
        assert (second.token, second.state) == (None, LogState.ONLINE)
    assert [place for place, _, _ in source.asked] == ["container-1", "container-2"]
    assert source.closed == 2


GONE = "[WARN] [libsdwan] [controller] operator(): failed to get SD: Gone, code 410"
DOWN = "[msg] Nameserver 10.0.0.2:53 has failed: request timed out."


async def test_what_still_holds_outlives_our_own_restart() -> None:
    """A Connector says once that its token is gone: who goes on reading after that line must know it all the same."""
    first = Rig(Source([[line("[INFO] [connector] State: Error", 1), line(GONE, 2), line(DOWN, 3)]]))
    async with first.running():
        await first.source.silent.wait()
        before = first.insight.log()
    second = Rig(Source([]))
    second.held.update(json.loads(json.dumps(first.held)))
    async with second.running():
        await second.source.silent.wait()
        after = second.insight.log()
    assert before is not None
    assert after is not None
    for told in ("state", "state_at", "token", "token_at", "nameservers_down"):
        assert getattr(after, told) == getattr(before, told)
    assert (after.token, after.lines, dict(after.causes)) == (LogCause.TOKEN_GONE, 0, {}), "held, and not counted again"


async def test_what_an_earlier_process_of_the_connector_said_is_over_after_our_restart() -> None:
    """A Connector that was started anew while we were away has nothing to do with what the one before it said."""
    first = Rig(Source([[line(GONE, 2), line(DOWN, 3)]]))
    async with first.running():
        await first.source.silent.wait()
    second = Rig(Source([]), replace(LOGGED, id="b" * 12, started_at=NOW - 10))
    second.held.update(first.held)
    async with second.running():
        await second.source.silent.wait()
        after = second.insight.log()
    assert after is not None
    assert (after.token, after.state, dict(after.nameservers_down)) == (None, None, {})


@pytest.mark.parametrize(
    "book",
    [
        None, 7, "x", [], {"state": ["online"]}, {"state": ["no such", 1, 2]}, {"state": ["online", "1", None]},
        {"token": ["token_gone", 2.0, 1.0]}, {"token": ["token_gone", float("inf"), float("inf")]}, {"token": {}},
        {"down": {"alice@example.com": [1, 2], "10.0.0.2": 3}}, {"down": [1]}, {"down": {"a.test": [NOW, NOW]}},
    ],
)  # fmt: skip
async def test_a_remembered_book_may_be_anything(book: Json) -> None:
    """What a file of ours holds is checked like everything else that comes from outside."""
    rig = Rig(Source([]), held={"place": "container-1", "cursor": "7"})
    rig.held[BOOK_KEY] = {"place": "container-1", "book": book}
    async with rig.running():
        await rig.source.silent.wait()
        summary = rig.insight.log()
    assert summary is not None
    assert (summary.token, summary.state, dict(summary.nameservers_down)) == (None, None, {})


async def test_a_log_that_has_no_reader_says_why() -> None:
    """A log driver that can't be read is no error of ours: its reason is shown, and nothing is asked."""
    source = Source()
    rig = Rig(source, replace(RUNNING, log=replace(PLACE, problem="the log driver syslog can't be read from here")))
    async with rig.running():
        for _ in range(5):
            await asyncio.sleep(0)
        summary = rig.insight.log()
        assert summary is not None
        assert summary.problem == "the log driver syslog can't be read from here"
    assert not source.asked


FAILED = (
    'ANALYTICS {"event_type":"failed_to_connect","timestamp":%d,"resource":{"address":"db.test"},'
    '"connection":{"resource_ip":"192.0.2.1","resource_port":5432,"protocol":"tcp","error_message":"CONNECTION_FAILED"}}'
)


async def test_cut_off_in_the_middle_of_a_batch() -> None:
    """Who is cancelled between two parts of a batch goes on after what was counted: nothing twice, nothing lost."""
    lines = [line("noise", n) for n in range(9 * LINES_AT_ONCE)]
    rig = Rig(Source([lines]))
    await rig.watch.begin()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.log.run())
        while rig.insight.book.summary(NOW).lines < 2 * LINES_AT_ONCE:  # noqa: ASYNC110 - until it had its turns
            await asyncio.sleep(0)
        task.cancel()
    counted = rig.insight.book.summary(NOW).lines
    assert counted < len(lines)
    assert rig.held[CURSOR_KEY] == {"place": "container-1", "cursor": str(counted - 1)}


async def test_flood_leaves_the_loop_to_others() -> None:
    """However much stands in a batch, others have their turn again and again while it is read."""
    source = Source([[line("x" * 2000, n) for n in range(1000)] for _ in range(5)])
    rig = Rig(source)
    turns = 0
    async with rig.running():
        while not source.silent.is_set():
            turns += 1
            await asyncio.sleep(0)
    assert turns >= 5000 / LINES_AT_ONCE


async def test_place_that_changes_while_it_is_read() -> None:
    """Another container's log is read from its own start, and the process it belongs to is known before its lines."""
    source = Source([[line("x", 7)]], [[line("[ERROR] [connector] failed to get SD: Gone, code 410")]])
    other = replace(RUNNING, name="b", id="b" * 12, started_at=NOW - 10, log=replace(PLACE, id="container-2"))
    rig = Rig(source, LOGGED, other)
    async with rig.running():
        await source.silent.wait()
        source.silent.clear()
        await rig.watch.look()
        await source.silent.wait()
        summary = rig.insight.log()
        assert summary is not None
        assert (summary.lines, summary.token) == (1, None), "a line from before its process says nothing of it"
    assert source.asked[1] == ("container-2", None, NOW - 10)


async def test_log_that_is_gone_for_a_while() -> None:
    """While Docker does not answer nothing is read; then it goes on after the last line."""
    source = Source([[line("x", 7)]], [[line("y", 8)]])
    away = Sighting(runtime="docker", problem=Reason.PERMISSION_DENIED, evidence="Docker did not answer")
    rig = Rig(source, LOGGED, away, LOGGED)
    async with rig.running():
        await source.silent.wait()
        source.silent.clear()
        await rig.watch.look()
        while not source.closed:  # noqa: ASYNC110 - until the other task had its turn
            await asyncio.sleep(0)
        await rig.watch.look()
        await source.silent.wait()
        summary = rig.insight.log()
        assert summary is not None
        assert summary.lines == 2
    assert [cursor for _, cursor, _ in source.asked] == [None, "7"]


@pytest.mark.looptime
async def test_single_look_ends_when_the_log_has_been_read() -> None:
    """`healthctl check` reads what is there already and does not wait for what comes."""
    source = Source([[line("x", n)] for n in range(3)])
    rig = Rig(source)
    await rig.watch.begin()
    began = asyncio.get_running_loop().time()
    await rig.log.read_for(60.0)
    assert asyncio.get_running_loop().time() - began < 1.0
    summary = rig.insight.log()
    assert summary is not None
    assert summary.lines == 3
    assert source.closed == 1


async def test_what_was_before_us_is_no_prediction_of_ours() -> None:
    """Failures from before this process began are counted, and compared with nothing: nobody had predicted anything."""
    old = line(FAILED % int((NOW - 3600) * 1000))
    source = Source([[old]])
    rig = Rig(source)
    async with rig.running():
        await source.silent.wait()
    summary = rig.insight.log()
    assert summary is not None
    assert summary.events[ConnectionKind.UNABLE_TO_CONNECT] == 1
    assert not any(rig.insight.truth.predictions.counts.values())


async def test_cancelled_anywhere() -> None:
    """Stopping while the log is read leaves no stream open, wherever it happens."""
    sources: list[Source] = []

    def reading(make: Callable[[], Source]) -> Callable[[], object]:
        async def read() -> None:
            source = make()
            sources.append(source)
            rig = Rig(source)
            await rig.watch.begin()
            await rig.log.read_for(0.01)

        return read

    await check_cancellation(reading(lambda: Source([[line("x", n)] for n in range(3)])))  # type: ignore[arg-type]
    assert all(source.closed == len(source.asked) for source in sources)
