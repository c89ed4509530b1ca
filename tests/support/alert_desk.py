"""A desk at which alerts are decided in virtual time: a board, causes made by hand, and two clocks that are moved."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Self

from checks.model import Json, Outcome, Reason, Status
from checks.net.tcp import STARVED_LAG_S
from daemon.alert import AlertKey, Alerts, Delivery
from daemon.alerting.book import AlertBook
from daemon.alerting.conditions import Condition, conditions
from daemon.board import Board
from daemon.causes import Cause, CauseSeverity, Diagnosis, Domain
from daemon.config.schema import Alerting, Config, Resource
from daemon.jobs import Result
from daemon.plan import Plan
from daemon.state import Policy
from daemon.view import EngineFigures, View
from tests.support.views import STARTED_AT, plain_job

OK = Outcome(status=Status.OK, summary="fine", facts={"accepted": ("10.0.0.1",)})
WARNING = Outcome(status=Status.WARNING, reason=Reason.OFFSET_EXCEEDED, summary="near it")
CRITICAL = Outcome(status=Status.CRITICAL, reason=Reason.REFUSED, summary="refused")
UNKNOWN = Outcome(status=Status.UNKNOWN, reason=Reason.PROBER_STARVED, summary="nobody knows")
SUPPRESSED = Outcome(status=Status.SKIPPED, reason=Reason.DEPENDENCY_FAILED, summary="not asked")
NAMESERVERS = "resolver:nameservers"  # the job of every row of a nameserver
INTERVAL_S = 30.0


def cause(
    code: str,
    *evidence: str,
    alert: str | None = None,
    target: str = "x",
    severity: CauseSeverity = "critical",
    explains: Iterable[str] = (),
    title: str = "It is broken",
    **labels: str,
) -> Cause:
    """Make a cause."""
    return Cause(
        code=code, target=target, domain=Domain.RESOURCE, severity=severity, title=title, text="It was seen.",
        action="Mend it.", since=STARTED_AT, evidence=evidence, explains=tuple(explains), alert=alert, labels=labels,
    )  # fmt: skip


def port_fails(row: str = "tcp:db:1", severity: CauseSeverity = "warning") -> Cause:
    """Make the cause of one port that fails by itself."""
    _, address, port = row.split(":")
    return cause(
        "PortFails", row, alert="ConnectorUnableToConnect", target=row, severity=severity, resource="DB",
        address=address, port=port,
    )  # fmt: skip


class AlertDesk:
    """Rows keep saying what they were last told to, every 30 s; a tick is a second unless `step_s` says otherwise."""

    def __init__(self, *rows: str, config: Config | None = None, resources: tuple[Resource, ...] = ()) -> None:
        self.mono, self.wall = 1000.0, STARTED_AT
        self.config = config or Config(resources=resources)
        self.board = Board(Policy(), lambda: self.wall, clock=lambda: self.mono, reasons=lambda _: ())
        self.says: dict[str, Outcome] = dict.fromkeys(rows, OK)
        self.causes: list[Cause] = []
        self.explained: dict[str, str] = {}
        self.deliveries: tuple[Delivery, ...] = ()
        self.engine = EngineFigures(connector="office-1", started_at=STARTED_AT, ready=True, reloaded_at=STARTED_AT)
        self.plan()
        self.book = AlertBook(lambda: self.wall, lambda: self.mono)
        self.book.load(self.config.alerting)
        self.changes = 0
        self.heard: list[tuple[str, str]] = []
        for row in rows:
            self.see(row)

    def plan(self) -> None:
        """Load a job for each row; nameservers share the one of their check."""
        ids = dict.fromkeys(NAMESERVERS if row.startswith("resolver:") else row for row in self.says)
        self.jobs = tuple(plain_job(job_id, resources=self.resources_of(job_id)) for job_id in ids)
        self.board.load(self.jobs)

    def resources_of(self, row: str) -> tuple[str, ...]:
        """Return who stands behind a row: for dns and tcp rows "DB", or whoever has its address."""
        if not row.startswith(("dns:", "tcp:")):
            return ()
        return tuple(r.name for r in self.config.resources if r.address == row.split(":")[1]) or ("DB",)

    def see(self, row: str, outcome: Outcome | None = None, *, times: int = 1, seconds: float = 0.01) -> None:
        """Record what a row says (from now on), as often as it takes."""
        if outcome is not None:
            self.says[row] = outcome
        check, together = row.partition(":")[0], [row]
        if check == "resolver":
            together = [other for other in self.says if other.startswith("resolver:")]
        job = next(j for j in self.jobs if j.id in (row, NAMESERVERS) and j.check == check)
        for _ in range(times):
            self.board.record(
                Result(
                    id=one, job=job.id, check=job.check, target=one.partition(":")[2], outcome=self.says[one],
                    started_at=self.wall, duration_s=seconds, resources=job.resources,
                )
                for one in together
            )  # fmt: skip

    def fail(self, *causes: Cause) -> None:
        """Have the rows of causes fail, confirmed, and the causes hold."""
        for one in causes:
            for row in one.evidence:
                self.see(row, CRITICAL, times=2)
        self.causes += causes

    def heal(self, *causes: Cause) -> None:
        """Have the rows of causes be fine, confirmed, and the causes be gone."""
        for one in causes:
            self.causes.remove(one)
            for row in one.evidence:
                self.see(row, OK, times=2)

    @property
    def view(self) -> View:
        """The moment as it is."""
        rows_of = {r.name: tuple(j.id for j in self.jobs if r.name in j.resources) for r in self.config.resources}
        return View(
            config=self.config,
            plan=Plan(jobs=self.jobs, resources=self.config.resources, rows_of=rows_of),
            board=self.board,
            engine=self.engine,
            diagnosis=Diagnosis(causes=tuple(self.causes), explained=dict(self.explained)),
            alerts=self.book.alerts,
            deliveries=self.deliveries,
        )

    @property
    def conditions(self) -> Mapping[AlertKey, Condition]:
        """What holds now."""
        return conditions(self.view)

    @property
    def alerts(self) -> Alerts:
        """What is decided."""
        return self.book.alerts

    def tick(self, *, stopping: bool = False) -> bool:
        """Decide once, and keep what people would hear: each alert that begins or ends."""
        before = self.alerts
        changed = self.book.decide(self.view, stopping=stopping)
        after = self.alerts
        assert changed is (after.version != before.version)
        self.changes += changed
        told = {(a.key, a.starts_at) for a in before.active}
        self.heard += [(a.key.severity, "fires") for a in after.active if (a.key, a.starts_at) not in told]
        ended = {(a.key, a.starts_at) for a in before.resolved}
        self.heard += [(a.key.severity, "ends") for a in after.resolved if (a.key, a.starts_at) not in ended]
        return changed

    def wait(self, seconds: float, step_s: float = 1.0, each: Callable[[], None] = lambda: None) -> None:
        """Let time pass: rows are looked at every 30 s, and after each step it is decided."""
        for _ in range(round(seconds / step_s)):
            self.mono += step_s
            self.wall += step_s
            for row in self.says:
                held = self.board.rows.get(row)
                if held is not None and self.board.age_s(held) >= INTERVAL_S - 1e-6:
                    self.see(row)
            each()
            self.tick()

    def active(self) -> list[tuple[str, str]]:
        """Return name and severity of what is active."""
        return [(alert.key.name, alert.key.severity) for alert in self.alerts.active]

    def restarted(self, kept: Json) -> Self:
        """Return a desk after a restart: nothing has reported yet, and `kept` comes back."""
        other = type(self)(config=self.config)
        other.mono, other.wall = 5.0, self.wall
        other.says = dict(self.says)
        other.plan()
        other.engine = replace(other.engine, ready=False)
        other.book.restore(kept)
        return other

    def be(self, *, ready: bool = True, starved: bool = False, reload_ok: bool = True) -> None:
        """Change what the engine says of itself."""
        late_s = 2 * STARVED_LAG_S if starved else 0.0
        self.engine = replace(self.engine, ready=ready, starved=starved, event_loop_lag_s=late_s, reload_ok=reload_ok)


def desk_of(one: Cause, after: dict[str, float] | None = None) -> AlertDesk:
    """Return a desk at which a cause has just begun to hold."""
    desk = AlertDesk(*one.evidence, config=Config(alerting=Alerting(after=after or {})))
    desk.tick()
    desk.fail(one)
    desk.tick()
    return desk


def firing(one: Cause | None = None) -> AlertDesk:
    """Return a desk at which an alert fires."""
    desk = desk_of(one or port_fails())
    desk.wait(60)
    assert len(desk.active()) == 1
    return desk
