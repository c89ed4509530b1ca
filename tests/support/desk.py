"""A Truth on a clock that is set by hand, fed with results and events of a small configuration."""

from typing import Any

from checks.connlog.model import ConnectionSeen
from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from daemon.config.load import parse_config
from daemon.jobs import Result
from daemon.observed import Disagreement, Learned
from daemon.plan import Plan
from daemon.targets import enabled_checks, make_plan
from daemon.truth import Truth
from tests.support.lines import established, failed

MIDNIGHT = 1_767_225_600.0  # 2026-01-01T00:00:00Z
RESOURCES = """
  - {name: DB, address: db.test, tcp: [5432]}
  - {name: Web, address: web.test, tcp: [443]}
  - {name: One, address: 10.0.0.5, tcp: [8443]}
  - {name: MySQL, address: 10.0.0.6, tcp: [3306]}
  - {name: SSH, address: 10.0.0.7, tcp: [22]}
  - {name: Any, address: app.test}
  - {name: Corp, address: "*.corp.test", tcp: [443]}
"""
DB, DB_NAME, ONE, SSH = "tcp:db.test:5432", "dns:db.test", "tcp:10.0.0.5:8443", "tcp:10.0.0.7:22"
T = 600.0  # the moment of an event: the beginning of a minute
CONFIRM_S = 2.0
TCP_REACH_S = 30.0 + 16.0  # the interval, and the time-out of a tcp job
DNS_REACH_S = 30.0 + 41.0


def outcome(check: CheckName, letter: str) -> Outcome:
    """Make an outcome: o(k) c(ritical) w(arning, got through) k (capped to a warning) x (ok by expectation) u d."""
    event = Event.DNS_LOOKUP_ERROR if check is CheckName.DNS else Event.UNABLE_TO_CONNECT
    through: dict[str, Json] = {"accepted" if check is CheckName.TCP else "addresses": ("10.9.9.9",)}
    kinds: dict[str, tuple[Status, Reason | None, Event | None, dict[str, Json]]] = {
        "o": (Status.OK, None, Event.NONE, through),
        "c": (Status.CRITICAL, Reason.TIMEOUT, event, {}),
        "w": (Status.WARNING, Reason.RESOLVERS_DISAGREE, Event.NONE, through),
        "k": (Status.WARNING, Reason.REFUSED, Event.NONE, {"addresses": (), "accepted": ()}),
        "x": (Status.OK, None, Event.NONE, {"addresses": ("10.9.9.9",), "accepted": ()}),
        "u": (Status.UNKNOWN, Reason.PROBER_STARVED, None, {}),
        "d": (Status.SKIPPED, Reason.DEPENDENCY_FAILED, None, {}),
    }
    status, reason, said, facts = kinds[letter]
    return Outcome(status=status, reason=reason, event=said, summary=letter, facts=facts)


def ok(at: float, address: str = "10.0.0.5", port: int | None = 8443, **more: Any) -> ConnectionSeen:  # noqa: ANN401
    """Make a connection that came about, so many seconds after midnight."""
    return established(MIDNIGHT + at, address, port, **more)


def bad(at: float, address: str = "10.0.0.5", port: int | None = 8443, **more: Any) -> ConnectionSeen:  # noqa: ANN401
    """Make a connection that failed, so many seconds after midnight."""
    return failed(MIDNIGHT + at, address, port, **more)


class Desk:
    """Everything happens at `now`, seconds after midnight; what is asked for again is in `asked`."""

    def __init__(self, resources: str = RESOURCES) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.config = parse_config(f"resources:\n{resources}".encode(), "test.yaml").config
        self.truth = Truth(self.config, lambda: MIDNIGHT + self.now, self.asked.append)
        self.truth.load(self.config, self.plan())

    def plan(self, learned: Learned | None = None) -> Plan:
        """Plan the configuration."""
        return make_plan(self.config, enabled_checks(self.config), learned or Learned())

    def probe(self, row_id: str, letter: str, began: float | None = None, *, interval_s: float | None = None) -> None:
        """Have a run of this row end now; it began now too unless told."""
        began = self.now if began is None else began
        check = CheckName(row_id.partition(":")[0])
        result = Result(
            id=row_id, job=row_id, check=check, target=row_id.partition(":")[2], outcome=outcome(check, letter),
            started_at=MIDNIGHT + began, duration_s=self.now - began,
        )  # fmt: skip
        self.truth.note_result(result, interval_s)

    def hear(self, event: ConnectionSeen) -> None:
        """Hear of a connection now."""
        self.truth.note_event(event)

    def until(self, now: float) -> None:
        """Let the time pass, and count."""
        self.now = now
        self.truth.tick()

    def after(self) -> dict[tuple[str, str], int]:
        """Let a whole minute from T on, and its confirmation, pass; return what was counted."""
        self.until(T + 60 + CONFIRM_S)
        return self.counts

    def disagreements(self) -> list[Disagreement]:
        """Where we disagree with users now."""
        return list(self.truth.predictions.disagreements)

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """What was counted, short: n(one) d(ns lookup error) u(nable to connect) ? (unknown)."""
        short = {"none": "n", "dns_lookup_error": "d", "unable_to_connect": "u", "unknown": "?"}
        counts = self.truth.predictions.counts
        return {(short[p], short[o]): number for (p, o), number in counts.items() if number}
