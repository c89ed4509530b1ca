import contextlib
import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.model import Outcome, Reason, Status
from checks.nat import NatSpec, probe
from checks.net.endpoint import Endpoint
from checks.stun import binding_request, new_transaction
from tests.support.fakes import context
from tests.support.netns import Namespace, link, namespace
from tests.support.servers import require, running

SERVERS = ("10.78.0.2", "10.78.0.3")
PORT = 3478
TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Namespace, Namespace]]:
    """A host, its router, and behind that two real STUN servers; yields host and router."""
    require("turnserver")
    folder = tmp_path_factory.mktemp("stun")
    with namespace() as host, namespace() as router, namespace() as internet, contextlib.ExitStack() as stack:
        link(host, router)
        host.run("ip route add default via 10.77.0.2")
        router.run(f"ip link add v1 type veth peer name v0 netns {internet.name}")
        router.run("ip addr add 10.78.0.1/24 dev v1")
        router.run("ip link set v1 up")
        router.run("sysctl -qw net.ipv4.ip_forward=1")
        internet.run("ip link set v0 up")
        for address in SERVERS:
            internet.run(f"ip addr add {address}/24 dev v0")
        internet.run("ip route add default via 10.78.0.1")
        for address in SERVERS:
            stack.enter_context(turnserver(internet, address, folder))
        yield host, router


@contextlib.contextmanager
def turnserver(ns: Namespace, address: str, folder: Path) -> Iterator[None]:
    """Run coturn, STUN only, on one address of a namespace."""

    def answers() -> bool:
        with ns.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.settimeout(0.2)
            sock.sendto(binding_request(new_transaction()), (address, PORT))
            return bool(sock.recv(2048))
        return False

    argv = ["ip", "netns", "exec", ns.name, "turnserver", "-n", "--stun-only", "-L", address, "-p", str(PORT)]
    argv += ["--no-cli", "--no-tls", "--no-dtls", "--log-file", "stdout", "--pidfile", str(folder / f"{address}.pid")]
    with running(argv, folder / f"{address}.log", answers):
        yield


async def look(host: Namespace, *, egress: bool | None = True) -> Outcome:
    """Probe from the host."""
    spec = NatSpec(servers=tuple(Endpoint(address, PORT) for address in SERVERS), timeout_s=TIMEOUT_S)
    return (await probe(spec, dataclasses.replace(context(sockets=host.open_socket), egress=egress)))["udp"]


def masquerade(flags: str) -> str:
    """Write the rules of a router that hides its network."""
    return f"""table ip nat
delete table ip nat
table ip nat {{
  chain out {{
    type nat hook postrouting priority 100
    oifname v1 masquerade {flags}
  }}
}}
"""


@pytest.mark.parametrize(
    ("rules", "reason", "independent", "nat"),
    [
        ("", None, True, False),
        (masquerade(""), None, True, True),
        (masquerade("random,fully-random"), Reason.MAPPING_VARIES, False, True),
    ],
    ids=["routed", "masquerade", "masquerade-random"],
)
async def test_a_real_nat_is_recognised(
    lan: tuple[Namespace, Namespace], rules: str, reason: Reason | None, independent: bool, nat: bool
) -> None:
    """No NAT, a NAT that keeps the port, and one that takes a random port for each destination."""
    host, router = lan
    router.nft(rules)
    outcome = await look(host)
    assert outcome.reason is reason
    assert (outcome.facts["endpoint_independent"], outcome.facts["nat"]) == (independent, nat)
    assert str(outcome.facts["mapped"]).startswith("10.78.0.1:" if nat else "10.77.0.1:")


DROP_ON_THE_WAY = """table ip block {
  chain way {
    type filter hook forward priority 0
    meta l4proto udp drop
  }
}
"""


@pytest.mark.parametrize("where", ["router", "host"])
async def test_blocked_udp_is_a_warning_while_tcp_works(lan: tuple[Namespace, Namespace], where: str) -> None:
    """A firewall on the way, and this host's own, which makes sendto() fail."""
    host, router = lan
    here = router if where == "router" else host
    here.nft(DROP_ON_THE_WAY.replace("forward", "forward" if where == "router" else "output"))
    try:
        outcome = await look(host)
        doubtful = await look(host, egress=None)
    finally:
        here.run("nft delete table ip block")
    assert (outcome.status, outcome.reason) == (Status.WARNING, Reason.UDP_BLOCKED)
    assert (doubtful.status, doubtful.reason) == (Status.UNKNOWN, Reason.TIMEOUT)
    assert ("EPERM" in outcome.summary) is (where == "host")
