"""Runs one job: gives the probe what is known, keeps its deadline, stamps the time, makes its text harmless."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from checks.model import CheckName, Outcome, Reason, Rows, Status, Words
from checks.net.seat import Context, Flight, Seat
from checks.net.text import printable, printable_json
from checks.registry import CHECKS, Probe
from daemon.by_hand import from_there
from daemon.glimpse import Glimpse, Glimpses
from daemon.jobs import SECOND_SEAT, Job, Result
from daemon.known import Contexts, Known
from daemon.second_look import GONE, MOVED, MOVES_FOLLOWED, Moves, Sample, compared, not_seen
from daemon.vantage.seats import Seats

log = logging.getLogger("connector_health.runner")

STARVED_LAG_S = 0.25  # contract: a verdict about time, taken while our loop was this late, is about us
SECOND_LOOKS = 16  # from the host's seat at once, and a second: of 800 failures a sample tells as much as all of them
STANDING = (CheckName.HOST, CheckName.DNS)  # rows that others stand on, true of the seat that they were seen from only
TIME_REASONS = frozenset({Reason.TIMEOUT, Reason.UDP_BLOCKED})


class Runner:
    """Runs jobs from the seats. `enabled` are the checks that are run, and so the only ones that may silence others."""

    def __init__(
        self, seats: Seats, enabled: frozenset[CheckName], known: Known, lag_between: Callable[[float, float], float]
    ) -> None:
        self.seats = seats
        self.enabled = enabled
        self.known = known
        self._lag_between = lag_between
        self._memory: dict[str, object] = {}
        self._moves = Moves()
        self._moves.begin(seats.first)
        self._second_looks = Sample(SECOND_LOOKS)
        self._elsewhere: set[str] = set()  # rows of STANDING that were seen from a seat that was left
        self._glimpses = Glimpses()
        self._made: Contexts | None = None
        self._probes: dict[CheckName, Probe] = {}
        self._clock = asyncio.get_running_loop().time

    def take(self, seats: Seats) -> None:
        """Look from other seats from now on."""
        if seats.first is not self.seats.first:
            self._moves.begin(seats.first)
            self._elsewhere = {row.id for check in STANDING for row in self.known.rows(check)}
        self.seats = seats

    def begin(self, look: Glimpse) -> Flight | None:
        """Begin a look that needs no task; None: `run` its job."""
        return self._glimpses.begin(look, self.seats.first, self._contexts())

    def judged(self, seen: Glimpse) -> Result | None:
        """Return the result of such a look if it found all well; None: `run` its job with what was seen."""
        return self._glimpses.judged(seen)

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        """Run a job once and return the results of its rows; never raises but for cancellation.

        `seen`: what a look has found already. What fails from the Connector's seat is looked at from the host's own
        too: rows whose id ends in SECOND_SEAT.
        """
        contexts = self._contexts()
        if seen is not None:
            wall, begin = seen.wall, seen.begin
        else:
            wall, begin = self.seats.of(job.check).wall_clock(), self._clock()
        rows: Rows
        if job.fixed is not None:
            rows = {job.target: job.fixed}
        elif (parent := contexts.failed_parent(job)) is not None:
            rows = {job.target: parent}
        elif seen is None and (refusal := self.known.refusal(job)) is not None:
            rows = {job.target: refusal}
        else:
            rows, seat = await self._probe_where_it_stands(job, seen, thorough=thorough, confirming=confirming)
            self._note_where(job, rows, seat)
            if job.name is not None:
                rows = {target: contexts.left_to_the_name(job, outcome) for target, outcome in rows.items()}
            rows = from_there(rows, seat)
        results = self._stamped(job, rows, wall, begin)
        if all(result.outcome.status is not Status.CRITICAL for result in results):
            return results
        second = await self._second_look(job, results)
        other = {result.target: result.outcome for result in second}
        results = tuple(
            replace(r, outcome=compared(r.outcome, other[r.target])) if r.target in other else r for r in results
        )
        return (*results, *second)

    def forget(self, job_id: str) -> None:
        """Drop what a job's probe remembers: the job is gone, or asks something else now."""
        self._memory.pop(job_id, None)
        self._glimpses.forget(job_id)

    def _contexts(self) -> Contexts:
        made = self._made
        if made is None or made.enabled is not self.enabled or made.elsewhere is not self._elsewhere:
            made = self._made = Contexts(self.known, self.enabled, self._elsewhere)
        return made

    def _note_where(self, job: Job, rows: Rows, seat: Seat) -> None:
        if job.check in STANDING:
            ids = {f"{job.check}:{target}" for target in rows}
            here = seat is self.seats.of(job.check)
            if not here:
                self._elsewhere |= ids
            elif self._elsewhere:
                self._elsewhere -= ids

    async def _probe_where_it_stands(
        self, job: Job, seen: Glimpse | None, *, thorough: bool, confirming: bool
    ) -> tuple[Rows, Seat]:
        """Look from a seat that may move, or be given up for another, while we look; return the seat as well.

        A Connector that is started anew takes its network along: what failed meanwhile says nothing, and is asked
        again from where it stands then. When it is gone, that is the cause.
        """
        watched = CheckName.CONNECTOR in self.enabled
        rows: Rows = {}
        seat = self.seats.of(job.check)
        for _ in range(MOVES_FOLLOWED):
            begin, seat = self._clock(), self.seats.of(job.check)
            if seen is not None:
                begin, seat = seen.begin, seen.seat
            rows = await self._probe(job, seat, seen, thorough=thorough, confirming=confirming)
            seen = None
            if not any(_doubtful(outcome) for outcome in rows.values()):
                return rows, seat
            if seat is not self.seats.of(job.check):
                if job.confirmable:
                    continue
                return rows, seat
            if seat.name != "connector":
                return rows, seat
            moved = self._moves.since(seat, begin, self._clock())
            if moved is None:
                return not_seen(job, rows, GONE, watched=watched), seat
            if not moved:
                return rows, seat
            if not job.confirmable:  # it may not be asked again so soon
                break
        return not_seen(job, rows, MOVED, watched=watched), seat

    async def _second_look(self, job: Job, results: tuple[Result, ...]) -> tuple[Result, ...]:
        """Look from the host's own seat at what failed from the Connector's.

        A port with a policy is left alone, and so is everything while many such looks are under way.
        """
        seat = self.seats.second(job.check)
        failed = {r.target for r in results if r.outcome.status is Status.CRITICAL}
        if seat is None or not failed or not job.confirmable:
            return ()
        with self._second_looks.one(self._clock()) as room:
            if not room:
                return ()
            wall, begin = seat.wall_clock(), self._clock()
            rows = await self._probe(job, seat, None, thorough=True, confirming=False)
            seen = {target: outcome for target, outcome in rows.items() if target in failed}
            stamped = self._stamped(job, seen, wall, begin)
        return tuple(replace(result, id=result.id + SECOND_SEAT) for result in stamped)

    def _stamped(self, job: Job, rows: Rows, wall: float, begin: float) -> tuple[Result, ...]:
        end = self._clock()
        starved = self._lag_between(begin, end) > STARVED_LAG_S
        return tuple(
            Result(
                id=f"{job.check}:{target}",
                job=job.id,
                check=job.check,
                target=target,
                outcome=_clean(_doubt(outcome) if starved else outcome),
                started_at=wall,
                duration_s=end - begin,
                resources=job.resources,
            )
            for target, outcome in rows.items()
        )

    async def _probe(self, job: Job, seat: Seat, seen: Glimpse | None, *, thorough: bool, confirming: bool) -> Rows:
        deadline = asyncio.timeout(job.timeout_s)
        try:
            async with deadline:
                context = self._context(job, seat, thorough=thorough, confirming=confirming)
                if seen is not None:
                    context = replace(context, addresses=seen.aim.addresses, attempts=seen.attempts)
                return await self._probe_of(job.check)(job.spec, context)
        except Exception as error:  # the one place: a fault of ours must not take other checks down
            if isinstance(error, TimeoutError) and deadline.expired():
                summary = f"the check did not finish within {job.timeout_s:g} s"
                return {job.target: Outcome(status=Status.UNKNOWN, reason=Reason.TIMEOUT, summary=summary)}
            log.exception("check failed inside: id=%s", printable(job.id))
            return {
                job.target: Outcome(
                    status=Status.UNKNOWN,
                    reason=Reason.INTERNAL_ERROR,
                    summary=f"a fault in the check itself ({type(error).__name__}): nothing is known of the target",
                    action="Please report it with the traceback from the log.",
                )
            }

    def _probe_of(self, check: CheckName) -> Probe:
        probe = self._probes.get(check)
        if probe is None:
            probe = self._probes[check] = CHECKS[check].probe
        return probe

    def _context(self, job: Job, seat: Seat, *, thorough: bool, confirming: bool) -> Context:
        """Return what one run is given; a second look remembers nothing and finds its own addresses."""
        second = seat is not self.seats.of(job.check)
        memory = None if second else self._memory.get(job.id)
        if memory is None and job.check is not CheckName.TCP:  # by far the most of them, which remember nothing
            memory = CHECKS[job.check].new_memory()
            if memory is not None and not second:
                self._memory[job.id] = memory
        return self._contexts().of(job, seat, memory, thorough=thorough, confirming=confirming, second=second)


def _doubtful(outcome: Outcome) -> bool:
    """Tell whether an outcome may come from the Connector's restart rather than from the target."""
    return outcome.status is Status.CRITICAL or outcome.reason is Reason.NOT_RUNNING


def _doubt(outcome: Outcome) -> Outcome:
    """Turn a verdict about time into our own ignorance: our loop was too late to tell."""
    if outcome.reason not in TIME_REASONS or not outcome.status.conclusive:
        return outcome
    return outcome.but(
        status=Status.UNKNOWN,
        reason=Reason.PROBER_STARVED,
        event=None,
        summary=f"this process was starved of CPU while asking; not a verdict: {outcome.summary}",
        action="Give this host or this service more CPU; look at connector_health_event_loop_lag_seconds.",
    )


def _clean(outcome: Outcome) -> Outcome:
    """Make every text of the outcome harmless: here passes all that comes from outside."""
    told = outcome.story
    if not isinstance(told, Words):  # promised by who made it: see Story
        return outcome
    summary, action = printable(told.summary), printable(told.action, limit=2000)
    facts = printable_json(told.facts) if told.facts else told.facts
    if summary is told.summary and action is told.action and not told.facts:
        return outcome
    return outcome.but(summary=summary, action=action, facts=facts if isinstance(facts, Mapping) else {})
