"""Rows of the rule "Clock"."""

# ruff: noqa: RUF001 - the rules write minus signs, not hyphens

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from checks.clock import ClockMemory, ClockSpec
from checks.model import CheckName, Json, Outcome
from checks.net.endpoint import Endpoint
from checks.net.seat import Context
from daemon.config.problems import ConfigError
from daemon.config.schema import Config
from tests.contract.bench import TIMEOUT_S, Bench, Row, Scenario, at, verdict, wall
from tests.support.fakes import context
from tests.support.ntp_server import Script, reply, sources_of

NAME = "acme.controller.example"
NAMES = {NAME: ("127.0.0.1",), "one.example": ("127.0.0.1",), "two.example": ("127.0.0.1",)}
OFF = "critical/offset_exceeded -"
DOUBT = "warning/offset_exceeded -"
NO_SOURCE = "unknown/no_time_source -"
AMPLE_S = 5.0  # for a server that answers, on a machine that is busy


def tells(ahead: float = 0.0, **lies: object) -> Script:
    """Answer by a clock that is ahead of this host's; `lies` as in `reply`."""
    return lambda question: [reply(question, wall() + ahead, **lies)]  # type: ignore[arg-type]


def spec(*ports: int, controller: int | None = None, ca_file: str | None = None, limit: float = 5.0) -> ClockSpec:
    """Compare with these servers, and with the Controller on this port."""
    return ClockSpec(
        servers=tuple(Endpoint("127.0.0.1", port) for port in ports),
        controllers=() if controller is None else (f"https://{NAME}:{controller}",),
        ca_file=ca_file,
        max_offset_s=limit,
        warn_offset_s=1.0,
        timeout_s=TIMEOUT_S if ports else AMPLE_S,  # only time servers are silent here
    )


def here(memory: ClockMemory | None = None, now: Callable[[], float] = wall) -> Context:
    """Stand on this host, with a memory and a wall clock."""
    where = context(NAMES)
    return at(where, memory=memory or ClockMemory(), seat=replace(where.seat, wall_clock=now))


async def asked(bench: Bench, scripts: Sequence[Script], limit: float = 5.0) -> Outcome:
    """Ask one server for each script."""
    ports = [(await bench.time_server(script))[0] for script in scripts]
    return await bench.look(CheckName.CLOCK, spec(*ports, limit=limit), here())


def ntp(*scripts: Script, limit: float = 5.0) -> Scenario:
    """Judge the clock by these servers."""

    async def scenario(bench: Bench) -> str:
        return verdict(await asked(bench, scripts, limit))

    return scenario


def state(script: Script) -> Scenario:
    """Return why one server's reply was not used, without figures."""

    async def scenario(bench: Bench) -> str:
        (source,) = sources_of(await asked(bench, [script]))
        return re.sub(r"[0-9.]+ s,.*", "…", str(source["state"]))

    return scenario


def offset(*scripts: Script) -> Scenario:
    """Return the offset in whole seconds."""

    async def scenario(bench: Bench) -> int:
        return round((await asked(bench, scripts)).measurements["offset_seconds"])

    return scenario


def dated(ahead: float = 0.0, *, kind: str = "issue", trusted: bool = True, more: str = "") -> Scenario:
    """Judge the clock by the Controller's Date alone."""

    async def scenario(bench: Bench) -> str:
        root = bench.authority()
        port = await bench.controller(getattr(root, kind)(NAME), ahead=ahead, more=more)
        ca_file = str(root.ca_file) if trusted else None
        return verdict(await bench.look(CheckName.CLOCK, spec(controller=port, ca_file=ca_file), here()))

    return scenario


async def narrowed(bench: Bench) -> dict[str, bool]:
    """See how exactly whole seconds tell the time."""
    root = bench.authority()
    port = await bench.controller(root.issue(NAME), ahead=0.3)
    outcome = await bench.look(CheckName.CLOCK, spec(controller=port, ca_file=str(root.ca_file)), here())
    found, bound = outcome.measurements["offset_seconds"], outcome.measurements["error_bound_seconds"]
    return {
        "at least 3 samples": len(bench.requests) >= 3,
        "narrower than the second": bound < 0.45,
        "the truth lies within": abs(found + 0.3) <= bound + 0.01,
    }


async def by_a_stranger(bench: Bench) -> str:
    """Ask a server whose reply comes from another address."""
    loop = asyncio.get_running_loop()

    class Front(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            stranger.sendto(reply(data, wall()), addr)

    stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.2", 0))
    front, _ = await loop.create_datagram_endpoint(Front, local_addr=("127.0.0.1", 0))
    try:
        outcome = await bench.look(CheckName.CLOCK, spec(front.get_extra_info("sockname")[1]), here())
    finally:
        stranger.close()
        front.close()
    return str(sources_of(outcome)[0]["state"])


def kissed(code: bytes) -> Scenario:
    """Ask a server twice that sends a kiss code; return each state, the questions, and how long it is left alone."""

    async def scenario(bench: Bench) -> tuple[list[Json], int, bool]:
        port, questions = await bench.time_server(tells(99, stratum=0, code=code))
        memory, states, waits = ClockMemory(), [], []
        for _ in range(2):
            outcome = await bench.look(CheckName.CLOCK, spec(port), here(memory))
            assert outcome.measurements == {}, "a kiss code is never an offset"
            states.append(sources_of(outcome)[0]["state"])
            waits.append(cast("float", outcome.facts["next_question_seconds"]))
        return states, len(questions), all(wait > 127 for wait in waits)

    return scenario


async def stepped(bench: Bench) -> list[str]:
    """Look three times at a host whose clock is 2 s behind until it is set between the first two."""
    port, _ = await bench.time_server(tells())
    other, _ = await bench.time_server(tells())
    memory, behind, seen = ClockMemory(), {"by": 2.0}, []
    for _ in range(3):
        where = here(memory, lambda: wall() - behind["by"])
        seen.append(verdict(await bench.look(CheckName.CLOCK, spec(port, other), where)))
        behind["by"] = 0.0
    return seen


async def facts(bench: Bench) -> tuple[bool, bool, str]:
    """Return the facts of a run with a kiss code beside a usable server."""
    outcome = await asked(bench, [tells(), tells(stratum=0, code=b"DENY")])
    kernel = cast("dict[str, Json]", outcome.facts["kernel"])
    states = [str(source["state"]) for source in sources_of(outcome)]
    return bool({"synchronised", "error"} & set(kernel)), "kiss:DENY" in states, verdict(outcome)


async def one_address_twice(bench: Bench) -> int:
    """Name one server twice; return how often it is asked."""
    port, questions = await bench.time_server(tells())
    twice = replace(spec(), servers=(Endpoint("one.example", port), Endpoint("two.example", port)))
    await bench.look(CheckName.CLOCK, twice, here())
    return len(questions)


async def too_often(bench: Bench) -> str:
    """Ask for an interval under 64 s."""
    try:
        bench.config("schedule: {intervals: {clock: 63s}}")
    except ConfigError as error:
        return str(error.problems[0].path)
    return "accepted"


async def defaults(_: Bench) -> tuple[float, float]:
    """Return the tolerance and the warning that hold when nothing is configured."""
    clock = Config().clock
    return clock.max_offset, clock.warn_offset


def wide(ahead: float, bound: float) -> Script:
    """Answer with an offset that is good to about `bound` seconds."""
    return tells(ahead, root_dispersion_s=bound)


ROWS = [
    Row("The tolerance is ±5 s", defaults, (5.0, 1.0)),
    Row("against the *Controller*", dated(-6), OFF, waits=True),
    Row("Sources: NTP servers", ntp(tells(), tells()), "ok -"),
    Row("and the Controller's HTTPS `Date`", dated(), "ok -", waits=True),
    Row("(TLS verified", dated(trusted=False), NO_SOURCE),
    Row("but for validity dates, which depend on the clock in question", dated(kind="expired"), "ok -",
        waits=True),
    Row("no `Age`", dated(more="Age: 1\r\n"), NO_SOURCE),
    Row(
        "1 s resolution narrowed over ≥ 3 samples, ± round trip",
        narrowed,
        {"at least 3 samples": True, "narrower than the second": True, "the truth lies within": True},
        waits=True,
    ),
    Row("which alone is enough", dated(6), OFF, waits=True),
    Row("own random origin timestamp", state(tells(origin=bytes(8))),
        "rejected: a packet that does not echo our question (no answer to our question came)"),
    Row("from the address asked", by_a_stranger, "silent"),
    Row("in mode 4", state(tells(mode=5)), "rejected: a packet in mode 5 (no answer to our question came)"),
    Row("and the request's version", state(tells(version=3)),
        "rejected: a packet of version 3 (no answer to our question came)"),
    Row("leap ≠ 3", state(tells(leap=3)), "rejected: the server says that it is not synchronised (leap 3)"),
    Row("≤ stratum ≤ 15", state(tells(stratum=16)), "rejected: stratum 16"),
    Row("stratum ≤ 15", ntp(tells(stratum=15), tells(stratum=1)), "ok -"),
    Row("root distance ≤ 3.46608 s", state(wide(0, 3.5)), "rejected: root distance …"),
    Row("distance ≤ 3.46608 s", ntp(wide(0, 3.4), wide(0, 3.4)), "ok -"),
    Row("stratum 0 is a kiss code: back off, never an offset", kissed(b"DENY"),
        (["kiss:DENY", "backing_off: DENY"], 1, True)),
    Row("the intersection that more than half of the usable sources share", ntp(tells(), tells(), tells(-60)), "ok -"),
    Row("more than half of the usable sources", ntp(tells(-60), tells(-60), tells()), OFF),
    Row("none → `unknown/sources_disagree`", ntp(tells(), tells(-6)), "unknown/sources_disagree -"),
    Row("`critical` iff |offset| − bound ≥ max_offset", ntp(wide(6, 0.5), wide(6, 0.5)), OFF),
    Row("iff |offset| − bound ≥ max_offset", ntp(wide(-5.3, 0.5), wide(-5.3, 0.5)), DOUBT),
    Row("(on a single NTP source and nothing else: `warning`)", ntp(tells(3600)), DOUBT),
    Row("`warning` iff |offset| + bound ≥ max_offset", ntp(wide(2.5, 2.7), wide(2.5, 2.7)), DOUBT),
    Row("iff |offset| + bound ≥ max_offset", ntp(wide(0.9, 3.4), wide(0.9, 3.4)), "ok -"),
    Row("or |offset| − bound ≥ warn_offset, reason `offset_exceeded`", ntp(wide(1.7, 0.5), wide(1.7, 0.5)), DOUBT),
    Row("|offset| − bound ≥ warn_offset", ntp(wide(1.3, 0.5), wide(1.3, 0.5)), "ok -"),
    Row("No usable source", ntp(lambda _: []), NO_SOURCE),
    Row("or bound ≥ max_offset → `unknown/no_time_source`", ntp(wide(0, 2.5), wide(0, 2.5), limit=2.0), NO_SOURCE),
    Row("`warning/clock_stepped` until the next run", stepped, [DOUBT, "warning/clock_stepped -", "ok -"]),
    Row("`offset_seconds` is negative when this host is behind", offset(tells(6), tells(6)), -6),
    Row("Kernel state (adjtimex) and kiss codes are facts", facts, (True, True, "ok -")),
    Row("One sample per address and run", one_address_twice, 1),
    Row("`clock` interval never under 64 s in the daemon", too_often, "schedule.intervals.clock"),
    Row("RATE doubles it", kissed(b"RATE"), (["kiss:RATE", "backing_off: RATE"], 1, True)),
]  # fmt: skip
