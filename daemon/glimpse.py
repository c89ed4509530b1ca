"""Half-open looks without a task: what is asked thousands of times a minute, and nearly always found well.

A look that finds the port open is judged and recorded on the spot. Anything else goes on as an ordinary run, which
takes the tries already made: so nothing is sent twice, and all that is thought about a failure is thought in one place.
"""

import asyncio
from collections.abc import Callable, Sequence

from checks.net.endpoint import is_address
from checks.net.seat import Flight, Seat
from checks.net.tcp import Attempt
from checks.tcp_spec import Aim, TcpSpec, aim_at
from checks.tcp_verdict import plainly_up
from daemon.entry import Ended, RunKind
from daemon.jobs import Job, Result
from daemon.known import Contexts


class Glimpse:
    """One look: whom it is about, and, once it has landed, what it found.

    `wall` and `begin` are when it began, by the wall clock and by the loop's. One object, whose call is the answer: it
    is made for each probe of a healthy port, and each that need not be made counts.
    """

    __slots__ = ("aim", "attempts", "begin", "ended", "job", "kind", "landed", "seat", "wall")

    def __init__(self, job: Job, kind: RunKind, ended: Ended, landed: "Callable[[Glimpse], None]") -> None:
        self.job = job
        self.kind = kind
        self.ended = ended
        self.landed = landed
        self.attempts: Sequence[Attempt] = ()
        self.seat: Seat
        self.aim: Aim
        self.wall: float
        self.begin: float

    def __call__(self, attempts: Sequence[Attempt]) -> None:
        """Land."""
        self.attempts = attempts
        self.landed(self)


class Glimpses:
    """Begins such looks; remembers, for each job, which addresses it may look at."""

    def __init__(self) -> None:
        self._aims: dict[str, Aim] = {}
        self._clock = asyncio.get_running_loop().time

    def forget(self, job_id: str) -> None:
        """Drop what is remembered of a job: it is gone, or asks something else now."""
        self._aims.pop(job_id, None)

    def begin(self, look: Glimpse, seat: Seat, contexts: Contexts) -> Flight | None:
        """Begin a look; it is called with what it found, once, and never before this returned. None: run it as a task.

        That is so where there is nothing to look with, the target's name has no known address, or something that it
        depends on has failed.
        """
        job, prober = look.job, seat.half_open
        spec = job.spec
        if prober is None or not isinstance(spec, TcpSpec) or spec.method != "half_open" or not prober.available:
            return None
        if contexts.failed_parent(job) is not None or contexts.known.refusal(job) is not None:
            return None
        aim = self._aim(job, spec, contexts)
        if aim is None or not aim.chosen:
            return None
        look.seat, look.aim, look.wall, look.begin = seat, aim, seat.wall_clock(), self._clock()
        return prober.look(aim.chosen, spec.port, spec.timeout_s, look)

    def judged(self, seen: Glimpse) -> Result | None:
        """Return the result of a look that found the port up, as it should be; None: an ordinary run must tell."""
        job = seen.job
        outcome = plainly_up(job.spec, seen.aim, seen.attempts) if isinstance(job.spec, TcpSpec) else None
        if outcome is None:
            return None
        return Result(
            id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome, started_at=seen.wall,
            duration_s=self._clock() - seen.begin, resources=job.resources,
        )  # fmt: skip

    def _aim(self, job: Job, spec: TcpSpec, contexts: Contexts) -> Aim | None:
        known = self._aims.get(job.id)
        if job.name is None:
            if known is None and is_address(spec.address):
                known = self._aims[job.id] = aim_at(spec, (spec.address,))
            return known
        addresses = contexts.addresses(job)
        if addresses is None:
            return None
        if known is None or known.addresses != addresses:
            known = self._aims[job.id] = aim_at(spec, addresses)
        return known
