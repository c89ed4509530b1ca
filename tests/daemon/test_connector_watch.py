"""Which seat is taken, when it changes, and what a Connector that comes, goes or can't be told apart does to it."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pytest

from checks.half_open import HalfOpen
from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.helper import HelperClient, HelperState
from checks.net.rawtcp import Ear
from checks.runtime.model import AmbiguousError, Runtime, Sighting, Wanted
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.vantage.own_helper import helper_arguments
from daemon.vantage.watch import DISCOVER_AGAIN_S, HELPER_MISSES, ConnectorWatch
from tests.support.sightings import RUNNING, Looks

ELSEWHERE = HelperState(
    pid=4711, started=1, namespace=1, own=False, fds=(8, 1024), ping_group_range=(0, 1),
    environment=MappingProxyType({"TWINGATE_DNS": "192.0.2.53,192.0.2.54"}),
)  # fmt: skip
HERE = replace(ELSEWHERE, namespace=Path("/proc/self/ns/net").stat().st_ino)
MISSING = SeatError(Reason.PERMISSION_DENIED, "the helper is not there")
GONE = SeatError(Reason.NOT_RUNNING, "nobody stands there")
NOBODY = Sighting(runtime="none", problem=Reason.NOT_FOUND, evidence="no Connector was found")


class Helper:
    """A helper that answers from a script, the last answer for ever."""

    def __init__(self, *answers: HelperState | SeatError) -> None:
        self._answers: Iterator[HelperState | SeatError] = iter(answers)
        self._last = answers[-1]
        self.closed = False

    def state(self) -> HelperState:
        """Return or raise the next answer."""
        answer = next(self._answers, self._last)
        if isinstance(answer, SeatError):
            raise answer
        return answer

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """Refuse: these tests open nothing."""
        raise AssertionError((family, kind))

    def open_raw(self, _family: int) -> Ear:
        """Have no right to."""
        raise PermissionError

    def read_net(self, name: str) -> str:
        """Refuse: these tests read nothing."""
        raise AssertionError(name)

    def read_file(self, name: str) -> str:
        """Have no such file."""
        raise FileNotFoundError(name)

    def mark(self) -> tuple[int, int, int]:
        """Return what names the place."""
        state = self.state()
        return state.pid, state.started, state.namespace

    def close(self) -> None:
        """Note it."""
        self.closed = True


def _config(connector: str) -> Config:
    return parse_config(f"connector: {{name: t, {connector}}}\n".encode(), "test.yaml").config


def _watch(
    connector: str,
    *answers: HelperState | SeatError,
    sightings: tuple[Sighting, ...] = (RUNNING,),
    here: HalfOpen | None = None,
) -> ConnectorWatch:
    async def find(_: Wanted) -> Runtime:
        return Looks(*sightings)

    return ConnectorWatch(_config(connector), helper=cast("HelperClient", Helper(*answers)), find=find, here=here)


@pytest.mark.parametrize(
    ("connector", "answer", "sighting", "first", "second"),
    [
        ("vantage: auto", ELSEWHERE, RUNNING, "connector", "host"),
        ("vantage: auto", HERE, RUNNING, "connector", None),
        ("vantage: auto", GONE, RUNNING, "connector", "host"),
        ("vantage: auto", MISSING, RUNNING, "host", None),
        ("vantage: auto", MISSING, replace(RUNNING, own_namespace=True), "connector", None),
        ("vantage: connector", MISSING, RUNNING, "connector", "host"),
        ("vantage: host", ELSEWHERE, replace(RUNNING, own_namespace=True), "host", None),
        ("vantage: auto", MISSING, NOBODY, "host", None),
        ("runtime: none", ELSEWHERE, NOBODY, "host", None),
        ("runtime: none, vantage: connector", ELSEWHERE, NOBODY, "connector", "host"),
    ],
    ids=[
        "helper", "helper-same-namespace", "helper-nobody-there", "no-helper", "no-helper-same-namespace",
        "connector-or-nothing", "host-by-order", "no-connector", "runtime-none", "runtime-none-helper",
    ],
)  # fmt: skip
async def test_seat(
    connector: str, answer: HelperState | SeatError, sighting: Sighting, first: str, second: str | None
) -> None:
    """The Connector's seat is taken whenever it can be had, and this host's own is the second where it is another."""
    watch = _watch(connector, answer, sightings=(sighting,))
    await watch.begin()
    assert watch.seats.first.name == first
    assert (watch.seats.host.name if watch.seats.host else None) == second
    await watch.close()


async def test_connector_or_nothing() -> None:
    """With `vantage: connector` and no helper whatever is tried says why it can't be, and nothing is sent from here."""
    watch = _watch("vantage: connector", MISSING)
    await watch.begin()
    for attempt in (lambda: watch.seats.first.open_socket(2, 1), lambda: watch.seats.first.read_net("route")):
        with pytest.raises(SeatError, match="the helper is not there"):
            attempt()


@pytest.mark.parametrize(
    ("connector", "answer", "sighting", "ours"),
    [
        ("vantage: host", ELSEWHERE, RUNNING, True),
        ("vantage: auto", MISSING, RUNNING, True),
        ("vantage: auto", HERE, RUNNING, True),
        ("vantage: auto", MISSING, replace(RUNNING, own_namespace=True), True),
        ("vantage: auto", ELSEWHERE, RUNNING, False),
        ("vantage: connector", MISSING, RUNNING, False),
    ],
    ids=["host", "no-helper", "near", "shared", "elsewhere", "nowhere"],
)
async def test_half_open_stands_where_the_seat_stands(
    connector: str, answer: HelperState | SeatError, sighting: Sighting, ours: bool
) -> None:
    """One prober serves every seat in our own network, through every reload: it could not be opened again."""

    def refuse(_family: int, _kind: int) -> socket.socket:
        raise PermissionError

    here = HalfOpen(lambda family: Ear(refuse(family, 0), 0, None), refuse)
    watch = _watch(connector, answer, sightings=(sighting,), here=here)
    await watch.begin()
    assert (watch.seats.first.half_open is here) is ours
    assert not watch.method.half_open
    assert watch.method.lacking
    if watch.seats.host is not None:
        assert watch.seats.host.half_open is here
    watch.reconfigure(parse_config(f"connector: {{name: t, {connector}}}\ndns: {{timeout: 1s}}".encode(), "t").config)
    await watch.look()
    assert (watch.seats.first.half_open is here) is ours
    await watch.close()
    assert not here.available
    without = _watch(connector, answer, sightings=(sighting,))
    await without.begin()
    helped = isinstance(answer, HelperState) and connector == "vantage: auto"
    assert (without.seats.first.half_open is not None) is helped, "the helper's right serves our own network, too"
    await without.close()


async def test_restart_of_the_helper_is_no_move() -> None:
    """While the helper is away for some looks the seat stays; gone for good, the host's takes over (vantage: auto)."""
    away = [MISSING] * HELPER_MISSES
    watch = _watch("vantage: auto", ELSEWHERE, *away[1:], ELSEWHERE, *away)
    await watch.begin()
    seen = [watch.seats.first.name]
    for _ in range(2 * HELPER_MISSES):
        await watch.look()
        seen.append(watch.seats.first.name)
    assert seen == ["connector"] * (2 * HELPER_MISSES) + ["host"]


async def test_what_only_the_helper_sees_is_added() -> None:
    """Descriptors, sysctls and settings of another user's process come from the helper, for that process only."""
    bare = replace(RUNNING, fds=None, ping_group_range=None, environment=MappingProxyType({}))
    watch = _watch("vantage: auto", ELSEWHERE, sightings=(bare,))
    await watch.begin()
    assert watch.sighting is not None
    assert (watch.sighting.fds, watch.sighting.ping_group_range) == ((8, 1024), (0, 1))
    assert [str(e) for e in watch.seats.first.resolver.nameservers] == ["192.0.2.53:53", "192.0.2.54:53"]
    other = _watch("vantage: auto", ELSEWHERE, sightings=(replace(bare, pid=1),))
    await other.begin()
    assert other.sighting is not None
    assert other.sighting.fds is None


async def test_several_and_no_choice() -> None:
    """At the start it is an error to be mended; one that appears later leaves us with the Connector that we had."""

    async def find(_: Wanted) -> Runtime:
        raise AmbiguousError("several: a, b")

    with pytest.raises(AmbiguousError):
        await ConnectorWatch(_config("runtime: docker"), find=find).begin()
    watch = _watch("runtime: docker", MISSING)
    await watch.begin()
    watch._find = find
    assert (await watch.look()).running
    watch.reconfigure(_config("runtime: docker, container: other"))
    assert (await watch.look()).problem is Reason.NOT_FOUND
    await watch.close()


@pytest.mark.looptime
async def test_connector_installed_later_is_found() -> None:
    """With nothing found it is looked for again once a minute, not at each look."""
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    async def find(_: Wanted) -> Runtime:
        asked.append(loop.time())
        return Looks(NOBODY if len(asked) < 3 else RUNNING)

    watch = ConnectorWatch(_config("runtime: auto"), helper=cast("HelperClient", Helper(MISSING)), find=find)
    began = loop.time()
    await watch.begin()
    for _ in range(40):
        await asyncio.sleep(15)
        await watch.look()
    assert [at - began for at in asked] == [0, DISCOVER_AGAIN_S, 2 * DISCOVER_AGAIN_S], "and once found, no more"
    assert watch.name == "docker"


async def test_reload_leaves_alone_what_it_does_not_change() -> None:
    """A reload keeps the seat, the helper and the runtime when neither `connector` nor `dns` changed."""
    watch = _watch("vantage: auto", ELSEWHERE)
    await watch.begin()
    before = watch.seats
    watch.reconfigure(_config("vantage: auto"))
    assert watch.seats is before
    watch.reconfigure(_config("vantage: host"))
    assert watch.seats.first.name == "host"


@pytest.mark.parametrize(
    ("connector", "sighting", "arguments"),
    [
        ("docker_host: 'unix:///d.sock'", RUNNING, ["--container", "twingate-1", "--docker-host", "unix:///d.sock"]),
        ("unit: a.service", replace(RUNNING, runtime="systemd"), ["--unit", "a.service"]),
        ("runtime: auto", replace(RUNNING, runtime="none", name="connectord"), ["--process", "connectord"]),
        ("runtime: auto", replace(RUNNING, runtime="kubernetes"), []),
        ("vantage: host", RUNNING, []),
        ("runtime: auto", replace(RUNNING, running=False), []),
    ],
    ids=["docker", "systemd", "bare", "kubernetes", "host-by-order", "stopped"],
)
def test_own_helper_of_a_check(connector: str, sighting: Sighting, arguments: list[str]) -> None:
    """`healthctl check` as root tells its helper exactly one Connector, and starts none where that gains nothing."""
    assert helper_arguments(sighting, _config(connector).connector) == arguments
