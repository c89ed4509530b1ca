"""The Controller's own clock, read from the `Date` of its HTTPS replies: whole seconds, narrowed sample by sample."""

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from checks.date_header import read_date
from checks.net.errors import NetError
from checks.net.seat import Context
from checks.net.url import parse_url
from checks.timemath import Interval
from checks.timescale import Timescale

MIN_SAMPLES = 3  # fewer leave a quarter of a second or more to the luck of the first reply
MAX_SAMPLES = 5  # each halves what the round trip leaves open: more would say less than the round trip hides
MAX_ADDRESSES = 4
DATE_LAG_S = 0.05  # front ends refresh a cached Date by a timer: just after a tick it may still be the old second
SAMPLING_S = MAX_SAMPLES + 1.0  # each sample waits less than a second for its moment, and then a round trip


class Response(Protocol):
    """What is read of an HTTP reply: header names are lower-case."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All headers, in their order."""


class Connection(Protocol):
    """An open HTTPS connection whose certificate was verified, but for its dates."""

    async def request(self, method: str, target: str, *, host: str, timeout_s: float, max_body: int = 0) -> Response:
        """Send a request and return its reply. Raises: NetError."""

    def close(self) -> None:
        """Close it."""


class Opener(Protocol):
    """Opens a connection to one literal address of a URL's host."""

    def __call__(
        self, context: Context, url: str, address: str, *, ca_file: str | None, timeout_s: float
    ) -> Awaitable[Connection]:
        """Open it. Raises: NetError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateAnswer:
    """What the Controller's replies say about this host's offset (see `NtpAnswer` for sign and states)."""

    state: str
    address: str = ""
    interval: Interval | None = None
    samples: int = 0


@dataclass(slots=True)
class _Narrowing:
    """The offsets that all replies so far allow, and the shortest round trip."""

    timescale: Timescale
    interval: Interval | None = None
    samples: int = 0
    round_trip_s: float = math.inf

    async def wait_for_the_best_moment(self) -> None:
        """Wait, less than a second, so that the server's next tick falls into the middle of what is still open."""
        if self.interval is None:
            return
        server_then = self.timescale.now() + self.round_trip_s / 2 - self.interval.midpoint
        await asyncio.sleep(-server_then % 1.0)

    def add(self, date: int, sent: float, received: float) -> bool:
        """Take in one reply; False: no offset fits all of them.

        At some moment between `sent` and `received` the server's clock stood in [date, date + 1): this host's offset
        is its own time at that moment less the server's.
        """
        allowed = Interval(sent - date - 1.0 - DATE_LAG_S, received - date)
        self.interval = allowed if self.interval is None else self.interval.meet(allowed)
        self.samples += 1
        self.round_trip_s = min(self.round_trip_s, received - sent)
        return self.interval is not None

    @property
    def exhausted(self) -> bool:
        """Tell whether another sample could not narrow it any further."""
        if self.samples >= MAX_SAMPLES:
            return True
        floor = self.round_trip_s + DATE_LAG_S
        return self.samples >= MIN_SAMPLES and self.interval is not None and self.interval.half_width * 2 <= floor


async def ask(
    context: Context, url: str, timescale: Timescale, opener: Opener, *, ca_file: str | None, timeout_s: float
) -> DateAnswer:
    """Ask a Controller at the first of its addresses that answers; never raises for what the network says.

    Each step (connecting, each reply) may take `timeout_s` seconds, all samples together `SAMPLING_S + timeout_s`.
    """
    try:
        parsed = parse_url(url)
    except ValueError as error:
        return _rejected(str(error))
    if not parsed.tls:
        return _rejected("not an https URL: anyone on the way could set its Date")
    found = await context.seat.resolver.resolve(parsed.endpoint.host)
    if not found.addresses:
        return DateAnswer(state=f"unresolved: {found.evidence or found.reason}")
    answer = _rejected("no address")
    for address in sorted(found.addresses, key=lambda a: ":" in a)[:MAX_ADDRESSES]:
        narrowing = _Narrowing(timescale)
        try:
            async with asyncio.timeout(SAMPLING_S + timeout_s):
                why = await _sample(context, url, address, narrowing, opener, ca_file=ca_file, timeout_s=timeout_s)
        except TimeoutError:
            why = None if narrowing.samples >= MIN_SAMPLES else "too slow"
        except NetError as error:
            if narrowing.samples < MIN_SAMPLES:
                answer = _rejected(f"{error.reason}: {error.evidence}", address)
                continue
            why = None
        if why:
            return _rejected(why, address)
        return DateAnswer(state="usable", address=address, interval=narrowing.interval, samples=narrowing.samples)
    return answer


async def _sample(
    context: Context,
    url: str,
    address: str,
    narrowing: _Narrowing,
    opener: Opener,
    *,
    ca_file: str | None,
    timeout_s: float,
) -> str | None:
    """Take samples until they say no more. Returns why the source can't be used. Raises: NetError."""
    connection: Connection | None = None
    host = parse_url(url).host_header
    try:
        while not narrowing.exhausted:
            if connection is None:
                connection = await opener(context, url, address, ca_file=ca_file, timeout_s=timeout_s)
            await narrowing.wait_for_the_best_moment()
            sent = narrowing.timescale.now()
            response = await connection.request("HEAD", "/", host=host, timeout_s=timeout_s)
            received = narrowing.timescale.now()
            date, why = read_date(response.headers)
            if date is None:
                return why
            if not narrowing.add(date, sent, received):
                return "its Dates contradict each other"
            if ("connection", "close") in [(k, v.lower()) for k, v in response.headers]:
                connection.close()
                connection = None
    finally:
        if connection is not None:
            connection.close()
    return None


def _rejected(why: str, address: str = "") -> DateAnswer:
    return DateAnswer(state=f"rejected: {why}", address=address)
