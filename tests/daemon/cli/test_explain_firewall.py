"""`healthctl explain firewall`: the ways out are those of the configuration, and nft takes what is printed for it."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checks.net.endpoint import Endpoint
from daemon.config.load import parse_config
from daemon.explain import firewall_nft, firewall_text
from daemon.explain.firewall import document, notes_on, ways_in, ways_out
from daemon.explain.firewall_model import Local, Way
from tests.support.cli import healthctl
from tests.support.servers import find, require

OFFICE = """
connector: {name: office-1, network: acme, runtime: none}
clock: {servers: [ntp.example.com, "10.0.0.1:1123"], controller_date: false}
relays: {stun: ["stun.example.com:3479"]}
dns: {nameservers: ["10.0.0.53", "fd00::53", "127.0.0.53"], search: []}
alerting: {alertmanagers: ["http://am-1.example.com:9093"]}
web: {listen: ["127.0.0.1:19440", "10.0.0.5:19440"]}
resources:
  - {name: Orders DB, address: orders-db.corp.internal, tcp: [5432]}
  - {name: Ranges, address: ranges.corp.internal, tcp: ["8000-8040", 80]}
  - {name: MySQL, address: 10.1.1.1, tcp: [3306], udp: [53]}
  - {name: Printers, address: 10.20.0.0/16, tcp: [631], samples: [10.20.1.1]}
  - {name: Wide, address: "*.corp.internal", udp: null}
  - {name: Off, address: off.corp.internal, tcp: [1], probe: never}
  - {name: None, address: none.corp.internal, tcp: []}
  - {name: V6, address: "fd00::7", tcp: [443]}
"""
LOCAL = Local(nameservers=(Endpoint("10.0.0.54", 53),), time_servers=(Endpoint("ntp.lan", 123),), time_daemon="chrony")
OURS = re.compile(r"(add|flush) (table|chain|set|rule) inet connector_health\b.*|#.*|")
HOSTILE = '"; } flush ruleset; \n add table inet planted #\x1b[31m'


def _ways(text: str, local: Local = LOCAL) -> list[Way]:
    return ways_out(parse_config(text.encode(), "test.yaml").config, local)


def _short(ways: Sequence[Way], who: str) -> set[tuple[str, str, str]]:
    return {(w.protocol, w.to, ",".join(map(str, w.ports))) for w in ways if w.who == who}


def _checked(rules: str) -> None:
    """Have the real nft check rules, in a network namespace of its own."""
    require("root", "nft", "unshare")
    argv = [find("unshare") or "unshare", "--net", find("nft") or "nft", "-c", "-f", "-"]
    done = subprocess.run(argv, input=rules, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_daemon_needs_what_it_probes() -> None:
    """Every way of the daemon's is one of its jobs, or whom alerts go to: nothing that is never probed."""
    assert _short(_ways(OFFICE), "daemon") == {
        ("udp", "10.0.0.53", "53"), ("tcp", "10.0.0.53", "53"), ("udp", "fd00::53", "53"),
        ("tcp", "fd00::53", "53"), ("udp", "127.0.0.53", "53"), ("tcp", "127.0.0.53", "53"),
        ("udp", "ntp.example.com", "123"), ("udp", "10.0.0.1", "1123"), ("udp", "stun.example.com", "3479"),
        ("tcp", "acme.twingate.com", "443"), ("tcp", "acme.*.twingate.com", "443"),
        ("tcp", "relays.twingate.com", "443"),
        ("tcp", "status.twingate.com", "443"), ("tcp", "am-1.example.com", "9093"),
        ("tcp", "orders-db.corp.internal", "5432"), ("tcp", "ranges.corp.internal", "80,8000-8014"),
        ("tcp", "10.1.1.1", "3306"), ("tcp", "10.20.1.1", "631"), ("tcp", "fd00::7", "443"),
    }  # fmt: skip


def test_the_connector_needs_what_users_may_reach() -> None:
    """All ports of each Resource, UDP and those that nobody probes too, and what Twingate publishes."""
    assert _short(_ways(OFFICE), "connector") >= {
        ("tcp", "*.twingate.com", "443"), ("tcp", "", "443,30000-31000"), ("udp", "", ""),
        ("tcp", "ranges.corp.internal", "80,8000-8040"), ("tcp", "10.20.0.0/16", "631"), ("udp", "10.1.1.1", "53"),
        ("tcp", "*.corp.internal", ""), ("udp", "*.corp.internal", ""), ("tcp", "off.corp.internal", "1"),
    }  # fmt: skip
    assert not [way for way in _ways(OFFICE) if way.to == "none.corp.internal"]


def test_checks_that_are_off_need_no_way() -> None:
    """A check that is switched off, a Relay list that is empty and a page never asked for leave no line."""
    text = OFFICE + "checks: {clock: false, nat: false, control_plane: false}\nprovider: {enabled: never}\n"
    left = {to for _, to, _ in _short(_ways(text), "daemon")}
    assert left.isdisjoint({"ntp.example.com", "stun.example.com", "acme.twingate.com", "status.twingate.com"})
    assert "relays.twingate.com" in left


def test_a_port_that_may_not_be_probed_needs_no_way() -> None:
    """MySQL's port is never connected to: with `method: connect` the daemon goes nowhere near it, users still do."""
    ways = _ways(OFFICE + "probing: {method: connect}\n")
    assert ("tcp", "10.1.1.1", "3306") not in _short(ways, "daemon")
    assert ("tcp", "10.1.1.1", "3306") in _short(ways, "connector")


def test_what_the_system_uses_is_read_from_this_host() -> None:
    """`system` means the nameservers and time servers of this host, named with the daemon that uses them."""
    ways = _ways("connector: {network: acme, runtime: none}\n")
    assert {("udp", "10.0.0.54", "53"), ("udp", "ntp.lan", "123")} <= _short(ways, "daemon")
    (time,) = (way for way in ways if way.to == "ntp.lan")
    assert "chrony" in time.why


def test_what_only_the_operator_knows_is_said(tmp_path: Path) -> None:
    """Learned Relays, Docker over TCP and the Connector's metrics are listed; of the heartbeat's URL nothing is."""
    secret = tmp_path / "heartbeat"
    secret.write_text("https://ping.example.com/planted-secret")
    text = (
        "connector: {network: acme, runtime: docker, docker_host: 'tcp://10.5.5.5:2376',"
        " metrics_url: 'http://10.6.6.6:9999/metrics'}\n"
        f"alerting: {{mode: shadow, alertmanagers: ['https://am.example.com'], heartbeat_url_file: {secret}}}\n"
    )
    ways = _ways(text)
    found = _short(ways, "daemon")
    assert {("tcp", "10.5.5.5", "2376"), ("tcp", "10.6.6.6", "9999"), ("tcp", "am.example.com", "443")} <= found
    assert {("tcp", "Relays in use", "443,30000-31000"), ("tcp", "heartbeat", "443")} <= found
    config = parse_config(text.encode(), "test.yaml").config
    for shown in (document(config, "f", LOCAL, ways), firewall_nft.render("f", ways)):
        assert "planted" not in shown
        assert "ping.example.com" not in shown


@pytest.mark.parametrize("resolve", [False, True])
def test_nft_takes_the_rules(resolve: bool) -> None:
    """With names unresolved (sets to fill) and resolved, of both families, even where a name has no address at all."""
    addresses = {"orders-db.corp.internal": ("10.1.2.3", "10.1.2.4"), "acme.twingate.com": ("2001:db8::5",)}
    ways = _ways(OFFICE)
    if resolve:
        ways = [replace(way, addresses=addresses.get(way.to, ())) if way.kind == "name" else way for way in ways]
    rules = firewall_nft.render("/etc/connector-health/config.yaml", ways)
    _checked(rules)
    _checked(rules + rules)
    assert ("{ 10.1.2.3, 10.1.2.4 }" in rules) is resolve
    assert "ip6 daddr fd00::53 udp dport 53" in rules
    assert "127.0.0.53" not in "".join(line for line in rules.splitlines() if line.startswith("add"))


def test_the_interface_of_a_link_local_nameserver_is_left_out() -> None:
    """resolv.conf may name `fe80::53%eth0`; to nft the interface is no part of an address."""
    rules = firewall_nft.render("f", _ways("", Local(nameservers=(Endpoint("fe80::53%eth0", 53),))))
    assert "ip6 daddr fe80::53 udp dport 53" in rules
    _checked(rules)


def test_an_ipv4_address_in_ipv6_clothes_is_let_out_as_ipv4() -> None:
    """To `::ffff:10.0.0.9` the kernel sends IPv4: a rule for IPv6 would never match."""
    rules = firewall_nft.render("f", _ways("resources: [{name: A, address: '::ffff:10.0.0.9', tcp: [80]}]\n"))
    assert "daemon_out ip daddr 10.0.0.9 tcp dport 80 " in rules
    _checked(rules)


def test_a_hostile_name_of_a_resource_stays_a_comment() -> None:
    """A Resource's name comes from people: no quote, brace or line break of it reaches nft or the terminal."""
    config = parse_config(OFFICE.encode(), "test.yaml").config
    (way, *_) = ways_out(config, LOCAL)
    planted = Way(who="daemon", protocol="tcp", kind="name", to=HOSTILE, why=HOSTILE, ports=way.ports)
    rules = firewall_nft.render(HOSTILE, [planted])
    assert [line for line in rules.splitlines() if not OURS.fullmatch(line)] == []
    assert '"; }' not in rules
    _checked(rules)
    assert "\x1b" not in firewall_text.render(HOSTILE, [planted], (), ())


def test_names_that_look_alike_have_sets_of_their_own() -> None:
    """`a-b.test` and `a.b.test` are two sets: one must not open the way to the other."""
    rules = firewall_nft.render(
        "f", _ways("resources: [{name: A, address: a-b.test, tcp: [1]}, {name: B, address: a.b.test, tcp: [2]}]\n")
    )
    assert "@to_a_b_test_4 tcp dport 1 " in rules
    assert "@to_a_b_test_n1_4 tcp dport 2 " in rules
    _checked(rules)


def test_a_resource_called_like_something_unlisted_keeps_its_addresses(tmp_path: Path) -> None:
    """A Resource at the name `heartbeat` and the heartbeat itself are two sets: neither opens the way to the other."""
    secret = tmp_path / "heartbeat"
    secret.write_text("https://ping.example.com/x")
    ways = _ways(
        f"alerting: {{heartbeat_url_file: {secret}}}\nresources: [{{name: A, address: heartbeat, tcp: [80]}}]\n"
    )
    rules = firewall_nft.render("f", [replace(w, addresses=("10.0.0.1",)) if w.kind == "name" else w for w in ways])
    assert "add element inet connector_health to_heartbeat_4 { 10.0.0.1 }" in rules
    assert "@to_heartbeat_n1_4 tcp dport 443 " in rules
    _checked(rules)


def test_the_page_tells_what_is_not_known() -> None:
    """The page has both parties, what must be let in, the unknowns, and the stub resolver's own way out."""
    config = parse_config(OFFICE.encode(), "test.yaml").config
    ways = ways_out(config, LOCAL)
    page = firewall_text.render("office.yaml", ways, ways_in(config), notes_on(ways))
    for words in ("The Connector must be let out to", "10.0.0.5:19440", "UNKNOWN: ", "127.0.0.53 is a nameserver"):
        assert words in page
    assert max(map(len, page.splitlines())) <= 140


def test_the_command(tmp_path: Path) -> None:
    """It prints each format, refuses a file with mistakes and an option without its word, and asks nobody."""
    file = tmp_path / "config.yaml"
    file.write_text(OFFICE)
    assert healthctl("explain", "firewall", "--config", str(file)).stdout.startswith(f"Ways out, by {file}")
    found: dict[str, Any] = json.loads(healthctl("explain", "firewall", "--config", str(file), "-o", "json").stdout)
    orders = [way for way in found["ways_out"] if way["to"] == "orders-db.corp.internal" and way["who"] == "daemon"]
    assert orders == [{
        "who": "daemon", "protocol": "tcp", "ports": ["5432"], "kind": "name", "to": "orders-db.corp.internal",
        "addresses": None, "required": True, "why": "Resource Orders DB", "rows": ["tcp:orders-db.corp.internal:5432"],
    }]  # fmt: skip
    file.write_text("resources: [{}]\n")
    assert healthctl("explain", "firewall", "--config", str(file)).returncode == 3
    refused = healthctl("explain", "refused", "--resolve")
    assert (refused.returncode, "belongs to" in refused.stderr) == (3, True)
    together = healthctl("explain", "firewall", "refused")
    assert (together.returncode, "stands alone" in together.stderr) == (3, True)
