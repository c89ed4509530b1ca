"""Rows of the rule "TCP"."""

import asyncio
import errno
import ipaddress
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from checks.model import CheckName, Json, Outcome, Reason
from checks.net.seat import Context, SocketFactory
from checks.registry import CHECKS
from checks.tcp import TcpSpec
from tests.contract.bench import Bench, Row, Scenario, verdict
from tests.support.fakes import context
from tests.support.half_open import prober
from tests.support.servers import free_port
from tests.support.tcp import Failing, listening, port_of, silent, sockets_that_fail, spec

HERE = "127.0.0.1"
SIX = tuple(f"2001:db8::{n}" for n in range(1, 3))
FOUR = ("10.0.0.1", "10.0.0.2")
UP, DOWN = "ok none", "critical/refused unable_to_connect"
STARVED = "unknown/prober_starved -"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


async def look(bench: Bench, wanted: TcpSpec, where: Context | None = None) -> Outcome:
    """Probe one port."""
    return await bench.look(CheckName.TCP, wanted, where or context())


def in_turn(numbers: Sequence[int]) -> SocketFactory:
    """Make sockets of which each fails to connect with the next error."""
    left: Iterator[int] = iter(numbers)

    def make(family: int, kind: int) -> socket.socket:
        sock = Failing(family, kind)
        sock.settimeout(0)
        sock.number = next(left)
        return sock

    return make


def errors(addresses: Sequence[str], *numbers: int) -> Scenario:
    """Probe addresses that fail with these errors, in both orders."""

    async def scenario(bench: Bench) -> set[str]:
        names = {"many.test": tuple(addresses)}
        return {
            verdict(await look(bench, spec("many.test", 443), context(names, in_turn(order))))
            for order in (numbers, numbers[::-1])
        }

    return scenario


def error(number: int, address: str = "10.0.0.1", *, made: bool = True) -> Scenario:
    """Probe an address whose socket fails with this error, in connect() or before."""

    async def scenario(bench: Bench) -> str:
        return verdict(await look(bench, spec(address, 443), context(sockets=sockets_that_fail(number, made=made))))

    return scenario


async def nine_addresses(bench: Bench) -> tuple[str, Json]:
    """Probe a name with nine addresses of which the ninth alone accepts."""
    names = {"many.test": tuple(f"127.0.0.{n}" for n in range(1, 10))}
    with listening("127.0.0.9") as server:
        outcome = await look(bench, spec("many.test", port_of(server)), context(names))
    return verdict(outcome), outcome.facts["not_probed"]


def resolved_to(addresses: Sequence[str], listen: str = HERE, **more: Any) -> Scenario:  # noqa: ANN401 - of the spec
    """Probe a name with these addresses of which one accepts; return the verdict and what was probed."""

    async def scenario(bench: Bench) -> tuple[str, Json, Json]:
        with listening(listen) as server:
            wanted = spec("many.test", port_of(server), **more)
            outcome = await look(bench, wanted, context({"many.test": tuple(addresses)}))
        return verdict(outcome), outcome.facts["addresses"], outcome.facts.get("share")

    return scenario


async def reset_after_accept(bench: Bench) -> tuple[str, Json]:
    """Probe a port whose connect() reports a reset."""
    outcome = await look(bench, spec("10.0.0.1", 443), context(sockets=sockets_that_fail(errno.ECONNRESET)))
    return verdict(outcome), outcome.facts.get("reset_after_accept")


async def who_has_reset(_: Bench) -> set[CheckName]:
    """Return the checks that can be critical with `reset`."""
    return {name for name, check in CHECKS.items() if Reason.RESET in check.reasons}


async def events(bench: Bench) -> list[str]:
    """Return the verdicts of a port that is up though it should be down, is closed, denied, and not judged."""
    with listening() as server:
        port = port_of(server)
        up = await look(bench, spec(HERE, port, expect="down"))
        denied = await look(bench, spec(HERE, port, deny=LOOPBACK))
    closed = await look(bench, spec(HERE, free_port()))
    unjudged = await look(bench, spec("10.0.0.1", 443), context(sockets=sockets_that_fail(errno.EMFILE, made=False)))
    return [verdict(one) for one in (up, closed, denied, unjudged)]


async def late(bench: Bench) -> str:
    """Probe a silent port while our own loop stands still until long after the time-out."""
    with silent() as port:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.7)
        return verdict(await look(bench, spec(HERE, port)))


async def half_open(bench: Bench) -> list[str]:
    """Probe a port that accepts, one that refuses and one that no route leads to, half-open."""
    here = context()
    here = replace(here, seat=replace(here.seat, half_open=bench.stack.enter_context(prober())))
    with listening() as server:
        return [
            verdict(await look(bench, spec(address, port, method="half_open"), here))
            for address, port in ((HERE, port_of(server)), (HERE, free_port()), ("224.0.0.1", 443))
        ]


def _down(reason: str) -> str:
    return f"critical/{reason} unable_to_connect"


def _best(reason: str) -> set[str]:
    return {_down(reason)}


ROWS = [
    Row("Resolved, none of ≤ 8 addresses accepts", nine_addresses, (DOWN, 1)),
    Row("none of ≤ 8 addresses accepts → critical, `unable_to_connect`", errors(FOUR[:1], errno.ECONNREFUSED), {DOWN}),
    Row("refused > blocked_locally", errors(FOUR, errno.ECONNREFUSED, errno.EPERM), _best("refused")),
    Row("blocked_locally > unreachable", errors(FOUR, errno.EPERM, errno.EHOSTUNREACH), _best("blocked_locally")),
    Row("unreachable > no_route", errors(FOUR, errno.EHOSTUNREACH, errno.ENETUNREACH), _best("unreachable")),
    Row("no_route > address_family_unavailable", errors(SIX, errno.ENETUNREACH, errno.EAFNOSUPPORT), _best("no_route")),
    Row("address_family_unavailable > timeout", errors(SIX, errno.EADDRNOTAVAIL, errno.ETIMEDOUT),
        _best("address_family_unavailable")),
    Row("`addresses: any`: one acceptance is ok, with the share as fact", resolved_to((HERE, "127.0.0.2")),
        (UP, (HERE, "127.0.0.2"), 0.5)),
    Row("`addresses: any`", resolved_to((HERE, "127.0.0.2"), require_all=True), (DOWN, (HERE, "127.0.0.2"), 0.5)),
    Row("If a name has A records only these are probed", resolved_to(("::1", HERE)), (UP, (HERE,), 1.0)),
    Row("AAAA only when there is no A", resolved_to(("::1",), "::1"), (UP, ("::1",), 1.0)),
    Row("A SYN/ACK or completed handshake is acceptance", half_open, [UP, DOWN, _down("no_route")]),
    Row("completed handshake is acceptance, whatever follows: ECONNRESET from connect() means that it had completed "
        "(fact `reset_after_accept`", reset_after_accept, (UP, ("10.0.0.1",))),
    Row("`reset` is a reason of control_plane and relay only", who_has_reset,
        {CheckName.CONTROL_PLANE, CheckName.RELAY}),
    Row("ECONNREFUSED → refused", error(errno.ECONNREFUSED), DOWN),
    Row("EHOSTUNREACH (ICMP or route) → unreachable", error(errno.EHOSTUNREACH), _down("unreachable")),
    Row("ENETUNREACH", error(errno.ENETUNREACH), _down("no_route")),
    Row("ENETUNREACH, EINVAL → no_route", error(errno.EINVAL), _down("no_route")),
    Row("EPERM", error(errno.EPERM), _down("blocked_locally")),
    Row("EPERM, EACCES → blocked_locally", error(errno.EACCES), _down("blocked_locally")),
    Row("for an IPv6 destination EADDRNOTAVAIL", error(errno.EADDRNOTAVAIL, SIX[0]),
        _down("address_family_unavailable")),
    Row("EADDRNOTAVAIL, EAFNOSUPPORT → address_family_unavailable", error(errno.EAFNOSUPPORT, SIX[0], made=False),
        _down("address_family_unavailable")),
    Row("`event` is none unless the row is critical, null where no verdict was reached", events,
        ["warning/unexpectedly_up none", DOWN, "skipped/not_allowed -", STARVED]),
    Row("Our own limits (EMFILE", error(errno.EMFILE, made=False), STARVED),
    Row("EMFILE, ENFILE", error(errno.ENFILE, made=False), STARVED),
    Row("EMFILE, ENFILE, EADDRNOTAVAIL", error(errno.EADDRNOTAVAIL), STARVED),
    Row("ENOBUFS", error(errno.ENOBUFS), STARVED),
    Row("loop lag > 250 ms) → `unknown/prober_starved`", late, STARVED),
]  # fmt: skip
