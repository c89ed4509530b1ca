"""Clock: this host's time against its time servers and the Controller.

What must hold: the clock is within ± 5 s of the Controller's (`clock.max_offset`). Beyond that the Controller refuses
the Connector's tokens: it goes offline and online by turns and logs `Invalid token`, `failed to get an access token`.

Sources: the NTP servers of this host (chrony, systemd-timesyncd, ntpd) or those of `clock.servers`, one question to
each address in a run; and the `Date` of the Controller's HTTPS replies, narrowed from whole seconds to about a fifth
of one over several replies. Each source gives an interval that contains the true offset if the source is right: half
the round trip, the server's own distance from its reference and the resolutions make its width. The result is what
more than half of the usable sources share; its middle is the offset, half its width the error bound.

- ok: offset and bound together stay within `max_offset`, and the offset is not certainly beyond `clock.warn_offset`.
- warning/offset_exceeded: certainly beyond `warn_offset`, or perhaps beyond `max_offset`; or certainly beyond
  `max_offset` by the word of one NTP server with nothing else to confirm it.
- warning/clock_stepped: somebody set the clock by 1 s or more since the last run. It lasts one run.
- critical/offset_exceeded: certainly beyond `max_offset` (the offset less its bound).
- unknown/sources_disagree: no offset fits more than half of the sources.
- unknown/no_time_source: no source is usable, all asked to be left alone, or the bound is as wide as the tolerance.
- skipped/not_probeable: `clock.servers: []` and no Controller to ask.

Measured: `offset_seconds` (negative: this host is behind, as in Twingate's Time Offset), `error_bound_seconds`, and
`drift_seconds_per_second` once it can be told from zero. Facts: every source and why it was or was not used, which
time daemon runs, what the kernel says of its clock (adjtimex, read only), kiss codes.

What it can't see: an error that most sources share, such as a leap second that they smear; a wrong clock behind a
server on this very host, which only tells what we know; what the Connector's own process believes, when it runs under
another kernel. Setting the clock is never attempted.

Sources: Twingate documentation, Connector details (time offset); RFC 5905 §7.4, §8, §11; RFC 9110 §6.6.1.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from checks import http_date
from checks.clock_text import Findings, action, summary
from checks.clock_verdict import Kind, Source, Verdict, final_state, judge
from checks.kernelclock import kernel_facts
from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.endpoint import Endpoint
from checks.net.http import open_http
from checks.net.seat import Context
from checks.net.url import parse_url
from checks.ntp_servers import Backoff, survey
from checks.timemath import Interval, Measured, drift, recovering, seconds_until
from checks.timescale import Reading, Timescale, boot_seconds, read_clocks
from checks.timesources import TimeSources, discover

TARGET = "system"
CRITICAL_REASONS = frozenset({Reason.OFFSET_EXCEEDED})
HISTORY = 64  # about an hour of runs: enough to see a drift, short enough to follow the temperature
SPARE_S = 1.0  # so that our own deadline, which keeps what was learned, comes before anyone else's
SMALL_STEP_S = 0.05  # a clock that was set by this much starts a new history: the step is not drift


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpec:
    """What to compare with; `servers` None: those that this host uses, looked up at each run. Durations in seconds.

    `controllers` are https URLs, asked in this order until one answers; `timeout_s` is for each step of an exchange.
    """

    servers: tuple[Endpoint, ...] | None
    controllers: tuple[str, ...]
    ca_file: str | None
    max_offset_s: float
    warn_offset_s: float
    timeout_s: float


@dataclass(slots=True, kw_only=True)
class ClockMemory:
    """What the check remembers, and the two things of this host that it reads besides the network."""

    elapsed: Callable[[], float] = boot_seconds
    discover: Callable[[], TimeSources] = discover
    kernel: Callable[[], Mapping[str, Json]] = kernel_facts
    last: Reading | None = None
    backoff: Backoff = field(default_factory=Backoff)
    history: deque[Measured] = field(default_factory=lambda: deque(maxlen=HISTORY))


def new_memory() -> ClockMemory:
    """Make an empty memory."""
    return ClockMemory()


def longest_run_s(spec: ClockSpec) -> float:
    """Return how many seconds a run takes at most: whoever sets a deadline around it must allow this much."""
    return _controllers_s(spec) + SPARE_S


def _controllers_s(spec: ClockSpec) -> float:
    # A name, a connection, and samples one after another, which wait for the server's ticks whatever the time-out is.
    # NTP takes two time-outs at the same time.
    return 2 * spec.timeout_s + http_date.SAMPLING_S


async def probe(spec: ClockSpec, context: Context) -> Rows:
    """Ask all sources once and judge this host's clock by them."""
    if spec.servers == () and not spec.controllers:
        return {TARGET: _nothing_to_ask()}
    memory = context.memory if isinstance(context.memory, ClockMemory) else new_memory()
    system = memory.discover() if spec.servers is None else TimeSources(servers=spec.servers)
    base = read_clocks(context.seat.wall_clock, memory.elapsed)
    timescale = Timescale(base, memory.elapsed)
    async with asyncio.TaskGroup() as group:
        controllers = group.create_task(_ask_controllers(spec, context, timescale))
        servers = group.create_task(
            survey(context.seat, system.servers, timescale, memory.backoff, memory.elapsed, timeout_s=spec.timeout_s)
        )
    end = read_clocks(context.seat.wall_clock, memory.elapsed)
    # All answers were taken on the clock as it was at the start. If it was set meanwhile, it is off by that much more.
    sources = [_moved(s, end.step_since(base)) for s in (*servers.result().sources, *controllers.result())]
    step = end.step_since(memory.last or base)
    memory.last = end
    verdict = judge(sources, max_offset_s=spec.max_offset_s, warn_offset_s=spec.warn_offset_s, step_s=step)
    slope = _remember(memory, verdict.offset, end, step)
    left = verdict.offset and slope and seconds_until(spec.max_offset_s, verdict.offset.midpoint, slope)
    found = Findings(
        verdict=verdict,
        sources=sources,
        max_offset_s=spec.max_offset_s,
        step_s=step,
        next_question_s=servers.result().next_question_s,
        until_limit_s=left or None,
        daemon=system.daemon,
        controllers=spec.controllers,
    )
    facts = {**_facts(found, system), **_kernel(memory.kernel())}
    if slope is not None and verdict.offset is not None:
        facts["recovering"] = recovering(verdict.offset.midpoint, slope)
    return {
        TARGET: Outcome(
            status=verdict.status,
            reason=verdict.reason,
            summary=summary(found),
            action=action(found),
            measurements=_measurements(verdict, slope),
            facts=facts,
        )
    }


async def _ask_controllers(spec: ClockSpec, context: Context, timescale: Timescale) -> list[Source]:
    """Ask one Controller after the other until one gives a usable time, all within one deadline."""
    sources: list[Source] = []
    deadline = asyncio.get_running_loop().time() + _controllers_s(spec)
    for url in spec.controllers:
        try:
            async with asyncio.timeout_at(deadline):
                answer = await http_date.ask(
                    context, url, timescale, open_http, ca_file=spec.ca_file, timeout_s=spec.timeout_s
                )
        except TimeoutError:
            answer = http_date.DateAnswer(state="rejected: too slow")
        sources.append(
            Source(
                source=_host(url),
                address=answer.address,
                kind=Kind.CONTROLLER,
                state=answer.state,
                interval=answer.interval,
            )
        )
        if answer.interval is not None:
            break
    return sources


def _host(url: str) -> str:
    try:
        return parse_url(url).endpoint.host
    except ValueError:
        return url


def _moved(source: Source, seconds: float) -> Source:
    return source if source.interval is None else replace(source, interval=source.interval.moved(seconds))


def _remember(memory: ClockMemory, offset: Interval | None, now: Reading, step: float) -> float | None:
    """Add this run to the history and return the drift, in seconds per second, when it can be told from zero."""
    if abs(step) >= SMALL_STEP_S:
        memory.history.clear()
    if offset is not None:
        memory.history.append(Measured(now.elapsed, offset.midpoint, offset.half_width))
    return drift(memory.history)


def _measurements(verdict: Verdict, slope: float | None) -> dict[str, float]:
    if verdict.offset is None:
        return {}
    measured = {
        "offset_seconds": verdict.offset.midpoint,
        "error_bound_seconds": verdict.offset.half_width,
    }
    return measured if slope is None else {**measured, "drift_seconds_per_second": slope}


def _facts(found: Findings, system: TimeSources) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "sources": [_source_facts(s, found.verdict.offset) for s in found.sources],
        "usable": found.verdict.usable,
        "agreeing": found.verdict.agreeing,
        "tolerance_seconds": found.max_offset_s,
    }
    if system.daemon or system.problems:
        facts["time_daemon"] = {"name": system.daemon, "running": system.running, "problems": list(system.problems)}
    if abs(found.step_s) >= SMALL_STEP_S:
        facts["step_seconds"] = found.step_s
    if found.next_question_s is not None:
        facts["next_question_seconds"] = found.next_question_s
    if found.until_limit_s is not None:
        facts["hours_to_tolerance"] = found.until_limit_s / 3600
    return facts


def _source_facts(source: Source, shared: Interval | None) -> dict[str, Json]:
    return {
        "source": source.source,
        "address": source.address,
        "kind": source.kind,
        "state": final_state(source, shared),
        "offset_seconds": source.interval.midpoint if source.interval else None,
        "bound_seconds": source.interval.half_width if source.interval else None,
        "stratum": source.stratum,
        "round_trip_seconds": source.round_trip_s,
    }


def _kernel(kernel: Mapping[str, Json]) -> dict[str, Json]:
    facts: dict[str, Json] = {"kernel": kernel}
    if "synchronised" in kernel:
        facts["synchronised"] = kernel["synchronised"]
    return facts


def _nothing_to_ask() -> Outcome:
    return Outcome(
        status=Status.SKIPPED,
        reason=Reason.NOT_PROBEABLE,
        summary="there is nothing to compare the clock with: no time servers, and no Controller's Date",
        action="List servers under clock.servers, or allow clock.controller_date.",
    )
