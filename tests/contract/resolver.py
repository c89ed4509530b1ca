"""Rows of the rule "Resolver"."""

import socket
from collections import Counter

from checks.model import CheckName
from checks.net.endpoint import Endpoint
from checks.resolver import ResolverSpec
from tests.contract.bench import HASTE, QUIET, TIMEOUT_S, Bench, Row, Scenario, verdicts
from tests.contract.names import EMPTY, FOUND, NAME, NXDOMAIN, REFUSED, SERVFAIL, garbage
from tests.support.nameservers import OnUdp, says, silent


def resolver(*scripts: OnUdp) -> Scenario:
    """Judge a nameserver for each script."""

    async def scenario(bench: Bench) -> list[str]:
        servers = [await bench.nameserver(script) for script in scripts]
        where = bench.resolving(*(server.endpoint for server in servers))
        rows = verdicts(await bench.rows(CheckName.RESOLVER, ResolverSpec(question=NAME, timeout_s=TIMEOUT_S), where))
        assert list(rows) == [str(server.endpoint) for server in servers], "one row a nameserver, host:port"
        return list(rows.values())

    return scenario


async def usual_port(bench: Bench) -> list[str]:
    """Return the target of a nameserver on port 53."""
    where = bench.resolving(Endpoint("127.0.0.53", 53))
    return list(await bench.rows(CheckName.RESOLVER, ResolverSpec(timeout_s=TIMEOUT_S), where))


def question(resources: str) -> Scenario:
    """Return what a nameserver is asked by `check --only resolver`."""

    async def scenario(bench: Bench) -> list[tuple[str, str, str]]:
        server = await bench.nameserver(NXDOMAIN)
        text = f"{QUIET}{HASTE}dns: {{nameservers: ['{server.endpoint}'], search: []}}\nresources: {resources}"
        await bench.check(text, CheckName.RESOLVER)
        return server.asked

    return scenario


async def all_names(bench: Bench) -> tuple[set[str], Counter[str]]:
    """Let every check use a name; return who was asked for, and who asked getaddrinfo."""
    server = await bench.nameserver(says())
    others: Counter[str] = Counter()

    def getaddrinfo(host: object, *_: object, **__: object) -> list[object]:
        others[str(host)] += 1
        raise OSError("not here")

    bench.monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    await bench.check(
        f"{HASTE}provider: {{enabled: never}}\ndns: {{nameservers: ['{server.endpoint}'], search: []}}\n"
        "clock: {servers: [time.test], controller_date: false}\ncontrol_plane: {urls: ['https://controller.test']}\n"
        "relays: {endpoints: ['relay.test:443'], stun: ['stun.test']}\n"
        "resources: [{name: DB, address: db.test, tcp: [443]}]\n"
    )
    return {asked for _, asked, kind in server.asked if kind == "A"}, others


ROWS = [
    Row("One row a nameserver", resolver(FOUND, NXDOMAIN), ["ok -", "ok -"]),
    Row("target `host`, with `:port` when not 53", usual_port, ["127.0.0.53"]),
    Row("asked for the first configured name",
        question("[{name: A, address: 10.0.0.1}, {name: B, address: b.test}, {name: C, address: c.test}]"),
        [("udp", "b.test.", "A")]),
    Row("else the root's NS", question("[{name: A, address: 10.0.0.1}]"), [("udp", ".", "NS")]),
    Row("A valid reply with NOERROR or NXDOMAIN is ok", resolver(EMPTY, NXDOMAIN), ["ok -", "ok -"]),
    Row("SERVFAIL or REFUSED is a warning with that reason", resolver(SERVFAIL, REFUSED),
        ["warning/servfail -", "warning/query_refused -"]),
    Row("no valid reply is critical if no nameserver answers", resolver(silent, garbage),
        ["critical/timeout -", "critical/malformed_answer -"]),
    Row("else warning", resolver(silent, SERVFAIL), ["warning/timeout -", "warning/servfail -"]),
    Row("All names (control plane, relays, time servers, Resources) go through this resolver", all_names,
        ({"controller.test.", "relay.test.", "time.test.", "stun.test.", "db.test."}, Counter())),
]  # fmt: skip
