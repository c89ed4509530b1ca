"""A Connector that does not exist: what its daemon would show at `/metrics`, made by the daemon's own code.

A board is filled row by row as the checks would fill it, and rendered as the daemon renders it, so that the number of
series is the product's and not a guess.
"""

import random
from collections.abc import Iterable
from dataclasses import replace

from checks.connlog.model import ConnectionKind, LogCause
from checks.connlog.summary import Capability, CauseCount, LogSummary
from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from daemon.alert import NO_ALERTS, Alert, AlertKey, Alerts
from daemon.board import Board
from daemon.causes import Cause, Diagnosis, Domain
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.jobs import Job, Result
from daemon.metrics.collection import Metrics
from daemon.observed import Observed, Predictions
from daemon.state import Policy
from daemon.targets import enabled_checks, make_plan
from daemon.view import EngineFigures, View

NAME, NETWORK = "office-0000", "net-0000"
"""What stands in every label that differs between Connectors; the fleet puts other numbers in their place."""
NAMESERVERS = ("10.0.0.2", "10.0.0.3")
TIME_SERVERS = ("10.0.0.2", "10.0.0.3", "10.0.0.4")
INTERVAL_S = 30
FAILING_SHARE = 0.02  # of the ports: a fleet in which nothing fails would make `detail: failing` look free
SEED = 5


def configuration(resources: int, ports: int, detail: str) -> Config:
    """Return a configuration with so many Resources, each of a name of its own and so many ports."""
    listed = ", ".join(str(443 + n) for n in range(ports))
    text = (
        f"connector: {{name: {NAME}, remote_network: {NETWORK}, network: acme, runtime: docker}}\n"
        f"clock: {{servers: [{', '.join(TIME_SERVERS)}]}}\n"
        f"dns: {{nameservers: [{', '.join(NAMESERVERS)}], search: []}}\n"
        f"metrics: {{detail: {detail}}}\n"
        f"resources: {'[]' if not resources else ''}\n"
    )
    for n in range(resources):
        address = f"service-{n}.{NETWORK}.internal"
        text += f"  - {{name: Service {n} of {NETWORK}, address: {address}, tcp: [{listed}]}}\n"
    return parse_config(text.encode(), "fleet.yaml").config


class Synthetic:
    """One daemon's knowledge, looked at every 30 s: `look` is one round of all checks, `show` what a scrape would get.

    In a `storm` the Controller is out of reach, and the alert about it fires.
    """

    def __init__(self, resources: int, ports: int, detail: str, began: float) -> None:
        self.at = began
        self.storm = False
        self._rng = random.Random(SEED)
        config = configuration(resources, ports, detail)
        plan = make_plan(config, enabled_checks(config))
        self.board = Board(Policy(), lambda: self.at)
        self.board.load(plan.jobs)
        bad = [job.id for job in plan.jobs if job.check is CheckName.TCP]
        self._failing = frozenset(self._rng.sample(bad, round(len(bad) * FAILING_SHARE)))
        self._metrics = Metrics()
        self._view = View(
            config=config, plan=plan, board=self.board,
            engine=EngineFigures(connector=NAME, vantage="connector", runtime="docker", started_at=began, ready=True),
        )  # fmt: skip

    @property
    def targets(self) -> int:
        """How many names and ports are probed: what `detail: auto` counts."""
        return sum(job.check in (CheckName.DNS, CheckName.TCP) for job in self.board.jobs.values())

    def look(self) -> None:
        """Let every check report once more, 30 s later."""
        self.at += INTERVAL_S
        for job in self.board.jobs.values():
            if job.fixed is None:
                self.board.record(self._results(job))
        self._view.engine.scheduler_lag.observe(self._rng.random() / 100)

    def show(self) -> str:
        """Return the exposition, as Prometheus asks for it (OpenMetrics)."""
        rounds = round((self.at - self._view.engine.started_at) / INTERVAL_S)
        log = LogSummary(
            lines=rounds * 200,
            causes={LogCause.RELAY_UNREACHABLE: CauseCount(count=rounds // 4, last_at=self.at)},
            events={ConnectionKind.ESTABLISHED: rounds * 60, ConnectionKind.DENIED: rounds},
            paths={"direct": rounds * 40, "relayed": rounds * 20},
            capability=Capability(errors=True, states=True, analytics=True),
        )
        predictions = Predictions(counts={("none", "none"): rounds * 60})
        observed = Observed(log=log, predictions=predictions)
        view = replace(self._view, observed=observed, diagnosis=self._diagnosis(), alerts=self._alerts())
        return self._metrics.render(view, openmetrics=True).decode()

    def _results(self, job: Job) -> Iterable[Result]:
        rows = {job.target: self._outcome(job)}
        if job.check is CheckName.RESOLVER:
            rows = {
                server: Outcome(
                    status=Status.OK,
                    summary="answers",
                    measurements={"reply_seconds": self._some(0.002)},
                    facts={"rcode": "NOERROR"},
                )
                for server in NAMESERVERS
            }
        return [
            Result(
                id=f"{job.check}:{target}", job=job.id, check=job.check, target=target, outcome=outcome,
                started_at=self.at, duration_s=self._some(0.01), resources=job.resources,
            )
            for target, outcome in rows.items()
        ]  # fmt: skip

    def _outcome(self, job: Job) -> Outcome:
        good = Outcome(status=Status.OK, summary="fine")
        match job.check:
            case CheckName.DNS:
                good = good.but(event=Event.NONE, measurements={"lookup_seconds": self._some(0.003)})
            case CheckName.TCP if job.id in self._failing:
                return Outcome(
                    status=Status.CRITICAL, reason=Reason.REFUSED, event=Event.UNABLE_TO_CONNECT, summary="refused",
                    facts={"accepted": (), "failed": {"10.1.2.3": "refused"}},
                )  # fmt: skip
            case CheckName.TCP:
                measured = {"connect_seconds": self._some(0.004)}
                good = good.but(event=Event.NONE, measurements=measured, facts={"accepted": ("10.1.2.3",)})
            case CheckName.CLOCK:
                measured = {"offset_seconds": self._some(0.001), "error_bound_seconds": self._some(0.01)}
                sources: list[Json] = [
                    {"source": server, "offset_seconds": self._some(0.001), "state": "used"} for server in TIME_SERVERS
                ]
                good = good.but(measurements=measured, facts={"synchronised": True, "sources": sources})
            case CheckName.CONTROL_PLANE if self.storm:
                return Outcome(status=Status.CRITICAL, reason=Reason.TIMEOUT, summary="no answer")
            case CheckName.CONTROL_PLANE:
                measured = {f"{phase}_seconds": self._some(0.02) for phase in ("resolve", "connect", "tls", "http")}
                expiry = {"certificate_not_after_timestamp_seconds": 1_800_000_000.0}
                good = good.but(measurements=measured | expiry, facts={"tls_intercepted": False})
            case CheckName.RELAY:
                good = good.but(measurements={"connect_seconds": self._some(0.02)})
            case CheckName.CONNECTOR:
                fds = {"used": self._rng.randrange(100, 200), "limit": 65536}
                good = good.but(facts={"running": True, "restarts": 0, "token_valid": True, "fds": fds})
        return good

    def _some(self, about: float) -> float:
        """Return a duration that is never twice the same, with the digits that a clock gives."""
        return round(about * self._rng.uniform(0.7, 1.6), 9)

    def _diagnosis(self) -> Diagnosis:
        if not self.storm:
            return Diagnosis()
        cause = Cause(
            code="ControlPlaneUnreachable", target="", domain=Domain.CONTROL_PLANE, severity="critical", title="",
            text="", action="", since=self.at,
        )  # fmt: skip
        return Diagnosis(causes=(cause,))

    def _alerts(self) -> Alerts:
        if not self.storm:
            return NO_ALERTS
        key = AlertKey("ConnectorControlPlaneUnreachable", "critical", ("", "", "", "", ""))
        return Alerts(active=(Alert(key=key, starts_at=self.at),), version=1)
