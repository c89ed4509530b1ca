"""What the Connector says of itself at its own /metrics: the three figures that Twingate documents, and nothing else.

Served since Connector 1.80.0 when TWINGATE_METRICS_PORT is set. Whatever is wrong with it is a fact about that endpoint
and never a verdict about the Connector, which serves its users just as well without it. The reader is small on purpose:
a whole parser of the format would cost more start-up time than all the rest of this check.
Source: Twingate, "Connector metrics"; Prometheus text format 0.0.4.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from checks.model import Json, Reason
from checks.net.endpoint import is_loopback, parse_port
from checks.net.errors import NetError
from checks.net.http import HttpResponse, open_http
from checks.net.seat import Context, Seat
from checks.net.text import printable
from checks.net.url import Url, parse_url
from checks.runtime.model import Sighting

PORT_VARIABLE = "TWINGATE_METRICS_PORT"
MAX_BODY_BYTES = 256 << 10  # a Connector's own page has a few KiB
MAX_LINE = 4096  # characters of a line that is read: name, a label or two and a number
MAX_TRANSPORTS = 16  # direct and relay are documented, others were seen; a list without end is no list of transports
MAX_TRANSPORT = 64  # characters of the name of one
MAX_COUNT = 2.0**64  # nothing that is counted in bytes or seconds is more
UPTIME = "twingate_connector_uptime_seconds"
INBOUND = "twingate_inbound_bytes_total"
OUTBOUND = "twingate_outbound_bytes_total"

_NOTHING: Mapping[str, int] = MappingProxyType({})
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*(,|$)')
_NUMBER = re.compile(r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TIMESTAMP = re.compile(r"-?[0-9]{1,19}")
_ESCAPE = re.compile(r'\\([\\"n])')


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetrics:
    """What was read at `url`. Bytes are by transport, whatever the Connector calls those.

    `problem` is one clause about what is wrong: it could not be read, or not all of it is of the format.
    """

    url: str
    problem: str = ""
    uptime_seconds: float | None = None
    inbound_bytes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    outbound_bytes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)

    @property
    def answers(self) -> bool:
        """Tell whether a Connector spoke: something else may listen on that port."""
        return self.uptime_seconds is not None or bool(self.inbound_bytes) or bool(self.outbound_bytes)

    @property
    def facts(self) -> Mapping[str, Json]:
        """What was read, as facts."""
        return {
            "url": self.url,
            "problem": self.problem or None,
            "uptime_seconds": self.uptime_seconds,
            "inbound_bytes": dict(self.inbound_bytes),
            "outbound_bytes": dict(self.outbound_bytes),
        }


async def read_own_metrics(
    configured: str | None, sighting: Sighting, context: Context, timeout_s: float
) -> OwnMetrics | None:
    """Ask the Connector's own /metrics once, all within `timeout_s` seconds; None when nobody said where it is."""
    port = sighting.environment.get(PORT_VARIABLE, "")
    if configured is None and not port:
        return None
    try:
        url = parse_url(configured or f"http://127.0.0.1:{parse_port(port)}/metrics")
    except ValueError as error:
        return OwnMetrics(url="", problem=str(error) if configured else f"{PORT_VARIABLE} holds no port")
    shown = f"{url.scheme}://{url.host_header}{url.target.partition('?')[0]}"
    seats = _seats(url, sighting, context, derived=configured is None)
    if not seats:
        return OwnMetrics(
            url=shown, problem="it listens inside the Connector's network namespace, where we don't stand"
        )
    failure = ""
    for seat in seats:
        try:
            answer = await _ask(url, replace(context, seat=seat), timeout_s / len(seats))
        except NetError as error:
            failure = failure or f"it can't be read: {error.evidence}"
            continue
        if answer.status != 200:
            failure = failure or f"it answers with HTTP {answer.status}"
            continue
        return replace(parse_own_metrics(answer.body), url=shown)
    return OwnMetrics(url=shown, problem=printable(failure))


def _seats(url: Url, sighting: Sighting, context: Context, *, derived: bool) -> tuple[Seat, ...]:
    """Return where to ask from, the best place first.

    The port that the environment names is bound inside the Connector's namespace: on this host the same number may be
    anything, and is left alone. What the operator wrote may also be a port that is published on this host.
    """
    shared = sighting.own_namespace is True
    if derived:
        return (context.seat,) if shared else tuple(filter(None, (context.connector_seat,)))
    loopback = url.endpoint.host == "localhost" or is_loopback(url.endpoint.host)
    if loopback and context.connector_seat is not None and not shared:
        return (context.connector_seat, context.seat)
    return (context.seat,)


async def _ask(url: Url, context: Context, timeout_s: float) -> HttpResponse:
    """Fetch the page within `timeout_s` seconds, names and all. Raises: NetError."""
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            resolution = await context.seat.resolver.resolve(url.endpoint.host)
            if resolution.reason is not None or not resolution.addresses:
                raise _no_address(url, resolution.evidence)
            connection = await open_http(context, str(url), resolution.addresses[0], ca_file=None, timeout_s=timeout_s)
            try:
                return await connection.request(
                    "GET", url.target, host=url.host_header, timeout_s=timeout_s, max_body=MAX_BODY_BYTES
                )
            finally:
                connection.close()
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise NetError(Reason.TIMEOUT, f"no complete answer within {timeout_s:.3g} s") from error


def _no_address(url: Url, evidence: str) -> NetError:
    return NetError(Reason.NO_ADDRESS, f"{url.endpoint.host}: {evidence or 'the name has no address'}")


def parse_own_metrics(body: bytes) -> OwnMetrics:
    """Read the three documented families out of a page; every other family is passed over, unread."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return OwnMetrics(url="", problem="it is not UTF-8")
    page = _Page()
    for number, line in enumerate(text.split("\n"), start=1):
        name = _NAME.match(line)
        if name is not None and name[0] in (UPTIME, INBOUND, OUTBOUND):
            page.take(number, name[0], line[name.end() :])
    found = OwnMetrics(
        url="",
        problem=page.problem,
        uptime_seconds=page.uptime,
        inbound_bytes=MappingProxyType(page.bytes_by[INBOUND]),
        outbound_bytes=MappingProxyType(page.bytes_by[OUTBOUND]),
    )
    if not found.answers and not found.problem:
        return replace(found, problem="it shows none of the figures that a Connector documents")
    return found


class _Page:
    """What was understood so far; the first thing that was not is the problem."""

    def __init__(self) -> None:
        self.uptime: float | None = None
        self.bytes_by: dict[str, dict[str, int]] = {INBOUND: {}, OUTBOUND: {}}
        self.problem = ""
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def take(self, number: int, name: str, rest: str) -> None:
        """Take one sample line; `rest` follows the name."""
        try:
            labels, value = _sample(rest)
            self._keep(name, labels, value)
        except ValueError as error:
            self.problem = self.problem or f"line {number}: {error}"

    def _keep(self, name: str, labels: dict[str, str], value: float) -> None:
        series = (name, frozenset(labels.items()))
        if series in self._seen:
            raise ValueError(f"{name} has the same labels twice")
        if name == UPTIME:
            if self.uptime is not None:
                raise ValueError(f"{name} is there twice")
            self.uptime = value
        else:
            counts, transport = self.bytes_by[name], printable(labels.get("transport", ""), MAX_TRANSPORT)
            if transport not in counts and len(counts) >= MAX_TRANSPORTS:
                raise ValueError(f"{name} has more than {MAX_TRANSPORTS} transports")
            counts[transport] = counts.get(transport, 0) + int(value)
        self._seen.add(series)


def _sample(rest: str) -> tuple[dict[str, str], float]:
    """Read what follows a name: labels, value, time stamp. Raises: ValueError with one clause, quoting nothing."""
    if len(rest) > MAX_LINE:
        raise ValueError("the line is too long to be read")
    labels: dict[str, str] = {}
    tail = rest.strip(" \t")
    if tail.startswith("{"):
        inside, brace, tail = tail[1:].rpartition("}")
        if not brace:
            raise ValueError("the labels have no end")
        for name, value in _labels(inside):
            if name in labels:
                raise ValueError("a label is there twice")
            labels[name] = value
    elif not rest.startswith((" ", "\t")):
        raise ValueError("no space after the name")
    words = tail.split()
    if not 1 <= len(words) <= 2 or (len(words) == 2 and not _TIMESTAMP.fullmatch(words[1])):
        raise ValueError("not a value with at most a time stamp")
    if not _NUMBER.fullmatch(words[0]) or float(words[0]) > MAX_COUNT:
        raise ValueError("the value is not a number that can count something")
    return labels, float(words[0])


def _labels(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text.rstrip(" \t")):
        found = _LABEL.match(text, place)
        if found is None:
            raise ValueError("the labels are not of the format")
        yield found[1], _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], found[2])
        place = found.end()
