"""What the scheduler holds of a job: its slots, why it runs, and what its run takes up."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from checks.model import CheckName
from checks.net.seat import Flight
from daemon.jobs import Job
from daemon.neighbours import subnet_of
from daemon.phase import first_slot, slot_at


class RunKind(StrEnum):
    """Why a job runs: its slot came, or a critical result is to be looked at again at once."""

    SCHEDULED = "scheduled"
    CONFIRM = "confirm"


Rest: TypeAlias = Coroutine[Any, Any, None]
Ended: TypeAlias = Callable[[Rest | None], None]
"""Hears that a flight is over; what is left to do, if anything, runs as a task and belongs to the same run."""


class Owner(Protocol):
    """Who hears of the end of runs."""

    def landed(self, entry: "Entry", rest: Rest | None) -> None:
        """A flight ended; `rest` is what is left to do."""

    def over(self, entry: "Entry") -> None:
        """A run ended."""


class Place:
    """What a run of one job takes up. No dataclass: it is read at each start and each end."""

    __slots__ = ("connections", "host", "pooled", "subnet")

    def __init__(self, job: Job) -> None:
        self.host = job.host
        self.connections = job.connections
        self.pooled = not is_half_open(job)
        self.subnet = subnet_of(job.host) if job.host is not None and self.pooled else None


@dataclass(slots=True, eq=False)
class Entry:
    """What the scheduler holds of a job. Times are seconds of the loop's clock.

    - `number` is its own, for alarms that are due at the same time; `phase` is that of its id, in [0, 1).
    - `next_at`: when its next slot is; `interval_s`: how far its slots are apart now.
    - `waiting`: due, and not yet started; since `due`.
    - `confirm_at`: when a confirmation is to come; None: none was asked for since the last start.
    - `task` or `flight` is its run, `held` the place that this takes up; `long`: the last run took long.
    """

    owner: Owner
    job: Job
    number: int
    phase: float
    place: Place
    interval_s: float
    wanted: bool = True
    next_at: float | None = None
    waiting: RunKind | None = None
    due: float = 0.0
    confirm_at: float | None = None
    started_at: float | None = None
    task: asyncio.Task[None] | None = None
    flight: Flight | None = None
    held: Place | None = None
    long: bool = False

    def first_slot(self, now: float, spread_s: float) -> float:
        """Return when it runs first, within `spread_s` seconds; a job that must not be asked so soon keeps its rest."""
        job = self.job
        first = first_slot(self.phase, job.interval_s, now, spread_s)
        if job.confirmable or self.started_at is None or first >= self.started_at + job.interval_s:
            return first
        return slot_at(self.phase, job.interval_s, self.started_at + job.interval_s)

    def landed(self, rest: Rest | None) -> None:
        """Its flight ended."""
        self.owner.landed(self, rest)

    def over(self, _: asyncio.Task[None]) -> None:
        """Its task ended."""
        self.owner.over(self)


def is_half_open(job: Job) -> bool:
    """Tell whether a job only sends a packet and hears the answer: it opens no connection and needs no descriptor."""
    return job.check is CheckName.TCP and getattr(job.spec, "method", None) == "half_open"


def difference(entries: Mapping[str, Entry], jobs: Iterable[Job]) -> tuple[list[Job], list[str]]:
    """Return which of the jobs that are to run are new or other objects than before, and the ids of those gone."""
    other: list[Job] = []
    kept: list[str] = []
    for job in jobs:
        entry = entries.get(job.id)
        if entry is None or entry.job is not job or not entry.wanted:
            if job.fixed is not None:
                continue
            other.append(job)
        kept.append(job.id)
    if len(kept) - len(other) == len(entries):
        return other, []
    known = frozenset(kept)
    return other, [job_id for job_id in entries if job_id not in known]
