"""The scrape examples: Prometheus takes each, none lets discovery name an alert; the rules for textfiles."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.diagnosis.catalogue import KINDS
from tests.support.prometheus import SHIPPED
from tests.support.servers import find, require

SCRAPE = SHIPPED / "scrape"
EXAMPLES = ("static.yml", "file_sd.yml", "docker_sd.yml", "kubernetes_sd.yml")
RULES = SCRAPE / "textfile.rules.yml"
MTIME = 'node_textfile_mtime_seconds{instance="edge:9100",job="node",file="/var/lib/x/connector-health.prom"}'
CAUSE = '{instance="edge:9100",job="node",code="NameserverDown",fault_domain="resolver",target="10.0.0.2"}'
NOTE = CAUSE.replace("NameserverDown", "DirectPathImpossible").replace("resolver", "relay")
OTHER_HOST = {
    f'connector_health_info{{instance="two:9100",job="node",connector="{name}",network="acme"}}': "1x30"
    for name in "ab"
} | {f"connector_health_diagnosis{CAUSE.replace('edge', 'two')}": "1x30"}
INFO = '{instance="edge:9100",job="node",connector="edge-1",remote_network="Edge",network="acme"}'
WHO = {"instance": "edge:9100", "job": "node"}
EXPECTED = {
    "ConnectorFaultSeen": WHO
    | {"connector": "edge-1", "remote_network": "Edge", "code": "NameserverDown", "fault_domain": "resolver",
       "target": "10.0.0.2", "severity": "warning"},
    "ConnectorHealthTextfileStale": WHO | {"file": "/var/lib/x/connector-health.prom", "severity": "warning"},
}  # fmt: skip
FILLED = {
    "$labels.connector": "edge-1", "$labels.code": "NameserverDown", "$labels.target": "10.0.0.2",
    "$labels.instance": "edge:9100", "$value | humanizeDuration": "20m 0s",
}  # fmt: skip


def _promtool(*arguments: str) -> str:
    require("promtool")
    argv = [find("promtool") or "", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "WARNING" not in said
    return done.stdout


def _job(path: Path) -> dict[str, Any]:
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    return dict(job)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "kubernetes_sd.yml"])
def test_prometheus_takes_the_example(name: str) -> None:
    """`promtool check config` finds no mistake, and the files that it names are there."""
    _promtool("check", "config", str(SCRAPE / name))


def test_kubernetes_pods_become_targets(tmp_path: Path) -> None:
    """Of a pod's ports the one called `health-metrics` is kept, as NAMESPACE/POD; no other, and no pod that has ended.

    Debian's Prometheus is built without Kubernetes discovery: what that would say of three ports comes from a file.
    """
    config = yaml.safe_load((SCRAPE / "kubernetes_sd.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    file = tmp_path / "pods.json"
    pods = [_pod("10.1.0.1:19440", "health-metrics", "Running"), _pod("10.1.0.1:9999", "metrics", "Running"),
            _pod("10.1.0.2:19440", "health-metrics", "Succeeded")]  # fmt: skip
    file.write_text(json.dumps(pods))
    job["file_sd_configs"] = [{"files": [str(file)]}]
    whole = tmp_path / "prometheus.yml"
    whole.write_text(yaml.safe_dump(config))
    found = json.loads(_promtool("check", "service-discovery", "--timeout=2s", str(whole), "connector-health"))
    kept = [target["labels"] for target in found if target["labels"]]
    assert [(each["__address__"], each["instance"]) for each in kept] == [("10.1.0.1:19440", "twingate/connector-0")]
    assert "endpoint" not in kept[0]


def _pod(address: str, port_name: str, phase: str) -> dict[str, Any]:
    meta = {"namespace": "twingate", "pod_name": "connector-0", "pod_phase": phase}
    labels = {f"__meta_kubernetes_{key}": value for key, value in meta.items()}
    return {
        "targets": [address],
        "labels": labels | {"__meta_kubernetes_pod_container_port_name": port_name, "endpoint": port_name},
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_label_of_an_alert_comes_from_discovery(name: str) -> None:
    """Each drops the labels that an alert is known by, as the example of the fleet does, and has the job's name."""
    fleet, job = _job(SHIPPED / "prometheus.yml"), _job(SCRAPE / name)
    assert job["relabel_configs"][-1] == fleet["relabel_configs"][-1]
    assert job["job_name"] == fleet["job_name"]


def test_every_example_is_known_here() -> None:
    """No file of the directory is left untested."""
    assert {path.name for path in SCRAPE.glob("*.yml")} == {*EXAMPLES, RULES.name}


@pytest.mark.parametrize(
    ("series", "alerts"),
    [
        ({MTIME: "0+60x30", f"connector_health_diagnosis{CAUSE}": "1x30"}, {"ConnectorFaultSeen"}),
        ({MTIME: "0x30", f"connector_health_diagnosis{CAUSE}": "1x30"}, {"ConnectorHealthTextfileStale"}),
        ({MTIME: "0+60x30"}, set()),
        ({MTIME: "0+60x30", f"connector_health_diagnosis{NOTE}": "1x30"}, set()),
        ({MTIME: "0+60x30", f"connector_health_diagnosis{CAUSE}": "1x30", **OTHER_HOST}, {"ConnectorFaultSeen"}),
    ],
    ids=["a fault", "a file that grows old", "all is well", "what harms nobody", "another host shows two Connectors"],
)
def test_the_rules_for_textfiles(tmp_path: Path, series: dict[str, str], alerts: set[str]) -> None:
    """A cause in a fresh file is told with its Connector; an old file is told instead of what stands in it."""
    checks = [
        {
            "eval_time": "20m",
            "alertname": name,
            "exp_alerts": [{"exp_labels": labels, "exp_annotations": _annotations(name)}] if name in alerts else [],
        }
        for name, labels in EXPECTED.items()
    ]
    given = series | {f"connector_health_info{INFO}": "1x30"}
    values = [{"series": name, "values": text} for name, text in given.items()]
    test = {"interval": "1m", "input_series": values, "alert_rule_test": checks}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": [test]}))
    _promtool("check", "rules", str(RULES))
    _promtool("test", "rules", str(file))


def _annotations(name: str) -> dict[str, str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    (rule,) = (rule for group in groups for rule in group["rules"] if rule["alert"] == name)
    texts: dict[str, str] = dict(rule["annotations"])
    for word, value in FILLED.items():
        texts = {key: text.replace(f"{{{{ {word} }}}}", value) for key, text in texts.items()}
    return texts


def test_textfile_rules_leave_out_what_harms_nobody() -> None:
    """The codes that the rule leaves out are those of which each cause is a note: a new one must not page."""
    (rule,) = re.findall(r'code!~"([^"]+)"', RULES.read_text())
    assert set(rule.split("|")) == {kind.code for kind in KINDS.values() if set(kind.severities) == {"info"}}
