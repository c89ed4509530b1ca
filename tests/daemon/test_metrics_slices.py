"""The exposition is made in slices: others run in between, and what they change breaks nothing."""

from collections import Counter
from dataclasses import replace

import pytest

from checks.model import Event, Json, Reason, Status
from daemon.causes import Cause
from daemon.config.schema import Config, Resource
from daemon.config.schema import Metrics as MetricsConfig
from daemon.metrics.collection import Metrics
from daemon.slices import BATCH, at_once
from daemon.state import TargetState
from daemon.view import View
from tests.support.exposed import engine, fixed_process, lint, series, values
from tests.support.outage import found, nameserver_down, outage_stage
from tests.support.servers import require
from tests.support.sliced import stepped
from tests.support.views import Stage, dns_job, tcp_job

FACTS: dict[str, Json] = {"accepted": ("10.1.2.3",)}
MANY = 3 * BATCH


def crowd(size: int) -> Stage:
    """Make that many Resources with a name and a port each, all of them fine."""
    resources = tuple(Resource(name=f"R{i}", address=f"h{i}.corp.internal") for i in range(size))
    jobs = [job for r in resources for job in (dns_job(r.address, r.name), tcp_job(r.address, 443, r.name))]
    config = Config(resources=resources, metrics=MetricsConfig(detail="all", max_series=200_000))
    stage = Stage(jobs, resources, config)
    for i in range(size):
        accept(stage, i)
    return stage


def accept(stage: Stage, i: int) -> None:
    """Let a Resource be fine."""
    stage.see(f"dns:h{i}.corp.internal", event=Event.NONE, measurements={"lookup_seconds": 0.001})
    stage.see(f"tcp:h{i}.corp.internal:443", event=Event.NONE, measurements={"connect_seconds": 0.001}, facts=FACTS)


def text_of(pieces: list[bytes]) -> str:
    """Put an exposition together."""
    return b"".join(pieces).decode()


def test_no_step_looks_at_more_than_a_batch_of_rows() -> None:
    """However many rows there are, the work between two pauses is that of one batch."""
    stage, looked = crowd(MANY), Counter[int]()
    pause = 0
    present = stage.board.presence()

    def counting(row: TargetState) -> bool:
        looked[pause] += 1
        return present(row)

    def paused(count: int) -> None:
        nonlocal pause
        pause = count

    stage.board.presence = lambda: counting  # type: ignore[method-assign]
    metrics = Metrics(fixed_process)
    for _ in range(2):  # with the labels of the plan still to be written, and then without
        looked.clear()
        pieces, pauses = stepped(metrics.steps(stage.view(engine()), openmetrics=True), paused)
        assert max(looked.values()) == BATCH
        assert sum(looked.values()) == 2 * MANY
        assert pauses >= 4 * 2 * MANY / BATCH
        assert max(map(len, pieces)) < 2 * 65536 + 300 * BATCH


@pytest.mark.parametrize("openmetrics", [True, False])
def test_pauses_change_nothing(*, openmetrics: bool) -> None:
    """What is made in slices is what is made at once, byte for byte."""
    stage, metrics = crowd(MANY), Metrics(fixed_process)
    made, _ = stepped(metrics.steps(stage.view(engine()), openmetrics=openmetrics))
    assert b"".join(made) == metrics.render(stage.view(engine()), openmetrics=openmetrics)


def test_rows_change_and_vanish_meanwhile() -> None:
    """Rows that report, fail or vanish under way leave whole lines, no series twice, and true sums."""
    stage, metrics = crowd(MANY), Metrics(fixed_process)

    def disturb(count: int) -> None:
        i = count * 37 % MANY
        stage.see(f"tcp:h{i}.corp.internal:443", Status.CRITICAL, Reason.REFUSED, event=Event.UNABLE_TO_CONNECT)
        stage.board.rows.pop(f"dns:h{i}.corp.internal", None)
        stage.board.rows.pop(f"tcp:h{MANY - 1 - i}.corp.internal:443", None)

    for _ in range(2):
        pieces, _ = stepped(metrics.steps(stage.view(engine()), openmetrics=True), disturb)
        shown = series(text_of(pieces))
        assert values(shown, "series") == {(): len(shown)}
        assert values(shown, "series_dropped") == {(): 0}
        assert sum(values(shown, "resources").values()) == MANY
        ups = values(shown, "resource_tcp_up")
        assert {k for k, up in ups.items() if up} == set(values(shown, "resource_tcp_seconds"))
        for i in range(MANY):
            accept(stage, i)


def test_a_reload_meanwhile() -> None:
    """An exposition under way goes on with the plan that it began with; the next one has the new one's labels."""
    stage, metrics = crowd(MANY), Metrics(fixed_process)
    view = stage.view(engine())
    renamed = [tcp_job(f"h{i}.corp.internal", 443, f"New {i}") for i in range(MANY)]
    other = Stage(renamed, [Resource(name=f"New {i}", address=f"h{i}.corp.internal") for i in range(MANY)])

    def reload(count: int) -> None:
        if count == 10:
            stage.board.load(renamed)
            at_once(metrics.steps(new_view(stage, other), openmetrics=True))

    pieces, _ = stepped(metrics.steps(view, openmetrics=True), reload)
    before = series(text_of(pieces))
    after = series(text_of(at_once(metrics.steps(new_view(stage, other), openmetrics=True))))
    assert {dict(k)["resource"][0] for k in values(before, "resource_info")} == {"R"}
    assert {dict(k)["resource"][0] for k in values(before, "resource_tcp_up")} == {"R"}
    assert {dict(k)["resource"][0] for k in values(after, "resource_tcp_up")} == {"N"}
    assert values(before, "series") == {(): len(before)}


def new_view(stage: Stage, other: Stage) -> View:
    """Return a view of one board by another plan."""
    config = Config(resources=other.plan.resources, metrics=stage.config.metrics)
    return View(config=config, plan=other.plan, board=stage.board, engine=engine())


def test_promtool_reads_a_large_one() -> None:
    """Nothing is wrong with 10,000 lines that have been put together from pieces."""
    require("promtool")
    stage = crowd(2000)
    stage.diagnosis = found(nameserver_down(outage_stage(1)))
    assert lint(text_of(at_once(Metrics(fixed_process).steps(stage.view(engine()), openmetrics=False)))) == ""


def test_thousands_of_causes_are_counted_in_steps() -> None:
    """Each failure may be a cause of its own: the few that are shown are found with pauses."""
    stage = outage_stage(1, 1)
    cause = nameserver_down(stage)
    stage.diagnosis = found(*[_numbered(cause, n) for n in range(5000)])
    shown, pauses = stepped(Metrics(fixed_process).steps(stage.view(engine()), openmetrics=True))
    assert len(values(series(text_of(shown)), "diagnosis")) == 200
    assert pauses >= 5


def _numbered(cause: Cause, number: int) -> Cause:
    return replace(cause, target=f"10.0.{number // 250}.{number % 250}")
