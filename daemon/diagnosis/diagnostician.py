"""The diagnosis: the smallest set of causes that explains what fails, found by subtraction, layer by layer."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from types import MappingProxyType
from typing import TypeAlias

from checks.hostnet import Route
from checks.model import CheckName
from checks.nexthop import NextHops
from daemon.causes import Cause, Diagnosis, Domain
from daemon.diagnosis import (
    rules_clock,
    rules_connector,
    rules_host,
    rules_nameserver,
    rules_network,
    rules_resource,
    rules_twingate,
    rules_zone,
)
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.found import Found
from daemon.diagnosis.lazy import Alone
from daemon.diagnosis.memory import Memory
from daemon.diagnosis.reading import Reading
from daemon.diagnosis.scene import Scene
from daemon.diagnosis.wording import RANK, Words

SLICE_S = 0.004  # how long the loop is held at a time, in seconds: a probe's timing must not suffer from thinking
_Steps: TypeAlias = Generator[None, None, Diagnosis]

RULES: tuple[Callable[[Case], Iterator[None]], ...] = (
    rules_host.host_network,
    rules_host.local_firewall,
    rules_network.next_hops,
    rules_clock.clock,
    rules_nameserver.nameservers,
    rules_twingate.tls_inspection,
    rules_twingate.egress,
    rules_twingate.control_plane,
    rules_twingate.relays,
    rules_twingate.direct_path,
    rules_connector.process,
    rules_connector.own_network,
    rules_zone.zones,
    rules_network.subnets,
    rules_network.ports,
    rules_resource.hosts,
    rules_resource.services,
    rules_host.client_range,
    rules_host.ping_group,
)
"""From this host outwards: each takes what the ones before it left unexplained. Next hops come before the nameservers,
Controller and Relays that lie behind them."""
_DOMAINS = {domain: place for place, domain in enumerate(Domain)}


class Diagnostician:
    """Diagnoses one scene after the other, and remembers what it held. One `diagnose` at a time.

    `clock`: seconds that only go forward (the loop's), for how long causes have been held.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._memory = Memory()
        self._readings: dict[str, Reading | None] = {}
        self._known_alone: dict[str, Alone] = {}  # by row: a row that did not change has the same cause
        self._routes: tuple[Route, ...] | None = None
        self._hops = NextHops()

    async def diagnose(self, scene: Scene) -> Diagnosis:
        """Return the causes of a scene; the loop is never held for longer than about SLICE_S at a time."""
        loop = asyncio.get_running_loop()
        steps = self.steps(scene)
        begin = loop.time()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                diagnosis: Diagnosis = end.value
                return diagnosis
            if loop.time() - begin >= SLICE_S:
                await asyncio.sleep(0)
                begin = loop.time()

    def steps(self, scene: Scene) -> _Steps:
        """Diagnose in steps of a few milliseconds at most; the last one returns the diagnosis."""
        now = self._clock()
        yield from self._sort_routes(scene.routes)
        memory = self._memory
        case = Case(scene, self._hops, self._readings, memory.held.keys())
        yield from case.read()
        memory.recall_disagreements(case)
        yield from memory.resume(case, now)
        for rule in RULES:
            yield from rule(case)
        words = Words(case)
        alone: dict[str, Alone] = {}
        for check in (CheckName.DNS, CheckName.TCP):
            if check is CheckName.TCP:  # names that stand alone have taken their ports along
                yield from case.follow()
            yield from self._alone(case, words, check, alone)
        causes: list[Cause] = list(alone.values())
        held: dict[str, tuple[Found, float]] = {}
        for found in sorted(case.found.values(), key=lambda f: f.id):
            if not _firm(case, found):
                for row_id in found.rows:
                    case.explained.pop(row_id, None)
                continue
            earlier = memory.held.get(found.id)
            for cause in words.cause(found, earlier.since if earlier else None):
                if cause is None:
                    yield
                else:
                    causes.append(cause)
                    held[found.id] = (found, cause.since)
        self._known_alone = alone
        yield from memory.keep(case, held, now)
        ordered = yield from _ordered(causes)
        return Diagnosis(causes=ordered, explained=MappingProxyType(case.explained))

    def _alone(self, case: Case, words: Words, check: CheckName, made: dict[str, Alone]) -> Iterator[None]:
        """Make the causes of failures of a check that nothing explains, by row."""
        known, children, explained, single = self._known_alone, case.children, case.explained, words.single
        for count, (row_id, reading) in enumerate(case.open.items()):
            if count % BREATH == 0:
                yield
            if reading.check is not check or not reading.certain:
                continue
            dependents: tuple[str, ...] = ()
            if row_id in children:
                dependents = tuple(i for i in children[row_id] if i not in explained)
            cause = made[row_id] = single(reading, dependents, known.get(row_id))
            for dependent in dependents:
                explained[dependent] = cause.id

    def _sort_routes(self, routes: tuple[Route, ...]) -> Iterator[None]:
        if routes is not self._routes:
            hops = NextHops()
            yield from hops.sorted_in(routes)
            self._hops, self._routes = hops, routes


def diagnose_once(scene: Scene) -> Diagnosis:
    """Return the causes of a scene at once, without any memory: for a single look."""
    steps = Diagnostician(lambda: 0.0).steps(scene)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            diagnosis: Diagnosis = end.value
            return diagnosis


def _firm(case: Case, found: Found) -> bool:
    """Tell whether a cause stands on more than failures that are not confirmed yet."""
    if found.id in case.previous:
        return True
    shown = [reading for i in found.evidence if (reading := case.reading(i)) is not None]
    if any(reading.certain or not reading.bad for reading in shown):
        return True
    members = (reading for i in found.rows if (reading := case.reading(i)) is not None)
    return any(reading.certain for reading in members) or not (shown or found.rows)


def _ordered(causes: list[Cause]) -> Generator[None, None, tuple[Cause, ...]]:
    """Sort causes: severity, domain, most Resources; equals stay as they were found."""
    places: dict[tuple[int, int], list[Cause]] = {}
    for count, cause in enumerate(causes):
        if count % BREATH == 0:
            yield
        places.setdefault((RANK[cause.severity], _DOMAINS[cause.domain]), []).append(cause)
    ordered: list[Cause] = []
    for _, alike in sorted(places.items(), key=lambda item: item[0]):
        alike.sort(key=lambda cause: -cause.resources)
        ordered += alike
        yield
    return tuple(ordered)
