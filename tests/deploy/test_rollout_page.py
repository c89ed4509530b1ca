"""The queries of docs/rollout.md decide whether to go on: what they ask for must be there."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.test_prometheus_rules import promtool
from tests.support.prometheus import RULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/rollout.md").read_text()
GOLDEN = (ROOT / "tests/daemon/data/metrics.golden.txt").read_text()
BLOCKS = re.findall(r"```promql\n(.*?)```", PAGE, re.DOTALL)
QUERIES = [line for block in BLOCKS for line in block.splitlines() if not line.startswith("#")]
_LABELS = re.compile(r"(connector_health_\w+)\{([^}]*)\}")


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """Each query is an expression that the real promtool accepts."""
    rules = [{"record": f"page:{n}", "expr": query} for n, query in enumerate(QUERIES)]
    file = tmp_path / "page.rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "page", "rules": rules}]}))
    assert len(QUERIES) > 10
    promtool("check", "rules", str(file))


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_and_label_of_a_query_exists(query: str) -> None:
    """A metric that nobody shows gives an empty answer, which reads like "all is well"."""
    names = re.findall(r"connector_health_\w+", query)
    assert all(re.search(rf"^{name}(\{{| )", GOLDEN, re.MULTILINE) for name in names), names
    for name, labels in _LABELS.findall(query):
        shown = "".join(re.findall(rf"^{name}\{{.*\}}", GOLDEN, re.MULTILINE))
        for label in re.findall(r"(\w+)(?:=~|!=|=)", labels):
            assert f'{label}="' in shown, f"{name} has no label {label}"


def test_hours_in_shadow_are_told_for_each_connector(tmp_path: Path) -> None:
    """Of two Connectors with the same alert each has its own hours: the daemon's metric alone does not name them."""
    (query,) = (query for query in QUERIES if query.startswith("sum by (alert, connector)"))
    series = {}
    for name, minutes in (("a", 60), ("b", 30)):
        series[f'connector_health_info{{job="j", instance="{name}", connector="{name}"}}'] = "1x120"
        alert = f'connector_health_alert_active{{job="j", instance="{name}", alert="ConnectorDown", severity="none"}}'
        series[alert] = f"1x{2 * minutes - 1} stale _x{120 - 2 * minutes}"
    expected = [
        {"labels": f'{{alert="ConnectorDown", connector="{name}"}}', "value": hours}
        for name, hours in (("a", 1), ("b", 0.5))
    ]
    test = {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "60m", "exp_samples": expected}],
    }
    file = tmp_path / "hours.yml"
    whole = {"rule_files": [str(path) for path in RULES], "evaluation_interval": "30s", "tests": [test]}
    file.write_text(yaml.safe_dump(whole))
    promtool("test", "rules", str(file))
