"""The shipped dashboards as files: laid out without overlap, every panel explained, every link leads somewhere."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.support.dashboards import FILES, filled, load, panels, queries

ROOT = Path(__file__).parents[2]
RUNBOOK = re.compile(r"^\$\{runbooks:raw\}/(\w+)\.md$")
BY_FIELD = {"${runbooks:raw}/${__value.raw}.md", "${runbooks:raw}/${__value.text}.md"}
GIVEN = {"__rate_interval", "__range", "__interval", "__interval_ms"}
KINDS = {"stat", "timeseries", "table", "state-timeline"}

pytestmark = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def _links(panel: dict[str, Any]) -> list[str]:
    overrides = [prop for one in panel["fieldConfig"]["overrides"] for prop in one["properties"]]
    columns = [link for prop in overrides if prop["id"] == "links" for link in prop["value"]]
    return [link["url"] for link in (*panel.get("links", ()), *columns)]


def test_panels_lie_beside_each_other(path: Path) -> None:
    """24 columns, nothing covers anything, and every line is full; ids are unique."""
    found = load(path)["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    places = [panel["gridPos"] for panel in found]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    tops = {place["y"] for place in places}
    assert {top: sum(place["w"] for place in places if place["y"] == top) for top in tops} == dict.fromkeys(tops, 24)


def test_every_panel_explains_itself(path: Path) -> None:
    """A title of its own, a description, a unit, the datasource that was chosen, a word for the lack of data."""
    found = panels(load(path))
    assert len({panel["title"] for panel in found}) == len(found)
    for panel in found:
        assert panel["type"] in KINDS, panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        if panel["type"] != "timeseries":
            assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
            assert target["instant"] == (panel["type"] in ("stat", "table")), panel["title"]


def test_large_numbers_have_a_colour_for_a_reason(path: Path) -> None:
    """A stat has either words for its values or thresholds; a state timeline always words."""
    for panel in panels(load(path)):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] in ("stat", "state-timeline"):
            assert defaults.get("mappings") or defaults["thresholds"]["steps"], panel["title"]
        if panel["type"] == "state-timeline":
            assert defaults["mappings"], panel["title"]


def test_columns_that_are_named_exist(path: Path) -> None:
    """A table's headings, its order and what is done to columns speak of labels and values that its queries keep."""
    for panel in (one for one in panels(load(path)) if one["type"] == "table"):
        count = len(panel["targets"])
        kept = {"Value"} if count == 1 else {f"Value #{target['refId']}" for target in panel["targets"]}
        text = " ".join(target["expr"] for target in panel["targets"])
        (options,) = (each["options"] for each in panel["transformations"] if each["id"] == "organize")
        for column in options["indexByName"]:
            assert column in kept or re.search(rf"\b{column}\b", text), (panel["title"], column)
        headings = {"/.*/", *options["renameByName"].values()}
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["options"] in headings, panel["title"]


def test_links_lead_somewhere(path: Path) -> None:
    """Runbooks that there are, dashboards that are shipped; nothing else."""
    pages = {page.stem for page in (ROOT / "docs/runbooks").glob("*.md")}
    uids = {load(one)["uid"] for one in FILES}
    seen = 0
    board = load(path)
    for url in [link["url"] for link in board["links"]] + [url for panel in panels(board) for url in _links(panel)]:
        seen += 1
        if url in BY_FIELD:
            continue
        if page := RUNBOOK.match(url):
            assert page[1] in pages, url
        else:
            dashboard = re.match(r"^/d/([\w-]+)\?", url)
            assert dashboard is not None, url
            assert dashboard[1] in uids, url
    assert seen > 5


def test_every_variable_is_defined(path: Path) -> None:
    """Queries, links and annotations use the dashboard's own variables and those of Grafana; none is idle."""
    found = load(path)
    names = {each["name"] for each in found["templating"]["list"]}
    known = dict.fromkeys(names | GIVEN, "x")
    for query in queries(path):
        filled(query.expr, known)
    text = path.read_text("utf-8")
    assert {name for name in names if not re.search(rf"\$\{{?{name}\b", text)} == set()


def test_all_takes_connectors_without_remote_network(path: Path) -> None:
    """*All* stands for anything, the lack of the label included; jobs alone are named one by one."""
    offered = {
        each["name"]: each.get("allValue") for each in load(path)["templating"]["list"] if each.get("includeAll")
    }
    assert offered.pop("job", None) is None
    assert set(offered.values()) == {".*"}


def test_causes_and_alerts_lead_to_their_runbooks(path: Path) -> None:
    """In the table of causes each code has its page: that of the alert which carries it."""
    from daemon.diagnosis.catalogue import KINDS as CAUSES  # noqa: PLC0415 - the name is the file's own, too

    for panel in panels(load(path)):
        for override in panel["fieldConfig"]["overrides"]:
            for prop in override["properties"]:
                if override["matcher"]["options"] == "runbook" and prop["id"] == "mappings":
                    pages = {code: one["text"] for code, one in prop["value"][0]["options"].items()}
                    assert pages == {code: kind.alert or "README" for code, kind in CAUSES.items()}
                    assert all((ROOT / f"docs/runbooks/{page}.md").is_file() for page in pages.values())
