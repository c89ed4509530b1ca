"""The exposition: one golden file, both formats, the linter, the documentation."""

import json
import os
import re
import subprocess
from pathlib import Path

from daemon.metrics.collection import Metrics
from daemon.metrics.exposition import Kind, render
from daemon.metrics.process import process_families
from daemon.metrics.state import state_families
from tests.support.exposed import engine, exposition, lint, series, series_of, values
from tests.support.office import diagnosed, office, seen, watched
from tests.support.servers import find, require

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "data" / "metrics.golden.txt"


def test_golden() -> None:
    """The whole exposition stays as it is, byte for byte; UPDATE_GOLDEN=1 writes it anew."""
    shown = exposition(diagnosed(watched(seen(office()))), openmetrics=False)
    text = re.sub(r"(_build_info)\{.*\}", r'\1{version="X",python="Y"}', shown)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_both_formats_say_the_same() -> None:
    """Every series is read by the strict OpenMetrics parser, once, and is the same in the older format."""
    families = Metrics().families(diagnosed(watched(seen(office()))).view(engine()))
    found = series_of(families)
    assert found["connector_health_series", frozenset()] == sum(f.size for f in families)
    assert any(name == "process_resident_memory_bytes" for name, _ in found)
    assert any(name == "python_gc_collections_total" for name, _ in found)


def test_promtool_is_content() -> None:
    """promtool's linter finds nothing, in the daemon's exposition and in that of one look."""
    require("promtool")
    stage = diagnosed(watched(seen(office())))
    assert lint(Metrics().render(stage.view(engine()), openmetrics=False).decode()) == ""
    assert lint(render(state_families(stage.view()), openmetrics=False)) == ""


def test_one_look_has_no_counters() -> None:
    """`check -o prometheus` shows gauges and time stamps only."""
    families = [f for f in state_families(diagnosed(watched(seen(office()))).view()) if f.lines]
    assert {f.kind for f in families} == {Kind.GAUGE, Kind.INFO}
    assert not [f.name for f in families if "scheduler" in f.name or f.name.startswith(("process", "python"))]


def test_nothing_is_known_before_the_first_run() -> None:
    """A plan without results shows identity and zeroes, and no verdict."""
    found = series(exposition(office()))
    assert not [name for name, _ in found if name.endswith(("_up", "_predicted_event", "_addresses"))]
    assert values(found, "checks_total")[("check", "tcp"),] == 0
    assert values(found, "check_failures_total")[("check", "tcp"), ("reason", "refused")] == 0
    assert values(found, "target_seconds_total") == {(("state", s),): 0 for s in ("ok", "failing", "unknown")}
    assert len(values(found, "resource_info")) == 9


def test_expired_certificate_keeps_its_date() -> None:
    """What an alert on the date warns of must not end it when it comes true; phases of the failure are not shown."""
    found = series(exposition(seen(office())))
    dates = values(found, "control_plane_certificate_not_after_timestamp_seconds")
    assert dates[("endpoint", "old.twingate.com"),] == 1760000000.0
    assert {dict(k)["endpoint"] for k in values(found, "control_plane_phase_seconds")} == {"acme.twingate.com"}


def test_process_families_are_the_usual_ones() -> None:
    """The names are those of every Prometheus client."""
    names = {family.sample_name for family in process_families()}
    assert {"process_cpu_seconds_total", "process_open_fds", "process_max_fds", "python_info"} <= names


def test_every_family_is_documented() -> None:
    """docs/metrics.md names every metric with all of its labels, and no metric that is not there."""
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    documented = dict(re.findall(r"^\| `(\w+)(?:\{(.*?)\})?`", text, re.MULTILINE))
    labels: dict[str, set[str]] = {}
    for family in Metrics(list).families(diagnosed(watched(seen(office()))).view(engine())):
        name = family.sample_name.removeprefix("connector_health_")
        labels.setdefault(name, set())
        for line in "".join(family.lines).splitlines():
            labels[name] |= set(re.findall(r'[{,](\w+)="', line)) - {"le"}
    labels["resource_info"] -= {"team"}
    documented = {name: {x for x in listed.split(",") if x and x != "…"} for name, listed in documented.items()}
    rows = {name: listed for name, listed in documented.items() if name not in ("all", "failing", "none", "auto")}
    assert rows == labels


def test_examples_are_valid_promql(tmp_path: Path) -> None:
    """promtool parses every example of the documentation."""
    require("promtool")
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    examples = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 5
    rules = [{"record": f"example:{i}", "expr": example} for i, example in enumerate(examples)]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "examples", "rules": rules}]}))
    promtool = find("promtool")
    assert promtool
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr.decode()
