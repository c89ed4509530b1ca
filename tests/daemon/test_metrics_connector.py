"""The metrics of the Connector itself: what each verdict and each log leaves to be seen."""

from collections.abc import Mapping

import pytest

from checks.connlog.model import ConnectionKind, LogCause
from checks.connlog.summary import Capability, CauseCount, LogSummary
from checks.model import Json, Reason, Status
from daemon.metrics.collection import Metrics
from daemon.metrics.state import state_families
from daemon.observed import Observed, Predictions
from tests.support.exposed import Series, series_of, values
from tests.support.views import Stage, plain_job

GAUGES = ("connector_up", "connector_token_valid", "connector_open_fds", "connector_max_fds")
COUNTERS = (
    "connector_log_errors_total", "connector_events_total", "connector_connections_total", "predictions_total",
)  # fmt: skip
RUNNING: Mapping[str, Json] = {
    "running": True, "restarts": 2, "token_valid": True, "fds": {"used": 64, "limit": 1024, "tunnels_left": 120},
}  # fmt: skip
BEFORE: Mapping[str, Json] = {"runtime": "docker", "restarts": 2}
"""What a look that saw nothing still tells."""


def seen(
    status: Status = Status.OK,
    reason: Reason | None = None,
    facts: Mapping[str, Json] = RUNNING,
    observed: Observed | None = None,
) -> Stage:
    """Let the Connector's row be seen once."""
    stage = Stage([plain_job("connector:process")])
    stage.see("connector:process", status, reason, facts=facts)
    stage.observed = observed or Observed()
    return stage


def found(stage: Stage) -> dict[Series, float]:
    """Return every series of the daemon."""
    return series_of(Metrics(list).families(stage.view()))


def plain(stage: Stage, *names: str) -> dict[str, float]:
    """Return the series of these names that have no labels."""
    series = found(stage)
    return {name: values(series, name)[()] for name in names if values(series, name)}


@pytest.mark.parametrize(
    ("status", "reason", "facts", "expected"),
    [
        pytest.param(Status.OK, None, RUNNING, (1, 1, 64, 1024), id="it runs"),
        pytest.param(Status.OK, None, {**RUNNING, "token_valid": None, "fds": None}, (1, None, None, None),
                     id="its log and its process tell nothing"),
        pytest.param(Status.CRITICAL, Reason.TOKEN_GONE, {**RUNNING, "token_valid": False}, (1, 0, 64, 1024),
                     id="its token is gone, and it runs"),
        pytest.param(Status.CRITICAL, Reason.NOT_RUNNING, {**BEFORE, "running": False, "fds": None},
                     (0, None, None, None), id="it does not run"),
        pytest.param(Status.SKIPPED, Reason.NOT_FOUND, BEFORE, (None,) * 4, id="not found is not down"),
        pytest.param(Status.UNKNOWN, Reason.PERMISSION_DENIED, BEFORE, (None,) * 4, id="nor is what may not be seen"),
        pytest.param(Status.SKIPPED, Reason.NOT_PROBEABLE, {**RUNNING, "running": None}, (None,) * 4, id="nor a guess"),
        pytest.param(Status.OK, None, {"running": "yes", "token_valid": 1, "fds": {"used": "x", "limit": True}},
                     (None,) * 4, id="a fact of another type is none"),
    ],
)  # fmt: skip
def test_a_gauge_is_there_only_with_a_verdict(
    status: Status, reason: Reason | None, facts: Mapping[str, Json], expected: tuple[float | None, ...]
) -> None:
    """Absent when nobody knows: never 0, never the last value."""
    assert plain(seen(status, reason, facts), *GAUGES) == {
        name: value for name, value in zip(GAUGES, expected, strict=True) if value is not None
    }


def test_a_gauge_ends_with_its_verdict() -> None:
    """A verdict older than three intervals is shown no more; the counter of restarts goes on."""
    stage = seen()
    stage.at += 91
    assert plain(stage, *GAUGES, "connector_restarts_total") == {"connector_restarts_total": 2}


@pytest.mark.parametrize("reason", [Reason.NOT_FOUND, Reason.NOT_PROBEABLE])
def test_restarts_are_counted_whatever_the_verdict(reason: Reason) -> None:
    """A counter must not vanish while nobody can look; it is not there before anybody did."""
    assert plain(seen(Status.SKIPPED, reason, BEFORE), "connector_restarts_total") == {"connector_restarts_total": 2}
    assert plain(seen(Status.SKIPPED, reason, {}), "connector_restarts_total") == {}
    assert plain(Stage([plain_job("connector:process")]), "connector_restarts_total") == {}


@pytest.mark.parametrize(
    ("log", "there"),
    [
        pytest.param(None, False, id="no log"),
        pytest.param(LogSummary(problem="its log driver can't be read"), False, id="never read"),
        pytest.param(LogSummary(), True, id="read, and nothing in it yet"),
        pytest.param(LogSummary(problem="dockerd is away", lines=5), True, id="read before"),
    ],
)
def test_counters_of_the_log_start_at_0_once_it_is_read(log: LogSummary | None, there: bool) -> None:
    """Every value of every label from the first moment, since increase() needs one; nothing where nothing is read."""
    series = found(seen(observed=Observed(log=log, predictions=Predictions())))
    sizes = {name: len(values(series, name)) for name in COUNTERS}
    assert list(sizes.values()) == ([len(LogCause), len(ConnectionKind), 3, 12] if there else [0, 0, 0, 0])
    assert not any(value for name in COUNTERS for value in values(series, name).values())


def test_counters_say_what_the_log_said() -> None:
    """Each cause, event, path and pair under its own label."""
    log = LogSummary(
        lines=9,
        causes={LogCause.TOKEN_INVALID: CauseCount(count=3, last_at=1.0)},
        events={ConnectionKind.UNABLE_TO_CONNECT: 4},
        paths={"relayed": 5},
    )
    counts = {("unknown", "dns_lookup_error"): 6, ("made", "up"): 7}
    series = found(seen(observed=Observed(log=log, predictions=Predictions(counts=counts))))
    assert {labels: value for name in COUNTERS for labels, value in values(series, name).items() if value} == {
        (("cause", "token_invalid"),): 3,
        (("event", "unable_to_connect"),): 4,
        (("path", "relayed"),): 5,
        (("observed", "dns_lookup_error"), ("predicted", "unknown")): 6,
    }


def test_no_predictions_without_anybody_who_compares() -> None:
    """A log alone does not make a comparison."""
    series = found(seen(observed=Observed(log=LogSummary())))
    assert values(series, "predictions_total") == {}
    assert values(series, "connector_events_total")


def test_what_a_log_can_show_is_absent_while_unknown() -> None:
    """1 or 0 for what is known, nothing for what is not."""
    log = LogSummary(capability=Capability(errors=True, states=False, analytics=None))
    series = found(seen(observed=Observed(log=log)))
    assert values(series, "log_capability") == {(("kind", "errors"),): 1, (("kind", "states"),): 0}


def test_one_look_shows_its_gauges_and_no_counter() -> None:
    """`check -o prometheus` tells the state, never a count that ends with the command."""
    log = LogSummary(lines=1, capability=Capability(errors=True))
    stage = seen(observed=Observed(log=log, predictions=Predictions()))
    series = series_of(state_families(stage.view()))
    assert all(values(series, name) for name in (*GAUGES, "log_capability"))
    assert not any(values(series, name) for name in (*COUNTERS, "connector_restarts_total"))
