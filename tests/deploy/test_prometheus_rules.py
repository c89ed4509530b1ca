"""The shipped Prometheus rules: complete, current, and each fires for what it says and for nothing else."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.alert import LABELS
from daemon.explain.alerts import ALERTS, Alert
from daemon.explain.prometheus_rules import rules, severities
from tests.support.prometheus import RULES, SHIPPED
from tests.support.servers import find, require

TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))
DECIDED = [alert for alert in ALERTS.values() if alert.carrier == "both"]
EXPECTED = "connector-health.rules.yml", "connector-health-fleet.rules.yml", "connector-health-slo.rules.yml"
IDENTITY = {
    "resource": "Orders DB",
    "address": "db.corp",
    "port": "5432",
    "nameserver": "10.0.0.2",
    "endpoint": "a:443",
}


def promtool(*arguments: str) -> None:
    """Run promtool; fail with what it says."""
    require("promtool")
    done = subprocess.run(
        [find("promtool") or "promtool", *arguments], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stdout + done.stderr


def shipped_rules() -> Iterator[dict[str, Any]]:
    """Return every alerting rule of the shipped files."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def test_files_are_those_that_are_documented() -> None:
    """The directory holds the three files that its README speaks of."""
    assert sorted(path.name for path in RULES) == sorted(EXPECTED)
    readme = (SHIPPED / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in EXPECTED)


def test_generated_file_is_current() -> None:
    """The rules of what the daemon decides are those that the alerts' data make; if not: `make rules`."""
    assert (SHIPPED / "connector-health.rules.yml").read_text() == rules()


def test_promtool_accepts_everything() -> None:
    """Rules and the example configuration are valid for the real Prometheus, unknown keys are not."""
    promtool("check", "rules", *map(str, RULES))
    promtool("check", "config", str(SHIPPED / "prometheus.yml"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_cases_beside_it_hold(path: Path) -> None:
    """Promtool's own unit tests pass: what fires, with which labels, what does not, and when it ends."""
    promtool("test", "rules", str(path))


def test_every_alert_has_a_rule_and_every_rule_an_alert() -> None:
    """By name and severity: all that Prometheus carries, nothing else, nothing twice."""
    found = [(rule["alert"], rule["labels"]["severity"]) for rule in shipped_rules()]
    wanted = [(alert.name, severity) for alert in DECIDED for severity in severities(alert)]
    for alert in ALERTS.values():
        if alert.carrier == "prometheus":
            wanted += [(alert.name, severity) for severity in severities(alert) if severity != "none"]
    assert sorted(found) == sorted(wanted)


def test_delays_are_those_that_are_documented() -> None:
    """What Prometheus decides waits as long as its page says; what the daemon decided waits no longer."""
    for rule in shipped_rules():
        alert = ALERTS[rule["alert"]]
        after_s = alert.tiers[0].after_s if alert.carrier == "prometheus" else 0
        assert rule.get("for", "0m") == f"{after_s / 60:.0f}m", alert.name
        assert rule["keep_firing_for"] in ("2m", "5m"), alert.name


def test_annotations_say_what_to_do() -> None:
    """Each has a summary, a description, an action and its own runbook, and adds no label but the severity."""
    for rule in shipped_rules():
        assert set(rule["annotations"]) == {"summary", "description", "action", "runbook_url"}, rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
        assert set(rule["labels"]) == {"severity"}, rule["alert"]


def _case(alert: Alert, severity: str) -> dict[str, Any]:
    """Return a case: one decision with all labels, beside an alert of its severity that nobody knows."""
    target = 'job="j", instance="a:1", pod="p"'
    identity = ", ".join(f'{name}="{IDENTITY[name]}"' for name in LABELS)
    fires = (
        f'ALERTS{{alertname="{alert.name}", alertstate="firing", severity="{severity}", connector="office-1", '
        f'remote_network="Office", {identity}}}'
    )
    active = f"connector_health_alert_active{{{target}"
    series = {
        f'connector_health_info{{{target}, connector="office-1", remote_network="Office", network="acme"}}': "1x9",
        f'{active}, alert="Else", severity="{severity}", {identity}}}': "1x9",
        f'{active}, alert="{alert.name}", severity="else", {identity}}}': "1x9",
        f'{active}, alert="{alert.name}", severity="{severity}", {identity}}}': "_ _ 1x7",
    }
    return {
        "name": f"{alert.name} {severity}",
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": "ALERTS", "eval_time": "30s", "exp_samples": []},
            {"expr": "ALERTS", "eval_time": "1m", "exp_samples": [{"labels": fires, "value": 1}]},
        ],
    }


def test_every_decision_fires_its_alert_alone_with_the_labels_of_the_push(tmp_path: Path) -> None:
    """For each alert and severity: its decision fires it, under exactly its labels; another's decision does not."""
    cases = [_case(alert, severity) for alert in DECIDED for severity in severities(alert)]
    file = tmp_path / "each.yml"
    file.write_text(yaml.safe_dump({"rule_files": list(map(str, RULES)), "evaluation_interval": "30s", "tests": cases}))
    promtool("test", "rules", str(file))
    assert len(cases) > 40
