"""Views made by hand: a board on a clock of its own, fed row by row, for everything that only reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.endpoint import Endpoint
from checks.tcp import TcpSpec
from daemon.alert import NO_ALERTS, Delivery
from daemon.board import Board
from daemon.causes import NO_DIAGNOSIS, Change
from daemon.config.schema import Config, Resource
from daemon.jobs import Job, Result
from daemon.plan import Plan
from daemon.state import Policy
from daemon.view import NOTHING_OBSERVED, SECOND_SEAT, EngineFigures, View

STARTED_AT = 1767323045.678  # 2026-01-02T03:04:05.678Z
REASONS = {
    CheckName.DNS: frozenset({Reason.NXDOMAIN, Reason.TIMEOUT}),
    CheckName.TCP: frozenset({Reason.REFUSED, Reason.TIMEOUT}),
}
"""What checks declare here: a golden file must not change with every new reason."""


class Stage:
    """Holds a plan and its board; `at` is the time now, in Unix seconds."""

    def __init__(self, jobs: Iterable[Job], resources: Sequence[Resource] = (), config: Config | None = None) -> None:
        self.at = STARTED_AT
        jobs = tuple(jobs)
        behind: dict[str, list[str]] = {resource.name: [] for resource in resources}
        for job in jobs:
            for name in behind.keys() & set(job.resources):
                behind[name].append(job.id)
        rows_of = {name: tuple(ids) for name, ids in behind.items()}
        self.config = config or Config(resources=tuple(resources))
        self.plan = Plan(jobs=jobs, resources=tuple(resources), rows_of=rows_of)
        self.board = Board(Policy(), lambda: self.at, reasons=lambda check: REASONS.get(check, frozenset()))
        self.board.load(jobs)
        self.observed = NOTHING_OBSERVED
        self.diagnosis, self.alerts = NO_DIAGNOSIS, NO_ALERTS
        self.deliveries: tuple[Delivery, ...] = ()
        self.changes: tuple[Change, ...] = ()

    def see(
        self,
        row_id: str,
        status: Status = Status.OK,
        reason: Reason | None = None,
        *,
        times: int = 1,
        summary: str = "seen",
        action: str = "",
        event: Event | None = None,
        measurements: Mapping[str, float] | None = None,
        facts: Mapping[str, Json] | None = None,
        second: Outcome | None = None,
    ) -> None:
        """Record one outcome of a row, `times` times in a row; each run took 10 ms. `second`: the host's look."""
        check, _, target = row_id.partition(":")
        job = self.board.jobs[row_id]
        outcome = Outcome(
            status=status, reason=reason, summary=summary, action=action, event=event,
            measurements=measurements or {}, facts=facts or {},
        )  # fmt: skip
        result = Result(
            id=row_id, job=job.id, check=CheckName(check), target=target.removesuffix("@host"), outcome=outcome,
            started_at=self.at, duration_s=0.01, resources=job.resources,
        )  # fmt: skip
        also = () if second is None else (replace(result, id=f"{row_id}{SECOND_SEAT}", outcome=second),)
        for _ in range(times):
            self.board.record([result, *also])

    def see_rows(self, job_id: str, outcomes: Mapping[str, Outcome]) -> None:
        """Record one run that yields several rows, given by target."""
        job = self.board.jobs[job_id]
        self.board.record(
            Result(
                id=f"{job.check}:{target}", job=job.id, check=job.check, target=target, outcome=outcome,
                started_at=self.at, duration_s=0.01,
            )
            for target, outcome in outcomes.items()
        )  # fmt: skip

    def view(self, engine: EngineFigures | None = None) -> View:
        """Return the view of now."""
        engine = engine or EngineFigures(
            connector="office-1", started_at=STARTED_AT, ready=True, reloaded_at=STARTED_AT
        )
        return View(
            config=self.config, plan=self.plan, board=self.board, engine=engine, observed=self.observed,
            diagnosis=self.diagnosis, alerts=self.alerts, deliveries=self.deliveries, changes=self.changes,
        )  # fmt: skip


def plain_job(row_id: str, *, fixed: Outcome | None = None, resources: tuple[str, ...] = ()) -> Job:
    """Make a job that needs no spec."""
    check, _, target = row_id.partition(":")
    return Job(
        id=row_id, check=CheckName(check), target=target, spec=None, interval_s=30.0, timeout_s=5.0,
        resources=resources, fixed=fixed,
    )  # fmt: skip


def dns_job(name: str, *resources: str) -> Job:
    """Make the job of one name."""
    return Job(
        id=f"dns:{name}", check=CheckName.DNS, target=name, spec=NameSpec(name=name), interval_s=30.0, timeout_s=5.0,
        resources=resources,
    )  # fmt: skip


def tcp_job(address: str, port: int, *resources: str) -> Job:
    """Make the job of one port."""
    target = str(Endpoint(address, port))
    return Job(
        id=f"tcp:{target}", check=CheckName.TCP, target=target, interval_s=30.0, timeout_s=5.0,
        spec=TcpSpec(address=address, port=port, target=target), resources=resources,
    )  # fmt: skip


def skipped(reason: Reason, summary: str = "not probed") -> Outcome:
    """Make a skipped outcome."""
    return Outcome(status=Status.SKIPPED, reason=reason, summary=summary)
