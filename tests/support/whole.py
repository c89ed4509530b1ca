"""The whole daemon but its probes and its network: engine, judge and push in virtual time, over a world with faults.

Everything lies behind the gateway 10.0.0.1; one port has a policy, so that it is looked at every five minutes.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from checks.hostnet import Route
from checks.model import CheckName, Event, Json, Outcome, Reason, Rows, Status
from checks.net.seat import Seat
from checks.tcp import TcpSpec
from daemon.alert import Alerts
from daemon.board import Board
from daemon.changes.network import Difference
from daemon.config.load import parse_config
from daemon.engine import Engine
from daemon.glimpse import Glimpse
from daemon.insight import Memory
from daemon.jobs import Job
from daemon.judge import Judge, Surroundings
from daemon.looplag import LoopLag
from daemon.push.push import Push
from daemon.runner import Runner
from daemon.state import Policy
from daemon.telling import Teller
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch
from daemon.view import EngineFigures, View
from tests.support.push_lab import T0, FakeTransport
from tests.support.scenes import route
from tests.support.sightings import RUNNING, Looks

GATEWAY, RARE = "10.0.0.1", "10.3.0.1"
ROUTES = (route("0.0.0.0/0", GATEWAY), route("10.0.0.0/24"))
RESOURCES = [f"10.{site}.0.{host}" for site in (1, 2) for host in (1, 2, 3, 4)]
CONFIG = """
connector: {name: t, vantage: host, runtime: docker, network: acme}
clock: {servers: [], controller_date: false}
relays: {endpoints: ["192.0.2.7:443"]}
dns: {nameservers: ["10.0.0.53"], search: []}
provider: {enabled: never}
checks: {nat: false}
alerting: {alertmanagers: ["http://127.0.0.1:9"]}
resources:
"""


class World:
    """What works: every fault is named by an address, a /16 as `10.1.`, or `route`, `gateway`, `nameserver`."""

    def __init__(self) -> None:
        self.faults: set[str] = set()

    def reason(self, address: str) -> str | None:
        """Return why an address off the link can't be reached now."""
        if "route" in self.faults:
            return "no_route"
        down = "gateway" in self.faults or any(address.startswith(fault) for fault in self.faults)
        return "timeout" if down else None


class Scripted(Runner):
    """The real runner, whose probes look at the world."""

    def __init__(self, real: Runner, world: World) -> None:
        super().__init__(real.seats, real.enabled, real.known, lambda _start, _end: 0.0)
        self.world = world

    async def _probe(self, job: Job, seat: Seat, seen: Glimpse | None, *, thorough: bool, confirming: bool) -> Rows:
        del seat, seen, thorough, confirming
        rows = {job.target: _fine()}
        match job.check:
            case CheckName.HOST:
                rows = {job.target: _seen("no_route" if "route" in self.world.faults else None, loopback_only=False)}
            case CheckName.RESOLVER:
                reason = "timeout" if "nameserver" in self.world.faults else None
                rows = {"10.0.0.53": _seen(reason, **({} if reason else {"rcode": "NOERROR"}))}
            case CheckName.CONTROL_PLANE:
                rows = {job.target: _reached(self.world, "34.1.1.1", "failed_addresses")}
            case CheckName.RELAY:
                rows = {job.target: _reached(self.world, "192.0.2.7", "failed")}
            case CheckName.TCP if isinstance(job.spec, TcpSpec):
                rows = {job.target: _reached(self.world, job.spec.address, "failed")}
            case CheckName.CONNECTOR:
                rows = {job.target: _seen(None, running=True)}
        failed = any(outcome.status is Status.CRITICAL for outcome in rows.values())
        await asyncio.sleep(5.0 if failed else 0.01)
        return rows


def _fine(**facts: Json) -> Outcome:
    return Outcome(status=Status.OK, summary="fine", event=Event.NONE, facts=facts)


def _seen(reason: str | None, **facts: Json) -> Outcome:
    return _fine(**facts) if reason is None else Outcome(
        status=Status.CRITICAL, reason=Reason(reason), summary="seen to fail", facts=facts
    )  # fmt: skip


def _reached(world: World, address: str, failed: str) -> Outcome:
    reason = world.reason(address)
    facts: dict[str, Json] = {"addresses": (address,), "address": address, "accepted": () if reason else (address,)}
    return _seen(reason, **facts, **({failed: {address: reason}} if reason else {}))


class Whole:
    """One process after the other; `ways` hears the push, `heard` is (second, fires or ends, name, address).

    `crowd`: so many hosts more stand in one subnet, 10.4.0.0/24.
    """

    def __init__(self, crowd: int = 0) -> None:
        self.loop = asyncio.get_running_loop()
        self.world = World()
        self.kept: dict[str, Json] = {}
        self.way = FakeTransport()
        self.heard: list[tuple[str, str, str]] = []
        self.starts: set[float] = set()
        self._active: dict[Any, Any] = {}
        hosts = [*RESOURCES, *(f"10.4.0.{n + 1}" for n in range(crowd))]
        lines = [f"  - {{name: R{n}, address: {a}, tcp: [443]}}\n" for n, a in enumerate(hosts)]
        lines.append(f"  - {{name: Rare, address: {RARE}, tcp: [22]}}\n")
        self.config = parse_config((CONFIG + "".join(lines)).encode(), "test.yaml").config

    def wall(self) -> float:
        """Return the wall clock."""
        return T0 + self.loop.time()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run one process for the block; at its end it is killed."""

        async def find(_: object) -> Looks:
            return Looks(RUNNING)

        confirm = self.config.schedule.confirm
        policy = Policy(failures=confirm.failures, successes=confirm.successes)
        self.board = Board(policy, self.wall, clock=self.loop.time)
        watch = ConnectorWatch(self.config, find=find)
        watch.seats = Seats(replace(watch.seats.first, wall_clock=self.wall))
        self.engine = Engine(self.config, self.board, LoopLag(), lambda _results, _changes: None, watch)
        self.engine.runner = Scripted(self.engine.runner, self.world)
        self.push = Push(
            identity=lambda: ("t", ""), wall_clock=self.wall, scraped_lately=lambda: False,
            generator_url=lambda: None, transport=lambda _: self.way,
        )  # fmt: skip
        around = Surroundings(
            network=self._network, memory=Memory(self.kept.get, self._remember), save=self._save,
            publish=self._publish, teller=Teller(self.loop.time),
        )  # fmt: skip
        self.judge: Judge | None = None
        self.judge = judge = Judge(self.config.alerting, self.view, around)
        self.push.load(self.config.alerting)
        judge.restore()
        await self.engine.look_around()
        tasks = [self.loop.create_task(t) for t in (self.engine.scheduler.run(), judge.run(), self.push.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.push.close()

    def view(self) -> View:
        """Return the present moment."""
        engine, judge = self.engine, self.judge
        view = View(
            config=engine.config, plan=engine.plan, board=self.board, deliveries=self.push.deliveries,
            engine=EngineFigures(connector="t", ready=engine.ready, reloaded_at=T0),
        )  # fmt: skip
        return view if judge is None else replace(view, diagnosis=judge.diagnosis, alerts=judge.alerts)

    async def break_for(self, seconds: float, *faults: str) -> None:
        """Have these faults for so long, and let them heal."""
        self.world.faults |= set(faults)
        self._ring(faults)
        await asyncio.sleep(seconds)
        self.world.faults -= set(faults)
        self._ring(faults)

    def _ring(self, faults: tuple[str, ...]) -> None:
        if "route" in faults:
            self.engine.network_changed(Difference(way_out=True))

    def _network(self) -> tuple[tuple[Route, ...], frozenset[str]]:
        return (ROUTES[1:] if "route" in self.world.faults else ROUTES), frozenset()

    def _remember(self, key: str, value: Json) -> None:
        self.kept[key] = json.loads(json.dumps(value, default=dict))

    async def _save(self) -> None:
        await asyncio.sleep(0.005)

    def _publish(self, alerts: Alerts) -> None:
        active = {alert.key: alert for alert in alerts.active}
        identities = {(key.name, key.labels) for key in active}
        assert len(identities) == len(active), "of one identity one severity"
        for key in active.keys() - self._active.keys():
            self.heard.append(("fires", key.name, key.labels[1]))
        for key in self._active.keys() - active.keys():
            self.heard.append(("ends", key.name, key.labels[1]))
        self.starts |= {alert.starts_at for alert in alerts.active}
        self._active = active
        self.push.publish(alerts)
