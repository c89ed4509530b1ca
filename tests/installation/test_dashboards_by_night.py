"""What panels say when something is missing, ambiguous or beyond a limit: asked of the real engine of Prometheus."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.metrics.collection import Metrics
from daemon.metrics.state import state_families
from tests.deploy.test_prometheus_rules import promtool
from tests.support.dashboards import FILES, filled, load, panels, queries
from tests.support.exposed import engine
from tests.support.office import diagnosed, office, seen, watched
from tests.support.prometheus import RULES

MINUTES = 20
GRAFANA = {"__rate_interval": "2m", "__range": "15m", "__interval": "30s", "__interval_ms": "30000"}
CHOSEN = GRAFANA | {"job": ".*", "connector": "edge", "remote_network": ".*"}
OFFICE, LAB, LONE = (
    f'connector_health_info{{job="j", instance="{instance}", connector="{connector}"{network}}}'
    for instance, connector, network in (
        ("office", "edge", ', remote_network="Office"'),
        ("lab", "edge", ', remote_network="Lab"'),
        ("lone", "lone", ""),
    )
)
SEEN = f"1x{2 * MINUTES}"
GONE = f"1x20 stale _x{2 * MINUTES - 21}"
AT_OFFICE = '{job="j", instance="office"'
OFFICE_DOWN = f'connector_health_alert_active{AT_OFFICE}, alert="ConnectorDown", severity="critical"}}'
CLOCK = {
    OFFICE: SEEN,
    f"connector_health_clock_tolerance_seconds{AT_OFFICE}}}": f"5x{2 * MINUTES}",
    f"connector_health_clock_error_bound_seconds{AT_OFFICE}}}": f"1x{2 * MINUTES}",
}
Samples = dict[str, float]


def _expression(where: str) -> str:
    (query,) = (one for path in FILES for one in queries(path) if one.where == where)
    return query.expr


def _panel(board: str, title: str) -> dict[str, Any]:
    (path,) = (path for path in FILES if path.stem == board)
    (panel,) = (one for one in panels(load(path)) if one["title"] == title)
    return panel


def _offset(seconds: float) -> dict[str, str]:
    return CLOCK | {f"connector_health_clock_offset_seconds{AT_OFFICE}}}": f"{seconds}x{2 * MINUTES}"}


@pytest.mark.parametrize(
    ("series", "where", "expected"),
    [
        ({OFFICE: SEEN, f"connector_health_config_last_reload_successful{AT_OFFICE}}}": f"0x{2 * MINUTES}"},
         "connector: annotation Reload failed", {AT_OFFICE + "}": 1}),
        ({OFFICE: SEEN, LAB: SEEN, OFFICE_DOWN: SEEN},
         "connector: This Connector (A)",
         {'{connector="edge", remote_network="Office"}': 6, '{connector="edge", remote_network="Lab"}': 0}),
        ({OFFICE: SEEN, LAB: SEEN, 'process_resident_memory_bytes{job="j", instance="office"}': SEEN,
          'process_resident_memory_bytes{job="j", instance="lab"}': f"2x{2 * MINUTES}"},
         "prober: Memory (A)",
         {'{connector="edge", remote_network="Office"}': 1, '{connector="edge", remote_network="Lab"}': 2}),
        ({OFFICE: SEEN, f"connector_health_starved{AT_OFFICE}}}": SEEN},
         "connector: This Connector (A)", {'{connector="edge", remote_network="Office"}': 1}),
        ({OFFICE: SEEN, OFFICE_DOWN.replace("critical", "none"): SEEN},
         "connector: This Connector (A)", {'{connector="edge", remote_network="Office"}': 2}),
        # Both daemons of the network are gone: nobody knows, and the rule does not page either.
        ({OFFICE: GONE, OFFICE.replace("office", "other").replace("edge", "other"): GONE},
         "fleet: Remote Networks without service (A)", {"{}": 0}),
        ({OFFICE: SEEN, OFFICE.replace("office", "other").replace("edge", "other"): GONE,
          OFFICE_DOWN: SEEN},
         "fleet: Remote Networks without service (A)", {"{}": 1}),
        ({OFFICE: SEEN, LONE: SEEN,
          'connector_health_alert_active{job="j", instance="lone", alert="ConnectorDown", severity="critical"}': SEEN},
         "fleet: Remote Networks (D)", {'{remote_network="Office"}': 0}),
        # Nothing at all: an empty answer has a word and no colour, a 0 would be green.
        ({}, "fleet: Remote Networks without service (A)", {}),
        ({}, "fleet: Resources down for everybody (A)", {}),
        ({}, "fleet: Daemons not seen (A)", {}),
        ({}, "prober: Starved (A)", {}),
        ({}, "prober: With an old configuration (A)", {}),
    ],
    ids=["a reload failed", "two of one name", "memory of two of one name", "starved", "shadow mode",
         "no daemon of a network",
         "no Connector of a network", "one that is in no network", "no network", "no Resource", "no daemon ever",
         "none starved", "no configuration"],
)  # fmt: skip
def test_panel_says(tmp_path: Path, series: dict[str, str], where: str, expected: Samples) -> None:
    """No worse and no better than what is known: absent is absent, and two of one name are two."""
    _ask(tmp_path, series, {where: expected})


@pytest.mark.parametrize(
    ("offset", "color"),
    [(0, "green"), (0.9, "green"), (1.5, "green"), (2.1, "orange"), (-2.1, "orange"), (4.5, "orange"), (6.1, "red")],
)
def test_clock_has_the_colour_of_its_verdict(tmp_path: Path, offset: float, color: str) -> None:
    """Orange where the daemon warns, red where it is critical: tolerance 5 s, a warning at 1 s, error bound 1 s."""
    least, most = max(0.0, abs(offset) - 1) / 5, (abs(offset) + 1) / 5
    title = "Tolerance used up"
    _ask(tmp_path, _offset(offset), {f"connector: {title} (A)": {"{}": least}, f"connector: {title} (B)": {"{}": most}})
    panel = _panel("connector", title)
    shown = {_color(panel, "at least", least), _color(panel, "at most", most)}
    assert next(each for each in ("red", "orange", "green") if each in shown) == color


def _color(panel: dict[str, Any], name: str, value: float) -> str:
    config = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            config |= {prop["id"]: prop["value"] for prop in override["properties"]}
    reached = [step["color"] for step in config["thresholds"]["steps"] if value >= (step.get("value") or 0)]
    return str(reached[-1])


def _ask(folder: Path, series: dict[str, str], panels_say: dict[str, Samples]) -> None:
    asked = [
        {
            "expr": filled(_expression(where), CHOSEN),
            "eval_time": f"{MINUTES - 2}m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
        }
        for where, expected in panels_say.items()
    ]
    test = {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": asked,
    }
    file = folder / "test.yml"
    whole = {"rule_files": [str(path) for path in RULES], "evaluation_interval": "30s", "tests": [test]}
    file.write_text(yaml.safe_dump(whole))
    promtool("test", "rules", str(file))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_absence_has_no_colour(path: Path) -> None:
    """A large number without data is grey: Grafana would paint it in the lowest threshold's colour, green or red."""
    for panel in (one for one in panels(load(path)) if one["type"] == "stat"):
        defaults = panel["fieldConfig"]["defaults"]
        (absent,) = (one["options"] for one in defaults["mappings"] if one["type"] == "special")
        assert absent["match"] == "null+nan", panel["title"]
        assert absent["result"]["text"] == defaults["noValue"], panel["title"]
        assert absent["result"]["color"] == "#808080", panel["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_worst_of_many_are_the_same_all_the_time(path: Path) -> None:
    """A line that is one of the worst is chosen once: chosen at each step anew, everyone gets in, with gaps."""
    for panel in panels(load(path)):
        for target in panel["targets"] if panel["type"] in ("timeseries", "state-timeline") else ():
            by_step = re.findall(r"\btopk\(\d+, (?!avg_over_time\(.*@ end\(\))", target["expr"])
            assert by_step == [], panel["title"]


def test_processes_are_those_of_daemons() -> None:
    """What picks the jobs of processes is said by daemons alone: a textfile's CPU and memory are node_exporter's."""
    asked = {name for path in FILES for name in re.findall(r"label_values\((\w+), job\)", path.read_text("utf-8"))}
    stage = diagnosed(watched(seen(office())))
    daemon, one_look = (
        {family.name for family in families if family.lines}
        for families in (Metrics().families(stage.view(engine())), state_families(stage.view()))
    )
    assert asked
    assert asked <= daemon - one_look
