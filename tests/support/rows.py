"""Jobs and results in few words, for tests of what holds them."""

from checks.model import CheckName, Outcome, Reason, Status
from daemon.jobs import Job, Result

LETTERS = {
    "o": (Status.OK, None),
    "w": (Status.WARNING, Reason.OFFSET_EXCEEDED),
    "c": (Status.CRITICAL, Reason.REFUSED),
    "u": (Status.UNKNOWN, Reason.PROBER_STARVED),
    "d": (Status.SKIPPED, Reason.DEPENDENCY_FAILED),
    "n": (Status.SKIPPED, Reason.NOT_PROBEABLE),
    "x": (Status.OK, None),
}


def outcome(letter: str) -> Outcome:
    """Make an outcome: o(k) w(arning) c(ritical) u(nknown) d(ependency failed) n(ot probeable) x (ok, but not up)."""
    status, reason = LETTERS[letter]
    facts = {"accepted": ("127.0.0.1",)} if letter == "o" else {}
    return Outcome(status=status, reason=reason, summary=f"seen {letter}", facts=facts)


def make_job(
    target: str = "a:1", check: CheckName = CheckName.TCP, *, resources: tuple[str, ...] = ("A",), fixed: str = ""
) -> Job:
    """Make a job of 30 s; `fixed` is the letter of its fixed outcome."""
    return Job(
        id=f"{check}:{target}", check=check, target=target, spec=None, interval_s=30.0, timeout_s=5.0,
        resources=resources, fixed=outcome(fixed) if fixed else None,
    )  # fmt: skip


def make_result(letter: str, at: float, job: Job | None = None, *, target: str = "", seconds: float = 0.01) -> Result:
    """Make the result of one row of a job."""
    job = job or make_job()
    target = target or job.target
    return Result(
        id=f"{job.check}:{target}", job=job.id, check=job.check, target=target, outcome=outcome(letter),
        started_at=at, duration_s=seconds, resources=job.resources,
    )  # fmt: skip
