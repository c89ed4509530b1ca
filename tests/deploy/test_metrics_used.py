"""What rules and dashboards ask for is what the daemon exports, and what it exports is used or explained."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from daemon.metrics.process import process_families
from tests.support.dashboards import FILES, queries
from tests.support.prometheus import RULES

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/daemon/data/metrics.golden.txt"
METRIC = re.compile(
    r"(?<![\w:])((?:connector_health|process|python|scrape)_\w+|up|ALERTS\w*)(?:\{([^}]*)\})?(?![\w:({])"
)
RECORDED = re.compile(r"(?<![\w:])(\w+:connector_health\w*:\w+|connector_health:\w+:\w+)")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
TARGET_LABELS = {"job", "instance"}
BY_PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS", "ALERTS_FOR_STATE"}
"""What Prometheus says itself of a target and of rules."""


def _expressions() -> Iterator[tuple[str, str]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield f"{path.name}: {rule.get('alert') or rule['record']}", rule["expr"]
    for path in FILES:
        yield from ((query.where, query.expr) for query in queries(path))


EXPRESSIONS = tuple(_expressions())


@pytest.fixture(scope="module")
def exported() -> dict[str, dict[str, set[str]]]:
    """Every series name of the golden exposition and of the process, with its labels and their values there."""
    found: dict[str, dict[str, set[str]]] = {}
    text = GOLDEN.read_text("utf-8") + "".join(line for family in process_families() for line in family.lines)
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name = re.match(r"\w+", line)
            assert name is not None, line
            labels = found.setdefault(name[0], {})
            for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line):
                labels.setdefault(label, set()).add(value)
    return found


def test_each_metric_that_is_asked_for_is_exported(exported: dict[str, dict[str, set[str]]]) -> None:
    """A rule or panel that asks for a metric that nobody exports is silent for ever: there is none."""
    asked = {(where, match[0]) for where, text in EXPRESSIONS for match in METRIC.findall(text)}
    assert len({name for _, name in asked}) > 60, "the expressions are read"
    missing = sorted((where, name) for where, name in asked if name not in exported.keys() | BY_PROMETHEUS)
    assert missing == []


def test_each_label_that_is_asked_for_is_there(exported: dict[str, dict[str, set[str]]]) -> None:
    """A matcher names a label that its metric has, and a value that is one word is one that it takes."""
    wrong = []
    for where, text in EXPRESSIONS:
        for name, matchers in METRIC.findall(text):
            labels = exported.get(name)
            for label, operator, value in MATCHER.findall(matchers) if labels is not None else ():
                assert labels is not None
                if label not in labels and label not in TARGET_LABELS:
                    wrong.append((where, name, label))
                elif label == "state" and not set(value.split("|") if "~" in operator else [value]) <= labels[label]:
                    wrong.append((where, name, value))
    assert wrong == []


def test_each_recorded_series_that_is_asked_for_is_recorded() -> None:
    """A panel or rule that builds on a recording rule names one that the shipped files have."""
    recorded = {
        rule["record"] for path in RULES for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"] if "record" in rule
    }  # fmt: skip
    asked = {name for _, text in EXPRESSIONS for name in RECORDED.findall(text)}
    assert asked <= recorded
    assert recorded - asked <= {"connector:connector_health_target_failing:ratio_rate1d"}, "each is used by somebody"


def test_each_exported_family_is_used_or_documented(exported: dict[str, dict[str, set[str]]]) -> None:
    """What nobody draws or alerts on has its row in docs/metrics.md, and says what it is good for."""
    used = {name for _, text in EXPRESSIONS for name, _ in METRIC.findall(text)}
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(\w+)", page, re.MULTILINE))
    idle = set()
    for name in exported:
        plain = name.removeprefix("connector_health_")
        family = re.sub(r"_(bucket|sum|count)$", "", plain)
        if name not in used and not {plain, family} & rows and not name.startswith(("process_", "python_")):
            idle.add(name)
    assert idle == set()
    assert "| `process_*`, `python_*` |" in page
    most = {name for name in exported if name.startswith("connector_health_")}
    drawn = {name for name in most if name in used}
    assert len(drawn) > 0.8 * len(most), sorted(most - drawn)
