"""The two text formats, read back by other people's parsers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.net.text import printable
from daemon.metrics.exposition import Family, Kind, block, number, render
from daemon.web.accept import wants_gzip, wants_openmetrics
from tests.support.exposed import lint, series, series_of
from tests.support.servers import require

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def families() -> list[Family]:
    """Return one family of each kind."""
    counter = Family("demo_runs", Kind.COUNTER, "How often.")
    counter.add(3, block((("check", "tcp"),)))
    gauge = Family("demo_up", Kind.GAUGE, 'A back\\slash, a "quote" and\na new line.')
    gauge.add(value=True)
    info = Family("demo", Kind.INFO, "About.")
    info.add(1, block((("version", "1"),)))
    histogram = Family("demo_lag_seconds", Kind.HISTOGRAM, "Lag.")
    histogram.add_histogram((0.5, 1.0), (1, 0, 2), 7.25, (("check", "tcp"),))
    return [counter, gauge, info, histogram]


def test_text_format() -> None:
    """Text 0.0.4 names counters with `_total` and knows no info type."""
    assert render(families(), openmetrics=False) == (
        "# HELP demo_runs_total How often.\n# TYPE demo_runs_total counter\n"
        'demo_runs_total{check="tcp"} 3\n'
        '# HELP demo_up A back\\\\slash, a "quote" and\\na new line.\n# TYPE demo_up gauge\n'
        "demo_up 1\n"
        "# HELP demo_info About.\n# TYPE demo_info gauge\n"
        'demo_info{version="1"} 1\n'
        "# HELP demo_lag_seconds Lag.\n# TYPE demo_lag_seconds histogram\n"
        'demo_lag_seconds_bucket{check="tcp",le="0.5"} 1\n'
        'demo_lag_seconds_bucket{check="tcp",le="1.0"} 1\n'
        'demo_lag_seconds_bucket{check="tcp",le="+Inf"} 3\n'
        'demo_lag_seconds_sum{check="tcp"} 7.25\n'
        'demo_lag_seconds_count{check="tcp"} 3\n'
    )


def test_openmetrics_names_families_without_suffix() -> None:
    """OpenMetrics differs in metadata and the end mark only."""
    text = render(families(), openmetrics=True)
    assert "# TYPE demo_runs counter\n" in text
    assert "# TYPE demo info\n" in text
    assert text.endswith("# EOF\n")
    assert len(series(text)) == 8


def test_promtool_is_content() -> None:
    """promtool's linter finds nothing in any kind of family."""
    require("promtool")
    assert lint(render(families(), openmetrics=False)) == ""
    assert lint("# TYPE bad_milliseconds gauge\nbad_milliseconds 1\n") != ""


def test_empty_family_is_left_out() -> None:
    """A family without samples leaves no metadata behind."""
    assert render([Family("demo_up", Kind.GAUGE, "Up.")], openmetrics=True) == "# EOF\n"


@given(
    st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda n: n[:2] != "__"), st.text())
)
def test_any_label_value_is_read_back(labels: dict[str, str]) -> None:
    """Whatever text a label holds, both parsers read the same harmless text back."""
    family = Family("demo_up", Kind.GAUGE, "Up.")
    family.add(1, block(labels.items()))
    expected = frozenset((name, printable(value)) for name, value in labels.items())
    found = series_of([family])
    assert {frozenset((k, v) for k, v in s if v) for _, s in found} == {frozenset((k, v) for k, v in expected if v)}


@given(st.floats(allow_nan=False))
def test_any_number_is_read_back(value: float) -> None:
    """No digit is lost."""
    assert float(number(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "1"), (False, "0"), (3, "3"), (0.0011, "0.0011"), (1767323045.678, "1767323045.678"),
     (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
)  # fmt: skip
def test_number(value: float, text: str) -> None:
    """Numbers are written as both formats want them."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        ('application/openmetrics-text; version="1.0.0"', True),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/openmetrics-text;version=1.0.0;q=0", False),
        ("application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.5", False),
        ("application/openmetrics-text;q=0.3,*/*;q=0.5", False),
        ("application/openmetrics-text;q=oops", False),
        ("application/openmetrics-text;q=7", False),
        (PROMETHEUS, True),
        (PROMETHEUS_3, True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("," * 10000, False),
    ],
)
def test_accept(accept: str, *, expected: bool) -> None:
    """OpenMetrics goes to those who ask for it by name and like nothing better."""
    assert wants_openmetrics(accept) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", False), ("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("*", True), ("identity", False),
     ("*, gzip;q=0", False), ("GZIP", True), ("br", False)],
)  # fmt: skip
def test_accept_encoding(header: str, *, expected: bool) -> None:
    """Only a client that accepts gzip gets it."""
    assert wants_gzip(header) is expected
