"""A chain of routers between a host and a target, in namespaces, and faults that are planted in it and taken out again.

    host 10.81.0.1 - r1 - 10.82.0 - r2 - 10.83.0 - r3 - 10.84.0.2 target     (IPv6: 2001:db8:81::1 … 2001:db8:84::2)

Each network has its left end at .1 and its right end at .2.
"""

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.netns import Namespace, namespace
from tests.support.servers import find

TARGET, TARGET6 = "10.84.0.2", "2001:db8:84::2"
R1, R2, R3 = "10.81.0.2", "10.82.0.2", "10.83.0.2"  # as the host sees them
R1_6, R2_6 = "2001:db8:81::2", "2001:db8:82::2"


@dataclass(frozen=True, slots=True)
class Chain:
    """The namespaces from left to right."""

    host: Namespace
    r1: Namespace
    r2: Namespace
    r3: Namespace
    target: Namespace

    @contextlib.contextmanager
    def filtering(self, ns: Namespace, hook: str, *rules: str) -> Iterator[None]:
        """Add firewall rules to a hook (input, output, forward) of a namespace for the block."""
        body = "\n".join(rules)
        ns.nft(f"table inet fault {{ chain c {{ type filter hook {hook} priority 0\n{body}\n}}\n}}\n")
        try:
            yield
        finally:
            ns.run("nft delete table inet fault")

    @contextlib.contextmanager
    def changed(self, ns: Namespace, there: str, back: str) -> Iterator[None]:
        """Run a command for the block, and the one that undoes it at the end."""
        ns.run(there)
        try:
            yield
        finally:
            ns.run(back)


@contextlib.contextmanager
def chain() -> Iterator[Chain]:
    """Make the chain; every router forwards, and the way back is there."""
    with contextlib.ExitStack() as stack:
        spaces = [stack.enter_context(namespace()) for _ in range(5)]
        for number, (left, right) in enumerate(itertools.pairwise(spaces), start=1):
            _join(left, right, number)
        for place, ns in enumerate(spaces):
            commands = []
            for network in range(1, 5):
                if network > place + 1:
                    way, way6 = f"10.8{place + 1}.0.2", f"2001:db8:8{place + 1}::2"
                elif network < place:
                    way, way6 = f"10.8{place}.0.1", f"2001:db8:8{place}::1"
                else:
                    continue
                commands += [f"route add 10.8{network}.0.0/24 via {way}"]
                commands += [f"-6 route add 2001:db8:8{network}::/64 via {way6}"]
            if place < 4:
                commands += [f"route add default via 10.8{place + 1}.0.2"]
            for command in commands:
                ns.run(f"ip {command}")
            if 0 < place < 4:
                ns.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
                ns.run("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")  # tests follow fast
        yield Chain(*spaces)


def _join(left: Namespace, right: Namespace, number: int) -> None:
    ip = find("ip") or "ip"
    pair = [ip, "link", "add", "right", "netns", left.name, "type", "veth", "peer", "left", "netns", right.name]
    subprocess.run(pair, check=True, timeout=20)
    for ns, name, end in ((left, "right", 1), (right, "left", 2)):
        ns.run(f"ip addr add 10.8{number}.0.{end}/24 dev {name}")
        ns.run(f"ip addr add 2001:db8:8{number}::{end}/64 dev {name} nodad")
        ns.run(f"ip link set {name} up")
