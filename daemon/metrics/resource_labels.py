"""What the series of Resources are called: written once for a plan: that would be most of a scrape."""

import re
from dataclasses import dataclass
from typing import cast

from checks.model import CheckName
from checks.names import NameSpec
from checks.tcp import TcpSpec
from daemon.config.schema import Resource
from daemon.jobs import Job
from daemon.metrics.exposition import block
from daemon.metrics.families import PREFIX
from daemon.plan import Plan
from daemon.slices import Steps, batches
from daemon.view import SECOND_SEAT

RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one plan, never changed: a scrape under way goes on with those of the plan that it began with.

    - `jobs`: what has series, in the order of the configuration, each with one block of labels, without the closing
      brace, for each Resource behind it.
    - `info`: the finished lines of `resource_info`. `targets`: how many names and ports there are in all.
    """

    plan: Plan
    jobs: tuple[tuple[Job, tuple[str, ...]], ...]
    info: tuple[str, ...]
    targets: int


def label_steps(plan: Plan) -> Steps[Labels]:
    """Write all labels of a plan."""
    info: list[str] = []
    name = PREFIX + "resource_info"
    for resources in batches(plan.resources):
        info += [f"{name}{_identity(resource)} 1\n" for resource in resources]
        yield
    shown: list[tuple[Job, tuple[str, ...]]] = []
    targets = 0
    for jobs in batches(plan.jobs):
        found = [job for job in jobs if job.check in RESOURCE_CHECKS]
        targets += len(found)
        shown += [(job, _blocks(job)) for job in found if job.fixed is None and not job.id.endswith(SECOND_SEAT)]
        yield
    return Labels(plan, tuple(shown), tuple(info), targets)


def _blocks(job: Job) -> tuple[str, ...]:
    """Return the labels of one row, without the closing brace: one block for each Resource behind it."""
    if job.check is CheckName.DNS:
        rest = [("address", cast("NameSpec", job.spec).name)]
    else:
        spec = cast("TcpSpec", job.spec)
        rest = [("address", spec.address), ("port", str(spec.port))]
    return tuple(block((("resource", name), *rest)).removesuffix("}") for name in job.resources)


def _identity(resource: Resource) -> str:
    """Return the labels of resource_info; one of the user's that could not be written, or is ours, is left out."""
    own = {"resource": resource.name, "address": resource.address}
    others = {k: v for k, v in sorted(resource.labels.items()) if k not in own and _LABEL_NAME.fullmatch(k)}
    return block((own | others).items())
