"""What there is to do for one configuration: the jobs, and which of them stand behind each Resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.config.schema import Config, Resource
from daemon.jobs import Job
from daemon.slices import Steps, batches

COMPARED = 2000  # jobs of a step, when two plans are compared: by identity, which takes a fraction of a millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFor:
    """What a plan was made for: what of it stays the same need not be made anew."""

    config: Config
    half_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every job, the effective Resources, and the ids of the rows behind each Resource (dns first, then tcp).

    `by_id` are the jobs by their id, for all who look one up: nobody needs a mapping of their own.
    """

    jobs: tuple[Job, ...]
    resources: tuple[Resource, ...]
    rows_of: Mapping[str, tuple[str, ...]]
    made_for: MadeFor | None = field(default=None, compare=False, repr=False)
    by_id: Mapping[str, Job] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {job.id: job for job in self.jobs})


NO_PLAN = Plan(jobs=(), resources=(), rows_of={})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """How one plan differs from the one before: all that need be touched.

    `changed` are pairs of the same id, before and after. A job that is the very same object in both is in none.
    """

    added: tuple[Job, ...] = ()
    changed: tuple[tuple[Job, Job], ...] = ()
    removed: tuple[Job, ...] = ()

    @property
    def connections(self) -> int:
        """How many TCP connections one run of all that is added or changed opens."""
        return sum(job.connections for job in self.added) + sum(job.connections for _, job in self.changed)


def change_between(before: Mapping[str, Job], after: Mapping[str, Job]) -> Steps[PlanChange]:
    """Compare the jobs of two plans, by their ids, in steps."""
    if before is after:
        return PlanChange()
    added: list[Job] = []
    changed: list[tuple[Job, Job]] = []
    for batch in batches(tuple(after.values()), COMPARED):
        for job in batch:
            old = before.get(job.id)
            if old is None:
                added.append(job)
            elif old is not job:
                changed.append((old, job))
        yield
    removed: list[Job] = []
    if len(after) - len(added) < len(before):
        for batch in batches(tuple(before.values()), COMPARED):
            removed += [job for job in batch if job.id not in after]
            yield
    return PlanChange(added=tuple(added), changed=tuple(changed), removed=tuple(removed))
