"""Expositions read back by somebody else's parsers: what a test asserts is what Prometheus would see."""

import subprocess
from collections.abc import Iterable

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon.counters import Histogram
from daemon.metrics.collection import Metrics
from daemon.metrics.exposition import Family, Kind, render
from daemon.view import EngineFigures
from tests.support.servers import find
from tests.support.views import STARTED_AT, Stage

Series = tuple[str, frozenset[tuple[str, str]]]


def series(text: str) -> dict[Series, float]:
    """Read OpenMetrics strictly; return every sample by name and labels."""
    found: dict[Series, float] = {}
    for family in parse_openmetrics(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def series_of(families: Iterable[Family]) -> dict[Series, float]:
    """Render families in both formats, check that both say the same, and return every sample."""
    families = list(families)
    strict = series(render(families, openmetrics=True))
    plain: dict[Series, float] = {}
    for family in parse_text(render(families, openmetrics=False)):
        for sample in family.samples:
            plain[sample.name, frozenset(sample.labels.items())] = sample.value
    assert strict == plain
    return strict


def values(found: dict[Series, float], name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the samples of one name by their sorted labels; the prefix `connector_health_` is added."""
    return {tuple(sorted(labels)): v for (n, labels), v in found.items() if n == f"connector_health_{name}"}


def lint(text: str) -> str:
    """Return what `promtool check metrics` complains about; empty when nothing."""
    promtool = find("promtool")
    assert promtool
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=20, check=False
    )
    return (done.stdout + done.stderr).decode() if done.returncode else ""


def fixed_process() -> list[Family]:
    """Stand in for the kernel and the interpreter, whose figures never repeat."""
    family = Family("process_open_fds", Kind.GAUGE, "Number of open file descriptors.")
    family.add(12)
    return [family]


def engine() -> EngineFigures:
    """Return an engine with something to say."""
    lag = Histogram()
    lag.observe(0.0005)
    lag.observe(0.3)
    return EngineFigures(
        connector="office-1", vantage="host", runtime="docker", started_at=STARTED_AT, ready=True, in_flight=3,
        missed=1, scheduler_lag=lag, event_loop_lag_s=0.0125, reload_ok=True, reloaded_at=STARTED_AT,
    )  # fmt: skip


def exposition(stage: Stage, *, openmetrics: bool = True) -> str:
    """Render everything but the process."""
    return Metrics(fixed_process).render(stage.view(engine()), openmetrics=openmetrics).decode()
