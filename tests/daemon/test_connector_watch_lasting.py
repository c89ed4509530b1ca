"""A watch that is interrupted: engines that hang, helpers that come and go, reloads in the middle of a look."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pytest

from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.helper import HelperClient, HelperState
from checks.net.rawtcp import Ear
from checks.runtime.model import Runtime, RuntimeName, Sighting, Wanted
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.vantage.own_helper import with_own_helper
from daemon.vantage.watch import HELPER_MISSES, ConnectorWatch
from tests.support.sightings import RUNNING, Looks

NEAR = HelperState(
    pid=4711, started=1, namespace=Path("/proc/self/ns/net").stat().st_ino, own=True, fds=(8, 1024),
    ping_group_range=(0, 1), environment=MappingProxyType({"TWINGATE_DNS": "192.0.2.53"}),
)  # fmt: skip
MISSING = SeatError(Reason.PERMISSION_DENIED, "the helper is not there")
UNSEEN = Sighting(runtime="docker", problem=Reason.PERMISSION_DENIED, evidence="Docker did not answer")
GONE = Sighting(runtime="docker", problem=Reason.NOT_FOUND, evidence="no such container")
SHARED = replace(RUNNING, own_namespace=True, environment=MappingProxyType({"TWINGATE_DNS": "192.0.2.53"}))


class Helper:
    """A helper of which only `state` is asked."""

    def __init__(self, *answers: HelperState | SeatError) -> None:
        self.answers = list(answers)
        self.closed = 0
        self.ended = threading.Event()

    def state(self) -> HelperState:
        """Return or raise the next answer, the last one for ever."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, SeatError):
            raise answer
        return answer

    def open_socket(self, family: int, kind: int) -> None:
        """Refuse: these tests open nothing."""
        raise AssertionError((family, kind))

    read_net = read_file = mark = open_socket

    def open_raw(self, _family: int) -> Ear:
        """Have no right to."""
        raise PermissionError

    def close(self) -> None:
        """Count it."""
        self.closed += 1
        self.ended.set()


def _config(connector: str = "vantage: auto", more: str = "") -> Config:
    return parse_config(f"connector: {{name: t, {connector}}}\n{more}".encode(), "test.yaml").config


def _watch(
    *sightings: Sighting, helper: Sequence[HelperState | SeatError] = (MISSING,), connector: str = "vantage: auto"
) -> ConnectorWatch:
    async def find(_: Wanted) -> Runtime:
        return Looks(*sightings)

    return ConnectorWatch(_config(connector), helper=cast("HelperClient", Helper(*helper)), find=find)


def _asked(watch: ConnectorWatch) -> list[str]:
    return [str(nameserver) for nameserver in watch.seats.first.resolver.nameservers]


@pytest.mark.parametrize(
    ("sighting", "helper", "connector"),
    [(SHARED, MISSING, "vantage: auto"), (RUNNING, NEAR, "vantage: auto"), (RUNNING, MISSING, "vantage: connector")],
    ids=["same-namespace", "same-namespace-by-helper", "no-seat"],
)
async def test_seat_that_stays_is_one_seat(sighting: Sighting, helper: HelperState | SeatError, connector: str) -> None:
    """As long as looks find the Connector where it was, its seat and the resolver in it are the very same."""
    watch = _watch(sighting, helper=[helper], connector=connector)
    await watch.begin()
    first = watch.seats.first
    await watch.look()
    assert watch.seats.first is first
    watch.reconfigure(_config(connector, "dns: {timeout: 1s}\n"))
    assert watch.seats.first is not first, "other settings are another resolver"


async def test_other_nameservers_of_the_connector_are_another_seat() -> None:
    """A Connector started anew with other nameservers is asked through these."""
    watch = _watch(SHARED, replace(SHARED, environment=MappingProxyType({"TWINGATE_DNS": "192.0.2.99"})))
    await watch.begin()
    before = _asked(watch)
    await watch.look()
    assert (before, _asked(watch)) == (["192.0.2.53:53"], ["192.0.2.99:53"])


async def test_engine_that_hangs_moves_no_seat() -> None:
    """While Docker does not answer the seat and the nameservers stay; a container that is gone ends both."""
    watch = _watch(SHARED, UNSEEN, UNSEEN, GONE)
    await watch.begin()
    for _ in range(2):
        await watch.look()
        assert (watch.seats.first.name, _asked(watch)) == ("connector", ["192.0.2.53:53"])
        assert watch.environment == SHARED.environment
    await watch.look()
    assert (watch.seats.first.name, dict(watch.environment)) == ("host", {})


async def test_helper_of_a_connector_in_our_namespace_may_be_away() -> None:
    """The helper's restart is no reason to give up the seat either where the Connector is in our own namespace."""
    watch = _watch(replace(RUNNING, own_namespace=None), helper=[NEAR, *[MISSING] * HELPER_MISSES])
    await watch.begin()
    seen = []
    for _ in range(HELPER_MISSES):
        await watch.look()
        seen.append((watch.seats.first.name, watch.seats.host is None))
    assert seen == [("connector", True)] * (HELPER_MISSES - 1) + [("host", True)]


class Hanging:
    """A runtime whose look and close end when they are let."""

    def __init__(self, sighting: Sighting, close_s: float = 0.0) -> None:
        self.sighting = sighting
        self.name: RuntimeName = "docker"
        self.looking, self.go = asyncio.Event(), asyncio.Event()
        self.close_s = close_s
        self.closed = 0

    async def look(self) -> Sighting:
        """Look when let."""
        self.looking.set()
        await self.go.wait()
        return self.sighting

    async def close(self) -> None:
        """Take its time."""
        self.closed += 1
        await asyncio.sleep(self.close_s)


@pytest.mark.parametrize("in_find", [False, True], ids=["in-the-look", "in-the-search"])
async def test_reload_in_the_middle_of_a_look(*, in_find: bool) -> None:
    """Who is being looked at when a reload names another Connector is not taken for that one."""
    slow = Hanging(replace(RUNNING, name="a"))
    asked: list[str | None] = []

    async def find(wanted: Wanted) -> Runtime:
        asked.append(wanted.container)
        if wanted.container == "b":
            return Looks(replace(RUNNING, name="b"))
        if in_find:
            await slow.look()
        return slow

    watch = ConnectorWatch(_config("container: a"), helper=cast("HelperClient", Helper(MISSING)), find=find)
    async with asyncio.TaskGroup() as group:
        look = group.create_task(watch.look())
        await slow.looking.wait()
        watch.reconfigure(_config("container: b"))
        slow.go.set()
    assert look.result().name == "b"
    assert watch.sighting is not None
    assert watch.sighting.name == "b"
    await watch.look()
    assert (asked, slow.closed) == (["a", "b"], 1)


@pytest.mark.looptime
async def test_stop_waits_for_hanging_engines_side_by_side() -> None:
    """Two engines that hang, the old one and the new one of a reload, delay the stop no more than one."""
    hang = [Hanging(RUNNING, close_s=1.0), Hanging(RUNNING, close_s=1.0)]
    rest = list(hang)

    async def find(_: Wanted) -> Runtime:
        rest[0].go.set()
        return rest.pop(0)

    watch = ConnectorWatch(_config("container: a"), helper=cast("HelperClient", Helper(MISSING)), find=find)
    await watch.begin()
    watch.reconfigure(_config("container: b"))
    watch._gone, gone = [], watch._gone
    await watch.look()
    watch._gone = gone
    began = asyncio.get_running_loop().time()
    await watch.close()
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)
    assert [each.closed for each in hang] == [1, 1]


@pytest.fixture
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


@pytest.mark.usefixtures("_as_root")
@pytest.mark.parametrize("error", [MISSING, OSError(11, "no more processes")], ids=["seat-error", "fork-failed"])
async def test_own_helper_that_does_not_start(error: OSError) -> None:
    """A helper of our own that can't be started leaves the seat as it is: no error of the whole command."""
    watch = _watch(RUNNING)
    await watch.begin()

    def start(_: Sequence[str]) -> HelperClient:
        raise error

    await with_own_helper(watch, start)
    assert watch.seats.first.name == "host"


@pytest.mark.usefixtures("_as_root")
async def test_own_helper_is_taken() -> None:
    """A helper that starts brings the Connector's seat, and is closed with the watch."""
    watch, helper = _watch(RUNNING), Helper(replace(NEAR, namespace=1))
    await watch.begin()
    await with_own_helper(watch, lambda _: cast("HelperClient", helper))
    assert (watch.seats.first.name, helper.closed) == ("connector", 0)
    opens: object = watch.seats.first.open_socket
    assert opens == helper.open_socket
    await watch.close()
    assert helper.closed == 1


@pytest.mark.usefixtures("_as_root")
async def test_own_helper_that_hangs_holds_nobody_up() -> None:
    """Its start keeps to the time-out of the command, the loop goes on meanwhile, and what starts too late is ended."""
    watch, helper, go = _watch(RUNNING), Helper(MISSING), threading.Event()
    await watch.begin()

    def start(_: Sequence[str]) -> HelperClient:
        go.wait(20)
        return cast("HelperClient", helper)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await with_own_helper(watch, start)
    assert time.monotonic() - began < 10, "not until it started"
    assert watch.seats.first.name == "host"
    go.set()
    assert helper.ended.wait(20)


async def test_reload_with_another_helper_leaves_the_old_one() -> None:
    """The old helper is left, and what it had told is no longer true: the host's seat, until the new one answers."""
    helper = Helper(replace(NEAR, namespace=1))
    watch = _watch(RUNNING)
    watch._helper = cast("HelperClient", helper)
    await watch.begin()
    watch.reconfigure(_config("helper: /nonexistent/netns.sock"))
    assert (helper.closed, watch.seats.first.name) == (1, "host")
    await watch.close()


@pytest.mark.parametrize(("sighting", "contained"), [(SHARED, True), (SHARED, False), (RUNNING, True)])
async def test_sidecar_is_who_shares_its_network(
    sighting: Sighting, *, contained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only in a container, and only in the Connector's own network namespace, loopback alone means left alone."""
    monkeypatch.setattr("daemon.vantage.watch.in_container", lambda: contained)
    watch = _watch(sighting, helper=[MISSING if sighting is SHARED else replace(NEAR, namespace=1)])
    await watch.begin()
    assert watch.shared is (contained and sighting is SHARED)
