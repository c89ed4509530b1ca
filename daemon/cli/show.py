"""What `healthctl demo` shows: the table, then what changes, while the page is served."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from checks.model import Status
from daemon.cli import render_table
from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.output import complain
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

if TYPE_CHECKING:
    from daemon.app import App

_WORTH_TELLING = {State.FAILING: "FAILING", State.OK: "ok again"}


class Show:
    """One demonstration. `say` prints a line; `listen` is where the page is."""

    def __init__(self, directory: Path, *, listen: str, say: Callable[[str], None]) -> None:
        self.lab = Lab(directory)
        self._listen = listen
        self._say = say
        self._seen: dict[str, Status] = {}
        self._table_shown = False

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
        """Watch the lab until interrupted; plant `fault` once the first verdicts are there. 3: the page has no port."""
        from daemon.app import App, Options  # noqa: PLC0415 - a single look needs neither of its parts
        from daemon.web.server import WebError  # noqa: PLC0415

        configure("logfmt", "warning", sys.stderr)
        code = 0
        await self.lab.start()
        try:
            path = self.lab.write_config(self._listen)
            app = App(Options(config_file=str(path)), load_config(path), observe=self._tell)
            async with asyncio.TaskGroup() as group:
                group.create_task(app.run(), name="daemon")
                self._say("The lab runs; the first verdicts are there within some ten seconds…\n")
                if await app.settled():  # else interrupted; leaving the group waits for the daemon's end
                    await self._go_on(app, path, fault)
        except* WebError as errors:
            complain(f"{errors.exceptions[0]}; with --listen the page goes elsewhere")
            code = EXIT_UNKNOWN
        finally:
            self.lab.close()
        return code

    async def _go_on(self, app: "App", config: Path, fault: str | None) -> None:
        """Show the first verdicts, then break what is to be broken; what changes is told from then on."""
        self._introduce()
        self._table(app.view())
        self._table_shown = True
        self._say(f"\nThe page: http://{self._listen}/   metrics: http://{self._listen}/metrics   (Ctrl-C ends)")
        self._say(f"In another terminal: healthctl check --config {config}")
        if fault is None:
            self._say(f"Break something: healthctl demo --break {'|'.join(self.lab.faults)}\n")
            return
        text, plant = self.lab.faults[fault]
        self._say(f"\nNow broken: {text}. Watching…")
        if fault == "clock":
            self._say("Time servers may be asked once in 64 s, no more often: this takes up to a minute.")
        await plant()

    def _introduce(self) -> None:
        self._say("A Connector's site on loopback, with these faults planted:")
        for fault in PLANTED:
            self._say(f"  - {fault}")
        self._say("")

    def _table(self, view: View) -> None:
        whole = report(view, enabled_checks(view.config))
        self._say(render_table.render(whole, width=width_of(sys.stdout), colour=fancy(sys.stdout)).rstrip("\n"))

    def _tell(self, results: Iterable[Result], transitions: Iterable[Transition]) -> None:
        """Say what changes after the table: each new finding at once, then whether it was borne out."""
        results = tuple(results)
        held = {change.id: change.after for change in transitions if change.before is not None}
        for result in results:
            status = result.outcome.status
            news = self._seen.get(result.id) is not status
            self._seen[result.id] = status
            word = _WORTH_TELLING.get(held.get(result.id, State.UNKNOWN))
            if word is None and news and status in (Status.WARNING, Status.CRITICAL):
                word = status.value
            if word is None or not self._table_shown:
                continue
            self._say(f"{word:9} {result.id}: {result.outcome.summary}")
            if result.outcome.action and status is not Status.OK and word != Status.CRITICAL:
                self._say(f"          {result.outcome.action}")
