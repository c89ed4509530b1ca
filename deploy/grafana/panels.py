"""The four kinds of panels that the dashboards are made of, each with what is the same for all of its kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana import style

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
Queries = Mapping[str, str]
"""Expressions by legend; in a table, by the heading of the value's column."""
REFERENCES = "ABCDEFGHIJKLMNOP"
STACKED = build_common.StackingConfig().mode(common.StackingMode.NORMAL).group("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every panel has.

    - `about` is its description: what is seen, and what to do when it looks bad.
    - `width` of 24 columns, `height` in lines of 30 pixels.
    - `runbook` is the alert whose page tells more, `links` further addresses by their titles.
    """

    title: str
    about: str
    width: int = 12
    height: int = 7
    runbook: str = ""
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a column of a table is shown; `rename` is its heading, `link` an address with Grafana's variables."""

    rename: str = ""
    unit: str = ""
    words: style.Words | None = None
    texts: Mapping[str, str] | None = None
    steps: style.Steps = ()
    link: str = ""
    width: int = 0
    hidden: bool = False


BY_THRESHOLD = build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)
TEXT = "string"
"""For labels: any other unit makes 40.8 K of the port 40793."""
NOT_APPLICABLE = "-"


def number(
    frame: Frame,
    queries: Queries,
    *,
    unit: str = "short",
    words: style.Words | None = None,
    steps: style.Steps | Mapping[str, style.Steps] = style.NEUTRAL,
    absent: str = style.NOT_SEEN,
    decimals: int | None = None,
) -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return a panel with the value of now, large, on its colour. `absent` is what it says, in grey, without data.

    Where values differ in what is bad, `steps` are theirs by legend.
    """
    reduced = build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)  # noqa: FBT003 - the SDK's signature
    panel = stat.Panel().unit(unit).reduce_options(reduced).no_value(absent)
    own = steps if isinstance(steps, Mapping) else {}
    panel.thresholds(style.thresholds(style.NEUTRAL if isinstance(steps, Mapping) else steps))
    for name, its_steps in own.items():
        value = style.thresholds(its_steps).build()
        panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="thresholds", value=value)])
    panel.color_scheme(BY_THRESHOLD)
    panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).graph_mode(common.BigValueGraphMode.NONE)
    several = len(queries) > 1 or any("{{" in legend for legend in queries)
    panel.text_mode(common.BigValueTextMode.VALUE_AND_NAME if several else common.BigValueTextMode.VALUE)
    panel.mappings([*(style.words(words) if words is not None else ()), style.without_value(absent)])
    if decimals is not None:
        panel.decimals(decimals)
    return _framed(panel, frame, [_query(text, legend).instant() for legend, text in queries.items()])


def graph(
    frame: Frame,
    queries: Queries,
    *,
    unit: str = "short",
    steps: style.Steps = (),
    stacked: bool = False,
    colors: Mapping[str, str] | None = None,
    least: float | None = 0,
) -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return lines over time. A gap is where nobody knew: it is never bridged. `steps` are drawn as lines."""
    legend = build_common.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)  # noqa: FBT003
    legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    tooltip = build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel = timeseries.Panel().unit(unit).legend(legend).tooltip(tooltip).span_nulls(False)  # noqa: FBT003
    panel.show_points(common.VisibilityMode.AUTO).line_width(1).fill_opacity(60 if stacked else 5)
    if least is not None:
        panel.min(least)
    if stacked:
        panel.stacking(STACKED)
    if steps:
        drawn = build_common.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        panel.thresholds(style.thresholds(steps)).thresholds_style(drawn)
    for name, color in (colors or {}).items():
        fixed = {"mode": "fixed", "fixedColor": color}
        panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="color", value=fixed)])
    return _framed(panel, frame, [_query(text, legend).range() for legend, text in queries.items()])


def timeline(frame: Frame, queries: Queries, words: style.Words) -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return one bar a series, coloured by what held when: where it changes colour is since when."""
    legend = build_common.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)  # noqa: FBT003
    panel = statetimeline.Panel().mappings(style.words(words)).legend(legend.placement(common.LegendPlacement.BOTTOM))
    panel.show_value(common.VisibilityMode.AUTO).merge_values(True).row_height(0.85).fill_opacity(80)  # noqa: FBT003
    panel.unit("short").thresholds(style.thresholds(style.NEUTRAL)).no_value(style.NOT_SEEN).color_scheme(BY_THRESHOLD)
    return _framed(panel, frame, [_query(text, legend).range() for legend, text in queries.items()])


def grid(
    frame: Frame,
    queries: Queries,
    columns: Mapping[str, Column],
    *,
    sort: str = "",
    empty: str = "nothing",
) -> Any:  # noqa: ANN401 - a builder of the SDK
    """Return a table of now: one row for each set of labels, one column for each query, the largest on top.

    `columns` are the labels that the queries keep, and headings of queries, in the order in which they stand.
    """
    panel = table.Panel().cell_height(common.TableCellHeight.SM).no_value(empty).unit(TEXT)
    asked = [_query(text, "").instant().format(PromQueryFormat.TABLE) for text in queries.values()]
    # Grafana calls the column of a single query "Value", those of several "Value #A" and so on.
    raw = ["Value"] if len(queries) == 1 else [f"Value #{reference}" for reference in REFERENCES[: len(queries)]]
    column_of = dict(zip(queries, raw, strict=True))
    order = {column_of.get(name, name): place for place, name in enumerate(columns)}
    names = {column_of.get(name, name): column.rename or name for name, column in columns.items()}
    if len(queries) > 1:
        panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    left_out = dict.fromkeys(("Time", *(column_of.get(n, n) for n, c in columns.items() if c.hidden)), True)
    options = {"excludeByName": left_out, "indexByName": order, "renameByName": names}
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=options))
    # The word for an empty table would stand in each empty cell, too.
    panel.override_by_regexp("/.*/", [dashboard.DynamicConfigValue(id_val="noValue", value=NOT_APPLICABLE)])
    for name, column in columns.items():
        if found := _shown(column, unit="short" if name in queries else ""):
            panel.override_by_name(column.rename or name, found)
    if sort:
        panel.sort_by([build_common.TableSortByFieldState().display_name(sort).desc(True)])  # noqa: FBT003
    return _framed(panel, frame, asked)


def _shown(column: Column, unit: str) -> list[dashboard.DynamicConfigValue]:
    made: dict[str, Any] = {}
    if column.unit or unit:
        made["unit"] = column.unit or unit
    if column.words is not None:
        made["mappings"] = style.words(column.words)
    if column.texts is not None:
        made["mappings"] = style.renamed(column.texts)
    if column.steps:
        made["thresholds"] = style.thresholds(column.steps).build()
    if column.words is not None or column.steps:
        made["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.link:
        made["links"] = [{"title": column.rename or "open", "url": column.link, "targetBlank": True}]
    if column.width:
        made["custom.width"] = column.width
    return [dashboard.DynamicConfigValue(id_val=name, value=value) for name, value in made.items()]


def _query(expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)


def _framed(panel: Any, frame: Frame, asked: Sequence[prometheus.Dataquery]) -> Any:  # noqa: ANN401 - the SDK's builders
    panel.title(frame.title).description(frame.about).span(frame.width).height(frame.height).datasource(SOURCE)
    for reference, query in zip(REFERENCES, asked, strict=False):
        panel.with_target(query.ref_id(reference))
    links = dict(frame.links)
    if frame.runbook:
        links[f"Runbook {frame.runbook}"] = "${runbooks:raw}/" + f"{frame.runbook}.md"
    made = [
        build.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url).target_blank(True)  # noqa: FBT003
        for title, url in links.items()
    ]
    return panel.links(made) if made else panel
