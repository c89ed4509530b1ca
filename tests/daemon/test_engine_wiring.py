"""Who is told what: the engine hands on the Connector, its log and its seat, and takes back what was seen."""

import asyncio
from dataclasses import replace
from types import MappingProxyType

import pytest

from checks.model import CheckName, Json, Outcome, Reason, Status
from checks.net.seat import Seat
from checks.runtime.model import Runtime, Sighting, Wanted
from daemon.board import Board
from daemon.changes.network import Difference
from daemon.config.load import parse_config
from daemon.engine import Engine
from daemon.glimpse import Glimpse
from daemon.jobs import Job, Result
from daemon.known import CLOCK_ROW, CONNECTOR_ROW, HOST_ROW, Contexts, Known
from daemon.looplag import LoopLag
from daemon.runner import Runner
from daemon.second_look import compared
from daemon.state import Policy
from daemon.vantage.orphan import RUNS
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch
from tests.support.fakes import FakeResolver
from tests.support.half_open_fake import FakeHalfOpen
from tests.support.recheck_rig import addresses, config, rig
from tests.support.sightings import NOW, RUNNING, Looks, log

TEXT = b"""
connector: {name: t, runtime: docker}
clock: {servers: [], controller_date: false}
relays: {endpoints: []}
dns: {nameservers: ["127.0.0.1:9"], search: []}
provider: {enabled: never}
checks: {resolver: false, control_plane: false}
"""
VERBOSE = replace(RUNNING, environment=MappingProxyType({"TWINGATE_LOG_ANALYTICS": "v2"}))


def _engine(*sightings: Sighting) -> Engine:
    async def find(_: Wanted) -> Runtime:
        return Looks(*sightings)

    configured = parse_config(TEXT, "test.yaml").config
    board = Board(Policy(), lambda: NOW, clock=asyncio.get_running_loop().time)
    watch = ConnectorWatch(configured, find=find)
    return Engine(configured, board, LoopLag(), lambda _results, _changes: None, watch)


class Recorder(Runner):
    """Answers each job with the same facts and writes down which were run."""

    def __init__(self, real: Runner, **facts: Json) -> None:
        super().__init__(real.seats, real.enabled, real.known, lambda _start, _end: 0.0)
        self.facts = facts
        self.ran: list[str] = []

    async def run(
        self, job: Job, *, thorough: bool = True, confirming: bool = False, seen: Glimpse | None = None
    ) -> tuple[Result, ...]:
        del thorough, confirming, seen
        self.ran.append(job.id)
        outcome = Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="x", facts=self.facts)
        return (
            Result(
                id=job.id, job=job.id, check=job.check, target=job.target, outcome=outcome, started_at=NOW,
                duration_s=0.0,
            ),
        )  # fmt: skip


async def test_connector_and_host_are_looked_at_before_all_else() -> None:
    """At start the Connector's row is there first, then this host's: both explain what fails beyond them."""
    engine = _engine(RUNNING)
    recorder = engine.runner = Recorder(engine.runner)
    await engine.look_around()
    assert recorder.ran == [CONNECTOR_ROW, HOST_ROW]


async def test_what_the_check_saw_is_taken_at_once() -> None:
    """After the Connector's check its seat is taken, and its log is read in the light of its settings."""
    engine = _engine(RUNNING, replace(VERBOSE, own_namespace=True))
    await engine.watch.begin()
    before = engine.runner.seats.first
    assert before.name == "host"
    (job,) = (job for job in engine.plan.jobs if job.check is CheckName.CONNECTOR)
    await engine.scheduler._probe(job, None)  # type: ignore[arg-type]
    assert engine.runner.seats.first.name == "connector"
    engine.insight.note([], lines=1, at=NOW)
    summary = engine.insight.log()
    assert summary is not None
    assert summary.capability.analytics
    assert engine.board.rows[CONNECTOR_ROW].result.outcome.status is Status.OK


async def test_sidecar_left_alone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared network namespace with nothing but loopback the engine says that it is orphaned, after 3 looks."""
    engine = _engine(RUNNING)
    engine.runner = Recorder(engine.runner, loopback_only=True)
    monkeypatch.setattr(ConnectorWatch, "shared", property(lambda _: True))
    for _ in range(RUNS):
        assert not engine.orphaned
        await engine.look_around()
    assert engine.orphaned
    assert engine.board.rows[HOST_ROW].result.outcome.status is Status.UNKNOWN


async def test_probes_are_told_what_is_known() -> None:
    """The runner may ask for the Connector, its seat, its log, and whether users failed: the engine's own."""
    engine = _engine(replace(RUNNING, own_namespace=True))
    known = engine.runner.known
    assert known.connector is engine.watch
    assert known.connector_seat() is None
    await engine.watch.begin()
    assert known.connector_seat() is engine.watch.seats.first
    assert (known.user_failed, known.log) == (engine.insight.user_failed, engine.insight.log)


def _job(check: CheckName) -> Job:
    return Job(id=f"{check}:x", check=check, target="x", spec=None, interval_s=30.0, timeout_s=5.0)


def _row(row_id: str, **facts: Json) -> Result:
    check, _, target = row_id.partition(":")
    outcome = Outcome(status=Status.CRITICAL, reason=Reason.NOT_RUNNING, summary="x", facts=facts)
    return Result(
        id=row_id, job=row_id, check=CheckName(check), target=target, outcome=outcome, started_at=NOW, duration_s=0.0
    )


def test_context_of_each_check() -> None:
    """A user's failure reaches dns and tcp; the Connector, its seat and its log reach the connector check alone."""
    seat, looks, summary = Seat(resolver=FakeResolver()), Looks(RUNNING), log()
    known = Known(
        latest={CLOCK_ROW: _row(CLOCK_ROW)}.get,
        rows=lambda check: (
            (replace(_row("resolver:a"), outcome=Outcome(status=Status.OK, summary="x")),)
            if check is CheckName.RESOLVER
            else ()
        ),
        ever_up=lambda _: False,
        user_failed=lambda _: True,
        log=lambda: summary,
        connector=looks,
        connector_seat=lambda: seat,
    )
    contexts = Contexts(known, frozenset(CheckName))
    of = {check: contexts.of(_job(check), seat, None, thorough=True, confirming=False) for check in CheckName}
    assert {check for check, context in of.items() if context.user_failed} == {CheckName.DNS, CheckName.TCP}
    assert {check for check, context in of.items() if context.connector is looks} == {CheckName.CONNECTOR}
    assert {c for c, context in of.items() if context.clock_off} == {CheckName.CONNECTOR, CheckName.CONTROL_PLANE}
    told = of[CheckName.CONNECTOR]
    assert (told.connector_seat, told.log, told.resolver_ok) == (seat, summary, True)


def test_connector_that_is_not_looked_at_silences_nothing() -> None:
    """What a row said before its check was switched off is no cause of anything."""
    table = {CONNECTOR_ROW: _row(CONNECTOR_ROW, running=False)}
    known = Known(latest=table.get, rows=lambda _: (), ever_up=lambda _: False)
    everything = frozenset(CheckName)
    assert Contexts(known, everything).failed_parent(_job(CheckName.TCP)) is not None
    assert Contexts(known, everything - {CheckName.CONNECTOR}).failed_parent(_job(CheckName.TCP)) is None


def test_second_look_without_a_verdict_changes_no_words() -> None:
    """Where the host's look reached no verdict, the row says what was seen from the Connector's seat, and no more."""
    first = Outcome(status=Status.CRITICAL, reason=Reason.REFUSED, summary="refused", action="Start it.")
    second = Outcome(status=Status.UNKNOWN, reason=Reason.PROBER_STARVED, summary="starved")
    both = compared(first, second)
    assert (both.summary, both.action) == (first.summary, first.action)
    assert both.facts["seen_from_host"] == "prober_starved"


@pytest.mark.looptime
async def test_network_event_has_no_seat_keep_its_way_out() -> None:
    """What seats remember of the way out, sockets to nameservers and source addresses, is not used any more."""
    async with rig(config(addresses(1))) as made:
        seats, renewed, ways = made.engine.watch.seats, list[str](), (FakeHalfOpen(), FakeHalfOpen())
        made.engine.watch.seats = Seats(
            replace(seats.first, half_open=ways[0], close=lambda: renewed.append("first")),
            replace(seats.first, half_open=ways[1], close=lambda: renewed.append("host")),
        )
        made.engine.network_changed(Difference(way_out=True))
    assert renewed == ["first", "host"]
    assert [way.changes for way in ways] == [1, 1]
