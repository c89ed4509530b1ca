"""The dashboards beside a real Prometheus that scrapes real daemons: current, and every query has something to show."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.grafana.promql import BLAMED, CRITICAL, FINE, UNSEEN, WARNING
from tests.support.dashboards import FILES, filled, load, panels, queries, variables
from tests.support.prometheus import Vector
from tests.support.servers import require, require_module
from tests.support.watched_site import CONNECTOR, HEALTHY, NETWORK, OTHER, Site, watched_site

WAIT_S = 60.0  # what Prometheus has to see twice, on a busy machine
LOOK_BACK_S = 20
GRAFANA = {
    "__rate_interval": "10s",
    "__range": "2m",
    "__interval": "5s",
    "__interval_ms": "5000",
    "job": "connector-health",
    "datasource": "x",
}
CHOSEN = GRAFANA | {"connector": CONNECTOR, "remote_network": ".*"}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site after users met its faults, its Connector was restarted and its configuration broken."""
    require("root", "prometheus", "dockerd", "unbound")
    with watched_site(tmp_path_factory.mktemp("site")) as made:
        made.first.until_ready()
        made.second.until_ready()
        _eventually(lambda: len(made.prometheus.query("up == 1")) == 3, "scraped")
        # A counter that was never scraped at 0 has grown by nothing.
        predictions = "sum(connector_health_predictions_total)"
        _eventually(lambda: made.prometheus.query(f"{predictions} == 0"), "seen without users")
        made.use("failed_to_connect", 1)
        made.use("established_connection", 2)
        _eventually(lambda: made.prometheus.query(f"{predictions} > 0"), "told of users")
        made.docker.restart(CONNECTOR)
        restarts = "connector_health_connector_restarts_total"
        made.first.until(lambda: made.first.metric(restarts).get("") == 1, "told of the restart")
        made.break_config()
        yield made


def _eventually(holds: Callable[[], object], what: str) -> None:
    """Poll: Prometheus and the daemons are other processes."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, f"never {what}"
        time.sleep(0.2)


def _value(site: Site, where: str, values: Mapping[str, str] = CHOSEN) -> float:
    """Return the one value that a panel's query has now: `DASHBOARD: PANEL (REFERENCE)`."""
    (found,) = _vector(site, where, values).values()
    return found


def _vector(site: Site, where: str, values: Mapping[str, str] = CHOSEN) -> Vector:
    (query,) = (one for path in FILES for one in queries(path) if one.where == where)
    return site.prometheus.query(filled(query.expr, values))


def _alerts(site: Site) -> tuple[Vector, Vector]:
    ranks, since = (_vector(site, f"connector: Alerts, and since when ({reference})") for reference in "AB")
    return ranks, since


def _links(site: Site, connector: str) -> dict[str, float]:
    (panel,) = (one for one in panels(load(FILES[0])) if one["title"] == "Which link, since when")
    found = {}
    for target in panel["targets"]:
        (found[target["legendFormat"]],) = site.prometheus.query(
            filled(target["expr"], CHOSEN | {"connector": connector})
        ).values()
    return found


def test_committed_dashboards_are_current() -> None:
    """The JSON is what the code makes; if not: `make dashboards`."""
    require_module("grafana_foundation_sdk", "installation")
    from deploy.grafana.board import render  # noqa: PLC0415 - its package is the extra's
    from deploy.grafana.boards import BOARDS  # noqa: PLC0415

    assert {path.name: path.read_text("utf-8") for path in FILES} == {board.file: render(board) for board in BOARDS}


def test_dashboards_are_valid_for_the_sdk() -> None:
    """Each panel and target survives the way through Grafana's own model of a dashboard."""
    require_module("grafana_foundation_sdk", "installation")
    from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415

    register_default_plugins()
    for path in FILES:
        read = Dashboard.from_json(load(path))
        assert read.panels is not None
        assert [panel.title for panel in read.panels] == [panel["title"] for panel in load(path)["panels"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_query_returns_data(site: Site, path: Path) -> None:
    """Panels and annotations: what is shown for this Connector is shown, each query by itself."""
    missing = list(queries(path))
    assert missing

    def nothing_is_missing() -> bool:
        missing[:] = [one for one in missing if not _data(site, filled(one.expr, CHOSEN), instant=one.instant)]
        return not missing

    end = time.monotonic() + WAIT_S
    while not nothing_is_missing() and time.monotonic() < end:
        time.sleep(1)
    assert not missing, "\n".join(f"{one.where}: {one.expr}" for one in missing)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tables_keep_only_the_labels_that_they_show(site: Site, path: Path) -> None:
    """A label that a table does not name would be a column that nobody asked for, and rows that do not merge."""
    for panel in (one for one in panels(load(path)) if one["type"] == "table"):
        (options,) = (each["options"] for each in panel["transformations"] if each["id"] == "organize")
        for target in panel["targets"]:
            series = site.prometheus.query(filled(target["expr"], CHOSEN))
            labels = {name for one in series for name, _ in one}
            assert labels <= options["indexByName"].keys(), panel["title"]


def _data(site: Site, expression: str, *, instant: bool) -> list[float]:
    asked = site.prometheus
    found = list(asked.query(expression).values()) if instant else asked.query_range(expression, LOOK_BACK_S)
    return [value for value in found if math.isfinite(value)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_variables_offer_what_is_watched(site: Site, path: Path) -> None:
    """The Connectors and Remote Networks that can be chosen are those that there are."""
    offered = {}
    for name, query in variables(path).items():
        selector, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        offered[name] = set(site.prometheus.label_values(label, filled(selector, CHOSEN)))
    expected = {"remote_network": {NETWORK}, "connector": {CONNECTOR, OTHER, HEALTHY}, "job": {"connector-health"}}
    assert offered == {name: expected[name] for name in offered}
    assert "remote_network" in offered


def test_shipped_rules_work_beside_it(site: Site) -> None:
    """No rule of the shipped files fails on what these daemons say."""
    assert site.prometheus.broken_rules() == {}


def test_first_row_answers_for_a_broken_connector(site: Site) -> None:
    """Is it this Connector, which link, since when: the verdict, the links to blame, the alerts with their begin."""
    assert _value(site, "connector: This Connector (A)") == CRITICAL
    links = _links(site, CONNECTOR)
    blamed = {name for name, value in links.items() if value == BLAMED}
    assert blamed == {"Nameservers", "Resources themselves"}
    assert links["Clock"] == links["Control plane"] == FINE
    causes = _vector(site, "connector: What is to blame (A)")
    assert {dict(labels)["runbook"] for labels in causes} >= {"NameserverDown", "NameFails"}
    ranks, since = _alerts(site)
    assert {(dict(labels)["severity"], rank) for labels, rank in ranks.items()} == {
        ("critical", CRITICAL),
        ("warning", WARNING),
    }
    # Rows of one table: what has a begin and does not fire (it has not lasted long enough) is none of them.
    _eventually(lambda: len({frozenset(each) for each in _alerts(site)}) == 1, "told the begin of what fires, alone")
    now_ms = 1000 * time.time()  # noqa: TID251 - Prometheus counts in wall time
    assert all(0 <= now_ms - began < 300_000 for began in since.values())


def test_first_row_tells_this_connector_from_the_resource(site: Site) -> None:
    """What fails here only is counted; what both Connectors find down is the Fleet dashboard's."""
    assert _value(site, "connector: Resources down here only (A)") == 1
    assert _value(site, "connector: Connectors of its Remote Network (A)") == 2
    (alone,) = _vector(site, "fleet: Down for one Connector only (A)")
    assert dict(alone)["resource"] == "Only here"
    everybody = _vector(site, "fleet: Down for everybody (A)")
    assert {dict(labels)["resource"] for labels in everybody} == {"Billing", "HR"}
    assert set(everybody.values()) == {2}


def test_healthy_connector_without_remote_network_is_fine(site: Site) -> None:
    """Verdict and links say fine, in words: no panel of the first row is red or empty because nothing is wrong."""
    healthy = CHOSEN | {"connector": HEALTHY}
    assert _value(site, "connector: This Connector (A)", healthy) == FINE
    assert set(_links(site, HEALTHY).values()) == {FINE}
    assert set(_vector(site, "connector: Resources that fail for users (A)", healthy).values()) == {0}
    assert _value(site, "connector: Resources down here only (A)", healthy) == 0
    for nothing in ("What is to blame", "Alerts, and since when", "Oldest alert fires for"):
        assert _vector(site, f"connector: {nothing} (A)", healthy) == {}


def test_daemon_that_ends_is_missed(site: Site) -> None:
    """Once a daemon is gone its Connector has no verdict at all, rather than an old one, and Fleet counts it."""
    other = CHOSEN | {"connector": OTHER}
    assert _value(site, "connector: This Connector (A)", other) == CRITICAL
    assert _value(site, "fleet: Daemons not seen (A)") == 0
    assert _value(site, "fleet: Critical Connectors (A)") == 2
    site.second.end()
    _eventually(lambda: not _vector(site, "connector: This Connector (A)", other), "without a verdict")
    _eventually(lambda: _value(site, "fleet: Daemons not seen (A)") == 1, "missed")
    verdicts = {dict(labels)["connector"]: value for labels, value in _vector(site, "fleet: Connectors (A)").items()}
    assert verdicts == {CONNECTOR: CRITICAL, OTHER: UNSEEN, HEALTHY: FINE}
    its_network = "connector: Connectors of its Remote Network"
    _eventually(lambda: _value(site, f"{its_network} (A)") == 1, "one left that serves")
    assert _value(site, f"{its_network} (B)") == 2, "and it is known that there was another"
