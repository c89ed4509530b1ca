"""What a diagnosis is made of: one moment of everything that is known, held still while it is thought about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from checks.connlog.summary import LogSummary
from checks.hostnet import Route
from checks.runtime.model import Sighting
from daemon.causes import CauseSeverity, Change
from daemon.config.schema import Config
from daemon.jobs import Job
from daemon.state import TargetState
from daemon.view import View


def _conclusive(row: TargetState) -> bool:
    return row.result.outcome.status.conclusive


def _just_now(_: TargetState) -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment. Times: Unix seconds (`now` by the wall clock); `interval_s`: how often Resources are looked at.

    - `rows` by id, `jobs` by id; `severities`: each Resource's own, by its name.
    - `routes`: this seat's main table. Pass the same tuple while nothing changed: it is sorted once.
    - `dead_next_hops`: addresses on the link whose link address the kernel asked for in vain.
    - `fresh` tells of a row whether its last verdict is recent enough to count as good (`Board.presence`).
    - `age_s`: how many seconds ago a row was looked at.
    - `runbooks`: what stands before /ALERT.md.
    - `in_connector`: whether we look from a network namespace of the Connector's own.
    """

    rows: Mapping[str, TargetState]
    jobs: Mapping[str, Job] = field(default_factory=dict)
    severities: Mapping[str, CauseSeverity] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    dead_next_hops: frozenset[str] = frozenset()
    log: LogSummary | None = None
    sighting: Sighting | None = None
    changes: tuple[Change, ...] = ()
    now: float = 0.0
    interval_s: float = 30.0
    runbooks: str = "docs/runbooks"
    in_connector: bool = False
    fresh: Callable[[TargetState], bool] = _conclusive
    age_s: Callable[[TargetState], float] = _just_now


def severities_of(config: Config) -> Mapping[str, CauseSeverity]:
    """Return the severity of each Resource, by its name."""
    return {resource.name: resource.severity for resource in config.resources}


def scene_of(
    view: View,
    *,
    routes: tuple[Route, ...],
    dead_next_hops: frozenset[str],
    severities: Mapping[str, CauseSeverity] | None = None,
) -> Scene:
    """Return the moment of a view; the board may go on while it is thought about.

    `severities`: what `severities_of` returns, for whoever makes a scene each second of one configuration.
    """
    sighting = view.observed.sighting
    return Scene(
        rows=dict(view.board.rows),
        jobs=view.board.jobs,
        severities=severities_of(view.config) if severities is None else severities,
        routes=routes,
        dead_next_hops=dead_next_hops,
        log=view.observed.log,
        sighting=sighting,
        changes=view.changes,
        now=view.now,
        interval_s=view.config.schedule.interval,
        runbooks=view.config.alerting.runbooks,
        in_connector=view.engine.vantage == "connector" and sighting is not None and sighting.own_namespace is False,
        fresh=view.board.presence(),
        age_s=view.board.age_s,
    )
