"""Causes on this host: its network, its next hops, its own firewall, its clock."""

from checks.model import Reason
from daemon.causes import Domain
from daemon.diagnosis.kind import ANYWHERE, OF_RESOURCES, Kind

KINDS = (
    Kind(
        code="HostNetworkDown",
        domain=Domain.HOST,
        title="This host has no way out",
        text="{seen}. Nothing that lies beyond the local links can be reached "
        "from here, so users of this Connector reach no such Resource, and the Connector loses Controller and Relays.",
        action="Bring the way out back: look at cable or virtual link, DHCP, NetworkManager or netplan, a VPN that "
        "took the default route, and in a container at its network (`docker network inspect`). On a cloud machine also "
        "at the interface's attachment and the subnet's route table.",
        by_hand={ANYWHERE: ("{enter}ip -br addr", "{enter}ip route get 203.0.113.1")},
        severities=("critical",),
        reason=Reason.NO_ROUTE,
        alert="ConnectorHostNetworkDown",
    ),
    Kind(
        code="NoIPv4",
        domain=Domain.HOST,
        title="This host leaves over IPv6 only, and Relays need IPv4",
        text="The kernel has no IPv4 route out of here. The Connector may look online, but every connection of "
        "users to a Resource fails, because Relays are reached over IPv4 only.",
        action="Give this host an IPv4 address with a way to the internet; NAT is fine (AWS: a NAT gateway or an "
        "Elastic IP; Google Cloud: Cloud NAT; Azure: a NAT gateway).",
        by_hand={ANYWHERE: ("{enter}ip -4 route", "{enter}ip -br addr")},
        severities=("critical",),
        reason=Reason.NO_IPV4,
        alert="ConnectorHostNetworkDown",
    ),
    Kind(
        code="NextHopDown",
        domain=Domain.HOST,  # that of the default route; another next hop is of the network
        title="Nothing answers behind the next hop {target}",
        text="{seen} Whatever this host reaches through {target} fails for users of this Connector until it forwards "
        "again.",
        action="See that the router {target} is up and forwards, and that the link to it works: cable, switch port, "
        "VLAN, virtual network. If it was replaced, correct the route.",
        by_hand={ANYWHERE: ("{enter}ip neigh show {target}", "{enter}ping -c 3 {target}")},
        possible=("{target} is up and the line behind it is down: from this host both look the same.",),
        severities=OF_RESOURCES,
        reason=Reason.UNREACHABLE,
        depends_on=("HostNetworkDown",),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="LocalFirewall",
        domain=Domain.HOST,
        title="This host's own firewall or policy blocks connections",
        text="Packets to {seen} never left this host: its kernel refused to send them, or dropped them. Users get "
        '"Unable to connect" there.',
        action="Allow it in the rules of this host (nftables, iptables, firewalld, ufw), in a `prohibit` route, "
        "SELinux or an eBPF policy; for IPv6 also a router may have said 'administratively prohibited'.",
        by_hand={ANYWHERE: ("{enter}nft list ruleset", "{enter}ip rule")},
        severities=OF_RESOURCES,
        reason=Reason.BLOCKED_LOCALLY,
        depends_on=("HostNetworkDown",),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="ClientRangeOverlap",
        domain=Domain.HOST,
        title="{target} lies in 100.96.0.0/12, the range that Twingate Clients use",
        text="{seen}. Clients give Resources addresses of 100.96.0.0/12, so traffic to a host or nameserver of this "
        "range may go astray: odd routing on machines that run a Client.",
        action="Renumber that network, or if a Twingate Client runs on this host, remove it: a Connector host needs "
        "none.",
        by_hand={ANYWHERE: ("{enter}ip -br addr", "{enter}ip route show")},
        severities=("info",),
        reason=Reason.DEFINITION_OVERLAP,
    ),
    Kind(
        code="ClockSkewed",
        domain=Domain.CLOCK,
        title="This host's clock is {seen}",
        text="Measured against its time sources: {observed}. The Controller tolerates 5 s. Beyond that it refuses the "
        "Connector's tokens: it goes offline and online by turns and logs `Invalid token`.",
        action="Run chrony on the host itself (a container has its host's clock, a virtual machine may follow its "
        "hypervisor's), see why it does not correct the clock (UDP 123 blocked, wrong servers), then set it once.",
        by_hand={ANYWHERE: ("chronyc tracking", "chronyc makestep", "timedatectl timesync-status")},
        severities=("critical", "warning"),
        reason=Reason.OFFSET_EXCEEDED,
        alert="ConnectorClockSkew",
    ),
    Kind(
        code="ClockStepped",
        domain=Domain.CLOCK,
        title="Somebody set this host's clock",
        text="{observed}. A step of a second or more can cut sessions and invalidate tokens for a moment; it is shown "
        "until the clock is looked at again.",
        action="If nobody meant to, find out who sets the clock: two time services at once, a hypervisor, a resumed "
        "virtual machine.",
        by_hand={ANYWHERE: ("journalctl -u chrony -u chronyd -u systemd-timesyncd -n 50", "timedatectl")},
        severities=("warning",),
        reason=Reason.CLOCK_STEPPED,
    ),
)
