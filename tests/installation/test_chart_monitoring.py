"""What the chart gives the Prometheus Operator and Grafana, read by a real Prometheus where there is one."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, REPOSITORY, Manifest, of_kind, only, rendered, rendered_case
from tests.support.prometheus import Setup, prometheus
from tests.support.servers import find, require, wait_until

RULES = REPOSITORY / "deploy/prometheus"
DISCOVERED = {
    "endpoint": "health-metrics", "namespace": "twingate", "pod": "connector-0", "job": "twingate/health",
    "container": "connector-health", "connector": "not ours", "address": "not ours",
}  # fmt: skip
ALERT = 'alert="ConnectorUnableToConnect",severity="warning",resource="DB",address="db.corp",port="5432"'
METRICS = f"""\
connector_health_info{{connector="office-1",remote_network="Office",network="acme"}} 1
connector_health_alert_active{{{ALERT}}} 1
""".encode()


def _rules(texts: dict[str, str]) -> dict[str, Any]:
    return {one["metadata"]["name"]: one["spec"] for one in of_kind(texts, "PrometheusRule")}


def _source(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((RULES / f"{name}.rules.yml").read_text())
    return found


def test_rules_are_the_shipped_ones() -> None:
    """Each PrometheusRule says exactly what the file in deploy/prometheus says."""
    assert _rules(rendered_case("sidecar-operator-values.yaml")) == {
        "health-connector-health": _source("connector-health"),
        "health-connector-health-fleet": _source("connector-health-fleet"),
        "health-connector-health-slo": _source("connector-health-slo"),
    }


@pytest.mark.parametrize("base", ["https://wiki.corp.internal/connector-health/", 'a "quoted": #base', "x: $1 \\ é"])
def test_runbooks_are_where_the_configuration_says(base: str, tmp_path: Path) -> None:
    """runbook_url begins with `alerting.runbooks`, whatever text that is, and nothing else of a rule changes."""
    require("promtool")
    rules = _rules(rendered({"prometheusRule": {"enabled": True}, "config": {"alerting": {"runbooks": base}}}))
    for name, found in rules.items():
        source = _source(name.removeprefix("health-"))
        for group in source["groups"]:
            for rule in group["rules"]:
                if url := rule.get("annotations", {}).get("runbook_url"):
                    rule["annotations"]["runbook_url"] = url.replace("docs/runbooks", base.rstrip("/"))
        assert found == source
        file = tmp_path / f"{name}.yml"
        file.write_text(yaml.safe_dump(found))
        checked = subprocess.run(
            [find("promtool") or "", "check", "rules", file], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_fleet_and_objective_can_be_left_out() -> None:
    """One Connector alone needs neither the fleet's rules nor those of an objective."""
    texts = rendered({"prometheusRule": {"enabled": True, "fleet": False, "slo": False}})
    assert list(_rules(texts)) == ["health-connector-health"]


def test_dashboards_are_the_shipped_ones() -> None:
    """Each ConfigMap holds the very JSON of deploy/grafana, with the label by which Grafana's sidecar finds it."""
    found: dict[str, str] = {}
    for one in of_kind(rendered_case("monitoring-values.yaml"), "ConfigMap"):
        if "config.yaml" not in one["data"]:
            assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
            assert one["metadata"]["annotations"] == {"grafana_folder": "Twingate"}
            found |= one["data"]
    sources = sorted((CHART / "files/dashboards").glob("*.json"))  # another test sees that they are those of deploy/
    assert sources
    assert found == {path.name: path.read_text() for path in sources}
    assert all(json.loads(text)["title"] for text in found.values())


def _endpoint(texts: dict[str, str]) -> Manifest:
    found = [*of_kind(texts, "PodMonitor"), *of_kind(texts, "ServiceMonitor")]
    (monitor,) = found
    spec = monitor["spec"]
    (endpoint,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
    return dict(endpoint)


@pytest.mark.parametrize(
    "case", ["monitoring-values.yaml", "secrets-values.yaml", "daemonset-values.yaml", "sidecar-operator-values.yaml"]
)
def test_a_monitor_drops_the_labels_that_are_the_daemons(case: str) -> None:
    """Labels of discovery that an alert has too are dropped, the same as in the example of deploy/prometheus."""
    example = yaml.safe_load((RULES / "prometheus.yml").read_text())["scrape_configs"][0]["relabel_configs"]
    endpoint = _endpoint(rendered_case(case))
    assert endpoint["relabelings"][0] == example[0]
    assert endpoint["port"] == "health-metrics"


def test_a_monitor_finds_the_pods() -> None:
    """The ServiceMonitor selects this chart's Service alone, the sidecar's PodMonitor the Connectors' pods."""
    texts = rendered_case("monitoring-values.yaml")
    service, monitor = only(texts, "Service"), only(texts, "ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [port["name"] for port in service["spec"]["ports"]] == ["health-metrics"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    beside = only(rendered_case("sidecar-twingate-chart-values.yaml"), "PodMonitor")
    assert beside["spec"]["selector"] == {"matchLabels": {"app.kubernetes.io/name": "connector"}}
    beside = only(rendered_case("sidecar-operator-values.yaml"), "PodMonitor")
    (named,) = beside["spec"]["selector"]["matchExpressions"]
    assert (named["key"], named["operator"]) == ("connector.twingate.com/name", "Exists")


@pytest.fixture
def daemon() -> Iterator[str]:
    """Show a daemon's metrics until the test ends; return host:port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(METRICS)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_prometheus_makes_the_alert_that_a_daemon_would_push(daemon: str, tmp_path: Path) -> None:
    """Scraped and judged as the chart says, an alert has the daemon's labels and no other."""
    texts = rendered_case("sidecar-operator-values.yaml")
    rules = []
    for name, spec in _rules(texts).items():
        rules.append(tmp_path / f"{name}.yml")
        rules[-1].write_text(yaml.safe_dump(spec))
    relabelings = _as_prometheus_has_it(_endpoint(texts)["relabelings"])
    setup = Setup(targets=[daemon], target_labels=DISCOVERED, rules=rules, relabel_configs=relabelings)
    with prometheus(tmp_path, setup) as server:
        firing = 'ALERTS{alertstate="firing", alertname="ConnectorUnableToConnect"}'
        wait_until(lambda: bool(server.query(firing)), lambda: True, lambda: f"{server.broken_rules()}")
        (labels,) = server.query(firing)
        assert dict(labels) == {
            "__name__": "ALERTS", "alertstate": "firing", "alertname": "ConnectorUnableToConnect",
            "severity": "warning", "connector": "office-1", "remote_network": "Office", "resource": "DB",
            "address": "db.corp", "port": "5432",
        }  # fmt: skip
        assert len(server.query('up{job="connector-health", namespace="twingate", endpoint=""} == 1')) == 1


def _as_prometheus_has_it(relabelings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return relabelings as the operator writes them into Prometheus' configuration."""
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    return [{names.get(key, key): value for key, value in one.items()} for one in relabelings]
