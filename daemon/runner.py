"""Runs one job: gives the probe what is known, keeps its deadline, stamps the time, makes its text harmless."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from checks.model import CheckName, Outcome, Reason, Rows, Status
from checks.net.endpoint import is_loopback
from checks.net.seat import Context, Seat
from checks.net.text import printable, printable_json
from checks.registry import CHECKS
from daemon.jobs import Job, Result

log = logging.getLogger("connector_health.runner")

STARVED_LAG_S = 0.25  # contract: a verdict about time, taken while our loop was this late, is about us
HOST_ROW = "host:network"
CLOCK_ROW = "clock:system"
TIME_REASONS = frozenset({Reason.TIMEOUT, Reason.UDP_BLOCKED})
RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})
OUTWARD_CHECKS = frozenset({CheckName.CONTROL_PLANE, CheckName.RELAY})
TROUBLE_CHECKS = OUTWARD_CHECKS | {CheckName.CLOCK, CheckName.NAT, CheckName.CONNECTOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the runner may ask of those who keep results: `latest(id)`, the rows of a check, what was ever up.

    `latest` returns a row's last result while it is fresh enough to stand on, else None.
    """

    latest: Callable[[str], Result | None]
    rows: Callable[[CheckName], tuple[Result, ...]]
    ever_up: Callable[[str], bool]


class Runner:
    """Runs jobs from one seat. `enabled` are the checks that are run, and so the only ones that may silence others."""

    def __init__(
        self, seat: Seat, enabled: frozenset[CheckName], known: Known, lag_between: Callable[[float, float], float]
    ) -> None:
        self.seat = seat
        self.enabled = enabled
        self.known = known
        self._lag_between = lag_between
        self._memory: dict[str, object] = {}

    async def run(self, job: Job, *, thorough: bool = True, confirming: bool = False) -> tuple[Result, ...]:
        """Run a job once and return the results of its rows; never raises but for cancellation."""
        loop = asyncio.get_running_loop()
        wall, begin = self.seat.wall_clock(), loop.time()
        rows: Rows
        if job.fixed is not None:
            rows = {job.target: job.fixed}
        elif (parent := self._failed_parent(job)) is not None:
            rows = {job.target: parent}
        else:
            rows = await self._probe(job, thorough=thorough, confirming=confirming)
            rows = {target: self._of_the_name(job, outcome) for target, outcome in rows.items()}
        end = loop.time()
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

    def forget(self, job_id: str) -> None:
        """Drop what a job's probe remembers: the job is gone, or asks something else now."""
        self._memory.pop(job_id, None)

    async def _probe(self, job: Job, *, thorough: bool, confirming: bool) -> Rows:
        check = CHECKS[job.check]
        deadline = asyncio.timeout(job.timeout_s)
        try:
            async with deadline:
                return await check.probe(job.spec, self._context(job, thorough=thorough, confirming=confirming))
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

    def _context(self, job: Job, *, thorough: bool, confirming: bool) -> Context:
        if job.id not in self._memory:
            self._memory[job.id] = CHECKS[job.check].new_memory()
        addresses: tuple[str, ...] | None = None
        if job.check is CheckName.TCP:
            addresses = self._addresses(job)
            # A tcp context is made thousands of times a minute: what only other checks ask is not looked up for it.
            return Context(
                seat=self.seat, addresses=addresses, confirming=confirming, ever_up=self.known.ever_up(job.id)
            )
        asks_trouble, asks_egress = job.check is CheckName.PROVIDER, job.check is CheckName.NAT
        return Context(
            seat=self.seat,
            memory=self._memory[job.id],
            thorough=thorough,
            confirming=confirming,
            egress=self._egress() if asks_egress else None,
            clock_off=job.check is CheckName.CONTROL_PLANE and self._clock_off(),
            trouble=asks_trouble and self._trouble(),
        )

    def _clock_off(self) -> bool:
        clock = self.known.latest(CLOCK_ROW)
        return clock is not None and clock.outcome.status is Status.CRITICAL

    def _failed_parent(self, job: Job) -> Outcome | None:
        """Return the outcome of a job whose parent failed (no network on this host, no address for its name)."""
        if job.check not in RESOURCE_CHECKS:
            return None
        if CheckName.HOST in self.enabled and not (job.host is not None and is_loopback(job.host)):
            host = self.known.latest(HOST_ROW)
            if host is not None and host.outcome.facts.get("loopback_only") is True:
                return _skipped("this host has no network interface but loopback", HOST_ROW)
        if job.check is CheckName.TCP and job.name is not None and CheckName.DNS in self.enabled:
            dns = self.known.latest(f"dns:{job.name}")
            if dns is not None and dns.outcome.status is Status.CRITICAL:
                return _skipped(f"{job.name} does not resolve", dns.id)
        return None

    def _of_the_name(self, job: Job, outcome: Outcome) -> Outcome:
        """Leave it to the name's own row to tell that a name fails, also where the port was asked first."""
        dns_tells = job.name is not None and job.check is CheckName.TCP and CheckName.DNS in self.enabled
        if not dns_tells or "name_failed" not in outcome.facts or outcome.status is Status.UNKNOWN:
            return outcome
        return _skipped(f"{job.name} does not resolve", f"dns:{job.name}")

    def _addresses(self, job: Job) -> tuple[str, ...] | None:
        if job.name is None or CheckName.DNS not in self.enabled:
            return None
        dns = self.known.latest(f"dns:{job.name}")
        if dns is None or not dns.outcome.status.conclusive:
            return None
        found = dns.outcome.facts.get("addresses")
        return tuple(str(a) for a in found) if isinstance(found, tuple | list) and found else None

    def _egress(self) -> bool | None:
        outcomes = [r.outcome for check in OUTWARD_CHECKS & self.enabled for r in self.known.rows(check)]
        judged = [o for o in outcomes if o.status.conclusive]
        return any("connect_seconds" in o.measurements for o in judged) if judged else None

    def _trouble(self) -> bool:
        rows = (r for check in TROUBLE_CHECKS & self.enabled for r in self.known.rows(check))
        return any(r.outcome.status is Status.CRITICAL for r in rows)


def _skipped(why: str, parent: str) -> Outcome:
    facts: Mapping[str, str] = {"parent": parent}
    summary = f"not asked: {why} (see {parent})"
    return Outcome(status=Status.SKIPPED, reason=Reason.DEPENDENCY_FAILED, summary=summary, facts=facts)


def _doubt(outcome: Outcome) -> Outcome:
    """Turn a verdict about time into our own ignorance: our loop was too late to tell."""
    if outcome.reason not in TIME_REASONS or not outcome.status.conclusive:
        return outcome
    return replace(
        outcome,
        status=Status.UNKNOWN,
        reason=Reason.PROBER_STARVED,
        event=None,
        summary=f"this process was starved of CPU while asking; not a verdict: {outcome.summary}",
        action="Give this host or this service more CPU; look at connector_health_event_loop_lag_seconds.",
    )


def _clean(outcome: Outcome) -> Outcome:
    """Make every text of the outcome harmless: here passes all that comes from outside."""
    summary, action = printable(outcome.summary), printable(outcome.action, limit=2000)
    facts = printable_json(outcome.facts) if outcome.facts else outcome.facts
    if summary is outcome.summary and action is outcome.action and not outcome.facts:
        return outcome
    return replace(outcome, summary=summary, action=action, facts=facts if isinstance(facts, Mapping) else {})
