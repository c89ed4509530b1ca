"""What the Helm chart holds of other folders is what stands there: `make chart` brings it up to date."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import yaml

from daemon.config.json_schema import json_schema
from daemon.version import __version__

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "helm/connector-health"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_chart", REPOSITORY / "helm/build_chart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rules_and_dashboards_are_those_of_deploy() -> None:
    """Each rule file and dashboard of deploy/ is in the chart, byte for byte, and nothing else is."""
    for folder, sources in _script().copied().items():
        held = {path.name: path.read_bytes() for path in (CHART / folder).iterdir()}
        assert held == {path.name: path.read_bytes() for path in sources}, f"{folder}: make chart"
    assert len(list((CHART / "files/rules").iterdir())) == 3


def test_the_schema_of_the_values_knows_the_configuration_of_today() -> None:
    """The part of values.schema.json about `config` is made from the daemon's own types."""
    text = (CHART / "values.schema.json").read_text()
    assert _script().with_config(text) == text, "make chart"
    assert set(json.loads(text)["definitions"]["config"]["properties"]) == set(json_schema()["properties"])


def test_the_schema_has_no_pattern_that_helm_can_not_read() -> None:
    """Go's regular expressions have no lookahead, and Helm refuses a whole schema for one."""
    assert "(?!" not in (CHART / "values.schema.json").read_text()


def test_the_chart_installs_this_version() -> None:
    """The chart's appVersion is the daemon's version, and so is the image that it announces."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert f"image: connector-health:{__version__}" in chart["annotations"]["artifacthub.io/images"]


def test_every_value_is_in_the_schema_and_in_the_readme() -> None:
    """Each value has a line in the README, and the schema knows exactly the values that values.yaml lists."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)
    _, _, table = (CHART / "README.md").read_text().partition("\n## Values\n")
    documented = set(re.findall(r"^\| `([A-Za-z]+)", table, re.MULTILINE))
    assert documented == set(values)
