"""Looks out for what changes around us: notes it for people, and has what it may break asked again at once."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NoReturn, Protocol

from checks.net.answers import DNS_PORT
from checks.net.endpoint import Endpoint
from checks.net.seat import Seat
from checks.runtime.model import Sighting
from checks.timescale import Reading, boot_seconds, read_clocks
from daemon.causes import ChangeKind
from daemon.changes.allowance import Allowance
from daemon.changes.bell import Bell
from daemon.changes.facts import FactReader, NetworkFacts
from daemon.changes.life import ProcessEnd
from daemon.changes.network import NO_DIFFERENCE, Difference, Snapshot, compare, take
from daemon.changes.ring import Changes
from daemon.changes.sightings import connector_changes

TICK_S = 0.8  # no bell hangs in the Connector's own network: with confirm.interval (2 s) a fault there fails within 3 s
SETTLE_S = 0.1  # taking a link down is several changes: what is compared right after the first is half of it
COMPARE_REST = 50  # times what a comparison took, until the next: 2 % of the loop, however large the tables are
STEP_S = 1.0  # contract: a step of the clock
# Rounds at once, and seconds until one more: a person who mends a network tries this and that; one that never rests
# has a Resource asked ten times as often as by its slots, and the control plane seven times.
WAYS, OUTWARD, UNSEEN = (20, 3.0), (6, 10.0), (6, 10.0)
STALE_LOOKS = 5  # ticks in which a runtime may still say that a process runs which has ended

_OWN, _ELSEWHERE = "own", "elsewhere"


class Seated(Protocol):
    """From where we look: the Connector's place first, and this host's where that is another one."""

    @property
    def first(self) -> Seat:
        """The seat of the checks."""

    @property
    def host(self) -> Seat | None:
        """This host's own seat, if `first` is elsewhere."""


class Watched(Protocol):
    """What is asked of daemon.vantage.watch.ConnectorWatch: its last look, and the seats as of that look."""

    @property
    def sighting(self) -> Sighting | None:
        """The last look; None before the first."""

    @property
    def seats(self) -> Seated:
        """From where to look."""


class Reactions(Protocol):
    """Who is told at once: daemon.engine.Engine."""

    def network_changed(self, difference: Difference, *, outward: bool) -> None:
        """The kernel reported a change; `difference` may be empty: not all that changes is in the tables we read.

        `outward`: nameservers, control plane and Relays may be reached otherwise, and may be asked again.
        """

    def connector_ended(self) -> None:
        """The Connector's process has ended."""

    def nameservers_changed(self) -> None:
        """Other nameservers are in use."""


class ChangeWatch:
    """Compares what is with what was: the network when the kernel's bell rings, all else once a tick.

    Made on the event loop on which it runs; one root task. `changes` takes what is found, `reactions` hears of it.
    """

    def __init__(
        self,
        watch: Watched,
        changes: Changes,
        reactions: Reactions,
        *,
        elapsed: Callable[[], float] = boot_seconds,
    ) -> None:
        self._watch = watch
        self._changes = changes
        self._reactions = reactions
        self._elapsed = elapsed
        self._clock = asyncio.get_running_loop().time
        self._rung = asyncio.Event()
        self._bell = Bell(self._rung.set)
        self._life = ProcessEnd(self._process_ended)
        self._facts = FactReader(self._clock)
        self._not_before = float("-inf")
        self._snapshots: dict[str, Snapshot] = {}  # of this host's own network, of the Connector's elsewhere
        self._ways, self._outward, self._unseen = Allowance(*WAYS), Allowance(*OUTWARD), Allowance(*UNSEEN)
        self._outward_owed = False
        self._owed = NO_DIFFERENCE
        self._sighting: Sighting | None = None
        self._seat = ""
        self._nameservers: tuple[Endpoint, ...] = ()
        self._reading: Reading | None = None
        self._stale_looks = 0

    def network_facts(self, seat: Seat) -> NetworkFacts:
        """Return (routes, dead next hops) of a seat, at most 5 s old; both empty where they can't be read."""
        return self._facts.network_facts(seat)

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        try:
            self._bell.hang()
            self.tick(rung=True)
            while True:
                rung = await self._woken()
                self.tick(rung=rung)
        finally:
            self._bell.close()
            self._life.close()

    def tick(self, *, rung: bool) -> None:
        """Look once at all of it; at our own network's tables only when its bell `rung`, or when there is none."""
        began = self._clock()
        if rung:
            self._rung.clear()
        self._look_at_networks(rung=rung)
        self._not_before = self._clock() + COMPARE_REST * (self._clock() - began)
        self._look_at_connector()
        self._look_at_nameservers()
        self._look_at_clock()

    async def _woken(self) -> bool:
        """Wait for the bell or the next tick; tell which it was."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await self._rung.wait()
        rung = self._rung.is_set()
        await asyncio.sleep(max(SETTLE_S if rung else 0.0, self._not_before - self._clock()))
        return rung or self._rung.is_set()

    def _look_at_networks(self, *, rung: bool) -> None:
        seats, found = self._watch.seats, NO_DIFFERENCE
        if rung or not self._bell.hangs:
            where = "on this host: " if seats.host is not None else ""
            found = self._compared(seats.host or seats.first, _OWN, where)
        if seats.host is None:
            self._snapshots.pop(_ELSEWHERE, None)
        else:
            found = found.also(self._compared(seats.first, _ELSEWHERE, "in the Connector's network: "))
        if rung or found.relevant:
            self._facts.forget()
        self._tell(found, rung=rung)

    def _compared(self, seat: Seat, whose: str, where: str) -> Difference:
        """Compare a network with what it was; what can't be read now is compared when it can be."""
        before = self._snapshots.get(whose)
        try:
            after = self._snapshots[whose] = take(seat)
        except OSError:
            return NO_DIFFERENCE
        if before is None:
            return NO_DIFFERENCE
        difference = compare(before, after)
        for kind, text in difference.said:
            self._changes.note(kind, where + text)
        return difference

    def _tell(self, found: Difference, *, rung: bool) -> None:
        """Tell of a change at once; while a network changes all the time, less often of all that it may break."""
        self._owed = self._owed.also(found)
        now = self._clock()
        self._outward_owed = self._outward_owed or found.relevant
        outward = self._outward_owed and self._outward.take(now)
        self._outward_owed = self._outward_owed and not outward
        if self._owed.relevant and self._ways.take(now):
            owed, self._owed = self._owed, NO_DIFFERENCE
            self._reactions.network_changed(owed, outward=outward)
        elif outward or found.way_out or (rung and self._unseen.take(now)):
            self._reactions.network_changed(NO_DIFFERENCE, outward=outward)

    def _look_at_connector(self) -> None:
        sighting, seat = self._watch.sighting, self._watch.seats.first.name
        if self._seat and seat != self._seat:
            where = "the Connector's own network" if seat == "connector" else "this host's network"
            self._changes.note(ChangeKind.SEAT, f"probing from {where} now")
        self._seat = seat
        if sighting is None:
            return
        if self._sighting is not None and sighting is not self._sighting:
            for text in connector_changes(self._sighting, sighting):
                self._changes.note(ChangeKind.CONNECTOR, text)
        self._sighting = sighting
        pid = sighting.pid if sighting.running else None
        if pid is not None and pid == self._life.pid and self._life.ended:
            # The kernel saw it end, and the runtime has not heard of that yet: ask it once more.
            if self._stale_looks < STALE_LOOKS:
                self._stale_looks += 1
                self._reactions.connector_ended()
            return
        self._stale_looks = 0
        self._life.follow(pid)

    def _process_ended(self) -> None:
        self._reactions.connector_ended()

    def _look_at_nameservers(self) -> None:
        """Compare the nameservers in use: two stat() calls here, two files in two seconds through a helper."""
        now, before = self._watch.seats.first.resolver.nameservers, self._nameservers
        if not now:  # the settings can't be read: not known is not changed
            return
        self._nameservers = now
        if before and now != before:
            text = f"the nameservers in use: from {_named(before)} to {_named(now)}"
            self._changes.note(ChangeKind.NAMESERVERS, text)
            self._reactions.nameservers_changed()

    def _look_at_clock(self) -> None:
        before, self._reading = self._reading, read_clocks(self._changes.wall_clock, self._elapsed)
        step = self._reading.step_since(before) if before is not None else 0.0
        if abs(step) >= STEP_S:
            way = "forward" if step > 0 else "back"
            self._changes.note(ChangeKind.CLOCK, f"this host's clock was set {way} by {abs(step):.3g} s")


def _named(nameservers: tuple[Endpoint, ...]) -> str:
    return ", ".join(e.short(DNS_PORT) for e in nameservers)
