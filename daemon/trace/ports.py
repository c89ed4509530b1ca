"""Each address and port of one Resource tried once; where one does not answer, the way to it and another place's view.

What `healthctl check` may not touch, this does not touch either: the plan's own decisions about ports and addresses
hold. A port with a policy of its own gets one connection and no further packet.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from checks.model import Outcome, Reason, Status
from checks.net.endpoint import is_address
from checks.net.errors import NetError
from checks.net.hops import HopMethod, HopTrace, trace_hops
from checks.net.seat import Context, Seat
from checks.net.tcp import Attempt
from checks.policy import denied
from checks.tcp import TcpSpec, judge, try_all
from checks.tcp_spec import Aim
from daemon.jobs import Job
from daemon.known import dependency_failed
from daemon.second_look import compared
from daemon.trace.facts import PortSeen
from daemon.vantage.seats import Seats

HEAD_START_S = 1.0  # what has not answered by then is looked for on its way, while the connection goes on waiting
TAIL_S = 0.4  # kept of the time for putting the result together
MIN_TRY_S = 0.2  # less says nothing about anybody
MAX_WAYS = 4  # addresses whose way is traced: more would be a scan, and the first ones tell enough

_LOST = frozenset({Reason.TIMEOUT, Reason.UNREACHABLE, Reason.NO_ROUTE})
_OURS = frozenset({Reason.PROBER_STARVED, Reason.PERMISSION_DENIED, Reason.NOT_RUNNING})
_Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`until`: the loop's time at which all must be over; `per_host`: connections to one address at once.

    `connectable` tells of a port whether it may be connected to at any time: only then are SYNs sent along its way.
    """

    until: float
    per_host: int
    connectable: Callable[[int], bool]


class PortTrace:
    """The ports of one Resource; `seen` may be read at any time. Jobs are those of the plan for the check `tcp`."""

    def __init__(
        self, jobs: tuple[Job, ...], seats: Seats, limits: Limits, context_of: Callable[[Job], Context]
    ) -> None:
        self._jobs = jobs
        self._seats = seats
        self._limits = limits
        self._context_of = context_of
        self._loop = asyncio.get_running_loop()
        self._seen: dict[_Key, PortSeen] = {}
        self._attempts: dict[_Key, Attempt] = {}
        self._from_host: dict[_Key, Attempt] = {}
        self._ways: dict[_Key, HopTrace] = {}
        self._walked: set[str] = set()
        self._room: dict[str, asyncio.Semaphore] = {}

    @property
    def literal(self) -> tuple[str, ...]:
        """The addresses that need no nameserver."""
        specs = (job.spec for job in self._jobs)
        found = (s.address for s in specs if isinstance(s, TcpSpec) and is_address(s.address))
        return tuple(dict.fromkeys(found))

    def seen(self) -> tuple[PortSeen, ...]:
        """Return what is known so far of each address and port."""
        return tuple(
            replace(
                port,
                way=self._ways.get(key),
                host=_word(self._from_host[key]) if key in self._from_host else None,
            )
            for key, port in self._seen.items()
        )

    async def try_address(self, address: str) -> None:
        """Try every port of the Resource at one address."""
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                spec = job.spec
                if isinstance(spec, TcpSpec) and (spec.address == address or not is_address(spec.address)):
                    group.create_task(self._one(job, spec, address))

    def rows(self, *, name_failed: bool) -> dict[str, Outcome]:
        """Return the verdict on each port as `healthctl check` words it, by the id of its row."""
        return {job.id: self._row(job, name_failed=name_failed) for job in self._jobs}

    def _row(self, job: Job, *, name_failed: bool) -> Outcome:
        spec = job.spec
        if job.fixed is not None:
            return job.fixed
        if not isinstance(spec, TcpSpec):
            raise TypeError(f"{job.id} is no port")
        mine = [port for (_, number), port in self._seen.items() if number == spec.port]
        attempts = [
            self._attempts[port.address, port.port] for port in mine if (port.address, port.port) in self._attempts
        ]
        waiting = [port for port in mine if port.verdict == "unfinished"]
        if not attempts or (waiting and not any(a.accepted for a in attempts)):
            return _no_verdict(spec, mine, name_failed=name_failed, name=job.name)
        tried = tuple(a.address for a in attempts)
        spec = replace(spec, timeout_s=max(a.seconds for a in attempts))
        context = self._context_of(job)
        outcome = judge(spec, context, attempts, Aim(tried, tried))
        again = [self._from_host[key] for a in attempts if (key := (a.address, spec.port)) in self._from_host]
        if outcome.status is Status.CRITICAL and again:
            outcome = compared(outcome, judge(spec, context, again, Aim(tried, tried)))
        return outcome

    async def _one(self, job: Job, spec: TcpSpec, address: str) -> None:
        key = address, spec.port
        if key in self._seen:
            return
        blank = self._seen[key] = PortSeen(address=address, port=spec.port, verdict="unfinished", method=spec.method)
        exempt = spec.literal_allowed and is_address(spec.address)
        if denied(address, spec.deny, spec.allow, literal_allowed=exempt):
            self._seen[key] = replace(blank, verdict="not_touched", why="the address is in probing.deny")
            return
        if job.fixed is not None:
            why = job.fixed.summary.removeprefix("not probed: ")
            self._seen[key] = replace(blank, verdict="not_touched", method="none", why=why)
            if job.fixed.reason is Reason.NOT_ALLOWED:  # one may not connect; the way to its host may be looked at
                await self._walk(key, policy=True)
            return
        room = self._room.setdefault(address, asyncio.Semaphore(self._limits.per_host))
        async with room:
            await self._try(key, spec, confirmable=job.confirmable)

    async def _try(self, key: _Key, spec: TcpSpec, *, confirmable: bool) -> None:
        address = key[0]
        timeout_s = min(spec.timeout_s, self._limits.until - self._loop.time() - TAIL_S)
        if timeout_s < MIN_TRY_S:
            return
        lost = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            more = group.create_task(self._look_closer(key, spec, lost, confirmable=confirmable))
            tried = (await try_all(self._seats.first, spec, (address,), timeout_s))[0]
            self._note(key, tried)
            if tried.accepted or (tried.error is not None and tried.error.reason in _OURS):
                more.cancel()
            lost.set()

    def _note(self, key: _Key, tried: Attempt) -> None:
        seen, error = self._seen[key], tried.error
        if tried.accepted:
            self._attempts[key] = tried
            self._seen[key] = replace(seen, verdict="accepted", seconds=tried.seconds)
        elif error is not None and error.reason in _OURS:
            self._seen[key] = replace(seen, reason=error.reason, why=error.evidence, seconds=tried.seconds)
        elif error is not None:
            self._attempts[key] = tried
            self._seen[key] = replace(
                seen, verdict="failed", reason=error.reason, why=error.evidence, seconds=tried.seconds
            )

    async def _look_closer(self, key: _Key, spec: TcpSpec, lost: asyncio.Event, *, confirmable: bool) -> None:
        """Once a connection fails, or waits for long: trace its way, and try it from the host's own place."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                await lost.wait()
        tried = self._attempts.get(key)
        reason = tried.error.reason if tried is not None and tried.error is not None else None
        async with asyncio.TaskGroup() as group:
            if reason is None or reason in _LOST:
                group.create_task(self._walk(key, policy=not self._limits.connectable(key[1])))
            host = self._seats.host
            if host is not None and confirmable and _able(host, spec):
                group.create_task(self._from_host_too(key, spec, host))

    async def _walk(self, key: _Key, *, policy: bool) -> None:
        address, port = key
        left = self._limits.until - self._loop.time() - TAIL_S
        if address in self._walked or len(self._walked) >= MAX_WAYS or left < MIN_TRY_S:
            return
        self._walked.add(address)
        method: HopMethod = "udp" if policy else "tcp"
        self._ways[key] = await trace_hops(self._seats.first, address, port, method=method, budget_s=left)

    async def _from_host_too(self, key: _Key, spec: TcpSpec, host: Seat) -> None:
        left = self._limits.until - self._loop.time() - TAIL_S
        if left >= MIN_TRY_S:
            self._from_host[key] = (await try_all(host, spec, key[:1], left))[0]


def _able(seat: Seat, spec: TcpSpec) -> bool:
    return spec.method == "connect" or (seat.half_open is not None and seat.half_open.available)


def _word(tried: Attempt) -> str:
    return "ok" if tried.accepted else str(tried.error.reason if tried.error is not None else Reason.TIMEOUT)


def _no_verdict(spec: TcpSpec, mine: list[PortSeen], *, name_failed: bool, name: str | None) -> Outcome:
    """Judge a port of which no connection came to an end."""
    if name_failed and not mine:
        return dependency_failed(f"{name} does not resolve", f"dns:{name}")
    if mine and all(port.verdict == "not_touched" for port in mine):
        return Outcome(
            status=Status.SKIPPED,
            reason=Reason.NOT_ALLOWED,
            summary=f"{spec.target} is not probed: {', '.join(p.address for p in mine)} is in probing.deny",
            action="If it should be probed, add its network to probing.allow.",
        )
    ours = next((port for port in mine if port.reason is not None), None)
    if ours is not None:
        error = NetError(ours.reason or Reason.PROBER_STARVED, ours.why)
        return Outcome(
            status=Status.UNKNOWN, reason=error.reason, summary=f"{spec.target} could not be tried: {error.evidence}"
        )
    return Outcome(
        status=Status.UNKNOWN,
        reason=Reason.TIMEOUT,
        summary=f"{spec.target} was not tried to the end within the time of a trace",
    )
