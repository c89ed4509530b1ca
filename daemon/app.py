"""The daemon: named root tasks around one engine. One that ends by itself is a bug and takes the process down."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NoReturn

from checks.blocking import Blocking
from checks.half_open import HalfOpen
from checks.model import EXIT_CODES, Json, Status
from checks.runtime.model import AmbiguousError
from daemon import heap
from daemon.alert import NO_ALERTS
from daemon.board import Board
from daemon.causes import NO_DIAGNOSIS, ChangeKind
from daemon.changes.ring import Changes
from daemon.changes.watch import ChangeWatch
from daemon.config.load import Loaded
from daemon.config.notes import proxy_warnings
from daemon.config.problems import ConfigError, Problem
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.history import shown
from daemon.identity import strict_name
from daemon.insight import Memory
from daemon.jobs import Result
from daemon.judge import Judge, Surroundings
from daemon.logwatch import LogWatch
from daemon.looplag import LoopLag
from daemon.notify import Notifier
from daemon.options import Options, load, load_beside, needs_restart
from daemon.push.push import Push
from daemon.report import Reporter
from daemon.scrapes import Scrapes
from daemon.signals import handled
from daemon.state import Policy, Transition
from daemon.store import Store
from daemon.telling import Teller
from daemon.vantage.watch import ConnectorWatch
from daemon.view import EngineFigures, View
from daemon.web.server import Backend, WebServer

__all__ = ["App", "Options", "load"]

log = logging.getLogger("connector_health.app")

SETTLED_S = 0.5  # who waits for the first verdicts waits so much longer; 20,000 rows take 11 ms
LOAD_S = 60.0  # reading a configuration of 8 MiB takes seconds on a small host; longer means that its disk hangs


class App:
    """One process, made on its event loop; `observe` hears every result and transition, `here` probes half-open."""

    def __init__(
        self,
        options: Options,
        loaded: Loaded,
        *,
        observe: Callable[[Iterable[Result], Iterable[Transition]], None] | None = None,
        notifier: Notifier | None = None,
        here: HalfOpen | None = None,
    ) -> None:
        config = loaded.config
        self._options = options
        self._observe = observe
        self._notifier = notifier or Notifier()
        self._blocking = Blocking("config")
        self._lag = LoopLag()
        self._stop = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._settled = asyncio.Event()
        self._store = Store(config.state.path)
        self._watch = ConnectorWatch(config, here=here)
        self._wall_clock = wall_clock = self._watch.seats.first.wall_clock
        self._started_at = self._reloaded_at = wall_clock()
        self._reload_ok = True
        self._name = ""
        self._file = loaded.file
        self.exit_code = EXIT_CODES[Status.OK]
        confirm = config.schedule.confirm
        policy = Policy(failures=confirm.failures, successes=confirm.successes)
        self._board = Board(policy, wall_clock, clock=asyncio.get_running_loop().time)
        self._engine: Engine | None = None
        self._config = config
        self._changes = Changes(wall_clock)
        self._teller = Teller(asyncio.get_running_loop().time)
        self._scrapes = Scrapes(asyncio.get_running_loop().time)
        self._push = Push(
            identity=lambda: (self._name, self.engine.config.connector.remote_network),
            wall_clock=wall_clock,
            scraped_lately=self._scrapes.lately,
            generator_url=lambda: self.engine.config.web.external_url,
        )
        self._judge: Judge | None = None
        self._tell(loaded)

    async def run(self) -> None:
        """Run until stopped by SIGTERM, SIGINT or `stop`.

        Raises: ConfigError when it can't be told which Connector is meant; WebError; an ExceptionGroup when a part
        breaks.
        """
        await self._find_connector()
        await self._store.open()
        self._board.ever_up = self._store.ever_up  # one set: what the store reads later counts too
        memory = Memory(self._store.recall, self._store.remember)
        self._engine = engine = Engine(self._config, self._board, self._lag, self._heard, self._watch, memory)
        engine.on_gone = self._store.note_gone
        change_watch = ChangeWatch(self._watch, self._changes, engine)
        around = Surroundings(
            network=lambda: change_watch.network_facts(self._watch.seats.first),
            memory=memory,
            save=self._store.flush,
            publish=self._push.publish,
            teller=self._teller,
        )
        self._judge = judge = Judge(self._config.alerting, self.view, around)
        self._push.load(self._config.alerting)
        judge.restore()
        connector_log = LogWatch(self._watch, engine.insight, memory)
        reporter = Reporter()
        backend = Backend(
            view=self.view,
            report=lambda view: reporter.steps(view, self.engine.runner.enabled),
            history=self._history,
            reload=self.reload,
            scraped=self._scrapes.note,
        )
        web = WebServer(self._config.web, backend)
        try:
            await web.start()
            await self.engine.look_around()
            heap.settle()
            with handled({signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._reload_asked.set}):
                async with asyncio.TaskGroup() as group:
                    roots: dict[str, Coroutine[Any, Any, object]] = {
                        "loop lag": self._lag.run(),
                        "scheduler": self.engine.scheduler.run(),
                        "store": self._store.run(),
                        "reload on signal": self._reload_on_signal(),
                        "watchdog": self._notifier.keep_alive(),
                        "status line": self._notifier.keep_told(lambda: self._board.statuses, lambda: self._reload_ok),
                        "first verdicts": self._first_verdicts(),
                        "Connector's log": connector_log.run(),
                        "learning": engine.learn(),
                        "Connector": engine.follow(),
                        "changes": change_watch.run(),
                        "headroom": engine.headroom.run(),
                        "judge": judge.run(),
                        "push": self._push.run(),
                        "heap": heap.tend(),
                        "web.config_file": web.run(),
                    }
                    tasks = [group.create_task(_eternal(name, task), name=name) for name, task in roots.items()]
                    self._notifier.ready()
                    await self._stop.wait()
                    self._notifier.stopping()
                    for task in tasks:
                        task.cancel()
        finally:
            engine.insight.close()
            async with asyncio.TaskGroup() as closing:
                closing.create_task(web.close())
                closing.create_task(self._push.close())
                closing.create_task(self._store.close())
                closing.create_task(self._watch.close())

    def stop(self) -> None:
        """Ask the process to end."""
        self._stop.set()
        self._settled.set()  # who waits for the first verdicts waits no longer

    async def settled(self) -> bool:
        """Wait until each check has reported and nothing is pending any more, for who shows the first verdicts.

        False: the process was asked to end before that.
        """
        await self._settled.wait()
        return not self._stop.is_set()

    @property
    def engine(self) -> Engine:
        """The engine, once `run` has begun."""
        if self._engine is None:
            raise RuntimeError("the engine is made by run()")
        return self._engine

    def view(self) -> View:
        """Return the present moment, for all who show it."""
        engine = self.engine
        return View(
            config=engine.config,
            plan=engine.plan,
            board=self._board,
            engine=EngineFigures(
                connector=self._name,
                vantage=self._watch.seats.first.name,
                runtime=self._watch.name,
                started_at=self._started_at,
                ready=engine.ready,
                in_flight=engine.scheduler.in_flight,
                missed=engine.scheduler.missed,
                scheduler_lag=engine.scheduler.lag,
                event_loop_lag_s=self._lag.largest(),
                starved=engine.starved,
                method=self._watch.method,
                share_of_rate=engine.headroom.share,
                strain=engine.headroom.strain,
                reload_ok=self._reload_ok,
                reloaded_at=self._reloaded_at,
            ),
            observed=engine.insight.observed(self._watch.sighting),
            diagnosis=self._judge.diagnosis if self._judge else NO_DIAGNOSIS,
            alerts=self._judge.alerts if self._judge else NO_ALERTS,
            deliveries=self._push.deliveries,
            changes=self._changes.recent(),
        )

    async def reload(self) -> str | None:
        """Load the configuration again; return why that failed, or None. The last good one stays in force."""
        async with self._reloading:
            with self._notifier.reloading():
                return await self._load_again()

    async def _load_again(self) -> str | None:
        try:
            loaded = await self._blocking.call(lambda: load_beside(self._options), LOAD_S)
            self._name = strict_name(loaded.config, loaded.file, self._watch.environment)
        except (ConfigError, TimeoutError) as error:
            why, self._reload_ok = str(error) or f"reading it took longer than {LOAD_S:g} s", False
            log.error("configuration not reloaded, the last good one stays: %s", why)  # noqa: TRY400 - no fault of ours
            return why
        for section in needs_restart(self.engine.config, loaded.config):
            log.warning("%s: has changed, which takes effect only after a restart", section)
        self._tell(loaded)
        heap.keep(await self.engine.reload(loaded.config, lambda: self._load_alerting(loaded.config)))
        self._changes.note(ChangeKind.CONFIG, "the configuration was loaded again")
        self._reload_ok, self._reloaded_at = True, self._wall_clock()
        log.info("configuration reloaded")
        return None

    def _load_alerting(self, config: Config) -> None:
        self._push.load(config.alerting)
        if self._judge is not None:
            self._judge.load(config.alerting)

    def _heard(self, results: Iterable[Result], transitions: Iterable[Transition]) -> None:
        for result in results:
            self._store.note_result(result)
        for change in transitions:
            self._store.note_transition(change)
            self._teller.change(change, self._board.rows.get(change.id))
        if self._observe is not None:
            self._observe(results, transitions)
        if self.engine.orphaned and not self._stop.is_set():
            log.critical("only loopback is left here: the Connector has a new network namespace; ending, to join it")
            self.exit_code = EXIT_CODES[Status.CRITICAL]  # not 3: starting it again is the cure
            self.stop()

    async def _find_connector(self) -> None:
        try:
            await self._watch.begin()
            self._name = strict_name(self._config, self._file, self._watch.environment)
        except AmbiguousError as error:
            await self._watch.close()
            raise ConfigError([Problem(self._file, 0, 0, "connector.container", str(error))]) from error
        except BaseException:
            await self._watch.close()
            raise

    async def _history(self, row_id: str, limit: int) -> Sequence[Json] | None:
        if row_id not in self._board.rows:
            return None
        return [shown(spell) for spell in await self._store.history(row_id, limit)]

    async def _reload_on_signal(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            await self.reload()

    async def _first_verdicts(self) -> NoReturn:
        """Tell when the first verdicts are in: that takes a look at every row, so not after each result."""
        while True:
            if not self._settled.is_set() and self.engine.settled:
                self._settled.set()
            await asyncio.sleep(SETTLED_S)

    def _tell(self, loaded: Loaded) -> None:
        for warning in (*loaded.warnings, *proxy_warnings(os.environ)):
            log.warning("%s", warning)


async def _eternal(name: str, task: Coroutine[Any, Any, object]) -> None:
    """Await a root task that must never end by itself."""
    await task
    raise RuntimeError(f"the root task {name!r} has ended: a bug")
