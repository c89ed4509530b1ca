"""What every view reads: one moment of the configuration, the plan, the board and the engine."""

from dataclasses import dataclass, field

from checks.net.tcp import STARVED_LAG_S
from daemon.alert import NO_ALERTS, Alerts, Delivery
from daemon.board import Board
from daemon.causes import NO_DIAGNOSIS, Change, Diagnosis
from daemon.config.schema import Config
from daemon.counters import Histogram
from daemon.jobs import SECOND_SEAT
from daemon.observed import Observed
from daemon.plan import Plan
from daemon.state import State, TargetState
from daemon.vantage.method import BY_CONNECT, Method

__all__ = ["NOTHING_OBSERVED", "SECOND_SEAT", "EngineFigures", "View"]

NOTHING_OBSERVED = Observed()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFigures:
    """What the engine knows of itself. The app fills it anew for each view; `healthctl check` keeps the defaults.

    - `connector` is the effective name (`connector.name`, or what stands in for it); `vantage` is `connector` or
      `host`; `runtime` is `docker`, `systemd`, `kubernetes` or `none`: never `auto`.
    - `started_at` is the Unix time at which this process (or this `healthctl check`) began to look;
      `duration_s` is how long a finished `healthctl check` took, in seconds, and None in the daemon.
    - `ready` is latched: every check has reported once.
    - `event_loop_lag_s` is the largest lag of the last 60 s, in seconds; `scheduler_lag` observes how late jobs start.
    - `method`: how ports are asked where no policy says otherwise.
    - `share_of_rate` is which share of `schedule.max_rate` is used, `strain` why it is not all of it.
    - `reload_ok` and `reloaded_at` tell whether the last (re)load of the configuration succeeded, and the Unix time
      of the last that did.
    """

    connector: str
    vantage: str = "host"
    runtime: str = "none"
    started_at: float = 0.0
    duration_s: float | None = None
    ready: bool = False
    in_flight: int = 0
    missed: int = 0
    scheduler_lag: Histogram = field(default_factory=Histogram)
    event_loop_lag_s: float = 0.0
    starved: bool = False
    method: Method = BY_CONNECT
    share_of_rate: float = 1.0
    strain: str = ""
    reload_ok: bool = True
    reloaded_at: float = 0.0

    @property
    def late(self) -> bool:
        """Tell whether the event loop was so late that it can't judge silence: it lacks CPU."""
        return self.event_loop_lag_s > STARVED_LAG_S

    @property
    def starved_of(self) -> str:
        """Say what keeps us from judging, and how much; empty: nothing does."""
        if not self.starved:
            return ""
        if self.strain and not self.late:
            return f"connections ({self.strain})"
        return f"CPU (the event loop was {self.event_loop_lag_s:.2g} s late)"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One consistent moment. Nothing in it may be changed by who reads it."""

    config: Config
    plan: Plan
    board: Board
    engine: EngineFigures
    observed: Observed = NOTHING_OBSERVED
    diagnosis: Diagnosis = NO_DIAGNOSIS
    alerts: Alerts = NO_ALERTS
    deliveries: tuple[Delivery, ...] = ()
    changes: tuple[Change, ...] = ()

    def state_of(self, row: TargetState) -> State:
        """Return a row's state as it is shown: what a cause explains is suppressed, however surely it fails."""
        bad = row.state in (State.FAILING, State.PENDING, State.RECOVERING)
        return State.SUPPRESSED if bad and row.id in self.diagnosis.explained else row.state

    @property
    def now(self) -> float:
        """The wall clock of the board, in Unix seconds."""
        return self.board.wall_clock()
