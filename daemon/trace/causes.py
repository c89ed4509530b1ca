"""What the diagnosis makes of a trace: the causes behind its rows, from one look and without any memory."""

from collections.abc import Iterable

from checks.hostnet import read_routes
from checks.model import CheckName
from checks.neighbours import dead_next_hops
from checks.net.seat import Seat
from daemon.board import Board
from daemon.causes import Cause
from daemon.config.schema import Config
from daemon.diagnosis.diagnostician import diagnose_once
from daemon.diagnosis.scene import scene_of
from daemon.jobs import Result
from daemon.observed import Observed
from daemon.plan import Plan
from daemon.state import Policy
from daemon.trace.facts import TraceFacts
from daemon.view import EngineFigures, View


def causes_of(config: Config, plan: Plan, facts: TraceFacts, seat: Seat) -> tuple[Cause, ...]:
    """Return what explains the rows of this Resource, and what is wrong with the whole Connector."""
    board = Board(Policy(failures=1, successes=1), seat.wall_clock)
    board.load(plan.jobs)
    board.record([*facts.around.values(), *_results(facts)])
    view = View(
        config=config,
        plan=plan,
        board=board,
        engine=EngineFigures(connector=facts.connector, vantage=facts.seat, started_at=facts.started_at),
        observed=Observed(sighting=facts.sighting, log=facts.log),
    )
    try:
        routes = read_routes(seat.read_net)
        gateways = {route.gateway for route in routes if route.gateway and ":" not in route.gateway}
        dead = dead_next_hops(seat.read_net, gateways)
    except OSError:
        routes, dead = (), frozenset()
    return diagnose_once(scene_of(view, routes=routes, dead_next_hops=dead)).causes


def _results(facts: TraceFacts) -> Iterable[Result]:
    traced = facts.target
    resources = () if traced.resource is None else (traced.resource, *traced.others)
    for row_id, outcome in facts.rows.items():
        check, _, target = row_id.partition(":")
        yield Result(
            id=row_id, job=row_id, check=CheckName(check), target=target, outcome=outcome,
            started_at=facts.started_at, duration_s=facts.seconds, resources=resources,
        )  # fmt: skip
