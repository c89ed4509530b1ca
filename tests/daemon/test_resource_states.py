"""Every Resource is counted once, under the first state that applies."""

import datetime as dt

import pytest

from checks.model import Reason, Status
from daemon.causes import Diagnosis
from daemon.config.schema import Config, Maintenance, Resource
from daemon.metrics.resource_states import ResourceState, count_states
from tests.support.views import STARTED_AT, Stage, dns_job, plain_job, skipped, tcp_job

NAME, PORT, OTHER = "dns:db.corp", "tcp:db.corp:1", "tcp:db.corp:2"
CRITICAL = (Status.CRITICAL, Reason.REFUSED)
UNKNOWN = (Status.UNKNOWN, Reason.PROBER_STARVED)
EXPLAINED = (Status.SKIPPED, Reason.DEPENDENCY_FAILED)
NEVER_UP = (Status.SKIPPED, Reason.NEVER_UP)
NOT_ALLOWED = (Status.SKIPPED, Reason.NOT_ALLOWED)
OK = (Status.OK, None)
Seen = tuple[tuple[str, tuple[Status, Reason | None], int], ...]


def state_of(seen: Seen, resource: Resource | None = None, config: Config | None = None, *, age: float = 0) -> str:
    """Return the one state in which a Resource with a name and two ports is counted."""
    resource = resource or Resource(name="DB", address="db.corp")
    jobs = [dns_job("db.corp", "DB"), tcp_job("db.corp", 1, "DB"), tcp_job("db.corp", 2, "DB")]
    jobs = [job for job in jobs if job.id in {row for row, _, _ in seen} | {NAME, PORT}]
    stage = Stage(jobs, [resource], config)
    for row, (status, reason), times in seen:
        stage.see(row, status, reason, times=times)
    stage.at += age
    counted = count_states(stage.view(), stage.board.present)
    assert counted.total() == 1
    return next(iter(counted))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((), "unknown"),
        (((NAME, OK, 1), (PORT, OK, 1)), "ok"),
        (((NAME, OK, 1),), "unknown"),
        (((NAME, OK, 1), (PORT, CRITICAL, 1)), "pending"),
        (((NAME, OK, 1), (PORT, CRITICAL, 2)), "failing"),
        (((NAME, OK, 1), (PORT, CRITICAL, 2), (PORT, OK, 1)), "failing"),
        (((NAME, OK, 1), (PORT, CRITICAL, 2), (PORT, OK, 2)), "ok"),
        (((NAME, OK, 1), (PORT, CRITICAL, 2), (OTHER, UNKNOWN, 1)), "failing"),
        (((NAME, OK, 1), (PORT, UNKNOWN, 1), (OTHER, CRITICAL, 1)), "pending"),
        (((NAME, CRITICAL, 2), (PORT, EXPLAINED, 1)), "failing"),
        (((NAME, EXPLAINED, 1), (PORT, EXPLAINED, 1)), "suppressed"),
        (((NAME, OK, 1), (PORT, NEVER_UP, 1)), "never_up"),
        (((NAME, OK, 1), (PORT, NEVER_UP, 1), (OTHER, OK, 1)), "ok"),
        (((NAME, OK, 1), (PORT, NOT_ALLOWED, 1)), "not_probeable"),
        (((NAME, OK, 1), (PORT, (Status.WARNING, Reason.UNEXPECTEDLY_UP), 1)), "ok"),
    ],
)
def test_first_that_applies(seen: Seen, expected: str) -> None:
    """The worst that is held of a name or port decides; a name alone makes nothing ok that has ports."""
    assert state_of(seen) == expected


def test_old_verdicts_are_unknown() -> None:
    """What was ok once is not ok for ever."""
    assert state_of(((NAME, OK, 1), (PORT, OK, 1)), age=91) == "unknown"


@pytest.mark.parametrize(
    ("match", "offset", "expected"),
    [
        ("*.corp", 0, "maintenance"),
        ("DB", 0, "maintenance"),
        ("*.CORP", 0, "maintenance"),
        ("*.other", 0, "failing"),
        ("*.corp", 3600, "failing"),
        ("*.corp", -60, "failing"),
    ],
)
def test_maintenance_excuses(match: str, offset: float, expected: str) -> None:
    """A failure during an announced maintenance is counted as that, from its start to before its end."""
    start = dt.datetime.fromtimestamp(STARTED_AT + offset, dt.UTC)
    window = Maintenance(match=match, start=start, to=start + dt.timedelta(seconds=60))
    assert state_of(((NAME, OK, 1), (PORT, CRITICAL, 2)), config=Config(maintenance=(window,))) == expected


def test_maintenance_hides_nothing_good() -> None:
    """A Resource that works during its maintenance is ok."""
    start = dt.datetime.fromtimestamp(STARTED_AT, dt.UTC)
    config = Config(maintenance=(Maintenance(match="*", start=start, to=start + dt.timedelta(hours=1)),))
    assert state_of(((NAME, OK, 1), (PORT, OK, 1)), config=config) == "ok"


@pytest.mark.parametrize(("name", "expected"), [(OK, "ok"), (CRITICAL, "pending"), (UNKNOWN, "unknown")])
def test_name_only(name: tuple[Status, Reason | None], expected: str) -> None:
    """With `probe: dns` the name is all there is to judge."""
    resource = Resource(name="DB", address="db.corp", probe="dns")
    jobs = [dns_job("db.corp", "DB"), plain_job("tcp:db.corp", fixed=skipped(Reason.NOT_PROBEABLE), resources=("DB",))]
    stage = Stage(jobs, [resource])
    stage.see(NAME, *name)
    assert list(count_states(stage.view(), stage.board.present)) == [expected]


def test_not_probeable_is_never_ok() -> None:
    """A Resource none of whose ports can be probed is not ok because its name resolves."""
    resource = Resource(name="DB", address="db.corp")
    jobs = [dns_job("db.corp", "DB"), plain_job("tcp:db.corp", fixed=skipped(Reason.NOT_PROBEABLE), resources=("DB",))]
    stage = Stage(jobs, [resource])
    stage.see(NAME)
    assert list(count_states(stage.view(), stage.board.present)) == [ResourceState.NOT_PROBEABLE]


def test_disabled() -> None:
    """`probe: never`, or no check that would look: nothing is asked."""
    resources = [Resource(name="A", address="10.0.0.1", probe="never"), Resource(name="B", address="10.0.0.2")]
    stage = Stage([plain_job("tcp:10.0.0.1", fixed=skipped(Reason.NOT_PROBEABLE), resources=("A",))], resources)
    assert count_states(stage.view(), stage.board.present) == {ResourceState.DISABLED: 2}


@pytest.mark.parametrize(
    ("failing", "explained", "expected"),
    [
        ((PORT,), (PORT,), "suppressed"),
        ((PORT, OTHER), (PORT, OTHER), "suppressed"),
        ((PORT, OTHER), (PORT,), "failing"),
        ((PORT,), (), "failing"),
        ((), (PORT,), "ok"),
    ],
)
def test_what_a_cause_explains_does_not_fail_by_itself(
    failing: tuple[str, ...], explained: tuple[str, ...], expected: str
) -> None:
    """A Resource of which a cause elsewhere explains all that fails is suppressed; one failure of its own is enough."""
    resource = Resource(name="DB", address="db.corp")
    stage = Stage([dns_job("db.corp", "DB"), tcp_job("db.corp", 1, "DB"), tcp_job("db.corp", 2, "DB")], [resource])
    for row in (NAME, PORT, OTHER):
        stage.see(row, *(CRITICAL if row in failing else OK), times=2)
    stage.diagnosis = Diagnosis(explained=dict.fromkeys(explained, "SubnetUnreachable:10.0.0.0/24"))
    assert list(count_states(stage.view(), stage.board.present)) == [expected]


def test_a_failure_that_is_explained_before_it_is_confirmed_is_suppressed() -> None:
    """Pending and recovering rows are explained as failing ones are."""
    stage = Stage([tcp_job("db.corp", 1, "DB")], [Resource(name="DB", address="db.corp")])
    stage.diagnosis = Diagnosis(explained={PORT: "SubnetUnreachable:10.0.0.0/24"})
    for status in (CRITICAL, CRITICAL, OK):
        stage.see(PORT, *status)
        assert list(count_states(stage.view(), stage.board.present)) == ["suppressed"]
