"""The chart's NetworkPolicy lets out what the daemon asks, and little else: compared with the daemon's own plan."""

import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from checks.clock import ClockSpec
from checks.control_plane import ControlPlaneSpec
from checks.nat import NatSpec
from checks.net.endpoint import Endpoint, is_address
from checks.net.url import parse_url
from checks.provider import ProviderSpec
from checks.relay import RelaySpec
from checks.tcp_spec import TcpSpec
from daemon.config.load import load_config
from daemon.config.schema import Config
from daemon.targets import enabled_checks, make_plan
from tests.support.chart import of_kind, only, rendered, rendered_case, write_config

CASES = ("network-policy-values.yaml", "network-policy-system-values.yaml", "remote-networks-values.yaml",
         "daemonset-pod-network-values.yaml")  # fmt: skip
ANYWHERE = "203.0.113.7"  # stands for the address of a name


class Way(NamedTuple):
    """A way out that the daemon needs."""

    protocol: str
    host: str
    port: int


def _ways(config: Config) -> Iterator[Way]:
    """Yield every way out, from the jobs that the daemon would run and from where it pushes."""
    for job in make_plan(config, enabled_checks(config), half_open=True).jobs:
        spec = job.spec
        if isinstance(spec, TcpSpec):
            yield Way("TCP", spec.address, spec.port)
        elif isinstance(spec, ControlPlaneSpec):
            yield _asked(spec.url)
        elif isinstance(spec, ProviderSpec):
            yield _asked(spec.status_url)
        elif isinstance(spec, RelaySpec):
            yield _to("TCP", spec.endpoint)
        elif isinstance(spec, NatSpec):
            yield from (_to("UDP", server) for server in spec.servers)
        elif isinstance(spec, ClockSpec):
            yield from (_to("UDP", server) for server in spec.servers or ())
    if not isinstance(config.dns.nameservers, str):
        for nameserver in config.dns.nameservers:
            yield from (_to(protocol, nameserver) for protocol in ("UDP", "TCP"))
    for alertmanager in config.alerting.alertmanagers:
        yield _asked(alertmanager.url)


def _to(protocol: str, endpoint: Endpoint) -> Way:
    return Way(protocol, endpoint.host, endpoint.port)


def _asked(url: str) -> Way:
    return _to("TCP", parse_url(url).endpoint)


def _lets_out(rule: dict[str, Any], way: Way) -> bool:
    """Tell whether a rule of egress lets a packet out, as Kubernetes reads it."""
    host = ipaddress.ip_address(way.host if is_address(way.host) else ANYWHERE)
    return any(_of_port(port, way) for port in rule["ports"]) and (
        "to" not in rule or any(_of_block(peer.get("ipBlock"), host) for peer in rule["to"])
    )


def _of_port(port: dict[str, Any], way: Way) -> bool:
    ports = range(port["port"], port.get("endPort", port["port"]) + 1)
    return port["protocol"] == way.protocol and way.port in ports


def _of_block(block: dict[str, Any] | None, host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if block is None:
        return False
    excepted = any(host in ipaddress.ip_network(network) for network in block.get("except", []))
    return host in ipaddress.ip_network(block["cidr"]) and not excepted


def _policies(texts: dict[str, str], folder: Path) -> Iterable[tuple[Config, list[dict[str, Any]]]]:
    configs = [load_config(path).config for path in write_config(texts, folder)]
    return zip(configs, (one["spec"]["egress"] for one in of_kind(texts, "NetworkPolicy")), strict=True)


@pytest.mark.parametrize("case", CASES)
def test_whatever_the_daemon_asks_may_leave(case: str, tmp_path: Path) -> None:
    """Each target of the daemon's own plan, each nameserver and each Alertmanager is let out by some rule."""
    for config, egress in _policies(rendered_case(case), tmp_path):
        ways = set(_ways(config))
        assert ways
        kept_in = {way for way in ways if not any(_lets_out(rule, way) for rule in egress)}
        assert kept_in == set()


def test_what_is_known_by_address_may_leave_to_that_address_alone(tmp_path: Path) -> None:
    """No port of a Resource with a literal address is open to any other address, and none is open without need."""
    ((config, egress),) = _policies(rendered_case("network-policy-values.yaml"), tmp_path)
    ways = set(_ways(config))
    for closed in (
        Way("TCP", "10.1.2.9", 9000),  # beside Billing
        Way("TCP", "10.2.0.7", 3389),  # in a network, but no sample of it
        Way("TCP", "10.1.2.6", 7778),  # probe: never
        Way("TCP", "named.corp.internal", 7777),  # probe: dns
        Way("UDP", "10.1.2.7", 53),  # UDP is never probed
        Way("TCP", "orders-db.corp.internal", 8011),  # behind the range
        Way("TCP", "169.254.169.254", 443),  # cloud metadata
        Way("UDP", "10.0.0.9", 53),  # another nameserver
    ):
        assert closed not in ways
        assert not any(_lets_out(rule, closed) for rule in egress), closed
    assert any(_lets_out(rule, Way("TCP", "10.9.0.1", 8125)) for rule in egress), "extraEgress"


def test_each_remote_network_has_its_own_policy() -> None:
    """What one Remote Network's daemon may reach, another's may not."""
    policies = of_kind(rendered_case("remote-networks-values.yaml"), "NetworkPolicy")
    printer = Way("TCP", "10.20.0.9", 9100)
    found = {
        one["metadata"]["name"]: any(_lets_out(rule, printer) for rule in one["spec"]["egress"]) for one in policies
    }
    assert found == {"health-connector-health-office": False, "health-connector-health-warehouse": True}


def test_nameservers_of_the_cluster_may_be_asked_at_their_ports() -> None:
    """With the system's nameservers DNS is let out to the chosen peers, UDP and TCP, at each of the chosen ports."""
    egress = only(rendered_case("network-policy-system-values.yaml"), "NetworkPolicy")["spec"]["egress"]
    (dns,) = (rule for rule in egress if any("namespaceSelector" in peer for peer in rule["to"]))
    ports = {(port["protocol"], port["port"]) for port in dns["ports"]}
    assert ports == {("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353)}


def test_an_empty_list_opens_nothing_for_it() -> None:
    """No nameserver, no Relay, no status page: then nothing is let out but the Controller's port."""
    config = {
        "connector": {"network": "acme"}, "dns": {"nameservers": []}, "relays": {"endpoints": []},
        "provider": {"enabled": "never"}, "clock": {"servers": []}, "control_plane": {"urls": ["https://[2001:db8::1]:8443"]},
    }  # fmt: skip
    policy = only(rendered({"config": config, "networkPolicy": {"enabled": True}}), "NetworkPolicy")
    assert policy["spec"]["egress"] == [
        {"ports": [{"protocol": "TCP", "port": 8443}], "to": [{"ipBlock": {"cidr": "2001:db8::1/128"}}]}
    ]


def test_a_port_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    """Zeros in front of a port, or none behind the colon of a URL: let out is what the daemon asks."""
    config = {
        "connector": {"network": "acme"}, "dns": {"nameservers": ["10.0.0.1:0053"]},
        "relays": {"endpoints": ["[2001:DB8::1]:0444"], "stun": ["10.0.0.2:03478"]},
        "control_plane": {"urls": ["https://10.0.0.3:/", "HTTPS://[2001:DB8::3]:/"]},
        "resources": [{"name": "DB", "address": "10.0.0.4", "tcp": ["0444", "00022-0023", "1000"]}],
    }  # fmt: skip
    ((read, egress),) = _policies(rendered({"config": config, "networkPolicy": {"enabled": True}}), tmp_path)
    assert {way for way in _ways(read) if not any(_lets_out(rule, way) for rule in egress)} == set()


def test_metrics_are_open_to_whom_they_are_given() -> None:
    """Ingress is the port of the metrics: from the peers named, and from the pod of `helm test`."""
    (rule,) = only(rendered_case("network-policy-values.yaml"), "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "health-metrics"}]
    namespaces, tester = rule["from"]
    assert namespaces["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    pod = only(rendered_case("network-policy-values.yaml"), "Pod")
    assert tester["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
