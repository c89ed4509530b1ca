"""Everything that one trace looks at, side by side, within one deadline; what is cut off is said to be unfinished.

Nothing is written, and no daemon is needed. The times add up: at most START_S to find the Connector and take its place,
then names, ports, ways, the Connector's log and all that concerns the whole Connector at the same time.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec

from checks.model import CheckName, Outcome, Reason, Status
from checks.net.endpoint import is_address
from checks.net.seat import Context, Seat
from checks.policy import method_for
from checks.resolver import ResolverSpec
from checks.tcp import TcpSpec
from daemon.by_hand import from_there
from daemon.config.schema import Config
from daemon.identity import shown_name
from daemon.insight import Memory
from daemon.jobs import Job
from daemon.known import Known
from daemon.learnable import written_addresses
from daemon.logwatch import LogWatch, MakeSource, source_of
from daemon.looplag import LoopLag
from daemon.plan import Plan
from daemon.runner import Runner
from daemon.store import Store
from daemon.storefile import Past
from daemon.targets import enabled_checks, make_plan
from daemon.trace.around import UNFINISHED, Around
from daemon.trace.causes import causes_of
from daemon.trace.facts import RouteSeen, TraceFacts
from daemon.trace.names import MARGIN_S, NameTrace
from daemon.trace.ports import Limits, PortTrace
from daemon.trace.routes import routes_to, silent_next_hop
from daemon.trace.target import Wanted
from daemon.trace.users import ListeningInsight, UserEvents
from daemon.vantage.own_helper import with_own_helper
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch

BUDGET_S = 7.5  # of the ten seconds that the command may take: an interpreter starts, and hung engines are left
START_S = 2.0  # to find the Connector and stand in its place; a Docker engine that hangs must not cost the rest
LOG_S = 3.0  # for the Connector's log: 100,000 lines at the least
NAME_S = 5.0  # one attempt of the Connector's resolver
AROUND_DNS_S = 1.5  # for names of Twingate's: asked twice, and again from the host's place, they must be over in time
AROUND_S = 2.5  # to connect to Controller and Relays, twice for the same reason

WatchMaker = Callable[[Config], ConnectorWatch]


async def gather(
    wanted: Wanted,
    *,
    budget_s: float = BUDGET_S,
    make_watch: WatchMaker = ConnectorWatch,
    make_source: MakeSource = source_of,
) -> TraceFacts:
    """Look at every link of one Resource's chain once, within `budget_s` seconds.

    Raises: AmbiguousError when several Connectors run here and none was chosen.
    """
    until = asyncio.get_running_loop().time() + budget_s
    watch = make_watch(_hasty(wanted.config))
    try:
        gathering = _Gathering(wanted, watch, until, make_source)
        await gathering.begin()
        await gathering.run()
        return gathering.facts()
    finally:
        await watch.close()


class _Gathering:
    """One trace under way."""

    def __init__(self, wanted: Wanted, watch: ConnectorWatch, until: float, make_source: MakeSource) -> None:
        self._make_source = make_source
        self._wanted = wanted
        self._watch = watch
        self._until = until
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._wall = watch.seats.first.wall_clock
        self._started_at = self._wall()
        self._config = _hasty(wanted.config)
        self._log_read = asyncio.Event()
        self._log_whole = False
        self._lag = LoopLag()
        target = wanted.target
        (resource,) = wanted.config.resources
        ports = () if target.port is None else (target.port,)
        self._users = UserEvents(target, written_addresses(resource), ports, self._started_at)
        self._names = [
            NameTrace(address, self._config.probing.max_addresses_per_name)
            for address in written_addresses(resource)
            if not is_address(address) and resource.probe != "never"
        ]

    async def begin(self) -> None:
        """Find the Connector, and what a daemon on this host remembers."""
        past, config = Past(), self._config
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                past = await Store.read_only(config.state.path)
                await self._watch.begin()
                await with_own_helper(self._watch)
        memory = Memory(recall=past.recall)
        self._insight = ListeningInsight(config, self._wall, memory, self._users.note)
        if self._watch.sighting is not None:
            self._insight.note_sighting(self._watch.sighting)
        enabled = enabled_checks(config) | {CheckName.DNS, CheckName.TCP}
        self._plan: Plan = make_plan(config, enabled, self._insight.learned, half_open=self._watch.half_open)
        self._seats = _seats_for_resource(self._watch)
        jobs = tuple(_patient(job, self._wanted.config, self._name_s()) for job in self._plan.jobs)
        self._around = Around(jobs)
        self._runner = Runner(self._watch.seats, enabled, self._known(past), self._lag.between)
        self._ports = PortTrace(
            tuple(job for job in jobs if job.check is CheckName.TCP),
            self._seats,
            Limits(until=self._until, per_host=config.schedule.per_host, connectable=partial(_connectable, config)),
            lambda job: Context(
                seat=self._seats.first,
                ever_up=job.id in past.ever_up,
                user_failed=self._insight.user_failed(job),
            ),
        )

    async def run(self) -> None:
        """Look at everything at the same time, until all is done or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._until), asyncio.TaskGroup() as group:
                lag = group.create_task(self._lag.run(), name="loop lag")
                async with asyncio.TaskGroup() as work:
                    work.create_task(self._read_log(), name="log")
                    work.create_task(self._around.run(self._runner, self._log_read), name="around")
                    work.create_task(self._resource(), name="resource")
                lag.cancel()

    def facts(self) -> TraceFacts:
        """Put together what there is."""
        late = list(self._around.complete(self._wall))
        names = [name.seen() for name in self._names]
        rows: dict[str, Outcome] = {}
        for name in names:
            if name.outcome is None:
                late.append(f"dns:{name.name}")
            rows[f"dns:{name.name}"] = name.outcome or _unfinished(name.name)
        failed = bool(names) and all(n.outcome is not None and n.outcome.status is Status.CRITICAL for n in names)
        rows |= self._ports.rows(name_failed=failed)
        ports = self._ports.seen()
        late += [f"tcp:{p.address}:{p.port}" for p in ports if p.verdict == "unfinished"]
        sighting = self._watch.sighting
        found = TraceFacts(
            target=self._wanted.target,
            connector=shown_name(self._config, self._watch.environment),
            seat=self._seats.first.name,
            started_at=self._started_at,
            seconds=self._loop.time() - self._began,
            around=dict(self._around.results),
            rows=from_there(rows, self._seats.first),
            routes=self._routes(dict.fromkeys(p.address for p in ports)),
            name=names[0] if names else None,
            ports=ports,
            users=self._users.seen(
                self._insight.log(),
                whole=self._log_whole,
                since=sighting.started_at if sighting is not None else None,
            ),
            log=self._insight.log(),
            sighting=sighting,
            unfinished=tuple(late),
        )
        return replace(found, causes=causes_of(self._config, self._plan, found, self._seats.first))

    def _name_s(self) -> float:
        """Return how long a nameserver may take: as long as the Connector's resolver waits, if there is time for it."""
        left = self._until - self._loop.time() - 2 * MARGIN_S
        return max(MARGIN_S, min(self._wanted.config.dns.timeout, NAME_S, left))

    def _known(self, past: Past) -> Known:
        return Known(
            latest=self._around.results.get,
            rows=self._around.of,
            ever_up=past.ever_up.__contains__,
            user_failed=self._insight.user_failed,
            log=self._insight.log,
            connector=self._watch,
            connector_seat=lambda: self._watch.connector_seat,
        )

    async def _read_log(self) -> None:
        if self._watch.sighting is not None:
            began = self._loop.time()
            await LogWatch(self._watch, self._insight, Memory(), self._make_source).read_for(LOG_S)
            self._log_whole = self._loop.time() - began < LOG_S
        self._log_read.set()

    async def _resource(self) -> None:
        seat = self._seats.first
        timeout_s = self._name_s()
        async with asyncio.TaskGroup() as group:

            def found(address: str) -> None:
                group.create_task(self._ports.try_address(address), name=f"ports of {address}")

            for address in self._ports.literal:
                found(address)
            for name in self._names:
                group.create_task(self._name(name, seat, timeout_s, found), name=f"name {name.name}")

    async def _name(self, name: NameTrace, seat: Seat, timeout_s: float, found: Callable[[str], None]) -> None:
        await name.ask(seat, timeout_s, found)
        async with asyncio.TaskGroup() as group:
            group.create_task(name.ask_other_type(seat, AROUND_DNS_S))
            failed = name.outcome is not None and name.outcome.status is Status.CRITICAL
            if failed and self._seats.host is not None:
                group.create_task(name.look_again(self._seats.host, AROUND_DNS_S))

    def _routes(self, addresses: dict[str, None]) -> tuple[RouteSeen, ...]:
        seat = self._seats.first
        return tuple(replace(r, silent=silent_next_hop(seat, r)) for r in routes_to(seat, addresses))


def _hasty(config: Config) -> Config:
    """Return the configuration with time-outs that leave time for everything else."""
    dns = msgspec.structs.replace(config.dns, timeout=min(config.dns.timeout, AROUND_DNS_S))
    schedule = msgspec.structs.replace(config.schedule, timeout=min(config.schedule.timeout, AROUND_S))
    return msgspec.structs.replace(config, dns=dns, schedule=schedule)


def _patient(job: Job, config: Config, name_s: float) -> Job:
    """Return a job with the time that a single answer may take: what is asked once need not be hasty."""
    if isinstance(job.spec, ResolverSpec):
        return replace(job, spec=replace(job.spec, timeout_s=name_s))
    if isinstance(job.spec, TcpSpec):
        return replace(job, spec=replace(job.spec, timeout_s=config.schedule.timeout))
    return job


def _seats_for_resource(watch: ConnectorWatch) -> Seats:
    """Return where to look from; a Connector that is gone leaves only the host's place, which tells of the Resource."""
    gone = watch.sighting is not None and watch.sighting.running is False
    return Seats(watch.seats.host) if gone and watch.seats.host is not None else watch.seats


def _connectable(config: Config, port: int) -> bool:
    """Tell whether a port might be connected to at any time, whatever method is used where there is a choice."""
    (resource,), probing = config.resources, config.probing
    decision = method_for(port, method=probing.method, ports=probing.ports, probe=resource.probe)
    return decision.method == "connect" and decision.confirmable


def _unfinished(name: str) -> Outcome:
    return Outcome(status=Status.UNKNOWN, reason=Reason.TIMEOUT, summary=f"{name}: {UNFINISHED}")
