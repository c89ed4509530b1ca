import socket
from collections.abc import Iterator

import pytest

from checks.model import Event, Reason, Status
from tests.support.fakes import context
from tests.support.netns import Namespace, link, namespace
from tests.support.tcp import look, spec

LONG_S = 1.3  # the first retransmission, which tells a local drop from one on the way, is due after one second
FAR_FILTER = """table inet far {
  chain input {
    type filter hook input priority 0
    tcp dport 1001 drop
    tcp dport 1002 reject with tcp reset
    meta nfproto ipv4 tcp dport 1003 reject with icmp type host-unreachable
    meta nfproto ipv4 tcp dport 1004 reject with icmp type admin-prohibited
    meta nfproto ipv4 tcp dport 1005 reject with icmp type port-unreachable
    meta nfproto ipv4 tcp dport 1006 reject with icmp type net-unreachable
    meta nfproto ipv6 tcp dport 1003 reject with icmpv6 type addr-unreachable
    meta nfproto ipv6 tcp dport 1004 reject with icmpv6 type admin-prohibited
  }
}
"""
OWN_FILTER = """table inet own {
  chain output {
    type filter hook output priority 0
    tcp dport 1101 drop
    tcp dport 1102 reject with tcp reset
    meta nfproto ipv4 tcp dport 1103 reject with icmp type admin-prohibited
  }
}
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """A host at 10.77.0.1 and 2001:db8:77::1; beside it, 10.77.0.2 and 2001:db8:77::2 with a firewall and a service."""
    with namespace() as here, namespace() as there:
        link(here, there)
        for ns, number in ((here, 1), (there, 2)):
            ns.run(f"ip addr add 2001:db8:77::{number}/64 dev v0 nodad")
        there.nft(FAR_FILTER)
        here.nft(OWN_FILTER)
        for kind, net in (("unreachable", 1), ("blackhole", 2), ("prohibit", 3), ("throw", 4)):
            here.run(f"ip route add {kind} 10.{net}.0.0/16")
        here.run("ip -6 route add prohibit 2001:db8:3::/48")
        with there.open_socket(socket.AF_INET6, socket.SOCK_STREAM) as service:
            service.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            service.bind(("::", 5432))
            service.listen(64)
            yield here


@pytest.mark.parametrize(
    ("address", "port", "reason"),
    [
        ("10.77.0.2", 5432, None),
        ("10.77.0.2", 5433, Reason.REFUSED),
        ("10.77.0.2", 1001, Reason.TIMEOUT),
        ("10.77.0.2", 1002, Reason.REFUSED),
        ("10.77.0.2", 1003, Reason.UNREACHABLE),
        ("10.77.0.2", 1004, Reason.UNREACHABLE),
        ("10.77.0.2", 1005, Reason.REFUSED),
        ("10.77.0.2", 1006, Reason.NO_ROUTE),
        ("10.77.0.2", 1102, Reason.REFUSED),
        ("10.77.0.2", 1103, Reason.UNREACHABLE),
        ("10.77.0.99", 5432, Reason.TIMEOUT),  # nobody answers ARP; the kernel says so only after 3 s
        ("10.1.0.1", 5432, Reason.UNREACHABLE),
        ("10.2.0.1", 5432, Reason.NO_ROUTE),
        ("10.3.0.1", 5432, Reason.BLOCKED_LOCALLY),
        ("10.4.0.1", 5432, Reason.NO_ROUTE),
        ("10.5.0.1", 5432, Reason.NO_ROUTE),
        ("2001:db8:77::2", 5432, None),
        ("2001:db8:77::2", 5433, Reason.REFUSED),
        ("2001:db8:77::2", 1001, Reason.TIMEOUT),
        ("2001:db8:77::2", 1003, Reason.UNREACHABLE),
        ("2001:db8:77::2", 1004, Reason.BLOCKED_LOCALLY),  # EACCES, also when a router says so
        ("2001:db8:3::1", 5432, Reason.BLOCKED_LOCALLY),
        ("2001:db8:5::1", 5432, Reason.NO_ROUTE),
    ],
)
async def test_what_the_network_does_is_what_is_reported(
    host: Namespace, address: str, port: int, reason: Reason | None
) -> None:
    """A real kernel, real firewalls and routes: each fault has its reason."""
    outcome = await look(spec(address, port), context(sockets=host.open_socket))
    assert outcome.reason is reason
    assert outcome.status is (Status.OK if reason is None else Status.CRITICAL)
    assert outcome.event is (Event.NONE if reason is None else Event.UNABLE_TO_CONNECT)


@pytest.mark.parametrize(
    ("address", "port", "reason"),
    [
        ("10.77.0.2", 1101, Reason.BLOCKED_LOCALLY),
        ("2001:db8:77::2", 1101, Reason.BLOCKED_LOCALLY),
        ("10.77.0.2", 1001, Reason.TIMEOUT),
        ("10.77.0.99", 5432, Reason.TIMEOUT),
    ],
)
async def test_a_drop_by_this_hosts_own_filter_is_told_from_one_on_the_way(
    host: Namespace, address: str, port: int, reason: Reason
) -> None:
    """connect() reports neither; the kernel's count of what left this host tells them apart."""
    outcome = await look(spec(address, port, timeout_s=LONG_S), context(sockets=host.open_socket))
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, reason)
    assert ("nft list ruleset" in outcome.action) is (reason is Reason.BLOCKED_LOCALLY)


async def test_ipv6_without_an_address_to_start_from_is_address_family_unavailable() -> None:
    """A host with an IPv6 route and no IPv6 address can't even try."""
    with namespace() as here, namespace() as there:
        link(here, there)
        here.run("ip -6 route add 2001:db8::/64 dev v0")
        here.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        outcome = await look(spec("2001:db8::1", 443), context(sockets=here.open_socket))
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.ADDRESS_FAMILY_UNAVAILABLE)


async def test_a_socket_that_connects_to_itself_is_not_an_acceptance() -> None:
    """With one ephemeral port, a probe of that port meets its own SYN: nothing listens there."""
    with namespace() as here, namespace() as elsewhere:
        for ns in (here, elsewhere):
            ns.run("tee /proc/sys/net/ipv4/ip_local_port_range", stdin="40000 40000")
        with elsewhere.open_socket(socket.AF_INET, socket.SOCK_STREAM) as raw:
            raw.connect_ex(("127.0.0.1", 40000))
            assert raw.getsockname() == raw.getpeername(), "the kernel does not show the trap that this test is about"
        outcome = await look(spec("127.0.0.1", 40000), context(sockets=here.open_socket))
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.REFUSED)


async def test_no_ephemeral_port_left_is_our_limit() -> None:
    """A host out of source ports says nothing about the target."""
    with namespace() as here, here.open_socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        here.run("tee /proc/sys/net/ipv4/ip_local_port_range", stdin="40000 40000")
        server.bind(("127.0.0.1", 5432))
        server.listen(8)
        with here.open_socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
            holder.connect_ex(("127.0.0.1", 5432))
            outcome = await look(spec("127.0.0.1", 5432), context(sockets=here.open_socket))
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PROBER_STARVED)
