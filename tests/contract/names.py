"""Rows of the rule "DNS"."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import dns.message
import dns.rcode

from checks.model import CheckName, Json, Outcome, Reason
from checks.names import NameMemory, NameSpec
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import SystemSettings
from checks.net.stub import StubResolver
from daemon.board import Board
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.looplag import LoopLag
from daemon.state import Policy
from tests.contract.bench import HASTE, QUIET, TIMEOUT_S, Bench, Row, Scenario, at, verdict, wall
from tests.support.nameservers import OnTcp, OnUdp, Send, reply, says, silent

NAME = "db.corp.test"
FOUND = says(f"{NAME}. 60 IN A 10.1.2.3")
EMPTY, NXDOMAIN = says(), says(rcode=dns.rcode.NXDOMAIN)
SERVFAIL, REFUSED, NOTIMP = (says(rcode=code) for code in (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP))
EVERYTHING_WRONG = "critical/{} dns_lookup_error"
AGREE, DISAGREE = "ok none", "warning/resolvers_disagree none"


def garbage(query: dns.message.Message, send: Send) -> None:
    """Answer with the right id and nothing that can be read."""
    send(reply(query)[:12] + b"\xff" * 20)


def by_kind(a: Iterable[str], aaaa: Iterable[str]) -> OnUdp:
    """Answer with these addresses for A and AAAA; an empty list is an empty answer."""
    records = {"A": [f"{NAME}. 60 IN A {one}" for one in a], "AAAA": [f"{NAME}. 60 IN AAAA {one}" for one in aaaa]}
    return lambda query, send: send(reply(query, *records[query.question[0].rdtype.name]))


def address(text: str) -> OnUdp:
    """Answer with this address, of whichever family it is."""
    return by_kind([], [text]) if ":" in text else by_kind([text], [])


def only_a(query: dns.message.Message, send: Send) -> None:
    """Give an A record, and fail every question for AAAA."""
    (FOUND if query.question[0].rdtype.name == "A" else SERVFAIL)(query, send)


async def judged(bench: Bench, *scripts: OnUdp) -> Outcome:
    """Look the name up at one nameserver for each script, all of them asked."""
    servers = [await bench.nameserver(script) for script in scripts]
    where = bench.resolving(*(server.endpoint for server in servers))
    return await bench.look(CheckName.DNS, NameSpec(name=NAME, timeout_s=TIMEOUT_S), where)


def name(*scripts: OnUdp) -> Scenario:
    """Judge the name by these nameservers."""

    async def scenario(bench: Bench) -> str:
        return verdict(await judged(bench, *scripts))

    return scenario


def fact(key: str, *scripts: OnUdp) -> Scenario:
    """Return a fact of the name's row."""

    async def scenario(bench: Bench) -> Json:
        return (await judged(bench, *scripts)).facts.get(key)

    return scenario


async def hosts_file(bench: Bench) -> tuple[str, Json, int]:
    """Look up a name that stands in the hosts file."""
    server = await bench.nameserver(NXDOMAIN)
    where = bench.resolving(server.endpoint, hosts=f"10.9.9.9 {NAME}\n")
    outcome = await bench.look(CheckName.DNS, NameSpec(name=NAME), where)
    return verdict(outcome), outcome.facts["addresses"], len(server.asked)


def searching(written: str, options: str) -> Scenario:
    """Return the questions that a name leads to, by a resolv.conf; nothing of it exists."""

    async def scenario(bench: Bench) -> list[str]:
        server = await bench.nameserver(NXDOMAIN)
        resolv_conf = bench.folder / "resolv.conf"
        resolv_conf.write_text(f"nameserver [127.0.0.1]:{server.endpoint.port}\n{options}\n")
        settings = SystemSettings(resolv_conf=str(resolv_conf), hosts="/nonexistent", nameservers=(server.endpoint,))
        where = bench.resolving()
        seat = at(where, seat=type(where.seat)(resolver=StubResolver(settings, where.seat.open_socket, TIMEOUT_S)))
        await bench.look(CheckName.DNS, NameSpec(name=written), seat)
        return [asked for _, asked, kind in server.asked if kind == "A"]

    return scenario


async def in_use(bench: Bench) -> Sequence[Endpoint]:
    """Return the nameservers of a resolv.conf, of which glibc would use three."""
    resolv_conf = bench.folder / "resolv.conf"
    resolv_conf.write_text("".join(f"nameserver 127.0.0.{n}\n" for n in range(1, 6)))
    return SystemSettings(resolv_conf=str(resolv_conf)).current().nameservers


async def attempt(_: Bench) -> float:
    """Return the time-out of one question when nothing is configured."""
    return Config().dns.timeout


async def classes(bench: Bench) -> list[tuple[Json, Json]]:
    """Return class and reason of seven nameservers, each of another kind."""
    outcome = await judged(bench, FOUND, NXDOMAIN, EMPTY, SERVFAIL, REFUSED, garbage, silent)
    matrix = cast("Mapping[str, Mapping[str, Json]]", outcome.facts["matrix"])
    return [(cell["class"], cell.get("reason")) for cell in matrix.values()]


async def checked(bench: Bench) -> list[int]:
    """Return how often `check` asks each of two nameservers."""
    servers = [await bench.nameserver(FOUND) for _ in range(2)]
    listed = ", ".join(f"'{server.endpoint}'" for server in servers)
    text = f"{QUIET}{HASTE}dns: {{nameservers: [{listed}], search: []}}\n"
    await bench.check(text + f"resources: [{{name: DB, address: {NAME}, tcp: [443]}}]", CheckName.DNS)
    return [len(server.asked) for server in servers]


async def _in_turn(bench: Bench, runs: int, *scripts: OnUdp) -> list[int]:
    servers = [await bench.nameserver(script) for script in scripts]
    where = at(bench.resolving(*(s.endpoint for s in servers)), memory=NameMemory(), thorough=False)
    for _ in range(runs):
        await bench.look(CheckName.DNS, NameSpec(name=NAME, timeout_s=TIMEOUT_S), where)
    return [len(server.asked) for server in servers]


async def rotating(bench: Bench) -> list[int]:
    """Return how often each nameserver is asked in four runs of the daemon."""
    return await _in_turn(bench, 4, FOUND, FOUND)


async def on_failure(bench: Bench) -> list[int]:
    """Return how often each nameserver is asked in two runs, of which one meets the nameserver that fails."""
    return await _in_turn(bench, 2, SERVFAIL, FOUND)


async def matrix_due(bench: Bench) -> bool:
    """Let the daemon run until it has asked all nameservers at once and also asked one alone."""
    asked: list[int] = []
    servers = [await bench.nameserver(FOUND) for _ in range(2)]
    listed = ", ".join(f"'{server.endpoint}'" for server in servers)
    config = bench.config(
        f"{QUIET}dns: {{nameservers: [{listed}], search: []}}\n"
        f"resources: [{{name: DB, address: {NAME}, probe: dns}}]\n"
        "checks: {host: false, resolver: false, connector: false, control_plane: false, relay: false}\n"
        "schedule: {interval: 50ms, timeout: 40ms, intervals: {dns_matrix: 200ms}}\n"
    )
    done = asyncio.Event()

    def observe(*_: object) -> None:
        asked.append(sum(len(server.asked) for server in servers))
        steps = {later - earlier for earlier, later in zip([0, *asked], asked, strict=False)}
        if steps == {1, 2}:
            done.set()

    loop = asyncio.get_running_loop()
    engine = Engine(config, Board(Policy(), wall, clock=loop.time), LoopLag(), observe)
    running = loop.create_task(engine.scheduler.run())
    try:
        async with asyncio.timeout(10):
            await done.wait()
    finally:
        running.cancel()
        await asyncio.wait([running])
    return done.is_set()


def wrong_id(query: dns.message.Message, send: Send) -> None:
    """Answer with another id."""
    wire = bytearray(reply(query, f"{NAME}. 60 IN A 10.6.6.6"))
    wire[1] ^= 1
    send(bytes(wire))


def wrong_question(query: dns.message.Message, send: Send) -> None:
    """Answer another question."""
    other = dns.message.make_query("evil.test.", "A", id=query.id)
    send(reply(other, "evil.test. 60 IN A 10.6.6.6"))


def then_right(lie: OnUdp) -> OnUdp:
    """Lie first, and tell the truth after it."""

    def answer(query: dns.message.Message, send: Send) -> None:
        lie(query, send)
        FOUND(query, send)

    return answer


async def elsewhere(bench: Bench) -> str:
    """Ask a nameserver for which another socket answers."""
    loop = asyncio.get_running_loop()

    class Front(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            stranger.sendto(reply(dns.message.from_wire(data), f"{NAME}. 60 IN A 10.6.6.6"), addr)

    stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.2", 0))
    front, _ = await loop.create_datagram_endpoint(Front, local_addr=("127.0.0.1", 0))
    try:
        where = bench.resolving(Endpoint("127.0.0.1", front.get_extra_info("sockname")[1]))
        return verdict(await bench.look(CheckName.DNS, NameSpec(name=NAME, timeout_s=TIMEOUT_S), where))
    finally:
        stranger.close()
        front.close()


async def truncated(bench: Bench) -> tuple[str, list[str]]:
    """Ask a nameserver whose answer does not fit; return the transports."""

    async def whole(query: dns.message.Message, writer: asyncio.StreamWriter) -> None:
        wire = reply(query, f"{NAME}. 60 IN A 10.1.2.3")
        writer.write(len(wire).to_bytes(2) + wire)
        await writer.drain()

    on_tcp: OnTcp = whole
    server = await bench.nameserver(lambda query, send: send(reply(query, truncated=True)), on_tcp)
    outcome = await bench.look(CheckName.DNS, NameSpec(name=NAME), bench.resolving(server.endpoint))
    return verdict(outcome), [transport for transport, _, _ in server.asked]


def rebound(*addresses: str) -> Scenario:
    """Return the verdict when one nameserver is empty and another gives each of these addresses."""

    async def scenario(bench: Bench) -> set[str]:
        return {verdict(await judged(bench, EMPTY, address(one))) for one in addresses}

    return scenario


def worst(*reasons: OnUdp) -> Scenario:
    """Judge a name that fails at every nameserver, in both orders."""

    async def scenario(bench: Bench) -> set[str]:
        return {verdict(await judged(bench, *reasons)), verdict(await judged(bench, *reversed(reasons)))}

    return scenario


def _all_fail(reason: Reason) -> set[str]:
    return {EVERYTHING_WRONG.format(reason)}


OTHER = by_kind(["10.1.2.4"], [])
SEARCH = "search corp.test\noptions ndots:2"
ROWS = [
    Row("/etc/hosts", hosts_file, (AGREE, ("10.9.9.9",), 0)),
    Row("nameservers in use", in_use, tuple(Endpoint(f"127.0.0.{n}", 53) for n in range(1, 6))),
    Row("search list and ndots", searching("a.b", SEARCH), ["a.b.corp.test.", "a.b."]),
    Row("and ndots", searching("a.b.c", SEARCH), ["a.b.c.", "a.b.c.corp.test."]),
    Row("5 s an attempt", attempt, 5.0),
    Row("A decides: an A record → ok even if AAAA fails", name(only_a), AGREE),
    Row("only AAAA →", name(by_kind([], ["2001:db8::1"])), "warning/address_family_unavailable none"),
    Row("Answer class of a nameserver ∈ address, nxdomain, no_address, error", classes,
        [("address", None), ("nxdomain", "nxdomain"), ("no_address", "no_address"), ("error", "servfail"),
         ("error", "query_refused"), ("error", "malformed_answer"), ("timeout", "timeout")]),
    Row("All fail → critical, `dns_lookup_error`", name(NXDOMAIN, NXDOMAIN), EVERYTHING_WRONG.format("nxdomain")),
    Row("nxdomain > no_address", worst(NXDOMAIN, EMPTY), _all_fail(Reason.NXDOMAIN)),
    Row("no_address > query_refused", worst(EMPTY, REFUSED), _all_fail(Reason.NO_ADDRESS)),
    Row("query_refused > servfail", worst(REFUSED, SERVFAIL), _all_fail(Reason.QUERY_REFUSED)),
    Row("servfail > malformed_answer", worst(SERVFAIL, garbage), _all_fail(Reason.SERVFAIL)),
    Row("malformed_answer > timeout", worst(garbage, silent), _all_fail(Reason.MALFORMED_ANSWER)),
    Row("Classes differ, one of them address → `warning/resolvers_disagree`, event none", name(FOUND, NXDOMAIN),
        DISAGREE),
    Row("fact `failing_share`", fact("failing_share", FOUND, NXDOMAIN, silent), 0.667),
    Row("different address *sets* are a fact", fact("address_sets_differ", FOUND, OTHER), True),
    Row("address *sets* are a fact", name(FOUND, OTHER), AGREE),
    Row("`check` asks every nameserver", checked, [1, 1]),
    Row("the daemon rotates", rotating, [2, 2]),
    Row("and asks all on failure", on_failure, [2, 2]),
    Row("and at `dns_matrix`", matrix_due, True),
    Row("Wrong id", name(wrong_id), EVERYTHING_WRONG.format("timeout")),
    Row("Wrong id, question", name(wrong_question), EVERYTHING_WRONG.format("timeout")),
    Row("question or source is ignored", elsewhere, EVERYTHING_WRONG.format("timeout")),
    Row("is ignored until the time-out", fact("addresses", then_right(wrong_id)), ("10.1.2.3",)),
    Row("truncated → TCP", truncated, (AGREE, ["udp", "tcp"])),
    Row("a CNAME without its address in the answer is no_address", name(says(f"{NAME}. 60 IN CNAME x.corp.test.")),
        EVERYTHING_WRONG.format("no_address")),
    Row("with NXDOMAIN nxdomain", name(says(f"{NAME}. 60 IN CNAME x.corp.test.", rcode=dns.rcode.NXDOMAIN)),
        EVERYTHING_WRONG.format("nxdomain")),
    Row("Other rcodes → servfail", name(NOTIMP), EVERYTHING_WRONG.format("servfail")),
    Row("no_address from one and a private address", rebound("10.0.0.1", "172.16.0.1", "192.168.0.1"),
        {"warning/rebind_protected none"}),
    Row("100.64/10, fc00::/7, loopback, link-local", rebound("100.64.0.1", "fd00::1", "127.0.0.1", "169.254.0.1"),
        {"warning/rebind_protected none"}),
    Row("instead of resolvers_disagree", rebound("198.51.100.1"), {DISAGREE}),
]  # fmt: skip
