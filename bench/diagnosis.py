"""CPU time of the judge (diagnosis and alerts) by kind of outage: 20,000 checks that fail at once, and at rest.

Run: make bench. For each kind a board is filled, judged while all is well, then everything fails at once: that is the
first look. Later looks follow a second's worth of new results each (a thirtieth of the rows). Times are CPU of the one
thread, so that other processes don't count; `hold` is the longest turn of the event loop that a second task on it sees.
The collector of garbage runs as in the daemon (`daemon/heap.py`): what it takes is in the figures.
"""

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout that is not installed can be measured too

from daemon import heap
from daemon.board import Board
from daemon.config.schema import Alerting, Config, Resource
from daemon.insight import Memory
from daemon.jobs import Result
from daemon.judge import Judge, Surroundings
from daemon.plan import Plan
from daemon.state import Policy
from daemon.telling import Teller
from daemon.view import EngineFigures, View
from tests.support.scenes import Place

ROWS = 20_000
RUNS = 3
LATER = 8  # looks after the first
INTERVAL_S = 30  # of each row: so many of them report within a second
REST = 60  # ticks at rest that are averaged

Make = Callable[..., object]
"""Records one of the rows: the place, its number, and whether it is `bad`."""


def address(number: int) -> str:
    """Return one of the addresses, 62,500 in each /16."""
    return f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def refused(place: Place, number: int, *, bad: bool) -> object:
    """A port that stands alone."""
    return place.tcp(address(number), 5432, "refused" if bad else None)


def nameless(place: Place, number: int, *, bad: bool) -> object:
    """A name, and the only nameserver silent."""
    return place.dns(f"n{number}.corp.internal", "timeout" if bad else None, ns_192_168_0_53="timeout" if bad else "")


def zone(place: Place, number: int, *, bad: bool) -> object:
    """A name of a zone of which nothing resolves."""
    name = f"n{number}.z{number % 50}.corp.internal"
    return place.dns(name, "nxdomain" if bad else None, ns_192_168_0_53="nxdomain" if bad else "address")


def unasked(place: Place, number: int, *, bad: bool) -> object:
    """A port that is not asked while the Connector is down."""
    if bad:
        return place.skip(f"tcp:{address(number)}:443", "connector:process", resources=(f"R{number}",))
    return place.tcp(address(number), 443, resource=f"R{number}")


def most_silent(place: Place, number: int, *, bad: bool) -> object:
    """Two of three ports are silent, each alone, as the third answers."""
    return place.tcp(address(number), 5432, "timeout" if bad and number % 3 else None)


def subnet(place: Place, number: int, *, bad: bool) -> object:
    """All of a /16 is silent; the nameserver and something beyond answer."""
    if number == 0:
        return place.tcp("172.16.0.1", 443)
    return place.tcp(address(number), 5432, "timeout" if bad else None)


def next_hop(place: Place, number: int, *, bad: bool) -> object:
    """Everything behind the default route is silent, in many places."""
    return place.tcp(f"10.{number % 200}.{number // 200}.7", 5432, "timeout" if bad else None)


def hosts(place: Place, number: int, *, bad: bool) -> object:
    """Two ports of each host are silent, and the hosts between them answer."""
    bad = bad and number // 2 % 3 > 0
    return place.tcp(address(number // 2), 5432 + number % 2, "timeout" if bad else None)


def names_and_ports(place: Place, number: int, *, bad: bool) -> object:
    """Names that stand alone, and their ports, which are not asked."""
    name = f"n{number // 2}.example{number // 2}.com"
    if number % 2 == 0:
        return place.dns(name, "servfail" if bad else None)
    if bad:
        return place.skip(f"tcp:{name}:443", f"dns:{name}", resources=(name,))
    return place.tcp(name, 443, ips=(address(number),), resource=name)


KINDS: dict[str, Make] = {
    "all stand alone": refused,
    "names and their ports": names_and_ports,
    "nameserver down": nameless,
    "zone": zone,
    "Connector down": unasked,
    "2 of 3 silent": most_silent,
    "hosts down": hosts,
    "silent /16": subnet,
    "next hop": next_hop,
}


def crowd(one: Make, *, bad: bool) -> Place:
    """Return the place with all rows of a kind."""
    place = Place()
    place.nameserver("192.168.0.53", "timeout" if bad and one is nameless else None)
    place.connector("not_running" if bad and one is unasked else None)
    for number in range(ROWS):
        one(place, number, bad=bad)
    return place


class Hold:
    """A task beside the judge: `longest` is the most CPU seconds that passed between two of its turns."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = 0.0

    async def watch(self) -> None:
        """Watch until cancelled."""
        self._last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            self.note()

    def note(self) -> None:
        """Note the end of a turn."""
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now


async def timed(work: Callable[[], Coroutine[None, None, None]]) -> tuple[float, float]:
    """Return the CPU seconds that some work takes, and its longest hold."""
    hold = Hold()
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(hold.watch())
        await asyncio.sleep(0)
        begin = time.thread_time()
        await work()
        took = time.thread_time() - begin
        hold.note()
        watcher.cancel()
    return took, hold.longest


class Site:
    """A judge over a board of one kind of rows, on a clock that jumps a second ahead before each look."""

    def __init__(self, good: Place) -> None:
        self.at = good.at
        names = {name: None for job in good.jobs.values() for name in job.resources}
        resources = tuple(Resource(name=name, address=name) for name in names)
        self.config = Config(resources=resources)
        self.plan = Plan(jobs=tuple(good.jobs.values()), resources=resources, rows_of={})
        loop = asyncio.get_running_loop()
        real, ahead_of = loop.time, good.at
        loop.time = lambda: real() + self.at - ahead_of  # type: ignore[method-assign]  # so that delays of alerts end
        self.board = Board(Policy(), lambda: self.at, clock=loop.time)
        self.board.load(self.plan.jobs)
        self.record(row.result for row in good.rows.values())
        self.network = (good.routes, good.dead)
        around = Surroundings(
            network=lambda: self.network,
            memory=Memory(lambda _: None, lambda _, __: None),
            save=self._save,
            publish=lambda _: None,
            teller=Teller(loop.time),
        )
        self.judge = Judge(Alerting(), self.view, around)

    async def _save(self) -> None:
        pass

    def view(self) -> View:
        """Return the present moment."""
        engine = EngineFigures(connector="office-1", ready=True)
        return View(config=self.config, plan=self.plan, board=self.board, engine=engine)

    def record(self, results: Iterable[Result]) -> None:
        """Let rows report now."""
        self.board.record([replace(result, started_at=self.at) for result in results])

    async def look(self, results: Iterable[Result] = ()) -> tuple[float, float]:
        """Let a second pass in which some rows report; return what the judge takes to look, and its longest hold."""
        self.at += 1.0
        self.record(results)
        return await timed(self.judge.tick)


@dataclass(slots=True)
class Figures:
    """CPU seconds."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    hold: list[float] = field(default_factory=list)


async def outage(one: Make, found: Figures) -> int:
    """Judge a kind of outage; return how many causes there were."""
    site = Site(crowd(one, bad=False))
    results = [row.result for row in crowd(one, bad=True).rows.values()]
    await site.look()
    heap.settle()
    before = list(site.board.rows.values())  # rows come in over an interval: what they replace is not freed at once,
    for _ in range(2):
        site.record(results)
    gc.collect(1)  # nor are all of them new at once
    first, hold = await site.look()
    again, later = cycle(results), []
    for _ in range(LATER):
        took, held = await site.look(islice(again, len(results) // INTERVAL_S))
        later.append(took)
        hold = max(hold, held)
    found.first.append(first)
    found.later.append(statistics.median(later))
    found.hold.append(hold)
    del before
    return len(site.judge.diagnosis.causes)


async def rest(found: Figures) -> None:
    """Judge while nothing fails: `first` gets ticks in which nothing was heard, `later` those with new results."""
    place = crowd(names_and_ports, bad=False)
    site = Site(place)
    results = [row.result for row in place.rows.values()]
    await site.look()
    heap.settle()
    again = cycle(results)
    longest = 0.0
    for reporting in (False, True):
        took = []
        for _ in range(REST):
            some = islice(again, len(results) // INTERVAL_S if reporting else 0)
            spent, hold = await site.look(some)
            took.append(spent)
            longest = max(longest, hold)
        (found.later if reporting else found.first).append(statistics.fmean(took))
    found.hold.append(longest)


def ms(seconds: Iterable[float]) -> str:
    """Return a figure in milliseconds."""
    return f"{min(seconds) * 1000:8.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="CPU time of the judge")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--kind", default="", help="only kinds with this in their name")
    options = parser.parse_args()
    print(f"{ROWS:,} checks, CPU in ms; the least of {options.runs} runs: what else runs here only makes them longer")
    print(f"{'outage':24}{'causes':>8}{'first':>8}{'later':>8}{'hold':>8}")
    for name, one in KINDS.items():
        if options.kind in name:
            found, causes = Figures(), 0
            for _ in range(options.runs):
                causes = asyncio.run(outage(one, found))
                gc.unfreeze()
            print(f"{name:24}{causes:8}{ms(found.first)}{ms(found.later)}{ms(found.hold)}", flush=True)
    if options.kind in "at rest":
        found = Figures()
        for _ in range(options.runs):
            asyncio.run(rest(found))
            gc.unfreeze()
        print(f"{'at rest, per second':24}{0:8}{ms(found.first)}{ms(found.later)}{ms(found.hold)}")


if __name__ == "__main__":
    main()
