import pytest

from checks.model import CheckName, Reason
from daemon.board import Board
from daemon.counters import BUCKETS_S, Histogram, declared_reasons
from daemon.state import Policy, State
from tests.support.rows import make_job, make_result

RESOLVER = make_job("system", CheckName.RESOLVER, resources=())
OTHER = make_job("b:1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that the test moves."""
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    """A board of one tcp job of 30 s, `tcp:a:1`."""
    board = Board(Policy(), clock, reasons=lambda _: (Reason.REFUSED, Reason.TIMEOUT))
    board.load([make_job()])
    return board


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (10.0, 8), (10.1, 9), (3600.0, 9)],
    ids=["zero", "on-the-bound", "above-it", "last-bound", "infinite", "hour"],
)
def test_histogram_bounds_are_inclusive(value: float, bucket: int) -> None:
    """A value counts in the first bucket whose bound it does not exceed, as Prometheus' `le` means."""
    histogram = Histogram()
    histogram.observe(value)
    assert histogram.counts == [int(n == bucket) for n in range(len(BUCKETS_S) + 1)]
    assert histogram.total == value


def test_record_returns_transitions(board: Board) -> None:
    """Only rows whose state changed are returned."""
    assert [t.after for t in board.record([make_result("o", 1.0)])] == ["ok"]
    assert board.record([make_result("o", 2.0)]) == []
    assert [(t.before, t.after) for t in board.record([make_result("c", 3.0)])] == [("ok", "pending")]


def test_rows_of_removed_jobs_vanish(board: Board) -> None:
    """A reload without a job leaves none of its rows, and keeps what is held of the others."""
    board.load([make_job(), OTHER])
    board.record([make_result("c", 1.0)])
    board.record([make_result("c", 1.0, OTHER)])
    board.load([OTHER])
    assert list(board.rows) == ["tcp:b:1"]
    assert board.rows["tcp:b:1"].state is State.PENDING


def test_results_of_removed_jobs_are_ignored(board: Board) -> None:
    """A run that outlives a reload does not bring its row back."""
    board.load([OTHER])
    assert board.record([make_result("o", 1.0)]) == []
    assert board.rows == {}


def test_rows_that_a_job_no_longer_reports_vanish(board: Board) -> None:
    """A nameserver that left resolv.conf is gone from the board with the next run."""
    board.load([RESOLVER])
    board.record([make_result("o", 1.0, RESOLVER, target=t) for t in ("10.0.0.1", "10.0.0.2")])
    board.record([make_result("o", 2.0, RESOLVER, target="10.0.0.2")])
    assert list(board.rows) == ["resolver:10.0.0.2"]


def test_an_inconclusive_run_does_not_make_rows_vanish(board: Board) -> None:
    """A run that reached no verdict freezes the rows it could not name; its own row goes with the next run."""
    board.load([RESOLVER])
    for at in (1.0, 2.0):
        board.record([make_result("c", at, RESOLVER, target=t) for t in ("10.0.0.1", "10.0.0.2")])
    board.record([make_result("u", 3.0, RESOLVER)])
    assert {i: row.state for i, row in board.rows.items()} == {
        "resolver:10.0.0.1": "unknown", "resolver:10.0.0.2": "unknown", "resolver:system": "unknown",
    }  # fmt: skip
    board.record([make_result("c", 4.0, RESOLVER, target=t) for t in ("10.0.0.1", "10.0.0.2")])
    assert {(i, row.state, row.since) for i, row in board.rows.items()} == {
        ("resolver:10.0.0.1", "failing", 1.0), ("resolver:10.0.0.2", "failing", 1.0),
    }  # fmt: skip


def test_a_row_taken_over_by_another_job_stays(board: Board) -> None:
    """When a redirect's end point has a job of its own, the end of the redirect does not take its row away."""
    one, two = (make_job(t, CheckName.CONTROL_PLANE, resources=()) for t in ("one", "two"))
    board.load([one, two])
    board.record([make_result("o", 1.0, one), make_result("o", 1.0, one, target="two")])
    board.record([make_result("o", 2.0, two)])
    board.record([make_result("o", 3.0, one)])
    assert set(board.rows) == {"control_plane:one", "control_plane:two"}


def test_fixed_outcomes_are_recorded_at_load(board: Board) -> None:
    """A target that is never probed is on the board at once, unknown, and counts as no run."""
    board.load([make_job("*.corp", fixed="n")])
    board.load([make_job("*.corp", fixed="n")])
    assert board.rows["tcp:*.corp"].state is State.UNKNOWN
    assert board.counters.inconclusive == {}
    assert not board.present(board.rows["tcp:*.corp"])


def test_a_job_that_is_no_longer_probed_starts_afresh(board: Board) -> None:
    """A failure of a target that the operator switched off does not stay as suppressed."""
    for at in (1.0, 2.0):
        board.record([make_result("c", at)])
    board.load([make_job(fixed="n")])
    assert board.rows["tcp:a:1"].state is State.UNKNOWN
    assert not board.rows["tcp:a:1"].failing
    board.load([make_job()])
    assert board.rows == {}


def test_a_renamed_resource_shows_at_once(board: Board) -> None:
    """A reload that changes which Resources stand behind a row does not wait for its next run."""
    board.record([make_result("o", 1.0)])
    board.load([make_job(resources=("New name",))])
    assert board.rows["tcp:a:1"].result.resources == ("New name",)


@pytest.mark.parametrize(
    ("letter", "age", "present"),
    [("o", 90.0, True), ("w", 90.0, True), ("c", 90.0, True), ("o", 90.1, False), ("u", 0.0, False), ("d", 0.0, False)],
    ids=["ok", "warning", "critical", "stale", "unknown", "skipped"],
)
def test_presence(board: Board, clock: Clock, letter: str, age: float, *, present: bool) -> None:
    """A verdict may be shown only while its last run was conclusive, and no longer ago than three intervals."""
    board.record([make_result("o", 900.0)])
    board.record([make_result(letter, 1000.0)])
    clock.now += age
    assert board.present(board.rows["tcp:a:1"]) is present


def test_presence_survives_a_step_of_the_clock(clock: Clock) -> None:
    """With the loop's clock, a step of this host's clock by an hour neither hides nor prolongs a verdict."""
    monotonic = Clock()
    board = Board(Policy(), clock, clock=monotonic, reasons=lambda _: ())
    board.load([make_job()])
    board.record([make_result("o", clock.now)])
    clock.now += 3600.0
    assert board.present(board.rows["tcp:a:1"])
    clock.now -= 7200.0
    monotonic.now += 91.0
    assert not board.present(board.rows["tcp:a:1"])


def test_counters_start_at_zero(board: Board) -> None:
    """Every failure that a check with a job declares is there at 0 before the first run, and no other check's."""
    assert board.counters.failures == {("tcp", Reason.REFUSED): 0, ("tcp", Reason.TIMEOUT): 0}
    assert board.counters.conclusive == {"tcp": 0}
    assert board.counters.target_seconds == {"ok": 0.0, "failing": 0.0, "unknown": 0.0}


def test_counters_count_what_ended_how(board: Board) -> None:
    """Conclusive, failed and inconclusive runs are counted apart; a warning is conclusive and no failure."""
    for at, letter in enumerate("owccudd"):
        board.record([make_result(letter, float(at))])
    counters = board.counters
    assert counters.conclusive == {"tcp": 4}
    assert counters.failures[CheckName.TCP, Reason.REFUSED] == 2
    assert counters.inconclusive == {("tcp", Reason.PROBER_STARVED): 1, ("tcp", Reason.DEPENDENCY_FAILED): 2}
    assert counters.last_run == {"tcp": 6.0}


def test_duration_is_observed_once_for_each_run(board: Board) -> None:
    """A run of two rows is one observation; a run that was skipped is none."""
    board.load([RESOLVER])
    board.record([make_result("o", 1.0, RESOLVER, target=t, seconds=0.3) for t in ("10.0.0.1", "10.0.0.2")])
    board.record([make_result("u", 1.0, RESOLVER, seconds=5.0)])
    board.record([make_result("d", 1.0, RESOLVER, seconds=0.0)])
    histogram = board.counters.duration[CheckName.RESOLVER]
    assert sum(histogram.counts) == 2
    assert histogram.total == pytest.approx(5.3)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("oo", (30, 0, 0)),
        ("oco", (60, 0, 0)),
        ("occc", (60, 30, 0)),
        ("ccoo", (30, 60, 0)),
        ("ouo", (30, 0, 30)),
        ("odo", (30, 0, 30)),
        ("ccuc", (30, 30, 30)),
        ("nnn", (0, 0, 0)),
        ("ddd", (0, 0, 60)),
        ("onn", (30, 0, 30)),
    ],
    ids=["ok", "pending-is-ok", "failing", "recovering-is-failing", "unknown", "suppressed", "failing-unknown",
         "never-probed", "never-judged", "no-longer-probed"],
)  # fmt: skip
def test_target_seconds(board: Board, clock: Clock, letters: str, expected: tuple[int, int, int]) -> None:
    """The time between two results goes to what was held in between; rows that are never probed have none."""
    for letter in letters:
        board.record([make_result(letter, clock.now)])
        clock.now += 30.0
    assert tuple(board.counters.target_seconds.values()) == expected


def test_target_seconds_are_bounded(board: Board, clock: Clock) -> None:
    """After a long gap only three intervals count: nobody knows what was in the rest; time never runs backwards."""
    for step in (0.0, 100_000.0, -100_000.0):
        clock.now += step
        board.record([make_result("o", clock.now)])
    assert board.counters.target_seconds["ok"] == 90.0


def test_target_seconds_are_of_resources_only(board: Board, clock: Clock) -> None:
    """Rows of other checks, and names that no Resource stands behind, are no targets."""
    jobs = [make_job("ntp", CheckName.DNS, resources=()), make_job("network", CheckName.HOST)]
    board.load(jobs)
    for _ in range(3):
        for job in jobs:
            board.record([make_result("o", clock.now, job)])
        clock.now += 30.0
    assert set(board.counters.target_seconds.values()) == {0.0}


def test_ever_up_has_what_was_ok_once(board: Board) -> None:
    """A row that accepted stays known as such, also when it is gone; what may be closed, or only warned, does not."""
    board.load([make_job(), OTHER])
    board.record([make_result("w", 1.0)])
    board.record([make_result("x", 2.0)])
    board.record([make_result("o", 1.0, OTHER)])
    board.load([])
    assert board.ever_up == {"tcp:b:1"}


@pytest.mark.parametrize("check", [CheckName.TCP, CheckName.DNS, CheckName.DEFINITION])
def test_declared_reasons_come_from_the_registry(check: CheckName) -> None:
    """The reasons are those the check's module declares; a check without a module declares none."""
    assert (Reason.TIMEOUT in declared_reasons(check)) is (check is not CheckName.DEFINITION)
