"""Faults on the way to Twingate and to names, planted one or two at a time, each with what is to be concluded."""

from tests.support.faults import CP, DB, DNS_ROW, NS_A, NS_B, RELAY, Faults
from tests.support.scenes import GATEWAY, Place, route

A, B = {"ns_192_168_0_53": "timeout"}, {"ns_192_168_0_54": "timeout"}
REMOTE = (route("0.0.0.0/0", GATEWAY), route("192.168.0.0/24"), route("10.1.0.0/16", "192.168.0.2"))
ROUTER = {"NextHopDown:192.168.0.2": {f"tcp:10.1.{i}.1:5432" for i in range(3)}}
ZONE = {
    "ZoneFailing:corp.internal": {
        *(f"dns:{n}.corp.internal" for n in ("a", "b", "c.deep")), "tcp:a.corp.internal:443",
    }
}  # fmt: skip
plant = Faults()


@plant(
    {
        "HostNetworkDown:network": {"tcp:10.1.2.3:5432", CP, RELAY, "resolver:8.8.8.8", DNS_ROW},
        "PortFails:192.168.0.11:443": set(),
    }
)
def _no_route(p: Place) -> None:
    p.routes = (route("192.168.0.0/24"),)
    p.host("no_route")
    p.tcp("10.1.2.3", 5432, "no_route")
    p.controller(reason="no_route")
    p.relay(reason="no_route")
    p.nameserver("8.8.8.8", "no_route")
    p.dns("db.corp.internal", "timeout", ns_8_8_8_8="timeout")
    p.tcp("192.168.0.11", 443, "refused")


@plant({"HostNetworkDown:network": {"tcp:10.1.2.3:5432", CP}, "PortFails:127.0.0.1:8080": set()})
def _isolated(p: Place) -> None:
    p.routes = ()
    p.host("no_route", loopback_only=True)
    p.skip("tcp:10.1.2.3:5432", "host:network")
    p.controller(reason="no_route")
    p.tcp("127.0.0.1", 8080, "refused")


@plant({"NoIPv4:network": {RELAY}})
def _only_ipv6(p: Place) -> None:
    p.routes = (route("192.168.0.0/24"), route("::/0", "fe80::1"))
    p.host("no_ipv4")
    p.relay(reason="no_route")


@plant(
    {
        f"NextHopDown:{GATEWAY}": {CP, RELAY, "resolver:8.8.8.8", "tcp:10.1.2.3:5432"},
        "PortFails:192.168.0.11:443": set(),
    }
)
def _gateway_dead(p: Place) -> None:
    p.dead = frozenset({GATEWAY})
    p.controller(reason="timeout")
    p.relay(reason="timeout")
    p.nameserver("8.8.8.8", "timeout", status="warning")
    p.tcp("10.1.2.3", 5432, "unreachable")
    p.tcp("192.168.0.11", 443, "timeout")


@plant({f"NextHopDown:{GATEWAY}": {CP, RELAY, "tcp:10.1.2.3:5432"}})
def _gateway_silent(p: Place) -> None:
    p.controller(reason="timeout")
    p.relay(reason="timeout")
    p.tcp("10.1.2.3", 5432, "timeout")


@plant(ROUTER)
def router_silent(p: Place) -> None:
    """Have a router to one network forward nothing."""
    p.routes = REMOTE
    for last in range(3):
        p.tcp(f"10.1.{last}.1", 5432, "timeout")


@plant({"NextHopDown:192.168.0.2": {"resolver:10.1.0.53", "tcp:10.1.7.1:5432"}})
def _router_with_nameserver(p: Place) -> None:
    p.routes = REMOTE
    p.dead = frozenset({"192.168.0.2"})
    p.nameserver("10.1.0.53", "timeout", status="warning")
    p.tcp("10.1.7.1", 5432, "timeout")


@plant({"LocalFirewall:local": {"tcp:10.1.2.3:5432", "tcp:10.7.2.3:443"}})
def _firewall(p: Place) -> None:
    p.tcp("10.1.2.3", 5432, "blocked_locally", severity="critical")
    p.tcp("10.7.2.3", 443, "blocked_locally")


@plant({"ClockSkewed:system": {"connector:process", CP}})
def _skewed(p: Place) -> None:
    p.clock("offset_exceeded", offset=-6.2)
    p.connector("token_invalid")
    p.controller(reason="tls_not_yet_valid", phase="tls")


@plant({"ClockSkewed:system": {CP}})
def _skewed_skipping(p: Place) -> None:
    p.clock("offset_exceeded", offset=90.0)
    p.see("control_plane:acme.twingate.com", "skipped", "dependency_failed")


@plant({"ClockSkewed:system": set(), "TokenInvalid:process": set()})
def _nearly_skewed(p: Place) -> None:
    p.clock("offset_exceeded", offset=2.0, status="warning")
    p.connector("token_invalid")


@plant({"ClockSkewed:system": {"connector:process"}})
def _one_source_skewed(p: Place) -> None:
    p.clock("offset_exceeded", offset=9.0, status="warning")
    p.connector("token_invalid")


@plant({"ClockStepped:system": set()})
def _stepped(p: Place) -> None:
    p.clock("clock_stepped", status="warning")


@plant({f"NameserverDown:{NS_A}": {DNS_ROW, "dns:web.corp.internal", DB, CP, RELAY}})
def _only_nameserver(p: Place) -> None:
    p.nameserver(NS_A, "timeout")
    p.dns("db.corp.internal", "timeout", **A)
    p.dns("web.corp.internal", "timeout", **A)
    p.skip("tcp:db.corp.internal:5432", "dns:db.corp.internal")
    p.controller(reason="timeout", phase="resolve")
    p.relay(reason="timeout", resolves=False)


@plant({f"NameserverDown:{NS_A}": {DB}})
def _names_by_ports(p: Place) -> None:
    p.nameserver(NS_A, "timeout")
    p.tcp("db.corp.internal", 5432, "timeout", failed={}, name_failed="timeout")


@plant({f"NameserverDown:{NS_A}": {DNS_ROW}})
def _one_of_two_nameservers(p: Place) -> None:
    p.nameserver(NS_A, "timeout", status="warning")
    p.nameserver(NS_B)
    p.dns("db.corp.internal", "resolvers_disagree", status="warning", ns_192_168_0_54="address", **A)


@plant({f"NameserverDown:{NS_A}": {DNS_ROW}, f"NameserverDown:{NS_B}": set()})
def _both_nameservers(p: Place) -> None:
    p.nameserver(NS_A, "timeout")
    p.nameserver(NS_B, "refused")
    p.dns("db.corp.internal", "timeout", **A, **B)


@plant({f"NameserverDown:{NS_A}": {DNS_ROW}, "NameFails:typo.corp.internal": {"tcp:typo.corp.internal:443"}})
def _nameserver_and_name(p: Place) -> None:
    p.nameserver(NS_A, "timeout", status="warning")
    p.nameserver(NS_B)
    p.dns("typo.corp.internal", "nxdomain", ns_192_168_0_54="nxdomain", **A)
    p.dns("db.corp.internal", "resolvers_disagree", status="warning", ns_192_168_0_54="address", **A)
    p.skip("tcp:typo.corp.internal:443", "dns:typo.corp.internal")


@plant({f"NameserverFailing:{NS_A}": {DNS_ROW, "dns:web.example.org"}})
def _nameserver_fails(p: Place) -> None:
    p.nameserver(NS_A, "servfail", rcode="SERVFAIL")
    p.dns("db.corp.internal", "servfail", ns_192_168_0_53="servfail")
    p.dns("web.example.org", "servfail", ns_192_168_0_53="servfail")


@plant({"NameFails:db.corp.internal": set()})
def _nameserver_fails_for_one(p: Place) -> None:
    p.nameserver(NS_A, "servfail", rcode="SERVFAIL")
    p.dns("db.corp.internal", "servfail", ns_192_168_0_53="servfail")
    p.dns("web.example.org", ns_192_168_0_53="address")


@plant({f"NameserverDown:{NS_A}": {DNS_ROW}, f"NameserverFailing:{NS_B}": set()})
def _nameserver_down_and_other_failing(p: Place) -> None:
    p.nameserver(NS_A, "timeout", status="warning")
    p.nameserver(NS_B, "query_refused", rcode="REFUSED")
    p.dns("db.corp.internal", "query_refused", **A, ns_192_168_0_54="query_refused")


@plant({f"NameserversDisagree:{NS_A}": set()})
def _disagree(p: Place) -> None:
    p.nameserver(NS_B)
    p.dns("db.corp.internal", "resolvers_disagree", status="warning",
          ns_192_168_0_53="nxdomain", ns_192_168_0_54="address")  # fmt: skip


@plant({f"RebindProtection:{NS_A}": set()})
def _rebind(p: Place) -> None:
    p.dns("db.corp.internal", "rebind_protected", status="warning",
          ns_192_168_0_53="no_address", ns_192_168_0_54="address")  # fmt: skip


@plant(ZONE)
def _zone(p: Place) -> None:
    for name in ("a", "b", "c.deep"):
        p.dns(f"{name}.corp.internal", "nxdomain", ns_192_168_0_53="nxdomain")
    p.skip("tcp:a.corp.internal:443", "dns:a.corp.internal")
    p.dns("www.example.org")


@plant(
    {
        "NameFails:b.corp.internal": set(),
        "NameFails:c.deep.corp.internal": set(),
        "NameFails:a.corp.internal": {"tcp:a.corp.internal:443"},
    }
)
def _zone_partly(p: Place) -> None:
    _zone(p)
    p.dns("works.corp.internal")


@plant({**ZONE, "NameFails:typo.example.org": set()})
def _zone_and_name(p: Place) -> None:
    _zone(p)
    p.dns("typo.example.org", "nxdomain", ns_192_168_0_53="nxdomain")


@plant({"MulticastNames:local": {"dns:printer.local"}})
def _multicast(p: Place) -> None:
    p.dns("printer.local", "nxdomain", ns_192_168_0_53="nxdomain")


@plant({"TLSIntercepted:acme.twingate.com": {RELAY}})
def _intercepted(p: Place) -> None:
    p.controller(reason="tls_intercepted", phase="tls")
    p.relay(reason="tls_intercepted", accepts=True)


@plant({"TLSIntercepted:relays.twingate.com": set()})
def _intercepted_relay(p: Place) -> None:
    p.relay(reason="tls_intercepted", accepts=True)


@plant({"EgressBlocked:acme.twingate.com": {RELAY, "relay:35.1.1.2:30000"}})
def _blocked_egress(p: Place) -> None:
    p.controller(reason="timeout")
    p.relay(reason="timeout")
    p.relay("35.1.1.2:30000", "timeout", ip="35.1.1.2")


@plant({"ControlPlaneUnreachable:acme.twingate.com": set()})
def _controller_down(p: Place) -> None:
    p.controller(reason="timeout")
    p.controller("acme.us1.twingate.com", "tls_failed", phase="tls")


@plant({"ControlPlaneDegraded:acme.twingate.com": set()})
def _controller_partly(p: Place) -> None:
    p.controller("acme.us1.twingate.com", "reset")


@plant({"ControlPlaneUnreachable:acme.twingate.com": set()})
def _controller_unknown_name(p: Place) -> None:
    p.controller(reason="nxdomain", phase="resolve")


@plant({"RelaysUnreachable:relays": {"relay:35.1.1.3:30001"}})
def _relays_down(p: Place) -> None:
    p.relay(reason="timeout")
    p.relay("35.1.1.2:30000", "refused", ip="35.1.1.2")
    p.relay("35.1.1.3:30001", "timeout", ip="35.1.1.3", proven=False)


@plant({"RelaysDegraded:relays": set()})
def _relays_partly(p: Place) -> None:
    p.relay("35.1.1.2:30000", "refused", ip="35.1.1.2")


@plant({"RelaysDegraded:relays": set()})
def _default_relay(p: Place) -> None:
    p.relay(reason="timeout", proven=False)


@plant({"RelaysDegraded:relays": set()})
def _cut_off_relay(p: Place) -> None:
    p.relay(reason="reset", accepts=True)


@plant({"DirectPathImpossible:udp": set()})
def _natted(p: Place) -> None:
    p.see("nat:udp", "warning", "mapping_varies")


@plant({"ClockSkewed:system": set(), f"NameserverDown:{NS_A}": {DNS_ROW, "dns:web.corp.internal", DB, CP, RELAY}})
def _clock_and_nameserver(p: Place) -> None:
    p.clock("offset_exceeded", offset=20.0)
    _only_nameserver(p)
