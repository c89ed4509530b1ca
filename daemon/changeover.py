"""From one configuration to the next, in steps: the plan is made beside the one in force; what is the same stays."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from checks.model import CheckName
from daemon.config.same import kept_where_equal
from daemon.config.schema import Config
from daemon.jobs import Job
from daemon.learning import Learning
from daemon.plan import Plan, PlanChange, change_between
from daemon.scheduler import Limits, Scheduler
from daemon.slices import Steps, batches
from daemon.targets import enabled_checks, plan_steps

_UNHURRIED = frozenset(
    {CheckName.CLOCK, CheckName.PROVIDER}
)  # never asked again at once, and after a reload no sooner than usual: public servers
_LASTING = frozenset({CheckName.CLOCK})  # what it remembers is of this host and of its servers' wishes, not of the spec

AT_ONCE = 100  # jobs that the scheduler takes up or lets go in a step: one to two milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What is to be in force, and how its plan differs from the one before.

    `asked` are the checks that have something to ask; `learned` is the version of what was used that the log taught.
    """

    config: Config
    enabled: frozenset[CheckName]
    plan: Plan
    change: PlanChange
    asked: frozenset[CheckName]
    learned: int


def prepare(config: Config, *, before: Config, plan: Plan, learning: Learning, half_open: bool) -> Steps[Next]:
    """Make what comes next; `before` and `plan` are in force. What the configuration forbids to know is forgotten."""
    config = yield from kept_where_equal(before, config)
    if config is not before:
        yield
        learning.load(config)
        yield
    version, enabled = learning.version, enabled_checks(config)
    after = yield from plan_steps(config, enabled, learning.learned, half_open=half_open, before=plan)
    change = yield from change_between(plan.by_id, after.by_id)
    asked = frozenset(job.check for job in after.jobs if job.fixed is None)
    yield
    return Next(config=config, enabled=enabled, plan=after, change=change, asked=asked, learned=version)


def let_go(scheduler: Scheduler, change: PlanChange, forget: Callable[[str], None]) -> Steps[None]:
    """Stop asking what a change removes, and have `forget` drop what was remembered of it.

    What is not probed any more is not asked from then on either: a look that ended after the change would be held for
    ever as what is known of it.
    """
    for settled in batches([job.id for _, job in change.changed if job.fixed is not None], AT_ONCE):
        scheduler.change((), settled)
        yield
    for gone in batches(change.removed, AT_ONCE):
        scheduler.change((), [job.id for job in gone])
        for job in gone:
            forget(job.id)
        yield


def take_up(scheduler: Scheduler, change: PlanChange, limits: Limits, forget: Callable[[str], None]) -> Steps[None]:
    """Ask what a change adds, and anew what it changes; `forget` drops what a job remembers that now asks otherwise."""
    connections = change.connections
    for changed in batches(change.changed, AT_ONCE):
        for old, job in changed:
            if old.spec != job.spec and job.check not in _LASTING:
                forget(job.id)
        scheduler.change([_unhurried(job) for _, job in changed], (), limits, connections=connections)
        yield
    for added in batches(change.added, AT_ONCE):
        scheduler.change([_unhurried(job) for job in added], (), limits, connections=connections)
        yield


def _unhurried(job: Job) -> Job:
    return replace(job, confirmable=False) if job.check in _UNHURRIED else job
