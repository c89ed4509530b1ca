"""What flows through the engine: a job (what to run, and when), and the result of one row of a run."""

from dataclasses import dataclass

from checks.model import CheckName, Outcome, Status

SECOND_SEAT = "@host"
"""The end of the id of a row that was seen from this host's own seat, beside the row of the Connector's seat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One probe, run every `interval_s` seconds and judged unfinished after `timeout_s` seconds.

    - `id` (`check:target`) is unique, and stable over restarts. A run yields one row of that id; checks that look at
      several targets in one run (resolver, control_plane after a redirect) yield more.
    - `resources`: names of the Resources that stand behind it, by precedence.
    - `name`: the DNS name whose `dns` job is this one's parent.
    - `host`: the destination that counts against `schedule.per_host`.
    - `connections`: how many TCP connections one run opens at most; paced by `schedule.max_rate`.
    - `confirmable`: False keeps the fast confirmation away (a port with a policy).
    - `fixed`: the outcome of a target that is never probed; such a job is recorded, not scheduled.
    """

    id: str
    check: CheckName
    target: str
    spec: object
    interval_s: float
    timeout_s: float
    resources: tuple[str, ...] = ()
    name: str | None = None
    host: str | None = None
    connections: int = 0
    confirmable: bool = True
    fixed: Outcome | None = None


@dataclass(slots=True, kw_only=True)
class Result:
    """The outcome of one row, stamped by the runner. Nobody changes it; only to be frozen would double its price.

    `started_at` is in Unix seconds, `duration_s` in seconds; `job` is the id of the job that was run.
    """

    id: str
    job: str
    check: CheckName
    target: str
    outcome: Outcome
    started_at: float
    duration_s: float
    resources: tuple[str, ...] = ()

    @property
    def second(self) -> bool:
        """Tell whether this is a second look, from the host's own seat: evidence, never a verdict of its own."""
        return self.id.endswith(SECOND_SEAT)

    @property
    def accepted(self) -> bool:
        """Tell whether this shows that the target was up: it is ok because it accepted, not because it need not."""
        outcome = self.outcome
        return outcome.status is Status.OK and (self.check is not CheckName.TCP or outcome.reached)
