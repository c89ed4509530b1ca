"""How often we were right: what users met, by the Connector's log, beside what our probes had predicted for them.

Each target counts once a minute (minutes of the clock), denials and ends of connections not at all. A failure is what
counts for its minute even if others got through: predicting failures is what this is for. So a failure is counted as
soon as `confirm_s` has passed, a success when its minute is over.

The prediction is our last word before the event, not older than an interval and the time-out of its row; where that
differs from what the user met, a word within `confirm_s` after the event that agrees counts too: it was the same
moment. A name that fails is told by its dns row, a port by its tcp row. `unknown` are targets of ours that were not
probed, or about which nothing was known; what no Resource of ours covers is not counted, nor is UDP, which nobody
can probe, but for the names.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from checks.connlog.model import ConnectionSeen
from checks.model import CheckName, Event, Status
from checks.net.endpoint import Endpoint
from daemon.config.schema import Config
from daemon.jobs import Job, Result
from daemon.observed import Disagreement, Predictions
from daemon.plan import Plan, PlanChange, change_between
from daemon.slices import Steps, at_once, batches
from daemon.timeline import FAILURES, Timeline, known_at, word

MINUTE_S = 60.0
MAX_ROWS = 50_000  # with a timeline, 150 bytes each; 10,000 Resources with a name and two ports have 30,000
MAX_PENDING = 20_000
MAX_DISAGREEMENTS = 100
DISAGREEMENT_S = 86400.0
STALE_AFTER_INTERVALS = 3  # a re-check that has not come by then says nothing of that failure any more
UNKNOWN = "unknown"

_Key = tuple["Target", int]  # whose, and which minute


@dataclass(frozen=True, slots=True)
class Target:
    """What a user's connection depends on: the ids of its dns row and its tcp row, where there are such."""

    dns: str | None
    tcp: str | None


@dataclass(slots=True)
class _Observation:
    """What users met at a target in one minute. `predicted` is filled in once `confirm_s` has passed."""

    at: float
    observed: Event
    due: float
    predicted: str | None = None


@dataclass(slots=True)
class _Watch:
    """A failure that we had not predicted: the next run that begins after it tells."""

    since: float
    last_at: float
    observed: Event
    count: int
    until: float


class Truth:
    """Compares. Moments are Unix seconds, by the wall clock, as a log has no other; call `tick` about once a second.

    `on_recheck(job_id)` is called at once for a failure that we had not predicted, where the row may be asked again.
    """

    def __init__(self, config: Config, wall_clock: Callable[[], float], on_recheck: Callable[[str], None]) -> None:
        self._now = wall_clock
        self._on_recheck = on_recheck
        self._confirm_s = config.schedule.confirm.interval
        self._began = wall_clock()
        self._jobs: Mapping[str, Job] = {}
        self._lines: dict[str, Timeline] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._pending: dict[_Key, _Observation] = {}
        self._due: list[tuple[float, int, _Key]] = []
        self._order = 0
        self._last_minute: dict[Target, int] = {}
        self._watches: dict[str, _Watch] = {}
        self._disagreements: dict[str, Disagreement] = {}

    @property
    def predictions(self) -> Predictions:
        """What was counted since this process started, every pair from 0 on, and where we disagree now."""
        said = (Event.NONE.value, *sorted(event.value for event in FAILURES), UNKNOWN)
        met = said[:-1]
        counts = {(p, o): self._counts[p, o] for p in said for o in met}
        since = self._now() - DISAGREEMENT_S
        current = (d for d in self._disagreements.values() if d.at >= since)
        latest = tuple(sorted(current, key=lambda d: (-d.at, d.id)))
        return Predictions(counts=MappingProxyType(counts), disagreements=latest)

    def load(self, config: Config, plan: Plan) -> None:
        """Take another plan; what is known of rows that stay as they are is kept."""
        at_once(self.take(config, plan, at_once(change_between(self._jobs, plan.by_id))))

    def take(self, config: Config, plan: Plan, change: PlanChange) -> Steps[None]:
        """Take another plan, in steps; `change` is how it differs from the one before."""
        self._confirm_s = config.schedule.confirm.interval
        self._jobs = plan.by_id
        for batch in batches(change.changed):
            for old, job in batch:
                if not _same(old, job):
                    self._lines.pop(job.id, None)
            yield
        if not change.removed:
            return
        for gone in batches(change.removed):
            for job in gone:
                for kept in (self._lines, self._watches, self._disagreements):
                    kept.pop(job.id, None)
            yield
        self._last_minute = {t: minute for t, minute in self._last_minute.items() if self._known(t)}
        self._pending = {key: seen for key, seen in self._pending.items() if self._known(key[0])}

    def note_result(self, result: Result, interval_s: float | None = None) -> None:
        """Hear a result of the engine, whatever it is about.

        Its row is asked again in `interval_s`, None: in its job's interval.
        """
        job = self._jobs.get(result.id)
        line = self._lines.get(result.id)
        if job is None or (line is None and (line := self._new_line(job)) is None):
            return
        said = word(result)
        if said is not None:
            line.note(known_at(result), said, (interval_s or job.interval_s) + job.timeout_s)
        if self._watches or self._disagreements:
            self._settle_watch(result, said)

    def _new_line(self, job: Job) -> Timeline | None:
        """Begin the timeline of a row that reports for the first time; None if it is to have none."""
        if not _probed(job) or len(self._lines) >= MAX_ROWS:
            return None
        line = self._lines[job.id] = Timeline()
        return line

    def note_event(self, event: ConnectionSeen) -> None:
        """Hear of one connection of a user."""
        observed = event.observed
        now = self._now()
        at = min(event.at, now)
        if observed is None or not at >= self._began:  # before that we predicted nothing
            return
        if event.protocol == "udp" and observed is not Event.DNS_LOOKUP_ERROR:
            return
        target = self._target(event)
        if target is None:
            return
        minute = math.floor(at / MINUTE_S)
        # A minute that is still to come was counted before the clock was set back.
        if minute <= self._last_minute.get(target, minute - 1) <= now / MINUTE_S:
            return
        pending = self._pending.get((target, minute))
        if pending is not None and (pending.observed is not Event.NONE or observed is Event.NONE):
            return
        if pending is None and len(self._pending) >= MAX_PENDING:
            return
        self._wait((target, minute), _Observation(at, observed, at + self._confirm_s))
        if observed is not Event.NONE and self._predicted(target, observed, at, at) not in FAILURES:
            self._look_again(target, observed, at)

    def tick(self) -> float | None:
        """Count what can be counted by now; return when there will be more to count, or None when nothing waits."""
        now = self._now()
        self._began = min(self._began, now)  # the clock was set back
        while self._due and self._due[0][0] <= now:
            due, _, key = heapq.heappop(self._due)
            seen = self._pending.get(key)
            if seen is None or seen.due != due:  # gone, or replaced by a failure
                continue
            if seen.predicted is None:
                predicted = self._predicted(key[0], seen.observed, seen.at, seen.at + self._confirm_s)
                seen.predicted = UNKNOWN if predicted is None else predicted.value
            end = (key[1] + 1) * MINUTE_S + self._confirm_s
            if seen.observed is Event.NONE and end > due:
                self._wait(key, _Observation(seen.at, seen.observed, end, seen.predicted))
                continue
            del self._pending[key]
            self._last_minute[key[0]] = max(key[1], self._last_minute.get(key[0], key[1]))
            self._counts[seen.predicted, seen.observed.value] += 1
        for row_id in [i for i, d in self._disagreements.items() if now - d.at > DISAGREEMENT_S]:
            del self._disagreements[row_id]
        for row_id in [i for i, w in self._watches.items() if now > w.until]:
            del self._watches[row_id]
        return self._due[0][0] if self._due else None

    def _wait(self, key: _Key, seen: _Observation) -> None:
        self._pending[key] = seen
        self._order += 1
        heapq.heappush(self._due, (seen.due, self._order, key))

    def _target(self, event: ConnectionSeen) -> Target | None:
        """Return the rows that stand for what the user asked for, else for where that led, else for its Resource."""
        for address in (event.address, event.ip):
            if not address:
                continue
            dns = f"dns:{address}" if f"dns:{address}" in self._jobs else None
            tcp = f"tcp:{Endpoint(address, event.port)}" if event.port is not None else ""
            if tcp in self._jobs or dns:
                return Target(dns, tcp if tcp in self._jobs else None)
        for address in (event.address, event.rule):
            if f"tcp:{address}" in self._jobs:
                return Target(None, f"tcp:{address}")
        return None

    def _known(self, target: Target) -> bool:
        return all(row_id is None or row_id in self._jobs for row_id in (target.dns, target.tcp))

    def _timelines(self, target: Target) -> tuple[Timeline | None, Timeline | None]:
        dns, tcp = (self._lines.get(row_id) if row_id else None for row_id in (target.dns, target.tcp))
        return dns, tcp

    def _predicted(self, target: Target, observed: Event, at: float, until: float) -> Event | None:
        """Return what we had predicted for `at`, or until a little later if that agrees with what was observed."""
        timelines = self._timelines(target)
        later = sorted(begin for line in timelines if line for begin in line.begins(at, until))
        words = [_joined(*timelines, observed, moment) for moment in (at, *later)]
        if observed in words:
            return observed
        return next((said for said in words if said is not None), None)

    def _look_again(self, target: Target, observed: Event, at: float) -> None:
        """Have the row asked again that should have told, and remember to hear its answer."""
        by_name = observed is Event.DNS_LOOKUP_ERROR and target.dns is not None
        job = self._jobs.get((target.dns if by_name else target.tcp) or "")
        if job is None or not _probed(job):
            return
        until = at + STALE_AFTER_INTERVALS * job.interval_s + job.timeout_s
        held = self._watches.get(job.id)
        if held is None:
            self._watches[job.id] = _Watch(at, at, observed, 1, until)
        else:
            held.last_at, held.observed, held.until = max(held.last_at, at), observed, max(held.until, until)
            held.count += 1
        if job.confirmable:  # a port with a policy is asked when its turn comes
            self._on_recheck(job.id)

    def _settle_watch(self, result: Result, said: Event | None) -> None:
        """Hear whether we still disagree with a user who failed."""
        status = result.outcome.status
        if not status.conclusive:
            return
        if said is not Event.NONE:  # we do not get through either
            self._watches.pop(result.id, None)
            self._disagreements.pop(result.id, None)
            return
        watch = self._watches.get(result.id)
        if watch is None or result.started_at < watch.since:
            return
        del self._watches[result.id]
        if status is not Status.OK:  # it says itself that something is wrong
            return
        held = self._disagreements.get(result.id)
        count = watch.count + (held.count if held else 0)
        self._disagreements[result.id] = Disagreement(
            id=result.id, at=watch.last_at, observed=watch.observed, count=count
        )
        if len(self._disagreements) > MAX_DISAGREEMENTS:
            del self._disagreements[min(self._disagreements, key=lambda row_id: self._disagreements[row_id].at)]


def _probed(job: Job) -> bool:
    return job.fixed is None and (job.check is CheckName.TCP or job.check is CheckName.DNS)


def _same(one: Job, other: Job) -> bool:
    """Tell whether two jobs look at the same, at the same pace: then what one found holds for the other."""
    return (one.spec, one.interval_s, one.timeout_s, one.fixed) == (
        other.spec, other.interval_s, other.timeout_s, other.fixed,
    )  # fmt: skip


def _joined(dns: Timeline | None, tcp: Timeline | None, observed: Event, moment: float) -> Event | None:
    """Return what both rows together said at a moment."""
    name = dns.at(moment) if dns else None
    if name in FAILURES:
        return name
    port = tcp.at(moment) if tcp else None
    if port is None and observed is Event.DNS_LOOKUP_ERROR:
        return name  # that the name resolves was said, and that is what the user was told otherwise
    return port
