"""Rows of the rules "Dependencies", "Corroboration", "Not probeable", and of "Never" what is never asked."""

import errno
import socket

import dns.message
import dns.rcode

from checks.model import CheckName, Json, Outcome, Reason, Status
from daemon.jobs import Result
from daemon.known import Known
from daemon.metrics.state import state_families
from daemon.report import report
from daemon.runner import Runner
from daemon.targets import enabled_checks, make_plan
from daemon.vantage.seats import Seats
from tests.contract.bench import HASTE, QUIET, Bench, Row, Scenario, verdict, verdicts, wall
from tests.support.exposed import series_of, values
from tests.support.fakes import context
from tests.support.nameservers import Send, reply
from tests.support.ntp_server import reply as time_reply
from tests.support.pki import DAY, NOW
from tests.support.servers import free_port
from tests.support.tcp import listening, port_of, sockets_that_fail

NAME = "acme.controller.example"
DEFAULT_RELAY = "relays.twingate.com"
REFUSED = "critical/refused unable_to_connect"
CUT_OFF = "skipped/dependency_failed -"
NOT_PROBEABLE = "skipped/not_probeable -"
ALONE = Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="-", facts={"loopback_only": True})
ROUTELESS = Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="-", facts={"loopback_only": False})


async def names(bench: Bench, **addresses: str) -> str:
    """Start a nameserver that knows these names (`_` for a dot) and no other; return its `dns` section."""
    known = {name.replace("_", ".") + ".": text for name, text in addresses.items()}

    def answer(query: dns.message.Message, send: Send) -> None:
        asked = query.question[0].name.to_text()
        listed = [one for one in known.get(asked, "").split() if query.question[0].rdtype.name == "A"]
        rcode = dns.rcode.NOERROR if asked in known else dns.rcode.NXDOMAIN
        send(reply(query, *(f"{asked} 60 IN A {one}" for one in listed), rcode=rcode))

    server = await bench.nameserver(answer)
    return f"{HASTE}provider: {{enabled: never}}\ndns: {{nameservers: ['{server.endpoint}'], search: []}}\n"


async def broken_name(bench: Bench) -> dict[str, str]:
    """Check a Resource whose name does not exist."""
    text = await names(bench)
    return verdicts(await bench.check(
        f"{text}resources: [{{name: R, address: gone.test, tcp: [443]}}]", CheckName.DNS, CheckName.TCP))  # fmt: skip


async def port_first(bench: Bench) -> str:
    """Run the port of such a name before its own row is known, as a daemon may that has just started."""
    server = await bench.nameserver(lambda query, send: send(reply(query, rcode=dns.rcode.NXDOMAIN)))
    config = bench.config("resources: [{name: R, address: gone.test, tcp: [443]}]")
    known = Known(latest=lambda _: None, rows=lambda _: (), ever_up=lambda _: False)
    seats = Seats(bench.resolving(server.endpoint).seat)
    runner = Runner(seats, enabled_checks(config), known, lambda _start, _end: 0.0)
    job = next(job for job in make_plan(config, enabled_checks(config)).jobs if job.check is CheckName.TCP)
    return verdict((await runner.run(job))[0].outcome)


def with_host(seen: Outcome, address: str) -> Scenario:
    """Run a port that refuses, after the host's row."""

    async def scenario(bench: Bench) -> str:
        config = bench.config(f"resources: [{{name: R, address: {address}, tcp: [443]}}]\n{HASTE}")
        row = Result(id="host:network", job="host:network", check=CheckName.HOST, target="network", outcome=seen,
                     started_at=0.0, duration_s=0.0)  # fmt: skip
        known = Known(latest={row.id: row}.get, rows=lambda _: (), ever_up=lambda _: False)
        seat = context(sockets=sockets_that_fail(errno.ECONNREFUSED)).seat
        runner = Runner(Seats(seat), enabled_checks(config), known, lambda _start, _end: 0.0)
        job = next(job for job in make_plan(config, enabled_checks(config)).jobs if job.check is CheckName.TCP)
        return verdict((await runner.run(job))[0].outcome)

    return scenario


async def relays(bench: Bench) -> dict[str, str]:
    """Check a Relay that the operator named and the built-in one; both refuse."""
    text = await names(bench, relays_twingate_com="127.0.0.77", mine_test="127.0.0.77")
    port = free_port(host="127.0.0.77")
    named = verdicts(await bench.check(f"{text}relays: {{endpoints: ['mine.test:{port}']}}", CheckName.RELAY))
    return {"named": named[f"relay:mine.test:{port}"]} | verdicts(await bench.check(text, CheckName.RELAY))


def controller(
    kind: str, *, ahead_days: float = 0, reply: str = "200 OK", issuers: str = "", dated: bool = False
) -> Scenario:
    """Check a Controller with a certificate of this kind, beside a clock by time servers that are `ahead_days`.

    `dated`: its Date is a time source too, which takes the clock check seconds.
    """

    async def scenario(bench: Bench) -> str:
        root = bench.authority("Public Roots Inc")
        other = bench.authority("Inspection Ltd")
        if kind == "this host's":
            bench.monkeypatch.setenv("SSL_CERT_FILE", str(other.ca_file))
        issuer = other if kind in ("this host's", "unknown") else root
        pair = (
            issuer.issue(NAME, valid_from=NOW - 9 * DAY, valid_to=NOW - DAY)
            if kind == "expired"
            else issuer.issue(NAME)
        )
        port = await bench.controller(pair, reply=reply)
        sources = [(await bench.time_server(lambda q: [time_reply(q, wall() + ahead_days * 86400)]))[0] for _ in "ab"]
        listed = ", ".join(f"'127.0.0.1:{source}'" for source in sources)
        text = await names(bench, acme_controller_example="127.0.0.1")
        found = await bench.check(
            f"{text}control_plane: {{urls: ['https://{NAME}:{port}'], ca_file: {root.ca_file}, "
            f"expected_issuers: [{issuers}]}}\nclock: {{servers: [{listed}], controller_date: {str(dated).lower()}}}",
            CheckName.CONTROL_PLANE, CheckName.CLOCK,
        )  # fmt: skip
        return verdict(found[f"control_plane:{NAME}:{port}"])

    return scenario


async def one_is_enough(bench: Bench) -> list[tuple[str, Json]]:
    """Check a Controller and a Relay of which one address of two answers."""
    root = bench.authority()
    port = await bench.controller(root.issue(NAME))
    text = await names(bench, acme_controller_example="127.0.0.9 127.0.0.1", relay_test="127.0.0.9 127.0.0.1")
    found = await bench.check(
        f"{text}control_plane: {{urls: ['https://{NAME}:{port}'], ca_file: {root.ca_file}}}\n"
        f"relays: {{endpoints: ['relay.test:{port}']}}", CheckName.CONTROL_PLANE, CheckName.RELAY,
    )  # fmt: skip
    failed = {"control_plane": "failed_addresses", "relay": "failed"}
    return [(verdict(o), o.facts[failed[row_id.partition(":")[0]]]) for row_id, o in sorted(found.items())]


def stun(silent: int, *, egress: bool = True) -> Scenario:
    """Check UDP with so many silent STUN servers, beside a Relay that accepts TCP or refuses it."""

    async def scenario(bench: Bench) -> str:
        servers = []
        for number in range(1, silent + 1):
            sock = bench.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((f"127.0.0.{number}", 0))
            servers.append(f"'127.0.0.{number}:{port_of(sock)}'")
        with listening() as server:
            relay = port_of(server) if egress else free_port()
            text = f"relays: {{endpoints: ['127.0.0.1:{relay}'], stun: [{', '.join(servers)}]}}"
            return verdict((await bench.check(f"{QUIET}{HASTE}{text}", CheckName.RELAY, CheckName.NAT))["nat:udp"])

    return scenario


RESOURCES = (
    "{name: Pattern, address: '*.test', tcp: [443]}, {name: Network, address: 10.0.0.0/8, tcp: [443]}, "
    "{name: All, address: 10.0.0.1}, {name: UDP, address: 10.0.0.2, tcp: [], udp: [53]}"
)


async def not_probeable(bench: Bench) -> dict[str, str]:
    """Check Resources of which no port is known."""
    return verdicts(await bench.check(f"{QUIET}{HASTE}resources: [{RESOURCES}]", CheckName.TCP))


async def counted(bench: Bench) -> dict[str, object]:
    """Return how these Resources are counted, listed and judged as a whole."""
    view = await bench.view(f"{QUIET}{HASTE}resources: [{RESOURCES}]", CheckName.TCP)
    states = values(series_of(state_families(view)), "resources")
    whole = report(view, frozenset({CheckName.TCP}))
    return {
        "not_probeable": states[("state", "not_probeable"),],
        "ok": states[("state", "ok"),],
        "listed": sorted(name for row in whole["checks"] for name in row["resources"]),
        "shown as": {row["status"] for row in whole["checks"]},
        "whole": whole["status"],
    }


async def requests(bench: Bench) -> set[str]:
    """Return everything that a Controller is asked by every check there is."""
    root = bench.authority()
    port = await bench.controller(root.issue(NAME))
    text = await names(bench, acme_controller_example="127.0.0.1")
    await bench.check(
        f"{text}control_plane: {{urls: ['https://{NAME}:{port}'], ca_file: {root.ca_file}}}\n"
        "clock: {servers: []}\nrelays: {endpoints: []}"
    )
    return set(bench.requests)


DEPENDENCIES = [
    Row("Name fails → its ports `skipped/dependency_failed`, and the `dns` row carries the event", broken_name,
        {"dns:gone.test": "critical/nxdomain dns_lookup_error", "tcp:gone.test:443": CUT_OFF}),
    Row("Name fails → its ports `skipped/dependency_failed`", port_first, CUT_OFF),
    Row("no interface but loopback up with an address → its Resources `skipped/dependency_failed`",
        with_host(ALONE, "10.0.0.1"), CUT_OFF),
    Row("(a missing default route alone raises ConnectorHostNetworkDown and silences nothing",
        with_host(ROUTELESS, "10.0.0.1"), REFUSED),
    Row("loopback addresses are never silenced", with_host(ALONE, "127.0.0.1"), REFUSED),
]  # fmt: skip
CORROBORATION = [
    Row("A relay is proven when configured by the operator or used in the Connector's log within 24 h; only proven "
        "relays can be critical", relays,
        {"named": "critical/refused -", f"relay:{DEFAULT_RELAY}": "warning/refused -"}),
    Row("the chain does not lead to a root of the bundled public store or `ca_file` but does to this host's own store",
        controller("this host's"), "critical/tls_intercepted -"),
    Row("or no issuer of the chain contains one of `expected_issuers` in its O or CN",
        controller("good", issuers="Another CA"), "critical/tls_intercepted -"),
    Row("in its O or CN (case ignored)", controller("good", issuers="PUBLIC roots"), "ok -"),
    Row("else `tls_untrusted`", controller("unknown"), "critical/tls_untrusted -"),
    Row("One answering IPv4 address is enough for control plane and relays; other failed addresses are a fact",
        one_is_enough, [("ok -", {"127.0.0.9": "refused"})] * 2),
    Row("If expired or not yet valid by our clock", controller("expired"), "critical/tls_expired -"),
    Row("while the clock is known to be off, the clock is the cause", controller("expired", ahead_days=-5), CUT_OFF),
    Row("clock is known to be off", controller("expired", ahead_days=-5, dated=True), CUT_OFF,
        waits=True),
    Row("`udp_blocked` needs ≥ 2 silent STUN servers while TCP works", stun(2), "warning/udp_blocked -"),
    Row("needs ≥ 2 silent STUN servers", stun(1), "unknown/timeout -"),
    Row("while TCP works", stun(2, egress=False), "unknown/timeout -"),
    Row("no STUN configured → `skipped/not_probeable`", stun(0), NOT_PROBEABLE),
    Row("HTTP < 500", controller("good", reply="404 Not Found"), "ok -"),
    Row("(429 too) is reachable", controller("good", reply="429 Too Many Requests"), "ok -"),
    Row("5xx `warning/http_status`", controller("good", reply="503 Service Unavailable"), "warning/http_status -"),
]  # fmt: skip
REST = [
    Row("Patterns and CIDRs without samples, all-ports without `probe_ports`, UDP-only → one `tcp` row", not_probeable,
        {f"tcp:{one}": NOT_PROBEABLE for one in ("*.test", "10.0.0.0/8", "10.0.0.1", "10.0.0.2")}),
    Row("counted, listed, never shown as ok", counted,
        {"not_probeable": 4, "ok": 0, "listed": ["All", "Network", "Pattern", "UDP"], "shown as": {"skipped"},
         "whole": "unknown"}),
    Row("call the token validation endpoint", requests, {"HEAD / HTTP/1.1", "HEAD /api/graphql/ HTTP/1.1"},
        waits=True),
]  # fmt: skip
ROWS = DEPENDENCIES + CORROBORATION + REST
