"""`trace` against planted faults: real namespaces, routers, firewalls and nameservers; each has one right conclusion.

All faults stand in one topology at the same time, told apart by port, address or name, so all traces run at once.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from checks.model import Status
from checks.net.endpoint import Endpoint
from daemon.cli.render_trace import render
from daemon.trace.conclusion import Conclusion
from daemon.trace.document import document, encode
from daemon.trace.facts import TraceFacts
from tests.support.connector_log import analytics
from tests.support.nameservers import local
from tests.support.netns import Namespace, namespace
from tests.support.ntp_server import reply
from tests.support.routers import R1, R2, R3, TARGET, TARGET6, Chain, chain
from tests.support.sightings import RUNNING, stopped
from tests.support.tracing import READS_USERS, Case, nameserver, traced, used

OPEN = 5432
DEADLINE_S = 10.0
SECRETS = ("someone@example.com", "192.0.2.77", "DEVICE-9", "13610")
USER = {"client_ip": "192.0.2.77"}
READS_NONE = replace(RUNNING, environment={"TWINGATE_NETWORK": "acme"})

R2_FILTER = """table inet fault { chain c { type filter hook forward priority 0
    tcp dport 1001 drop
    tcp dport 1002 reject with icmpx type admin-prohibited
    tcp dport 1003 reject with icmpx type host-unreachable
    tcp dport 1004 reject with tcp reset
}
}
"""
HOST_FILTER = """table inet fault { chain c { type filter hook output priority 0
    tcp dport 1101 drop
    tcp dport 1102 reject with icmpx type admin-prohibited
}
}
"""
TARGET_FILTER = """table inet fault { chain c { type filter hook input priority 0
    tcp dport 1201 drop
    udp dport 53 drop
}
}
"""
ROUTES = (
    ("r2", "ip route add unreachable 10.84.0.3/32"),
    ("r2", "ip route add 10.84.0.4/32 via 10.82.0.1"),
    ("r1", "ip route add blackhole 10.84.0.5/32"),
    ("host", "ip route add prohibit 10.84.0.6/32"),
    ("host", "ip route add 10.84.0.7/32 via 10.81.0.99"),
)
ZONE = (
    *local(
        "corp.test", f"ok.corp.test. A {TARGET}", f"half.corp.test. A {TARGET}", f"half.corp.test. A {R3}",
        f"half.corp.test. A {R3}", "empty.corp.test. TXT nothing",
        "dangling.corp.test. CNAME gone.corp.test.", "denied.corp.test. A 127.0.0.1", f"six.corp.test. AAAA {TARGET6}",
        f"both.corp.test. A {TARGET}", f"both.corp.test. AAAA {TARGET6}",
    ),
    '  local-zone: "test." nodefault',
    '  local-zone: "." transparent',
    '  local-data: ". NS ns.corp.test."',
    '  local-zone: "silent.test." deny',
    '  local-zone: "refused.test." refuse',
    "auth-zone:",
    '  name: "alias.test"',
    '  zonefile: "alias.zone"',
    "  for-upstream: no",
)  # fmt: skip
ALIAS_ZONE = f"""@ 60 IN SOA ns hostmaster 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A {R1}
alias 60 IN CNAME next
next 30 IN CNAME real
real 60 IN A {TARGET}
"""
OTHER_ZONE = local("corp.test", "half.corp.test. A 10.84.0.2")


def _cases(c: Chain, ns1: Endpoint, ns2: Endpoint, empty: Namespace) -> dict[str, Case]:
    def at(word: str, **more: object) -> Case:
        return Case(word=word, ns=c.host, **{"nameservers": (ns1,), **more})  # type: ignore[arg-type]

    up = f"{TARGET}:{OPEN}"
    web = "[{name: Web, address: ok.corp.test, tcp: [5432]}, {name: Wide, address: '*.corp.test', tcp: [5432]}]"
    wide = "[{name: Nets, address: 10.84.0.0/24}]"
    ok = "ok.corp.test"
    return {
        # the way to the target
        "drop at r2": at(f"{TARGET}:1001"),
        "prohibited at r2": at(f"{TARGET}:1002"),
        "host unreachable at r2": at(f"{TARGET}:1003"),
        "reset at r2": at(f"{TARGET}:1004"),
        "closed": at(f"{TARGET}:1999"),
        "own drop": at(f"{TARGET}:1101"),
        "own reject": at(f"{TARGET}:1102"),
        "dropped by the target": at(f"{TARGET}:1201"),
        "unreachable route": at(f"10.84.0.3:{OPEN}"),
        "loop": at(f"10.84.0.4:{OPEN}"),
        "blackhole": at(f"10.84.0.5:{OPEN}"),
        "prohibit route": at(f"10.84.0.6:{OPEN}"),
        "dead next hop": at(f"10.84.0.7:{OPEN}", config="schedule: {timeout: 4s}"),
        "nobody on the link": at(f"10.81.0.98:{OPEN}", config="schedule: {timeout: 4s}"),
        "drop v6": at(f"[{TARGET6}]:1001"),
        "only the Connector's network": at(f"{TARGET}:1101", also=c.r3),
        # names
        "nxdomain": at("nothing.corp.test:1"),
        "no address": at("empty.corp.test:1"),
        "dangling alias": at("dangling.corp.test:1"),
        "silent nameserver": at("ok.silent.test:1"),
        "refused by the nameserver": at("ok.refused.test:1"),
        "nobody listens": at(f"{ok}:{OPEN}", nameservers=(Endpoint(R1, 54),)),
        "nameserver dropped": at(f"{ok}:{OPEN}", nameservers=(Endpoint(TARGET, 53),)),
        "nameservers disagree": at(f"{ok}:{OPEN}", nameservers=(ns1, ns2)),
        "half of the addresses": at(f"half.corp.test:{OPEN}"),
        # may not be touched
        "half-open port": at(f"{TARGET}:3306"),
        "denied address": at(f"denied.corp.test:{OPEN}"),
        "network without samples": at("Nets", resources=wide),
        "port not allowed": at("Web:22", resources=web),
        # the whole Connector
        "connector down": at(up, sighting=stopped()),
        "host network down": Case(word=f"{TARGET}:{OPEN}", ns=empty),
        "controller refused": at(up, config=f"control_plane: {{urls: ['http://{R1}:81']}}"),
        "relays refused": at(up, config=f"relays: {{endpoints: ['{R1}:30001', '{R2}:30001']}}"),
        "clock off": at(up, config=f"clock: {{servers: ['{R1}:1123', '{R2}:1123'], controller_date: false}}"),
        "token invalid": at(up, log=[(60.0, "[ERROR] [libsdwan] failed to get an access token: Invalid token")]),
        # users, with every link fine
        "users connect": at(up, log=[used("established_connection", TARGET, OPEN, 60.0, **USER)]),
        "users denied": at(up, log=[used("denied_access", TARGET, OPEN, 60.0, **USER)]),
        "users fail": at(up, log=[used("failed_to_connect", TARGET, OPEN, 60.0, **USER)]),
        "users failed and recovered": at(
            up,
            log=[
                used("failed_to_connect", TARGET, OPEN, 120.0, **USER),
                used("established_connection", TARGET, OPEN, 60.0, **USER),
            ],
        ),
        "resolver of the Connector stuck": at(
            f"{ok}:{OPEN}", log=[(60.0, "[msg] All nameservers have failed")], sighting=replace(
                RUNNING, environment=READS_USERS
            ),
        ),
        "no user": at("Web", resources=web),
        "no user, log blind": at("Web", resources=web, sighting=READS_NONE),
        "success though we fail": at(
            f"{TARGET}:1999", log=[used("established_connection", TARGET, 1999, 30.0, **USER)]
        ),
        "behind a pattern": at(f"both.corp.test:{OPEN}", resources=web),
        "an alias": at(f"alias.alias.test:{OPEN}"),
        "hostile": at(
            f"{ok}:{OPEN}",
            log=[
                (5.0, "ANALYTICS " + json.dumps({"event_type": "established_connection", "resource": {
                    "address": "\x1b[31m\u202eevil", "applied_rule": ok}, "connection": {"error_message": None}})),
                (4.0, analytics("failed_to_connect", address="ok.corp.test\n\x1b]0;x\x07", rule="*", **USER)),
                (3.0, "ANALYTICS {"), (2.0, "\x1b[2J[ERROR] \u202e"),
            ],
        ),
    }  # fmt: skip


EXPECTED = {
    "drop at r2": ("connector_connect", "network", "silence after 10.82.0.2"),
    "prohibited at r2": ("connector_connect", "network", "10.82.0.2 rejects them: administratively prohibited"),
    "host unreachable at r2": ("connector_connect", "network", "10.82.0.2 says that the host is unreachable"),
    "reset at r2": ("connector_connect", "resource", "refused"),
    "closed": ("connector_connect", "resource", "refused"),
    "own drop": ("connector_connect", "host", "own packet filter"),
    "own reject": ("connector_connect", "host", "firewall or policy of the Connector's network itself"),
    "dropped by the target": ("connector_connect", "network", "silence after 10.83.0.2"),
    "unreachable route": ("connector_connect", "network", "10.82.0.2 says that the host is unreachable"),
    "loop": ("connector_connect", "network", "a routing loop"),
    "blackhole": ("connector_connect", "network", "silence from the start"),
    "prohibit route": ("connector_connect", "host", "policy"),
    "dead next hop": ("connector_connect", "network", "the next hop 10.81.0.99 does not answer ARP"),
    "nobody on the link": ("connector_connect", "resource", "10.81.0.98 does not answer ARP"),
    "drop v6": ("connector_connect", "network", "silence after 2001:db8:82::2"),
    "only the Connector's network": ("connector_connect", "host", "only the Connector's network fails"),
    "nxdomain": ("connector_dns", "resolver", "NXDOMAIN"),
    "no address": ("connector_dns", "resolver", "no A record"),
    "dangling alias": ("connector_dns", "resolver", "gone.corp.test"),
    "silent nameserver": ("connector_dns", "resolver", "no answer within"),
    "refused by the nameserver": ("connector_dns", "resolver", "REFUSED"),
    "nobody listens": ("connector_dns", "resolver", "no nameserver listens there"),
    "nameserver dropped": ("connector_dns", "resolver", "no answer within"),
    "nameservers disagree": ("connector_dns", "resolver", "10.82.0.2 A: it does not exist"),
    "half of the addresses": ("connector_connect", "resource", "1 of 2 addresses accept"),
    "half-open port": ("not_probeable", None, "the host itself answers over UDP"),
    "denied address": ("not_probeable", None, "probing.deny"),
    "network without samples": ("not_probeable", None, "a network has no address of its own"),
    "port not allowed": ("policy", None, "does not allow port 22"),
    "connector down": ("connector_down", "connector", "exited"),
    "host network down": ("host_network", "host", "loopback"),
    "controller refused": ("control_plane", "control_plane", "refused"),
    "relays refused": ("relays", "relay", "refused"),
    "clock off": ("clock", "clock", "6."),
    "token invalid": ("connector_down", "connector", "token"),
    "users connect": ("application", None, "1 established of 1 user in the last hour"),
    "users denied": ("policy", None, "1 denied"),
    "users fail": ("connector_connect", "network", "our own try succeeds"),
    "users failed and recovered": ("application", None, '1 "Unable to connect"'),
    "resolver of the Connector stuck": ("connector_dns", "connector", "given up all nameservers"),
    "no user": ("user_side", None, "shows user connections, and none"),
    "no user, log blind": ("unknown", None, "TWINGATE_LOG_ANALYTICS=v2"),
    "success though we fail": ("connector_connect", "resource", "though a user connected"),
    "behind a pattern": ("user_side", None, "Every link from here on is fine"),
    "an alias": ("user_side", None, "Every link from here on is fine"),
    "hostile": ("application", None, "established"),
}

Traces = dict[str, tuple[TraceFacts, Conclusion, float]]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """Plant all faults, run all traces at the same time."""
    folder = tmp_path_factory.mktemp("trace")
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(chain())
        empty = stack.enter_context(namespace())
        for ns, rules in ((c.r2, R2_FILTER), (c.host, HOST_FILTER), (c.target, TARGET_FILTER)):
            ns.nft(rules)
        for name, command in ROUTES:
            getattr(c, name).run(command)
        (folder / "alias.zone").write_text(ALIAS_ZONE)
        ns1 = stack.enter_context(nameserver(folder, c.r1, R1, *ZONE))
        ns2 = stack.enter_context(nameserver(folder, c.r2, R2, *OTHER_ZONE))
        for port in (OPEN, 1101):
            service = stack.enter_context(c.target.open_socket(socket.AF_INET6, socket.SOCK_STREAM))
            service.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            service.bind(("::", port))
            service.listen(256)
        cases = _cases(c, ns1, ns2, empty)
        yield asyncio.run(_all(c, cases))


async def _all(c: Chain, cases: dict[str, Case]) -> Traces:
    found: Traces = {}

    async def one(name: str, case: Case) -> None:
        began = time.monotonic()
        facts, conclusion = await traced(case)
        found[name] = facts, conclusion, time.monotonic() - began

    async with _time_server(c.r1, R1), _time_server(c.r2, R2), asyncio.TaskGroup() as group:
        for name, case in cases.items():
            group.create_task(one(name, case))
    return found


@contextlib.asynccontextmanager
async def _time_server(ns: Namespace, address: str) -> AsyncIterator[None]:
    """Answer as a time server that is 6 s ahead of this host."""
    loop = asyncio.get_running_loop()
    with ns.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 1123))

        def answer() -> None:
            question, peer = sock.recvfrom(512)
            sock.sendto(reply(question, time.time() + 6.5), peer)  # noqa: TID251 - a server's own clock

        loop.add_reader(sock, answer)
        try:
            yield
        finally:
            loop.remove_reader(sock)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_fault_has_its_conclusion(traces: Traces, name: str) -> None:
    """The right conclusion, the right link of the chain, and the evidence that shows it."""
    facts, conclusion, _ = traces[name]
    code, link, evidence = EXPECTED[name]
    told = render(facts, conclusion)
    assert (conclusion.code, conclusion.link) == (code, link), told
    assert evidence in told


def test_every_fault_was_expected(traces: Traces) -> None:
    """At least 25 faults are planted, and none is without an expectation."""
    assert traces.keys() == EXPECTED.keys()
    assert len(EXPECTED) >= 25


def test_none_takes_ten_seconds(traces: Traces) -> None:
    """Whatever is broken, and though all of them ran at once."""
    slow = {name: seconds for name, (_, _, seconds) in traces.items() if seconds > DEADLINE_S}
    assert slow == {}


def test_documents_are_harmless_and_tell_of_no_person(traces: Traces) -> None:
    """Valid JSON, no control or bidi character, no e-mail, client address, user or device in any output."""
    for facts, conclusion, _ in traces.values():
        text, table = encode(document(facts, conclusion)), render(facts, conclusion)
        assert json.loads(text)["conclusion"]["code"] == conclusion.code
        for output in (text, table):
            assert all(char == "\n" or char.isprintable() for char in output)
            assert not [secret for secret in SECRETS if secret in output]


def test_status_is_what_a_script_may_act_on(traces: Traces) -> None:
    """Critical where this Connector would fail a user now, ok where nothing is wrong on this side, unknown else."""
    wanted = {
        "closed": Status.CRITICAL, "nxdomain": Status.CRITICAL, "connector down": Status.CRITICAL,
        "nameservers disagree": Status.WARNING, "half of the addresses": Status.WARNING, "users fail": Status.WARNING,
        "users connect": Status.OK, "no user": Status.OK, "users denied": Status.OK,
        "half-open port": Status.UNKNOWN, "network without samples": Status.UNKNOWN,
    }  # fmt: skip
    assert {name: traces[name][1].status for name in wanted} == wanted


def test_a_port_with_a_policy_was_not_touched(traces: Traces) -> None:
    """Port 3306 got no connection: its way was looked at by UDP to another port."""
    (port,) = traces["half-open port"][0].ports
    assert port.verdict == "not_touched"
    assert port.way is not None
    assert port.way.method == "udp"


def test_what_is_never_touched_is_not_traced(traces: Traces) -> None:
    """A denied address gets no packet at all."""
    (port,) = traces["denied address"][0].ports
    assert (port.verdict, port.way) == ("not_touched", None)


def test_disagreement_is_said(traces: Traces) -> None:
    """Where users and our own probe differ, both are told."""
    assert "our probe fails" in traces["success though we fail"][1].disagreements[0]
    assert "our probe succeeds, though users fail" in traces["users fail"][1].disagreements[0]
    assert traces["users connect"][1].disagreements == ()


def test_by_hand_begins_where_the_connector_stands(traces: Traces) -> None:
    """The command that repeats a failure enters the Connector's network."""
    assert traces["closed"][1].commands == (f"nsenter -t 4711 -n nc -vz -w 5 {TARGET} 1999",)


def test_matrix_has_types_aliases_and_ttls(traces: Traces) -> None:
    """Each nameserver is asked for A and AAAA; aliases and TTLs are told."""
    name = traces["behind a pattern"][0].name
    assert name is not None
    assert [(a.by, a.kind, a.addresses) for a in name.answers] == [(R1, "A", (TARGET,)), (R1, "AAAA", (TARGET6,))]
    alias = traces["an alias"][0].name
    assert alias is not None
    assert alias.answers[0].cnames == ("next.alias.test", "real.alias.test")
    assert alias.answers[0].ttl == 30
