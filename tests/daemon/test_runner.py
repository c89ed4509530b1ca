"""One job, once: deadline, parents, starvation, harmless text."""

import asyncio
import logging

import pytest

from checks.model import CheckName, Event, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.seat import Resolution, Seat, open_socket
from checks.tcp import TcpSpec
from daemon.jobs import Job, Result
from daemon.known import Known
from daemon.runner import STARVED_LAG_S, Runner
from daemon.vantage.seats import Seats
from tests.support.fakes import FakeResolver
from tests.support.servers import free_port

EVERYTHING = frozenset(CheckName)


class Silent(FakeResolver):
    """A resolver that never answers."""

    async def resolve(self, name: str) -> Resolution:
        await asyncio.Event().wait()
        raise AssertionError(name)


def _row(check: CheckName, target: str, outcome: Outcome) -> Result:
    row_id = f"{check}:{target}"
    return Result(id=row_id, job=row_id, check=check, target=target, outcome=outcome, started_at=0.0, duration_s=0.0)


def _known(*rows: Result) -> Known:
    table = {r.id: r for r in rows}
    return Known(
        latest=table.get,
        rows=lambda check: tuple(r for r in table.values() if r.check is check),
        ever_up=lambda _: False,
    )


def _runner(
    *rows: Result,
    resolver: FakeResolver | None = None,
    enabled: frozenset[CheckName] = EVERYTHING,
    lag: float = 0,
) -> Runner:
    seat = Seat(resolver=resolver or FakeResolver(), open_socket=open_socket, wall_clock=lambda: 1000.0)
    return Runner(Seats(seat), enabled, _known(*rows), lambda _start, _end: lag)


def _tcp_job(address: str, port: int, timeout_s: float = 5.0) -> Job:
    literal = address[0].isdigit()
    target = f"{address}:{port}"
    return Job(
        id=f"tcp:{target}", check=CheckName.TCP, target=target, interval_s=30.0, timeout_s=timeout_s, host=address,
        spec=TcpSpec(address=address, port=port, target=target, timeout_s=1.0),
        resources=("R",), name=None if literal else address, connections=1,
    )  # fmt: skip


async def _one(made: Runner, job: Job) -> Outcome:
    (result,) = await made.run(job)
    assert result.id == job.id
    return result.outcome


async def test_result_is_stamped() -> None:
    """The runner, not the check, stamps id, time and duration."""
    (result,) = await _runner().run(_tcp_job("127.0.0.1", free_port()))
    assert (result.id.startswith("tcp:127.0.0.1:"), result.started_at, result.resources) == (True, 1000.0, ("R",))
    assert result.duration_s > 0


@pytest.mark.looptime
async def test_deadline_makes_unknown() -> None:
    """A probe that does not end is cut off at the job's deadline: unknown, never critical."""
    outcome = await _one(_runner(resolver=Silent()), _tcp_job("a.test", 443, timeout_s=9.0))
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.TIMEOUT)
    assert asyncio.get_running_loop().time() == pytest.approx(9.0)


async def test_fault_of_ours_is_unknown_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception inside a check becomes unknown/internal_error with a traceback in the log; others go on."""
    job = Job(id="dns:x", check=CheckName.DNS, target="x", spec=None, interval_s=1.0, timeout_s=1.0)
    with caplog.at_level(logging.ERROR):
        outcome = await _one(_runner(), job)
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.INTERNAL_ERROR)
    assert caplog.records[0].exc_info


async def test_cancellation_is_not_swallowed() -> None:
    """Cancelling a run cancels it."""
    task = asyncio.get_running_loop().create_task(_runner(resolver=Silent()).run(_tcp_job("a.test", 443)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


NXDOMAIN = Outcome(
    status=Status.CRITICAL, reason=Reason.NXDOMAIN, event=Event.DNS_LOOKUP_ERROR, summary="the name does not exist"
)
RESOLVED = Outcome(status=Status.OK, summary="resolves", facts={"addresses": ("127.0.0.1",)})
ALONE = Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="no network", facts={"loopback_only": True})
ROUTELESS = Outcome(status=Status.CRITICAL, reason=Reason.NO_ROUTE, summary="none", facts={"loopback_only": False})


async def test_name_that_fails_silences_its_ports() -> None:
    """Name fails: its ports are skipped/dependency_failed and say which row tells why."""
    outcome = await _one(_runner(_row(CheckName.DNS, "a.test", NXDOMAIN)), _tcp_job("a.test", 443))
    assert (outcome.status, outcome.reason, outcome.event) == (Status.SKIPPED, Reason.DEPENDENCY_FAILED, None)
    assert outcome.facts["parent"] == "dns:a.test"


async def test_check_that_is_not_run_is_no_parent() -> None:
    """`--only tcp`: the name is resolved by the tcp check itself, and what dns said before does not count."""
    made = _runner(_row(CheckName.DNS, "a.test", NXDOMAIN), enabled=frozenset({CheckName.TCP}))
    outcome = await _one(made, _tcp_job("a.test", 443))
    assert (outcome.status, outcome.event) == (Status.CRITICAL, Event.DNS_LOOKUP_ERROR)


async def test_addresses_come_from_the_dns_row() -> None:
    """A name is resolved once: the tcp check connects to what the dns check found."""
    made = _runner(_row(CheckName.DNS, "a.test", RESOLVED), resolver=Silent())
    outcome = await _one(made, _tcp_job("a.test", free_port()))
    assert outcome.status is not Status.UNKNOWN, "it did not ask the resolver, which never answers"


async def test_no_interface_but_loopback_silences_resources() -> None:
    """No interface but loopback up with an address: Resources are skipped; loopback addresses never are."""
    made = _runner(_row(CheckName.HOST, "network", ALONE))
    outcome = await _one(made, _tcp_job("10.0.0.1", 443))
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.DEPENDENCY_FAILED)
    assert (await _one(made, _tcp_job("127.0.0.1", free_port()))).reason is Reason.REFUSED


async def test_missing_default_route_silences_nothing() -> None:
    """A missing default route alone silences no Resource."""
    made = _runner(_row(CheckName.HOST, "network", ROUTELESS), _row(CheckName.DNS, "a.test", RESOLVED))
    assert (await _one(made, _tcp_job("a.test", free_port()))).reason is not Reason.DEPENDENCY_FAILED


def _late(reason: Reason, status: Status) -> Job:
    fixed = Outcome(status=status, reason=reason, summary="seen", event=Event.UNABLE_TO_CONNECT)
    return Job(id="tcp:a:1", check=CheckName.TCP, target="a:1", spec=None, interval_s=1.0, timeout_s=1.0, fixed=fixed)


@pytest.mark.parametrize(
    ("lag", "reason", "expected"),
    [
        (STARVED_LAG_S + 0.01, Reason.TIMEOUT, Reason.PROBER_STARVED),
        (STARVED_LAG_S - 0.01, Reason.TIMEOUT, Reason.TIMEOUT),
        (STARVED_LAG_S + 0.01, Reason.REFUSED, Reason.REFUSED),
    ],
)
async def test_starved_loop_takes_back_verdicts_about_time(lag: float, reason: Reason, expected: Reason) -> None:
    """A time-out seen while our loop was late is unknown/prober_starved; a refusal stays a refusal."""
    outcome = await _one(_runner(lag=lag), _late(reason, Status.CRITICAL))
    assert outcome.reason is expected
    assert (outcome.event is None) is (expected is Reason.PROBER_STARVED)


async def test_text_from_outside_is_made_harmless() -> None:
    """Names and answers with ANSI, bidi or control characters leave the runner as visible escapes."""
    nasty = "a\x1b[31m\u202e\x07"
    fixed = Outcome(
        status=Status.WARNING,
        reason=Reason.HTTP_STATUS,
        summary=nasty,
        action=nasty,
        facts={"x": (nasty, {"y": nasty})},
    )
    job = Job(id="tcp:a", check=CheckName.TCP, target="a", spec=None, interval_s=1.0, timeout_s=1.0, fixed=fixed)
    outcome = await _one(_runner(), job)
    safe = "a\\x1b[31m\\u202e\\x07"
    assert (outcome.summary, outcome.action) == (safe, safe)
    assert outcome.facts["x"] == (safe, {"y": safe})


async def test_memory_lives_until_forgotten() -> None:
    """What a probe remembers lasts from run to run, and ends when its job is forgotten."""
    made = _runner(resolver=Silent())
    job = Job(id="dns:a", check=CheckName.DNS, target="a", spec=NameSpec(name="a"), interval_s=1.0, timeout_s=0.01)
    await made.run(job)
    first = made._memory[job.id]
    await made.run(job)
    assert made._memory[job.id] is first
    made.forget(job.id)
    assert job.id not in made._memory
