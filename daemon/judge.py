"""Once a second: what fails, why, and who is told. The one place where rows, causes and alerts are put together.

A decision is written down before anybody hears of it: killed at any moment, the daemon comes back with the alerts that
it has raised, and with the times at which they began.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from checks.hostnet import Route
from daemon.alert import NO_ALERTS, Alerts
from daemon.alerting.book import KEPT_AS, AlertBook
from daemon.causes import NO_DIAGNOSIS, CauseSeverity, Diagnosis
from daemon.config.schema import Alerting, Config
from daemon.diagnosis.diagnostician import Diagnostician
from daemon.diagnosis.scene import scene_of, severities_of
from daemon.insight import Memory
from daemon.slices import in_slices
from daemon.telling import Teller
from daemon.view import View

TICK_S = 1.0  # an alert is decided at most this late
REST, LONGEST_TICK_S = 20.0, 4.0
"""After a look the judge rests so many times as long as it took, at most so many seconds: with thousands of rows that
fail and as many that do not, a look takes a tenth of a second, and each second brings new rows."""
REVIEW_S = 10.0  # a diagnosis is made anew at least this often: verdicts grow old without any event
SAVE_S = 1.0  # a disk that takes longer must not hold up an alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the judge is given besides the view.

    - `network()`: the routes of the first seat, and those of its next hops that do not answer on their link.
    - `memory`, `save()`: what survives a restart, and have it written now.
    - `publish`: hears the alerts after each look, changed or not: silence would say that nobody looks.
    - `teller` writes to our log.
    """

    network: Callable[[], tuple[tuple[Route, ...], frozenset[str]]]
    memory: Memory
    save: Callable[[], Awaitable[None]]
    publish: Callable[[Alerts], None]
    teller: Teller


class Judge:
    """Decides; `diagnosis` and `alerts` are its last word. Made on the event loop on which it runs."""

    def __init__(self, alerting: Alerting, view: Callable[[], View], around: Surroundings) -> None:
        self.diagnosis: Diagnosis = NO_DIAGNOSIS
        self.alerts: Alerts = NO_ALERTS
        self._view = view
        self._around = around
        self._clock = asyncio.get_running_loop().time
        self._diagnostician = Diagnostician(self._clock)
        self._book = AlertBook(view().board.wall_clock, self._clock)
        self._book.load(alerting)
        self._situation: object = None
        self._config: Config | None = None
        self._severities: Mapping[str, CauseSeverity] = {}
        self._judged_at = float("-inf")
        self._written = False

    def load(self, alerting: Alerting) -> None:
        """Put a section `alerting` in force."""
        self._book.load(alerting)

    def restore(self) -> None:
        """Take up the alerts of an earlier run, and have them heard at once."""
        self._book.restore(self._around.memory.recall(KEPT_AS))
        self._announce()

    async def run(self) -> NoReturn:
        """Judge once a second until cancelled; more rarely where a look takes long."""
        while True:
            began = self._clock()
            await self.tick()
            await asyncio.sleep(min(max(TICK_S, REST * (self._clock() - began)), LONGEST_TICK_S))

    async def tick(self) -> None:
        """Judge once."""
        view = self._view()
        self._around.teller.starved(view.engine.starved_of)
        routes, dead = self._around.network()
        situation = (view.board.version, view.plan, view.config, routes, dead, view.changes)
        now = self._clock()
        if situation != self._situation or now - self._judged_at >= REVIEW_S:
            self._situation, self._judged_at = situation, now
            if view.config is not self._config:
                self._config, self._severities = view.config, severities_of(view.config)
            scene = scene_of(view, routes=routes, dead_next_hops=dead, severities=self._severities)
            before, self.diagnosis = self.diagnosis, await self._diagnostician.diagnose(scene)
            await asyncio.sleep(0)  # each of the steps from here on takes milliseconds where thousands fail
            self._around.teller.causes(before, self.diagnosis)
            await asyncio.sleep(0)
        view = replace(self._view(), diagnosis=self.diagnosis)
        # At first in any case: an older past that could not be read at the start must not come back after the next one.
        if await in_slices(self._book.decide_steps(view)) or not self._written:
            self._written = True
            self._around.memory.remember(KEPT_AS, self._book.dump())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SAVE_S):
                    await self._around.save()
        self._announce()

    def _announce(self) -> None:
        before, self.alerts = self.alerts, self._book.alerts
        self._around.teller.alerts(before, self.alerts)
        self._around.publish(self.alerts)
