"""Faults of the Connector, the network and Resources, planted one or two at a time, with what is to be concluded."""

from dataclasses import replace

from tests.support.faults import DB, DNS_ROW, Faults
from tests.support.faults_way import ROUTER, router_silent
from tests.support.scenes import Place
from tests.support.sightings import RUNNING
from tests.support.sightings import log as connector_log

LOOPBACK: dict[str, set[str]] = {f"PortFails:127.0.0.{i}:{port}": set() for i in range(1, 5) for port in (80, 443)}
SUBNET = {"SubnetUnreachable:10.1.2.0/24": {f"tcp:10.1.2.{i}:5432" for i in range(1, 4)}}
plant = Faults()


@plant({"ConnectorDown:process": {DNS_ROW, "tcp:10.1.2.3:5432", "host:network"}})
def _connector_down(p: Place) -> None:
    p.connector("not_running")
    p.skip("dns:db.corp.internal", "connector:process")
    p.skip("tcp:10.1.2.3:5432", "connector:process")
    p.see("host:network", "unknown", "not_running")


@plant({"ConnectorRestarting:process": set(), "ConnectorFdsLow:process": set()})
def _restarting(p: Place) -> None:
    p.connector("restarting", "fds_low")


@plant({"TokenGone:process": set()})
def _token_gone(p: Place) -> None:
    p.connector("token_gone")


@plant({"TokenInvalid:process": set()})
def _token_invalid(p: Place) -> None:
    p.connector("token_invalid")


@plant({"ConnectorResolverStuck:process": set()})
def _stuck(p: Place) -> None:
    p.connector("unhealthy", log={"nameservers_down": {"all": "2026-01-02T03:00:00Z"}})


@plant({"ConnectorResolverStuck:process": set()})
def _stuck_by_its_log(p: Place) -> None:
    p.log = connector_log(down=("all",))
    p.connector("unhealthy")


@plant({"ConnectorUnhealthy:process": set()})
def _unhealthy(p: Place) -> None:
    p.connector("unhealthy")


@plant({"ConnectorNetwork:process": {*(f"tcp:10.{i}.2.3:443" for i in range(3)), "tcp:10.9.2.3:443"}})
def own_network(p: Place) -> None:
    """Have targets fail from the Connector's seat alone, and one that was not compared."""
    for last in range(3):
        p.tcp(f"10.{last}.2.3", 443, "timeout", seen_from_host="ok")
    p.tcp("10.9.2.3", 443, "timeout")


@plant({f"PortFails:10.{i}.2.3:443": set() for i in range(2)})
def _own_network_two(p: Place) -> None:
    for last in range(2):
        p.tcp(f"10.{last}.2.3", 443, "refused", seen_from_host="ok")


@plant(SUBNET)
def subnet(p: Place) -> None:
    """Have one of two subnets answer nothing."""
    for last in range(1, 4):
        p.tcp(f"10.1.2.{last}", 5432, "timeout")
    p.tcp("10.1.3.1", 443)


@plant({"SubnetUnreachable:10.1.0.0/16": {f"tcp:10.1.{i}.1:5432" for i in range(3)}})
def _site(p: Place) -> None:
    for third in range(3):
        p.tcp(f"10.1.{third}.1", 5432, "timeout")
    p.tcp("10.2.0.1", 443)


@plant({"PortFails:10.1.2.1:22": set(), **{f"PortFails:10.1.2.{i}:5432": set() for i in range(1, 4)}})
def _subnet_with_refusal(p: Place) -> None:
    subnet(p)
    p.tcp("10.1.2.1", 22, "refused")


@plant({**SUBNET, "PortFails:10.1.3.1:22": set()})
def _subnet_and_port(p: Place) -> None:
    subnet(p)
    p.tcp("10.1.3.1", 22, "refused")


@plant({**ROUTER, "PortFails:192.168.0.10:443": set()})
def _gateway_and_port(p: Place) -> None:
    router_silent(p)
    p.tcp("192.168.0.10", 443, "refused")


@plant({"PortBlocked:3389": {f"tcp:10.1.{i}.1:3389" for i in range(3)}})
def _port_blocked(p: Place) -> None:
    for third in range(3):
        p.tcp(f"10.1.{third}.1", 3389, "timeout")
        p.tcp(f"10.1.{third}.1", 443)


@plant({"ResourceHostDown:192.168.0.20": {"tcp:192.168.0.20:22", "tcp:192.168.0.20:443"}})
def _host_down(p: Place) -> None:
    p.tcp("192.168.0.20", 22, "timeout")
    p.tcp("192.168.0.20", 443, "unreachable")


@plant({"ResourceHostDown:192.168.0.20": {"tcp:192.168.0.20:22", "tcp:192.168.0.20:443"}})
def _host_refusing(p: Place) -> None:
    p.tcp("192.168.0.20", 22, "refused")
    p.tcp("192.168.0.20", 443, "refused")


@plant({"PortFails:192.168.0.20:22": set(), "PortFails:192.168.0.20:443": set()})
def _host_mixed(p: Place) -> None:
    p.tcp("192.168.0.20", 22, "refused")
    p.tcp("192.168.0.20", 443, "timeout")


@plant({"ResourceHostDown:db.corp.internal": {DB, "tcp:db.corp.internal:22"}})
def _named_host_down(p: Place) -> None:
    ips = ("192.168.0.20", "192.168.0.21")
    p.tcp("db.corp.internal", 5432, "timeout", ips=ips)
    p.tcp("db.corp.internal", 22, "timeout", ips=ips)


@plant({"PortFails:192.168.0.20:5432": set()})
def _one_port(p: Place) -> None:
    p.tcp("192.168.0.20", 5432, "refused", severity="critical")


@plant({"ServiceDown:192.168.0.20:443": {"tcp:a.corp.internal:443", "tcp:b.corp.internal:443"}})
def _proxy_down(p: Place) -> None:
    for name in ("a", "b"):
        p.tcp(f"{name}.corp.internal", 443, "refused", ips=("192.168.0.20",))
    p.tcp("192.168.0.20", 22)


@plant({"ResourceHostDown:192.168.0.20": {"tcp:a.corp.internal:443", "tcp:b.corp.internal:443"}})
def _only_port_of_a_host(p: Place) -> None:
    for name in ("a", "b"):
        p.tcp(f"{name}.corp.internal", 443, "timeout", ips=("192.168.0.20",))


@plant({"NameFails:db.corp.internal": {DB}})
def _one_name(p: Place) -> None:
    p.dns("db.corp.internal", "nxdomain", ns_192_168_0_53="nxdomain")
    p.skip("tcp:db.corp.internal:5432", "dns:db.corp.internal")


@plant(LOOPBACK)
def _loopback(p: Place) -> None:
    for last in range(1, 5):
        p.tcp(f"127.0.0.{last}", 80, "timeout")
        p.tcp(f"127.0.0.{last}", 443, "timeout")


@plant({"ClientRangeOverlap:100.97.1.1": set()})
def _overlap(p: Place) -> None:
    p.host(interfaces=({"name": "eth1", "addresses": ("100.97.1.1",)},))


@plant({"PingNotPermitted:1 0": set()})
def _no_ping(p: Place) -> None:
    p.sighting = replace(RUNNING, ping_group_range=(1, 0))


@plant({"ConnectorDown:process": set(), "TokenGone:process": set(), "NameFails:db.corp.internal": set()})
def _connector_down_and_name(p: Place) -> None:
    p.connector("not_running", "token_gone")
    p.dns("db.corp.internal", "nxdomain", ns_192_168_0_53="nxdomain")


@plant({})
def _ignorance(p: Place) -> None:
    p.see("tcp:10.1.2.3:5432", "unknown", "prober_starved")
    p.see("clock:system", "unknown", "no_time_source")
    p.see("connector:process", "skipped", "not_found")
    p.see("resolver:system", "unknown", "permission_denied")
