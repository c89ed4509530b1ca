"""Follows one Connector: how it runs, what its process is like now, and from which seat it can be probed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from checks.half_open import HalfOpen
from checks.model import Reason
from checks.net.connector_seat import connector_seat, parse_connector_dns
from checks.net.endpoint import Endpoint
from checks.net.errors import SeatError
from checks.net.helper import HelperClient, HelperState
from checks.net.seat import Seat
from checks.runtime.discover import discover
from checks.runtime.model import AmbiguousError, Runtime, RuntimeName, Sighting, Wanted
from daemon.config.schema import Config, Connector
from daemon.identity import in_container
from daemon.vantage.host import host_seat, near_seat, no_seat, shared_seat
from daemon.vantage.method import Method, method_from
from daemon.vantage.seats import Seats
from daemon.vantage.sighted import completed, own_namespace

log = logging.getLogger("connector_health.vantage")

DISCOVER_AGAIN_S = 60.0  # a Connector that was not there may be installed later; looking for it costs a little
HELPER_MISSES = 4  # looks without the helper before the host's seat takes over: one of its restarts is no reason

_NEAR = "near"  # the helper's Connector stands in our own network namespace

Discover = Callable[[Wanted], Awaitable[Runtime]]


class ConnectorWatch:
    """What the `connector` check looks at; it remembers what it saw and keeps the seats true.

    - `sighting` is the last look; None before the first.
    - `seats` is where to probe from, as of the last look.
    - `here` probes half-open from our own network namespace, if there is the right to: it outlives every seat, for its
      sockets could not be opened again, and is closed with this watch.
    """

    def __init__(
        self,
        config: Config,
        *,
        helper: HelperClient | None = None,
        find: Discover = discover,
        here: HalfOpen | None = None,
    ) -> None:
        self.sighting: Sighting | None = None
        self._here = here
        self._find = find
        self._take_helper(helper or HelperClient(config.connector.helper))
        self._runtime: Runtime | None = None
        self._gone: list[Runtime] = []
        self._found_at = float("-inf")
        self._state: HelperState | None = None
        self._problem: SeatError | None = None
        self._misses = 0
        self._said = ""
        self._looked = asyncio.Event()
        self._environment: Mapping[str, str] = {}
        self._config = config
        self._host = host_seat(config.dns, self._here)
        self._connector_seat = self._from_helper()
        self._made_for: object = None
        self._made = self._host
        self.seats = Seats(self._host)

    def reconfigure(self, config: Config) -> None:
        """Put another configuration in force: what it does not change goes on undisturbed."""
        before, self._config = self._config, config
        if config.connector.helper != before.connector.helper:
            self._leave_helper()
            self._take_helper(HelperClient(config.connector.helper))
            self._state = None
        if _wanted(config) != _wanted(before) and self._runtime is not None:
            self._gone.append(self._runtime)
            self._runtime, self._found_at, self._environment = None, float("-inf"), {}
        if config.dns != before.dns or config.connector != before.connector:
            self._host = host_seat(config.dns, self._here)
            self._connector_seat = self._from_helper()
            self._made_for = None
            self.seats = Seats(self._host) if self.sighting is None else self._choose(self.sighting)

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs, as far as it was found."""
        return self._runtime.name if self._runtime is not None else "none"

    @property
    def connector(self) -> Connector:
        """The configuration's section on the Connector."""
        return self._config.connector

    @property
    def environment(self) -> Mapping[str, str]:
        """The Connector's own settings, cut to what we may know."""
        return self._environment

    @property
    def connector_seat(self) -> Seat | None:
        """The Connector's seat, if that is where we look from."""
        return self.seats.first if self.seats.first.name == "connector" else None

    @property
    def shared(self) -> bool:
        """Tell whether we are a sidecar: in a container, in the Connector's own network namespace."""
        return self.seats.first.name == "connector" and self.seats.host is None and in_container()

    @property
    def half_open(self) -> bool:
        """Tell whether ports can be probed half-open from the first seat."""
        prober = self.seats.first.half_open
        return prober is not None and prober.available

    @property
    def method(self) -> Method:
        """How ports are asked from the first seat."""
        return method_from(self.seats.first, self._here, self._problem, self._config)

    async def begin(self) -> None:
        """Find the Connector and take its seat. Raises: AmbiguousError when several run and none was chosen."""
        self._found_at = asyncio.get_running_loop().time()
        self._runtime = await self._find(_wanted(self._config))
        await self.look()

    async def look(self) -> Sighting:
        """Look at the Connector's process once, and keep the seats true; never raises for what the runtime says."""
        sighting = await self._see()
        self._state = self._problem = None
        if self._asks_helper():
            try:
                self._state = self._helper.state()
                self._there.stands_in(self._state.namespace)
            except SeatError as error:
                self._problem = error
        self._misses = self._misses + 1 if self._state is None else 0
        self.sighting = completed(sighting, self._state)
        if self.sighting.environment or self.sighting.problem is not Reason.PERMISSION_DENIED:
            self._environment = self.sighting.environment  # who can't look just now learns nothing new of it
        self.seats = self._choose(self.sighting)
        self._tell()
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()
        return self.sighting

    def _asks_helper(self) -> bool:
        """Tell whether a helper may know the Connector's seat; without a runtime only who insists on the seat asks."""
        connector = self._config.connector
        return connector.vantage == "connector" or (connector.vantage == "auto" and connector.runtime != "none")

    async def next_look(self) -> None:
        """Wait until the Connector has been looked at once more."""
        await self._looked.wait()

    async def use(self, helper: HelperClient) -> None:
        """Take the Connector's seat through another helper from now on; it is closed with this watch."""
        self._leave_helper()
        self._take_helper(helper)
        self._connector_seat, self._made_for = self._from_helper(), None
        await self.look()

    async def close(self) -> None:
        """Let go of the runtime and of the helper."""
        if self._runtime is not None:
            self._gone.append(self._runtime)
        await self._close_gone()
        for seat in (self._host, self._connector_seat, self._made):
            seat.close()
        self._leave_helper()
        if self._here is not None:
            self._here.close()

    def _take_helper(self, helper: HelperClient) -> None:
        self._helper, self._there = helper, HalfOpen(helper.open_raw, helper.open_socket)

    def _leave_helper(self) -> None:
        self._there.close()
        self._helper.close()

    async def _close_gone(self) -> None:
        gone, self._gone = self._gone, []
        async with asyncio.TaskGroup() as closing:  # each may wait a second for an engine that hangs
            for runtime in gone:
                closing.create_task(runtime.close())

    async def _see(self) -> Sighting:
        while True:
            wanted = _wanted(self._config)
            try:
                runtime = await self._present_runtime()
            except AmbiguousError as error:  # another one has appeared since we began, or since a reload
                sighting = Sighting(runtime="none", problem=Reason.NOT_FOUND, evidence=str(error))
            else:
                sighting = await runtime.look()
            if wanted == _wanted(self._config):
                return sighting
            # Reloaded while we looked: that was another Connector.

    async def _present_runtime(self) -> Runtime:
        await self._close_gone()
        now, held = asyncio.get_running_loop().time(), self._runtime
        if held is not None:
            seen = self.sighting is not None and self.sighting.problem is None
            settled = seen or held.name != "none" or self._config.connector.runtime != "auto"
            if settled or now < self._found_at + DISCOVER_AGAIN_S:
                return held
        self._found_at, wanted = now, _wanted(self._config)
        found = await self._find(wanted)
        if wanted != _wanted(self._config):
            self._gone.append(found)
            return await self._present_runtime()
        if held is not None:
            self._gone.append(held)
        self._runtime = found
        return found

    def _choose(self, sighting: Sighting) -> Seats:
        vantage = self._config.connector.vantage
        if vantage == "host":
            return Seats(self._host)
        if self._state is not None and self._state.namespace == own_namespace():
            # Raw sockets for this very network come from the helper where we had no right to them ourselves.
            half_open = self._here or self._there
            return Seats(self._lasting(_NEAR, lambda: near_seat(self._connector_seat, half_open)))
        # A helper that answers "not running" is there and follows the Connector: just now nobody stands there.
        if self._state is not None or (self._problem and self._problem.reason is Reason.NOT_RUNNING):
            return Seats(self._connector_seat, self._host)
        return self._without_helper(sighting)

    def _without_helper(self, sighting: Sighting) -> Seats:
        must = self._config.connector.vantage == "connector"
        if sighting.own_namespace or (must and sighting.own_namespace is None and in_container()):
            dns = self._connector_dns()
            return Seats(self._lasting(("shared", dns), lambda: shared_seat(self._config.dns, dns, self._here)))
        had = self.seats.first is self._connector_seat or (self.seats.first is self._made and self._made_for is _NEAR)
        if (had and self._misses < HELPER_MISSES) or self._unseen_in_shared(sighting):
            return self.seats
        if must:
            missing = self._problem or SeatError(Reason.PERMISSION_DENIED, "runtime is none: whose seat is not known")
            seat = self._lasting(("none", str(missing)), lambda: no_seat(self._config.dns, missing))
            return Seats(seat, self._host)
        return Seats(self._host)

    def _unseen_in_shared(self, sighting: Sighting) -> bool:
        """Tell whether the Connector shared our network when last seen, and just can't be looked at now."""
        shared = isinstance(self._made_for, tuple) and self._made_for[0] == "shared"
        return shared and self.seats.first is self._made and sighting.problem is Reason.PERMISSION_DENIED

    def _lasting(self, key: object, make: Callable[[], Seat]) -> Seat:
        """Return the seat made for `key`; as long as that is the same it is one seat, which goes on as it was."""
        if key != self._made_for:
            self._made_for, self._made = key, make()
        return self._made

    def _tell(self) -> None:
        """Say from where we look, whenever that changes."""
        text = "probing from the Connector's own seat"
        if self.seats.first.name != "connector":
            why = self._problem.evidence if self._problem is not None else "no Connector was found"
            if self._config.connector.vantage == "host":
                why = "connector.vantage is host"
            text = f"probing from this host's network, not from the Connector's: {why}"
        text += f"; {self.method}"
        if text != self._said:
            self._said = text
            log.info("%s", text)

    def _from_helper(self) -> Seat:
        dns = self._config.dns
        return connector_seat(
            self._helper,
            nameservers=None if isinstance(dns.nameservers, str) else dns.nameservers,
            search=None if isinstance(dns.search, str) else dns.search,
            timeout_s=dns.timeout,
            connector_dns=self._connector_dns,
            half_open=self._there,
        )

    def _connector_dns(self) -> tuple[Endpoint, ...] | None:
        text = self._environment.get("TWINGATE_DNS", "")
        return parse_connector_dns(text) if text else None


def _wanted(config: Config) -> Wanted:
    connector = config.connector
    return Wanted(
        runtime=connector.runtime,
        container=connector.container,
        unit=connector.unit,
        docker_host=connector.docker_host,
    )
