"""What `healthctl demo` shows: the table, then what changes, while the page is served."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from checks.net.endpoint import parse_endpoint
from daemon.cli import render_table
from daemon.cli.terminal import fancy, width_of
from daemon.config.load import load_config
from daemon.demo.lab import PLANTED, Lab
from daemon.jobs import Result
from daemon.logs import configure
from daemon.oneshot import check_once
from daemon.report import report
from daemon.state import State, Transition
from daemon.targets import enabled_checks
from daemon.view import View

_WORTH_TELLING = {State.FAILING: "FAILING", State.OK: "ok again"}


class Show:
    """One demonstration. `say` prints a line; `listen` is where the page is."""

    def __init__(self, directory: Path, *, listen: str, say: Callable[[str], None]) -> None:
        self.lab = Lab(directory)
        self._listen = listen
        self._say = say

    async def once(self) -> int:
        """Check the lab once and print the table; 0 when that worked."""
        await self.lab.start()
        try:
            config = load_config(self.lab.write_config(self._listen)).config
            view = await check_once(config)
            self._introduce()
            self._table(view)
        finally:
            self.lab.close()
        return 0

    async def watch(self, fault: str | None) -> int:
        """Watch the lab until interrupted; plant `fault` once the first verdicts are there."""
        from daemon.app import App, Options  # noqa: PLC0415 - a single look needs neither scheduler nor web server

        configure("logfmt", "warning", sys.stderr)
        await self.lab.start()
        try:
            path = self.lab.write_config(self._listen)
            app = App(Options(config_file=str(path)), load_config(path), observe=self._tell)
            async with asyncio.TaskGroup() as group:
                daemon = group.create_task(app.run(), name="daemon")
                self._say("The lab runs; the first verdicts are there within some ten seconds…\n")
                await app.settled()
                self._introduce()
                self._table(app.view())
                where = parse_endpoint(self._listen, None)
                self._say(f"\nThe page: http://{where}/   metrics: http://{where}/metrics   (Ctrl-C ends)")
                self._say(f"In another terminal: healthctl check --config {path}")
                if fault is None:
                    self._say(f"Break something: healthctl demo --break {'|'.join(self.lab.faults)}\n")
                else:
                    text, plant = self.lab.faults[fault]
                    self._say(f"\nNow broken: {text}. Watching…")
                    await plant()
                await daemon
        finally:
            self.lab.close()
        return 0

    def _introduce(self) -> None:
        self._say("A Connector's site on loopback, with these faults planted:")
        for fault in PLANTED:
            self._say(f"  - {fault}")
        self._say("")

    def _table(self, view: View) -> None:
        whole = report(view, enabled_checks(view.config))
        self._say(render_table.render(whole, width=width_of(sys.stdout), colour=fancy(sys.stdout)).rstrip("\n"))

    def _tell(self, results: Iterable[Result], transitions: Iterable[Transition]) -> None:
        by_id = {result.id: result for result in results}
        for change in transitions:
            word = _WORTH_TELLING.get(change.after)
            if word is None or change.before is None:
                continue
            result = by_id[change.id]
            self._say(f"{word:9} {change.id}: {result.outcome.summary}")
            if result.outcome.action and change.after is State.FAILING:
                self._say(f"          {result.outcome.action}")
