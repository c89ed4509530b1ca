"""Every cause as data: complete, carried by an alert that exists, and written for a person at night."""

import string
from dataclasses import replace

import pytest

from checks.model import Reason
from daemon.advice import split_action
from daemon.causes import Cause, Domain
from daemon.diagnosis.catalogue import KINDS
from daemon.diagnosis.kind import Kind
from daemon.diagnosis.wording import runbook
from daemon.explain.alerts import ALERTS
from tests.support import faults_resources, faults_way
from tests.support.faults import planted
from tests.support.scenes import Place
from tests.support.sightings import RUNNING, stopped

GUIDE = {
    "clock beyond 5 s": "ClockSkewed",
    "ports blocked": "EgressBlocked",
    "IPv6 only": "NoIPv4",
    "TLS inspection": "TLSIntercepted",
    "tokens deleted": "TokenGone",
    "file descriptors": "ConnectorFdsLow",
    "DNS lookup error": "NameFails",
    "unable to connect": "PortFails",
    "inconsistent nameservers": "NameserversDisagree",
    "rebind protection": "RebindProtection",
    "CGNAT overlap": "ClientRangeOverlap",
    ".local names": "MulticastNames",
    "P2P impossible": "DirectPathImpossible",
    "ICMP": "PingNotPermitted",
    "resolver glitch": "ConnectorResolverStuck",
}
"""What the provider's documentation lists as failure modes, as far as a host can see them."""
POSSIBLE = {
    "same pair of tokens": "TokenGone",
    "minimum": "ConnectorRestarting",
    "country": "RelaysUnreachable",
    "Netgear": "EgressBlocked",
    "image could not be pulled": "ConnectorDown",
}
"""What can't be told apart on a host, and the cause that says so."""
FAULTS = {**faults_way.plant.planted, **faults_resources.plant.planted}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def causes_of(*names: str) -> dict[str, Cause]:
    """Return the causes of planted faults, by code."""
    return {cause.code: cause for name in names for cause in planted(FAULTS[name][0]).diagnosis().causes}


@each_kind
def test_every_kind_says_what_it_is_what_it_means_and_what_to_do(kind: Kind) -> None:
    """A cause has a title of one line, a text, a fix, and either commands or the advice of its row."""
    assert kind.title
    assert "\n" not in kind.title
    assert len(kind.text) > 20
    assert kind.action
    assert kind.by_hand or "{advice}" in kind.action
    assert "user" in (kind.text + kind.action).lower() or kind.code in (
        "ClockSkewed",
        "ClockStepped",
        "ClientRangeOverlap",
    )
    assert not any(line in kind.title for line in kind.possible)


@each_kind
def test_templates_can_be_read(kind: Kind) -> None:
    """No template has a brace too many: a diagnosis must not fail over its wording."""
    commands = [command for listed in kind.by_hand.values() for command in listed]
    for template in (kind.title, kind.text, kind.action, *kind.possible, *commands):
        assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(template))


@each_kind
def test_what_explains_a_kind_is_a_kind(kind: Kind) -> None:
    """`depends_on` names codes that exist, never itself, and never in a circle."""
    assert set(kind.depends_on) <= KINDS.keys() - {kind.code}
    assert not any(kind.code in KINDS[code].depends_on for code in kind.depends_on)


@each_kind
def test_the_alert_exists_and_has_a_tier_for_each_severity(kind: Kind) -> None:
    """An alert that carries a cause knows its severity, or leaves it to the Resource."""
    if kind.alert is None:
        assert kind.reason in Reason
        return
    tiers = {tier.severity for tier in ALERTS[kind.alert].tiers}
    assert "resource" in tiers or set(kind.severities) <= tiers


@pytest.mark.parametrize(("fault", "_expected"), FAULTS.values(), ids=FAULTS)
def test_a_cause_has_a_severity_of_its_kind_and_of_its_alert(fault: object, _expected: object) -> None:
    """Whatever fails, the severity of a cause is one that its kind may have and its alert has a tier for."""
    assert callable(fault)
    for cause in planted(fault).diagnosis().causes:
        assert cause.severity in KINDS[cause.code].severities
        if cause.alert is not None:
            tiers = {tier.severity for tier in ALERTS[cause.alert].tiers}
            assert cause.severity in tiers or "resource" in tiers


def test_every_failure_mode_of_the_guide_has_its_cause() -> None:
    """What the guide describes and a host can see has a cause, or is a possible line of one, and never a title."""
    assert set(GUIDE.values()) <= KINDS.keys()
    for words, code in POSSIBLE.items():
        assert any(words in line for line in KINDS[code].possible), words
        assert not any(words in kind.title for kind in KINDS.values())


@pytest.mark.parametrize(
    ("base", "alert", "expected"),
    [
        ("docs/runbooks", "ConnectorDown", "docs/runbooks/ConnectorDown.md"),
        ("https://wiki.example.com/runbooks/", "ConnectorDown", "https://wiki.example.com/runbooks/ConnectorDown.md"),
        ("docs/runbooks", None, "docs/reasons.md#not_running"),
        ("runbooks", None, "reasons.md#not_running"),
    ],
)
def test_a_runbook_stands_where_the_operator_keeps_them(base: str, alert: str | None, expected: str) -> None:
    """A cause with an alert leads to that alert's page, any other to the page of its reason beside them."""
    assert runbook(KINDS["ConnectorDown"], alert, base) == expected


def test_commands_are_those_of_the_platform() -> None:
    """Where the Connector runs decides which commands are shown, and its name is in them."""

    def commands(place: Place) -> tuple[str, ...]:
        (cause,) = place.diagnosis().causes
        return split_action(cause.action).commands

    place = Place()
    place.connector("restarting")
    place.sighting = RUNNING
    assert commands(place) == ("docker inspect twingate-1", "docker logs --tail 50 twingate-1")
    place.sighting = replace(RUNNING, runtime="systemd", name="twingate-connector.service")
    assert commands(place)[0] == "systemctl status twingate-connector.service"
    place.sighting = replace(RUNNING, engine="tcp://127.0.0.1:2375")
    assert commands(place)[0].startswith("docker --host tcp://127.0.0.1:2375 inspect")
    place = Place()
    place.connector("not_running")
    place.sighting = stopped("paused")
    assert "docker unpause twingate-1" in commands(place)


def test_commands_begin_where_was_looked_from() -> None:
    """What was seen from the Connector's own network is repeated in it."""
    place = planted(FAULTS["subnet"][0])
    place.sighting = RUNNING
    place.in_connector = True
    (cause,) = place.diagnosis().causes
    assert all(command.startswith("nsenter -t 4711 -n ") for command in split_action(cause.action).commands)


def test_the_worst_resource_gives_the_severity_and_each_is_counted_once() -> None:
    """A cause about Resources is as severe as the worst of them, and a Resource with two rows counts once."""
    place = Place()
    place.severities = {"A": "info", "B": "critical"}
    for last, resource in enumerate(("A", "A", "B"), 1):
        place.tcp(f"10.1.2.{last}", 443, "timeout", resource=resource)
    place.tcp("192.168.0.9", 443, "refused", resource="A")
    first, second = place.diagnosis().causes
    assert (first.code, first.severity, first.resources) == ("SubnetUnreachable", "critical", 2)
    assert (second.code, second.severity) == ("PortFails", "info")


def test_causes_come_most_severe_first_then_from_the_host_outwards() -> None:
    """The order of causes is that in which a person should read them."""
    place = planted(FAULTS["clock_and_nameserver"][0], FAULTS["natted"][0], FAULTS["one_port"][0])
    causes = place.diagnosis().causes
    assert [cause.code for cause in causes] == ["ClockSkewed", "NameserverDown", "PortFails", "DirectPathImpossible"]


@pytest.mark.parametrize(
    ("fault", "code", "alert", "labels"),
    [
        ("no_route", "HostNetworkDown", "ConnectorHostNetworkDown", {}),
        ("gateway_dead", "NextHopDown", "ConnectorHostNetworkDown", {}),
        ("router_silent", "NextHopDown", "ConnectorUnableToConnect", {"address": "192.168.0.2"}),
        ("firewall", "LocalFirewall", "ConnectorUnableToConnect", {}),
        ("skewed", "ClockSkewed", "ConnectorClockSkew", {}),
        ("only_nameserver", "NameserverDown", "ConnectorNameserverDown", {"nameserver": "192.168.0.53"}),
        ("nameserver_fails", "NameserverFailing", "ConnectorDNSLookupErrors", {"nameserver": "192.168.0.53"}),
        ("disagree", "NameserversDisagree", "ConnectorNameserversDisagree", {"nameserver": "192.168.0.53"}),
        ("zone", "ZoneFailing", "ConnectorDNSLookupErrors", {"address": "corp.internal"}),
        ("intercepted", "TLSIntercepted", "ConnectorTLSIntercepted", {"endpoint": "acme.twingate.com"}),
        ("blocked_egress", "EgressBlocked", "ConnectorControlPlaneUnreachable", {}),
        ("relays_down", "RelaysUnreachable", "ConnectorRelaysUnreachable", {}),
        ("token_gone", "TokenGone", "ConnectorTokenInvalid", {}),
        ("subnet", "SubnetUnreachable", "ConnectorUnableToConnect", {"address": "10.1.2.0/24"}),
        ("port_blocked", "PortBlocked", "ConnectorUnableToConnect", {"port": "3389"}),
        ("host_down", "ResourceHostDown", "ConnectorUnableToConnect", {"address": "192.168.0.20"}),
        ("proxy_down", "ServiceDown", "ConnectorUnableToConnect", {"address": "192.168.0.20", "port": "443"}),
        ("one_port", "PortFails", "ConnectorUnableToConnect",
         {"resource": "192.168.0.20:5432", "address": "192.168.0.20", "port": "5432"}),
        ("one_name", "NameFails", "ConnectorDNSLookupErrors",
         {"resource": "db.corp.internal", "address": "db.corp.internal"}),
        ("rebind", "RebindProtection", None, {"nameserver": "192.168.0.53"}),
    ],
)  # fmt: skip
def test_the_alert_is_told_by_its_labels(fault: str, code: str, alert: str | None, labels: dict[str, str]) -> None:
    """A cause has the identity that its alert is to have, and no label more."""
    cause = causes_of(fault)[code]
    assert (cause.alert, dict(cause.labels)) == (alert, labels)


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        ("host_down", "192.168.0.20 is silent on all 2 ports"),
        ("host_refusing", "192.168.0.20 refuses on all 2 ports"),
        ("only_port_of_a_host", "192.168.0.20 is silent on port 443, the only one tried"),
    ],
)
def test_ports_of_a_host_are_counted_once(fault: str, title: str) -> None:
    """However many names lead to a port, it is one."""
    assert causes_of(fault)["ResourceHostDown"].title == title


def test_a_next_hop_is_of_the_host_only_where_it_leads_everywhere() -> None:
    """The gateway of the default route is this host's own, another router is of the network."""
    assert causes_of("gateway_dead")["NextHopDown"].domain is Domain.HOST
    assert causes_of("router_silent")["NextHopDown"].domain is Domain.NETWORK


def test_an_incident_of_the_provider_is_a_possible_line() -> None:
    """What Twingate's status page reports is told beside what fails here, and is no cause."""
    place = planted(FAULTS["controller_down"][0])
    place.see(
        "provider:status.twingate.com", "warning", "unhealthy", summary="status.twingate.com: Controller degraded"
    )
    (cause,) = place.diagnosis().causes
    assert "Controller degraded" in cause.possible[0]
    assert len(cause.possible) == 3
