"""Reasons of connections: what happened between this host and an address."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain.page import Page
from daemon.explain.platforms import FIREWALL, ROUTES, WAY_OUT

BY_HAND = "nc -vz -w 5 ADDRESS PORT   # connects: never to a port that has `half_open` in probing.ports (3306)"

PAGES: Mapping[Reason, Page] = {
    Reason.TIMEOUT: Page(
        meaning="Nothing came back within the time-out: no acceptance, no refusal, no error message from a router.",
        impact="A user waits and then fails: `unable to connect` for a port, `DNS lookup error` for a name. For a "
        "Relay or the control plane the Connector can't use it.",
        commands=(
            "healthctl trace RESOURCE",
            BY_HAND,
            "ip route get ADDRESS",
            "traceroute -T -p PORT ADDRESS   # the last router that answers stands before the one that drops",
        ),
        fix="Silence is what a firewall or security group that drops packets looks like, also on the way back. Check, "
        "in this order: the security group or firewall in front of the target, the route from this host, whether the "
        "target is switched on.",
        fixes=FIREWALL,
    ),
    Reason.REFUSED: Page(
        meaning="The target host answered at once that nothing listens on this port (a TCP reset), or a firewall said "
        "so in its name.",
        impact="Users of the Resource fail at once: `unable to connect`.",
        commands=(BY_HAND, "ss -ltnp 'sport = :PORT'   # on the target"),
        fix="The network path works. Start the service, or correct the port in the Resource. If the service runs, "
        "it may listen on another address (127.0.0.1 only), or a firewall rejects instead of dropping.",
        fixes={
            "Docker": "A service in a container must publish its port, and not on 127.0.0.1 alone: "
            "`docker port CONTAINER`, on the target.",
            "systemd": "`systemctl status SERVICE` and `systemctl restart SERVICE`, on the target.",
            "Kubernetes": "A Service without ready pods refuses: `kubectl get endpoints SERVICE -n NAMESPACE`.",
        },
    ),
    Reason.UNREACHABLE: Page(
        meaning="A router, or this host after asking for the target's hardware address in vain, reported that the "
        "host can't be reached (EHOSTUNREACH).",
        impact="Users of the Resource fail: `unable to connect`.",
        commands=(
            "ip neighbour show ADDRESS   # FAILED: nobody on this subnet has the address",
            "ip route get ADDRESS",
            "traceroute -T -p PORT ADDRESS   # !H or !X: this router says so",
        ),
        fix="On the same subnet: the target is off or has another address. Elsewhere: a router on the way has no "
        "route to it, or a firewall answers with ICMP. The traceroute shows who says so.",
        fixes=ROUTES,
    ),
    Reason.RESET: Page(
        meaning="The connection was accepted and then cut with a TCP reset before TLS or HTTP was done.",
        impact="The Connector can't use this endpoint of the control plane, or this Relay.",
        commands=("openssl s_client -connect HOST:443 -servername HOST </dev/null",),
        fix="A middlebox that inspects traffic often cuts connections so, when it sees a server name that it does "
        "not like. Exempt *.twingate.com from inspection.",
    ),
    Reason.NO_ROUTE: Page(
        meaning="This host's routing table has no way to the address (ENETUNREACH): nothing was sent.",
        impact="Users of the Resource fail: `unable to connect`.",
        commands=("ip route get ADDRESS", "ip -brief address", "ip route"),
        fix="Add the route, or bring up the interface or VPN that should carry it.",
        fixes=ROUTES,
    ),
    Reason.BLOCKED_LOCALLY: Page(
        meaning="This host's own kernel forbade the connection (EPERM or EACCES): a firewall rule on this host, a "
        "`prohibit` route or a security module.",
        impact="Users of the Resource fail if the Connector is under the same rule: `unable to connect`.",
        commands=("nft list ruleset", "iptables -L OUTPUT -v -n", "ip route get ADDRESS   # says prohibit, if it is"),
        fix="Look at the outbound rules of this host. A rule may also match only the account that asks: compare "
        "with the account the Connector runs as.",
        fixes={
            "Docker": "The rules of the container's network count: `nsenter -t PID -n nft list ruleset`.",
            "systemd": "A unit can be fenced in by itself: "
            "`systemctl show twingate-connector -p IPAddressDeny -p IPAddressAllow -p RestrictAddressFamilies`.",
        },
    ),
    Reason.ADDRESS_FAMILY_UNAVAILABLE: Page(
        meaning="The target has only IPv6 addresses, and this host has no usable IPv6; or a name has no IPv4 address.",
        impact="Users of the Resource may fail: whether the Connector uses IPv6 for Resources is not documented.",
        commands=("dig A NAME", "dig AAAA NAME", "ip -6 -brief address"),
        fix="Give the name an A record, or this host IPv6.",
    ),
    Reason.HTTP_STATUS: Page(
        meaning="The server was reached, TLS was fine, and it answered with an HTTP error of its own (5xx).",
        impact="The Connector may fail to refresh its session with the Controller while this lasts.",
        commands=(
            "healthctl check --only control_plane,provider",
            "curl -sv https://NETWORK.twingate.com/ -o /dev/null",
        ),
        fix="The network here is fine. Look at Twingate's status page; if it shows nothing, something in between "
        "(a proxy or gateway) may answer in the Controller's place.",
    ),
    Reason.UDP_BLOCKED: Page(
        meaning="At least two STUN servers stayed silent while TCP works: outbound UDP, or the answers to it, are "
        "dropped.",
        impact="Everything still works, but slower: connections between users and this Connector go through a Relay.",
        commands=("nft list ruleset", "turnutils_stunclient STUN_HOST"),
        fix="Allow outbound UDP to any port of any public address, with the replies. Direct connections need it.",
        fixes=FIREWALL,
    ),
    Reason.MAPPING_VARIES: Page(
        meaning="The NAT in front of this host gives a different public port for each destination (its mapping is not "
        "endpoint-independent), so nobody can be told where to reach us.",
        impact="Everything still works, but slower: most connections go through a Relay.",
        commands=("turnutils_stunclient STUN_HOST   # twice, with two servers: compare the ports",),
        fix="Set the NAT to keep one mapping for one source: Consistent NAT (SonicWall), Persistent NAT (Palo "
        "Alto), static port (OPNsense).",
        fixes={
            "AWS": "A NAT Gateway can't do it: give this host a public address and an internet gateway, or use a NAT "
            "instance (fck-nat).",
        },
    ),
    Reason.NO_IPV4: Page(
        meaning="This host has no IPv4 address with a route outwards.",
        impact="Relays are reached over IPv4 only: every connection of every user fails, while the Connector may "
        "look online.",
        commands=("ip -4 -brief address", "ip -4 route", "ip route get 203.0.113.1   # asks the kernel, sends nothing"),
        fix="Give this host an IPv4 address with a way out (NAT is enough).",
        fixes=WAY_OUT,
    ),
}
