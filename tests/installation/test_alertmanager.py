"""The example for Alertmanager: it is valid, each alert goes where it should, and one cause makes one page."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from daemon.explain.alerts import ALERTS
from daemon.explain.prometheus_rules import severities
from tests.support.alertmanagers import SHIPPED, Member, cluster, shipped
from tests.support.servers import find, require, wait_until
from tests.support.webhook import Webhook, webhook

FAST = {"group_wait": "300ms", "group_interval": "500ms", "repeat_interval": "1h"}
RESOURCE = {"resource": "DB", "address": "db.corp", "port": "5432"}
OUTAGE = "ConnectorControlPlaneUnreachable"
Labels = dict[str, str]


def amtool(*arguments: str) -> str:
    """Run amtool; fail with what it says."""
    require("amtool")
    done = subprocess.run(
        [find("amtool") or "amtool", *arguments], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alert(name: str, severity: str = "critical", **more: str) -> Labels:
    """Return the labels of an alert of Connector office-1, if `more` says nothing else."""
    return {"alertname": name, "severity": severity, "connector": "office-1", "remote_network": "Office", **more}


def fleet(name: str, severity: str = "critical", **more: str) -> Labels:
    """Return the labels of an alert that belongs to no Connector."""
    return {"alertname": name, "severity": severity, **more}


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """All receivers."""
    with webhook() as receiver:
        yield receiver


@pytest.fixture
def alertmanager(hook: Webhook, tmp_path: Path) -> Iterator[Member]:
    """One Alertmanager with the shipped configuration; only its times are shorter."""
    with cluster(tmp_path, shipped(hook, FAST)) as (one,):
        yield one


def test_amtool_accepts_it() -> None:
    """The example is valid for the real Alertmanager."""
    assert "SUCCESS" in amtool("check-config", str(SHIPPED))


def _receiver(name: str, severity: str) -> str:
    if name == "ConnectorHealthWatchdog":
        return "watchdog"
    return {"none": "shadow", "info": "info"}.get(severity, "oncall")


def test_every_alert_goes_to_its_receiver() -> None:
    """Critical and warning page; info does not; severity none reaches nobody; the watchdog has its own."""
    wanted = {(one.name, severity) for one in ALERTS.values() for severity in severities(one)}
    for name, severity in sorted(wanted):
        found = amtool(
            "config", "routes", "test", f"--config.file={SHIPPED}", f"alertname={name}", f"severity={severity}"
        )
        assert found.strip() == _receiver(name, severity), (name, severity)


def test_a_stranger_s_alert_is_not_lost() -> None:
    """What no route knows reaches the people on call, and none of ours mutes it."""
    assert amtool("config", "routes", "test", f"--config.file={SHIPPED}", "alertname=DiskFull").strip() == "oncall"
    for rule in yaml.safe_load(SHIPPED.read_text())["inhibit_rules"]:
        assert any(part.startswith("alertname") for part in rule["target_matchers"]), rule


def test_silent_receiver_tells_nobody() -> None:
    """The shadow receiver has no integration at all."""
    receivers = {one["name"]: one for one in yaml.safe_load(SHIPPED.read_text())["receivers"]}
    assert receivers["shadow"] == {"name": "shadow"}
    assert not any(target["send_resolved"] for target in receivers["watchdog"]["webhook_configs"])


DOWN, REDUNDANCY = fleet("RemoteNetworkDown", remote_network="Office"), "RemoteNetworkRedundancyLost"
RESOURCE_DOWN = fleet("FleetResourceDown", "warning", remote_network="Office", **RESOURCE)
FLEET = fleet("FleetControlPlaneUnreachable")
ELSEWHERE = {"connector": "lab-1", "remote_network": "Lab"}
INHIBITION: dict[str, tuple[Labels, Labels, bool]] = {
    "the fleet's outage mutes a Connector's": (FLEET, alert(OUTAGE), True),
    "and that of its Relays": (FLEET, alert("ConnectorRelaysUnreachable"), True),
    "and a Remote Network's": (FLEET, DOWN, True),
    "not a Resource": (FLEET, alert("ConnectorUnableToConnect", **RESOURCE), False),
    "not a Connector that is down": (FLEET, alert("ConnectorDown"), False),
    "a Remote Network's outage mutes its Connectors'": (DOWN, alert("ConnectorDown"), True),
    "their warnings too": (DOWN, alert("ConnectorHealthDown", "warning"), True),
    "not those elsewhere": (DOWN, alert("ConnectorDown", **ELSEWHERE), False),
    "not a Resource's": (DOWN, alert("ConnectorDNSLookupErrors", "warning", resource="DB"), False),
    "not the sign of life": (DOWN, alert("ConnectorHealthWatchdog", "none"), False),
    "a Resource down for all mutes each Connector's": (
        RESOURCE_DOWN, alert("ConnectorUnableToConnect", "warning", **RESOURCE), True,
    ),
    "whatever its severity there": (RESOURCE_DOWN, alert("ConnectorUnableToConnect", **RESOURCE), True),
    "not its other port": (RESOURCE_DOWN, alert("ConnectorUnableToConnect", **{**RESOURCE, "port": "1"}), False),
    "not elsewhere": (RESOURCE_DOWN, alert("ConnectorUnableToConnect", **RESOURCE, **ELSEWHERE), False),
    "a Connector out of service mutes its lesser faults": (
        alert("ConnectorDown"), alert("ConnectorRestarting", "warning"), True,
    ),
    "and notes": (alert(OUTAGE), alert("ConnectorDirectPathImpossible", "info"), True),
    "not another's": (alert("ConnectorDown"), alert("ConnectorRestarting", "warning", connector="office-2"), False),
    "not a Resource's alert": (alert("ConnectorDown"), alert("ConnectorUnableToConnect", "warning", **RESOURCE), False),
    "not the daemon's own": (alert("ConnectorDown"), alert("ConnectorHealthConfigStale", "warning"), False),
    "not another critical one": (alert("ConnectorClockSkew"), alert("ConnectorTokenInvalid"), False),
    "a Resource's alert mutes no other": (
        alert("ConnectorUnableToConnect", **RESOURCE), alert("ConnectorUnableToConnect", "warning", resource="Wiki"),
        False,
    ),
    "critical mutes the warning": (alert("ConnectorClockSkew"), alert("ConnectorClockSkew", "warning"), True),
    "a Connector's outage says that redundancy is lost": (
        alert("ConnectorDown"), fleet(REDUNDANCY, "warning", remote_network="Office"), True,
    ),
    "a vanished host: redundancy says it": (
        fleet(REDUNDANCY, "warning", remote_network="Office"), alert("ConnectorHealthDown", "warning"), True,
    ),
    "shadow mode mutes nobody": (alert("ConnectorDown", "none"), alert("ConnectorRestarting", "warning"), False),
    "a critical stranger mutes nobody": (
        fleet("DiskFull", host="a"), fleet("DiskFull", "warning", host="b"), False,
    ),
}  # fmt: skip


def test_what_mutes_what(alertmanager: Member) -> None:
    """Each pair of source and target is muted or not as its name says; no site mutes another."""
    pairs = {}
    for number, (name, (source, target, muted)) in enumerate(INHIBITION.items()):
        pairs[f"muting-{number}"] = (name, muted)
        alertmanager.send({**source, "site": f"muting-{number}"}, {**target, "site": f"muting-{number}", "target": "1"})
    alertmanager.send({**alert(OUTAGE), "site": "muting-other", "target": "1"})
    pairs["muting-other"] = ("another site", False)

    def states() -> dict[str, tuple[str, bool]]:
        return {
            one["labels"]["site"]: (pairs[one["labels"]["site"]][0], one["status"]["state"] == "suppressed")
            for one in alertmanager.alerts()
            if one["labels"].get("target") and one["labels"]["site"] in pairs
        }

    wait_until(lambda: states() == pairs, lambda: True, lambda: f"{states().items() ^ pairs.items()}")


def _outage(site: str) -> list[Labels]:
    return [alert(OUTAGE, connector=f"c-{n}", remote_network=f"Network {n // 3}", outage=site) for n in range(400)]


def test_controller_outage_over_400_connectors_is_one_page(alertmanager: Member, hook: Webhook) -> None:
    """400 Connectors of 134 Remote Networks push the same cause: one page with all of them, later one "resolved"."""
    alerts = _outage("pushed")
    alertmanager.send(*alerts[:150])
    alertmanager.send(*alerts[150:])
    page = hook.until("firing", "/oncall", outage="pushed")
    assert len(page.firing) == 400
    alertmanager.resolve(*alerts)
    hook.until("resolved", "/oncall", outage="pushed")
    assert len(hook.received("", outage="pushed")) == 2


def test_controller_outage_with_the_fleet_s_alert_is_that_page(alertmanager: Member, hook: Webhook) -> None:
    """With the fleet's alert there, the 400 do not page, and when all is over there is one "resolved"."""
    alerts = [{**one, "site": "fleet"} for one in _outage("fleet")]
    alertmanager.send(*alerts[:200])
    alertmanager.send({**FLEET, "site": "fleet"}, *alerts[200:])
    hook.until("firing", "/oncall", alertname="FleetControlPlaneUnreachable", site="fleet")
    alertmanager.resolve(*alerts)
    alertmanager.resolve({**FLEET, "site": "fleet"})
    hook.until("resolved", "/oncall", alertname="FleetControlPlaneUnreachable", site="fleet")
    assert len(hook.received("", site="fleet")) == 2


def test_two_connectors_one_nameserver_is_one_page(alertmanager: Member, hook: Webhook) -> None:
    """Connectors of a Remote Network that lose the same nameserver make one page; another network makes its own."""
    name = "ConnectorNameserverDown"
    both = [alert(name, connector=f"office-{n}", nameserver="10.0.0.2", site="shared") for n in range(2)]
    alertmanager.send(*both, alert(name, **ELSEWHERE, nameserver="10.0.0.2", site="shared"))
    assert len(hook.until("firing", "/oncall", remote_network="Office", site="shared").firing) == 2
    hook.until("firing", "/oncall", remote_network="Lab", site="shared")
    assert len(hook.received("", site="shared")) == 2


def test_shadow_is_silent_and_the_sign_of_life_goes_on(alertmanager: Member, hook: Webhook) -> None:
    """Severity none reaches no receiver; the watchdog of each Connector reaches its own, and info no pager."""
    alertmanager.send(
        alert("ConnectorDown", "none", site="quiet"), alert("ConnectorRelaysDegraded", "info", site="quiet")
    )
    dogs = [alert("ConnectorHealthWatchdog", "none", connector=f"c-{n}", site="quiet") for n in range(2)]
    alertmanager.send(*dogs)
    for dog in dogs:
        hook.until("firing", "/watchdog", connector=dog["connector"], site="quiet")
    hook.until("firing", "/info", alertname="ConnectorRelaysDegraded", site="quiet")
    assert hook.received("", alertname="ConnectorDown", site="quiet") == []
    assert hook.received("/oncall", site="quiet") == []


def test_cluster_notifies_once(hook: Webhook, tmp_path: Path) -> None:
    """Two Alertmanagers that are told the same notify once between them."""
    down = alert("ConnectorDown", site="cluster")
    with cluster(tmp_path, shipped(hook, FAST), size=2) as members:
        for member in members:
            member.send(down)
        hook.until("firing", "/oncall", site="cluster")
        for member in members:
            member.resolve(down)
        hook.until("resolved", "/oncall", site="cluster")
    assert len(hook.received("", site="cluster")) == 2
