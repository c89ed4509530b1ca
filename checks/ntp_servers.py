"""Asking all time servers in one run: names to addresses, fairly few of them, and none that asked for peace."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from checks import ntp
from checks.clock_verdict import Kind, Source
from checks.model import Reason
from checks.net.endpoint import Endpoint
from checks.net.seat import Resolution, Seat
from checks.timescale import Timescale

NTP_PORT = 123
MAX_ADDRESSES_PER_SERVER = 4  # what a pool name gives
MAX_ADDRESSES = 16  # more sources than these change no majority, only the load on other people's servers
MIN_POLL_S = 64.0  # the shortest interval at which public servers may be asked; the first RATE doubles it
MAX_POLL_S = 4096.0  # after six doublings a server is asked about once an hour
DENIED_S = 3600.0  # DENY and RSTR mean "never": an hour later the operator may have changed that
DENIALS = ("DENY", "RSTR")
MAX_REMEMBERED = 256  # a pool gives other addresses each time


@dataclass(slots=True)
class _Wait:
    """Until when (elapsed seconds) an address is left alone, with which kiss code, and how far it has doubled."""

    until: float
    code: str
    interval_s: float


class Backoff:
    """Remembers which addresses sent a kiss code, and when they may be asked again. Source: RFC 5905 §7.4."""

    def __init__(self) -> None:
        self._waits: dict[Endpoint, _Wait] = {}

    def waiting(self, address: Endpoint, now: float) -> str | None:
        """Return the kiss code for which this address must not be asked `now` (elapsed seconds), else None."""
        wait = self._waits.get(address)
        return wait.code if wait and now < wait.until else None

    def seconds_left(self, address: Endpoint, now: float) -> float:
        """Return how many seconds this address is still left alone."""
        wait = self._waits.get(address)
        return max(0.0, wait.until - now) if wait else 0.0

    def answered(self, address: Endpoint, now: float) -> None:
        """Take note of a time reply: an address that once asked for a lower rate keeps it, others are free again."""
        wait = self._waits.get(address)
        if wait is None:
            return
        if wait.code == "RATE":
            wait.until = now + wait.interval_s
        else:
            del self._waits[address]

    def kissed(self, address: Endpoint, code: str, now: float) -> None:
        """Take note of a kiss code: DENY and RSTR cost an hour, any other doubles the interval up to `MAX_POLL_S`."""
        before = self._waits.get(address)
        if code in DENIALS:
            interval = DENIED_S
        else:
            interval = min(MAX_POLL_S, 2 * (before.interval_s if before and before.code not in DENIALS else MIN_POLL_S))
        self._waits[address] = _Wait(now + interval, code, interval)
        if len(self._waits) > MAX_REMEMBERED:
            del self._waits[min(self._waits, key=lambda a: self._waits[a].until)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What every server said, and in how many seconds the first that must be left alone may be asked again."""

    sources: tuple[Source, ...]
    next_question_s: float | None = None


async def survey(
    seat: Seat,
    servers: Sequence[Endpoint],
    timescale: Timescale,
    backoff: Backoff,
    elapsed: Callable[[], float],
    *,
    timeout_s: float,
) -> Survey:
    """Ask every server once at each of its addresses, all at a time, within two time-outs (names, then replies)."""
    async with asyncio.TaskGroup() as group:
        lookups = [group.create_task(_resolve(seat, server, timeout_s)) for server in servers]
    found = {server: lookup.result() for server, lookup in zip(servers, lookups, strict=True)}
    sources = [_source(s, "", f"unresolved: {f.evidence or f.reason}") for s, f in found.items() if not f.addresses]
    waits: list[float] = []
    questions: dict[Endpoint, asyncio.Task[Source]] = {}
    async with asyncio.TaskGroup() as group:
        for address, server in _choose(found).items():
            now = elapsed()
            if code := backoff.waiting(address, now):
                sources.append(_source(server, address.host, f"backing_off: {code}"))
                waits.append(backoff.seconds_left(address, now))
            else:
                questions[address] = group.create_task(_ask(seat, server, address, timescale, timeout_s))
    for address, question in questions.items():
        source = question.result()
        sources.append(source)
        if source.state.startswith("kiss:"):
            backoff.kissed(address, source.state.removeprefix("kiss:"), elapsed())
            waits.append(backoff.seconds_left(address, elapsed()))
        elif source.interval is not None:
            backoff.answered(address, elapsed())
    return Survey(sources=tuple(sources), next_question_s=min(waits, default=None))


async def _resolve(seat: Seat, server: Endpoint, timeout_s: float) -> Resolution:
    try:
        async with asyncio.timeout(timeout_s):
            return await seat.resolver.resolve(server.host)
    except TimeoutError:
        return Resolution(name=server.host, reason=Reason.TIMEOUT, evidence="no answer within the time-out")


def _choose(found: Mapping[Endpoint, Resolution]) -> dict[Endpoint, Endpoint]:
    """Return which address to ask for which server: the first address of every server, then every second one.

    In that order a long list of servers can't push one of them out, and no address is asked twice.
    """
    columns = [
        [(Endpoint(address, server.port), server) for address in resolution.addresses[:MAX_ADDRESSES_PER_SERVER]]
        for server, resolution in found.items()
    ]
    chosen: dict[Endpoint, Endpoint] = {}
    for pair in itertools.chain.from_iterable(itertools.zip_longest(*columns)):
        if pair is not None and len(chosen) < MAX_ADDRESSES:
            chosen.setdefault(*pair)
    return chosen


async def _ask(seat: Seat, server: Endpoint, address: Endpoint, timescale: Timescale, timeout_s: float) -> Source:
    answer = await ntp.ask(seat.open_socket, address.host, address.port, timescale, timeout_s)
    return Source(
        source=server.short(NTP_PORT),
        address=address.host,
        kind=Kind.NTP,
        state=answer.state,
        interval=answer.interval,
        stratum=answer.stratum,
        round_trip_s=answer.round_trip_s,
    )


def _source(server: Endpoint, address: str, state: str) -> Source:
    return Source(source=server.short(NTP_PORT), address=address, kind=Kind.NTP, state=state)
