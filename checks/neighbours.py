"""Which next hops do not answer: the kernel's table of IPv4 neighbours, read without any packet.

Whoever sends through a gateway makes the kernel ask for its hardware address (ARP). While nobody has answered, and for
as long as the kernel keeps that in mind, the entry has no flags (seen on Linux 6.18 for INCOMPLETE and FAILED alike).
No entry says nothing: nobody has sent anything there lately. A gateway that falls silent is known as such only when its
entry has grown old (15 to 45 s by default) and three questions of one second each have stayed without an answer.
IPv6 neighbours are in no table of /proc. Source: arp(7), proc(5), Linux net/ipv4/arp.c.
"""

from collections.abc import Set as AbstractSet

from checks.net.seat import NetReader

TABLE = "arp"
_FIELDS = 6  # IP address, HW type, Flags, HW address, Mask, Device


def dead_next_hops(read_net: NetReader, gateways: AbstractSet[str]) -> frozenset[str]:
    """Return those of the IPv4 `gateways` that were asked for their hardware address and gave none.

    One that answers on another interface is not dead. Raises: OSError.
    """
    return parse_neighbours(read_net(TABLE), gateways) if gateways else frozenset()


def parse_neighbours(text: str, gateways: AbstractSet[str]) -> frozenset[str]:
    """Read /proc/net/arp as `dead_next_hops` does; lines of another shape are left out."""
    silent: set[str] = set()
    heard: set[str] = set()
    for line in text.splitlines()[1:]:
        address = line.partition(" ")[0]
        if address not in gateways:
            continue
        fields = line.split()
        if len(fields) != _FIELDS:
            continue
        try:
            flags = int(fields[2], 16)
        except ValueError:
            continue
        (heard if flags else silent).add(address)
    return frozenset(silent - heard)
