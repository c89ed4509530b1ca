"""What there is to do for one configuration: the jobs, and which of them stand behind each Resource."""

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.config.schema import Resource
from daemon.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every job, the effective Resources, and the ids of the rows behind each Resource (dns first, then tcp)."""

    jobs: tuple[Job, ...]
    resources: tuple[Resource, ...]
    rows_of: Mapping[str, tuple[str, ...]]
