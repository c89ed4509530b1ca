"""A whole dashboard: rows of panels, the variables at its top, what is marked on its graphs, and its JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from deploy.grafana.panels import SOURCE

RUNBOOKS = "https://git.example.com/connector-health/docs/runbooks"
"""Where the pages about alerts are; an example, as `alerting.runbooks`. The chart puts its own value in its place."""
TAG = "connector-health"
EVERY = "All"
_STEP = "60s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened, marked on every graph.

    With `is_moment` the value of the series is when it happened, in milliseconds; else it is marked while above 0.
    """

    name: str
    expr: str
    color: str
    text: str
    is_moment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; `uid` and `file` are what others link to, and stay.

    `links` are addresses of others by their titles. Each says which variables it hands on: one that shows a single
    Connector can do nothing with several.
    """

    uid: str
    file: str
    title: str
    about: str
    variables: Sequence[Any]
    marks: Sequence[Mark]
    rows: Sequence[Row]
    links: Mapping[str, str]
    since: str = "now-6h"


def source() -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return the variable `datasource`: which Prometheus."""
    return build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def runbooks() -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return the variable `runbooks`, a constant: where the pages about alerts are."""
    return build.ConstantVariable("runbooks").label("Runbooks").value(RUNBOOKS)


def chosen_by(name: str, label: str, query: str, *, several: bool) -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return a variable whose choices are the values of the label `name`.

    All stands for `.*`, which also takes those that lack the label: a Connector without Remote Network is watched, too.
    """
    variable = _asked(name, label, query)
    return _several(variable).all_value(".*") if several else variable


def jobs() -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return the hidden variable `job`: by it metrics that every process has are asked of ours only.

    Asked of what a daemon alone says: what a host seen through textfiles shows of a process is node_exporter's.
    """
    return _several(_asked("job", "Job", "connector_health_starved")).hide(dashboard.VariableHide.HIDE_VARIABLE)


def _asked(name: str, label: str, query: str) -> Any:  # noqa: ANN401 - a builder of the SDK
    variable = build.QueryVariable(name).label(label).datasource(SOURCE).sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    variable.query({"query": f"label_values({query}, {name})", "refId": "StandardVariableQuery"})
    # Asked again when the time range changes: one that died yesterday can be chosen where yesterday is shown.
    variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable


def _several(variable: Any) -> Any:  # noqa: ANN401 - a builder of the SDK
    everything = dashboard.VariableOption(selected=True, text=[EVERY], value=["$__all"])
    return variable.multi(True).include_all(True).current(everything)  # noqa: FBT003 - the SDK's signature


def render(board: Board) -> str:
    """Return the dashboard's JSON, ready to be provisioned or imported."""
    made = build.Dashboard(board.title).uid(board.uid).description(board.about).tags([TAG]).editable()
    made.time(board.since, "now").refresh("30s").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    for title, url in board.links.items():
        other = build.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url).icon("dashboard")
        made.link(other.keep_time(True))  # noqa: FBT003 - the SDK's signature
    made.variables(list(board.variables))
    for row in board.rows:
        made.with_row(build.Row(row.title))
        for panel in row.panels:
            made.with_panel(panel)
    data = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    # Numbers that stay while the panels stay: links to one panel hold from one release to the next.
    for number, panel in enumerate(data["panels"], start=1):
        panel["id"] = number
    data["annotations"] = {"list": [_annotation(mark) for mark in board.marks]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _annotation(mark: Mark) -> dict[str, Any]:
    # The SDK's model lacks what Prometheus adds to an annotation.
    return {
        "name": mark.name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "hide": False,
        "iconColor": mark.color,
        "expr": mark.expr,
        "step": _STEP,
        "titleFormat": mark.name,
        "textFormat": mark.text,
        "useValueForTime": mark.is_moment,
    }
