"""Following the Connector's log: over restarts, broken connections and logs that can't be read, and none twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from checks.connlog.model import ConnectionKind, LogState, LogUnreadableError, RawLine
from checks.model import Json, Reason
from checks.net.errors import NetError
from checks.runtime.model import LogPlace, Runtime, Wanted
from daemon.config.load import parse_config
from daemon.insight import Insight, Memory
from daemon.logwatch import CURSOR_KEY, RETRY_S, LogWatch
from daemon.vantage.watch import ConnectorWatch
from tests.support.cancel import check_cancellation
from tests.support.sightings import NOW, RUNNING, STARTED_AT, Looks

PLACE = LogPlace(kind="docker", id="container-1", driver="json-file")
LOGGED = replace(RUNNING, log=PLACE)
Step = Sequence[RawLine] | Exception | None
"""One batch, an error, or None: the stream ends."""


def line(text: str, number: int = 1) -> RawLine:
    """Make a line that was written a minute before NOW."""
    return RawLine(at=NOW - 60 + number, text=text.encode(), cursor=str(number))


class Source:
    """Plays one script after the other; after the last step it follows in silence."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = list(scripts)
        self.asked: list[tuple[str, str | None, float | None]] = []
        self.closed = 0
        self.silent = asyncio.Event()

    def make(self, place: LogPlace, docker_host: str) -> "Source":
        """Stand in for the maker of sources."""
        assert docker_host.startswith("unix://")
        self._place = place
        return self

    async def follow(self, cursor: str | None, since: float | None) -> AsyncIterator[Sequence[RawLine]]:
        """Play the next script."""
        self.asked.append((self._place.id, cursor, since))
        try:
            for step in self.scripts.pop(0) if self.scripts else ():
                if isinstance(step, Exception):
                    raise step
                if step is None:
                    return
                yield step
            self.silent.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Rig:
    """A watch on a Connector, what its log tells, and what is remembered."""

    def __init__(self, source: Source, *sightings: object, held: Json = None) -> None:
        self.held: dict[str, Json] = {CURSOR_KEY: held}
        config = parse_config(b"connector: {name: t, runtime: docker, vantage: host}\n", "test.yaml").config

        async def find(_: Wanted) -> Runtime:
            return Looks(*(sightings or (LOGGED,)))  # type: ignore[arg-type]

        self.watch = ConnectorWatch(config, find=find)
        memory = Memory(self.held.get, self.held.__setitem__)
        self.insight = Insight(config, lambda: NOW, lambda _: None, memory)
        self.log = LogWatch(self.watch, self.insight, memory, source.make)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the log for the block."""
        await self.watch.begin()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.log.run())
            yield
            task.cancel()


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
    source = Source([broken], [broken], [broken], [[line("x", 5)], None], [])
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
