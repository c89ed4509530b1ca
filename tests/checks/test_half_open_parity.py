"""Half-open and connect tell the same of the same fault: a real kernel, real firewalls, routes and queues."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from checks.model import Reason
from checks.net import tcp
from tests.support.fakes import context
from tests.support.half_open import prober
from tests.support.netns import Namespace, link, namespace

SHORT_S = 0.4
LONG_S = 1.3  # the first retransmission, which tells connect() a local drop from one on the way, is due after a second
ARP_S = 1.6  # the kernel gives up asking for a neighbour after one second, here
FAR_FILTER = """table inet far {
  chain before {
    type filter hook prerouting priority -300
    ip daddr 10.8.0.0/16 ip ttl set 1
  }
  chain input {
    type filter hook input priority 0
    tcp dport 1001 drop
    tcp dport 1002 reject with tcp reset
    meta nfproto ipv4 tcp dport 1003 reject with icmp type host-unreachable
    meta nfproto ipv4 tcp dport 1004 reject with icmp type admin-prohibited
    meta nfproto ipv4 tcp dport 1005 reject with icmp type port-unreachable
    meta nfproto ipv4 tcp dport 1006 reject with icmp type net-unreachable
    meta nfproto ipv4 tcp dport 1007 reject with icmp type prot-unreachable
    meta nfproto ipv4 tcp dport 1008 reject with icmp type net-prohibited
    meta nfproto ipv4 tcp dport 1009 reject with icmp type host-prohibited
    meta nfproto ipv6 tcp dport 1003 reject with icmpv6 type addr-unreachable
    meta nfproto ipv6 tcp dport 1004 reject with icmpv6 type admin-prohibited
    meta nfproto ipv6 tcp dport 1005 reject with icmpv6 type port-unreachable
    meta nfproto ipv6 tcp dport 1006 reject with icmpv6 type no-route
    meta nfproto ipv6 tcp dport 1008 reject with icmpv6 type policy-fail
    meta nfproto ipv6 tcp dport 1009 reject with icmpv6 type reject-route
  }
  chain output {
    type filter hook output priority 0
    tcp sport 1010 tcp flags & (syn | ack) == syn | ack drop
  }
}
"""
OWN_FILTER = """table inet own {
  chain output {
    type filter hook output priority 0
    tcp dport 1101 drop
    tcp dport 1102 reject with tcp reset
    meta nfproto ipv4 tcp dport 1103 reject with icmp type admin-prohibited
    meta nfproto ipv4 tcp dport 1104 reject with icmp type port-unreachable
    meta nfproto ipv6 tcp dport 1103 reject with icmpv6 type addr-unreachable
  }
  chain input {
    type filter hook input priority 0
    tcp sport 1105 drop
    ct state established accept
  }
}
"""


@dataclass(frozen=True)
class Hosts:
    """Where is probed from; and a port there whose queue is full."""

    here: Namespace
    full: int


ROWS: tuple[tuple[str, int, Reason | None, float], ...] = (
    ("10.77.0.2", 5432, None, LONG_S),
    ("10.77.0.2", 5433, Reason.REFUSED, LONG_S),
    ("10.77.0.2", 1001, Reason.TIMEOUT, SHORT_S),
    ("10.77.0.2", 1002, Reason.REFUSED, LONG_S),
    ("10.77.0.2", 1003, Reason.UNREACHABLE, LONG_S),
    ("10.77.0.2", 1004, Reason.UNREACHABLE, LONG_S),
    ("10.77.0.2", 1005, Reason.REFUSED, LONG_S),
    ("10.77.0.2", 1006, Reason.NO_ROUTE, LONG_S),
    ("10.77.0.2", 1007, Reason.UNREACHABLE, LONG_S),
    ("10.77.0.2", 1008, Reason.NO_ROUTE, LONG_S),
    ("10.77.0.2", 1009, Reason.UNREACHABLE, LONG_S),
    ("10.77.0.2", 1010, Reason.TIMEOUT, SHORT_S),
    ("10.77.0.2", 1101, Reason.BLOCKED_LOCALLY, LONG_S),
    ("10.77.0.2", 1102, Reason.REFUSED, LONG_S),
    ("10.77.0.2", 1103, Reason.UNREACHABLE, LONG_S),
    ("10.77.0.2", 1104, Reason.REFUSED, LONG_S),
    ("10.77.0.2", 1105, Reason.TIMEOUT, SHORT_S),
    ("10.77.0.99", 5432, Reason.UNREACHABLE, ARP_S),
    ("10.77.0.98", 5432, Reason.TIMEOUT, SHORT_S),
    ("10.77.0.255", 5432, Reason.NO_ROUTE, SHORT_S),
    ("255.255.255.255", 5432, Reason.NO_ROUTE, SHORT_S),
    ("224.0.0.9", 5432, Reason.NO_ROUTE, SHORT_S),
    ("10.1.0.1", 5432, Reason.UNREACHABLE, SHORT_S),
    ("10.2.0.1", 5432, Reason.NO_ROUTE, SHORT_S),
    ("10.3.0.1", 5432, Reason.BLOCKED_LOCALLY, SHORT_S),
    ("10.4.0.1", 5432, Reason.NO_ROUTE, SHORT_S),
    ("10.5.0.1", 5432, Reason.NO_ROUTE, SHORT_S),
    ("10.6.0.1", 5432, Reason.NO_ROUTE, LONG_S),  # a router on the way has no route
    ("10.7.0.1", 5432, Reason.UNREACHABLE, LONG_S),  # it prohibits
    ("10.8.0.1", 5432, Reason.UNREACHABLE, LONG_S),  # it finds the time exceeded
    ("127.0.0.1", 5433, Reason.REFUSED, SHORT_S),
    ("0.0.0.0", 5433, Reason.REFUSED, SHORT_S),
    ("::ffff:10.77.0.2", 5432, None, LONG_S),
    ("::ffff:10.77.0.2", 5433, Reason.REFUSED, LONG_S),
    ("2001:db8:77::2", 5432, None, LONG_S),
    ("2001:db8:77::2", 5433, Reason.REFUSED, LONG_S),
    ("2001:db8:77::2", 1001, Reason.TIMEOUT, SHORT_S),
    ("2001:db8:77::2", 1002, Reason.REFUSED, LONG_S),
    ("2001:db8:77::2", 1003, Reason.UNREACHABLE, LONG_S),
    ("2001:db8:77::2", 1004, Reason.BLOCKED_LOCALLY, LONG_S),  # EACCES, also when a router says so
    ("2001:db8:77::2", 1005, Reason.REFUSED, LONG_S),
    ("2001:db8:77::2", 1006, Reason.NO_ROUTE, LONG_S),
    ("2001:db8:77::2", 1008, Reason.BLOCKED_LOCALLY, LONG_S),
    ("2001:db8:77::2", 1009, Reason.BLOCKED_LOCALLY, LONG_S),
    ("2001:db8:77::2", 1101, Reason.BLOCKED_LOCALLY, LONG_S),
    ("2001:db8:77::2", 1102, Reason.REFUSED, LONG_S),
    ("2001:db8:77::2", 1103, Reason.UNREACHABLE, LONG_S),
    ("2001:db8:77::99", 5432, Reason.UNREACHABLE, ARP_S),
    ("2001:db8:1::1", 5432, Reason.UNREACHABLE, SHORT_S),
    ("2001:db8:2::1", 5432, Reason.NO_ROUTE, SHORT_S),
    ("2001:db8:3::1", 5432, Reason.BLOCKED_LOCALLY, SHORT_S),
    ("2001:db8:5::1", 5432, Reason.NO_ROUTE, SHORT_S),
    ("ff02::9", 5432, Reason.NO_ROUTE, SHORT_S),
    ("::1", 5433, Reason.REFUSED, SHORT_S),
    ("::", 5433, Reason.REFUSED, SHORT_S),
    ("fe80::2%{scope}", 5432, None, LONG_S),
    ("fe80::2%{scope}", 5433, Reason.REFUSED, LONG_S),
    ("fe80::2", 5432, Reason.NO_ROUTE, SHORT_S),
)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A host at 10.77.0.1 and 2001:db8:77::1; beside it, at 2, one with a firewall and a service, that also routes."""
    with namespace() as here, namespace() as there, contextlib.ExitStack() as stack:
        link(here, there)
        for ns, number in ((here, 1), (there, 2)):
            ns.run(f"ip addr add 2001:db8:77::{number}/64 dev v0 nodad")
            ns.run(f"ip addr add fe80::{number}/64 dev v0 nodad")
            ns.run("sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0")  # each row is to have its answer
        there.run("sysctl -qw net.ipv4.ip_forward=1")
        here.run("sysctl -qw net.ipv4.neigh.v0.mcast_solicit=1 net.ipv6.neigh.v0.mcast_solicit=1")
        there.nft(FAR_FILTER)
        here.nft(OWN_FILTER)
        for number, kind in enumerate(("unreachable", "blackhole", "prohibit", "throw"), 1):
            here.run(f"ip route add {kind} 10.{number}.0.0/16")
            here.run(f"ip -6 route add {kind} 2001:db8:{number}::/48")
        for net in (6, 7, 8):
            here.run(f"ip route add 10.{net}.0.0/16 via 10.77.0.2")
        there.run("ip route add prohibit 10.7.0.0/16")
        there.run("ip route add 10.8.0.0/16 via 10.77.0.1")
        for port in (5432, 1010):
            service = stack.enter_context(there.open_socket(socket.AF_INET6, socket.SOCK_STREAM))
            service.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            service.bind(("::", port))
            service.listen(64)
        full = stack.enter_context(there.open_socket(socket.AF_INET, socket.SOCK_STREAM))
        full.bind(("10.77.0.2", 0))
        full.listen(0)
        for _ in range(2):
            filler = stack.enter_context(here.open_socket(socket.AF_INET, socket.SOCK_STREAM))
            filler.connect_ex(full.getsockname())
        yield Hosts(here, full.getsockname()[1])


async def test_both_methods_agree_on_every_row(hosts: Hosts) -> None:
    """Whatever the network does to a SYN has the same reason by both methods."""
    with hosts.here.entered():
        scope = socket.if_nametoindex("v0")
    rows = [(a.format(scope=scope), p, reason, s) for a, p, reason, s in ROWS]
    rows.append(("10.77.0.2", hosts.full, Reason.TIMEOUT, SHORT_S))
    expected = {(address, port): reason for address, port, reason, _ in rows}
    seat = context(sockets=hosts.here.open_socket).seat
    with prober(hosts.here) as half_open:
        async with asyncio.TaskGroup() as group:
            connects = [group.create_task(tcp.attempt(seat, a, p, s)) for a, p, _, s in rows]
            looks = [group.create_task(half_open.attempt_all((a,), p, s)) for a, p, _, s in rows]
    by_connect = {key: _reason(task.result()) for key, task in zip(expected, connects, strict=True)}
    by_half_open = {key: _reason(task.result()[0]) for key, task in zip(expected, looks, strict=True)}
    assert {key: (by_connect[key], by_half_open[key]) for key in expected} == {
        key: (r, r) for key, r in expected.items()
    }


async def test_both_agree_without_an_address_to_start_from() -> None:
    """A host with an IPv6 route and no IPv6 address can't even try, by either method."""
    with namespace() as here, namespace() as there:
        link(here, there)
        here.run("ip -6 route add 2001:db8::/64 dev v0")
        here.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        with prober(here) as half_open:
            (look,) = await half_open.attempt_all(("2001:db8::1",), 443, SHORT_S)
        seat = context(sockets=here.open_socket).seat
        connect = await tcp.attempt(seat, "2001:db8::1", 443, SHORT_S)
    assert (_reason(look), _reason(connect)) == (Reason.ADDRESS_FAMILY_UNAVAILABLE,) * 2


def _reason(attempt: tcp.Attempt) -> Reason | None:
    return attempt.error.reason if attempt.error else None
