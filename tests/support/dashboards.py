"""The shipped dashboards as a reader of their JSON sees them: panels, queries, variables, annotations."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "deploy/grafana"
FILES = tuple(sorted(FOLDER.glob("*.json")))
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|([a-zA-Z_]\w*))")  # $1 is PromQL's


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression of a dashboard; `where` names dashboard and panel for a failure."""

    where: str
    expr: str
    instant: bool


def load(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all panels but the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(path: Path) -> Iterator[Query]:
    """Return every query of a dashboard: of its panels and of what it marks on graphs."""
    dashboard = load(path)
    for panel in panels(dashboard):
        for target in panel["targets"]:
            where = f"{path.stem}: {panel['title']} ({target['refId']})"
            yield Query(where=where, expr=target["expr"], instant=target["instant"])
    for mark in dashboard["annotations"]["list"]:
        yield Query(where=f"{path.stem}: annotation {mark['name']}", expr=mark["expr"], instant=False)


def variables(path: Path) -> dict[str, str]:
    """Return the queries of a dashboard's variables, by name."""
    found = load(path)["templating"]["list"]
    return {each["name"]: each["query"]["query"] for each in found if each["type"] == "query"}


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of variables, as Grafana does. Raises: KeyError for one that nobody knows."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], text)
