"""What the log taught belongs to one Connector and one process of it, whatever clocks and looks do."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from checks.connlog.model import CauseSeen, ConnectionKind, ConnectionSeen, LogCause, LogState, StateSeen
from checks.model import CheckName, Event, Reason
from checks.names import NameSpec
from checks.runtime.model import Sighting
from checks.tcp import TcpSpec
from daemon.config.load import parse_config
from daemon.insight import Insight, Memory
from daemon.jobs import Job
from daemon.targets import enabled_checks, make_plan
from tests.support.sightings import NOW, RUNNING, STARTED_AT

CONFIG = parse_config(
    b"connector: {name: t}\nresources: [{name: A, address: 10.0.0.1, tcp: [443]}]\n", "test.yaml"
).config
FAILED = ConnectionSeen(
    at=NOW, kind=ConnectionKind.UNABLE_TO_CONNECT, address="10.0.0.1", port=443, protocol="tcp", user=1
)


class Clock:
    """A wall clock that is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return it."""
        return self.now


def _insight(clock: Clock | None = None, asked: list[str] | None = None) -> Insight:
    clock = clock or Clock()
    made = Insight(CONFIG, clock, (asked if asked is not None else []).append, Memory())
    made.truth.load(CONFIG, make_plan(CONFIG, enabled_checks(CONFIG)))
    return made


def _refused(insight: Insight, at: float) -> None:
    insight.note([CauseSeen(at=at, cause=LogCause.TOKEN_GONE)], lines=1, at=at)


def _token(insight: Insight) -> LogCause | None:
    summary = insight.log()
    return summary.token if summary is not None else None


def test_what_an_earlier_process_said_before_we_came_is_over() -> None:
    """Lines of a process that ended before we first looked accuse nobody: the one that runs got new tokens."""
    made = _insight()
    made.note_sighting(RUNNING)
    _refused(made, STARTED_AT - 10)
    assert _token(made) is None
    _refused(made, STARTED_AT + 10)
    assert _token(made) is LogCause.TOKEN_GONE


def test_restart_ends_what_was_said() -> None:
    """A process that was started anew begins clean; the same one seen again does not."""
    made = _insight()
    made.note_sighting(RUNNING)
    _refused(made, NOW - 60)
    made.note_sighting(replace(RUNNING, started_at=NOW - 30))  # its start is reckoned anew after a step of the clock
    assert _token(made) is LogCause.TOKEN_GONE
    made.note_sighting(replace(RUNNING, id="b" * 12, started_at=NOW - 30))
    assert _token(made) is None
    made.note_sighting(replace(RUNNING, id="", started_at=NOW - 20))
    _refused(made, NOW - 10)
    made.note_sighting(replace(RUNNING, id="", started_at=NOW - 5))
    assert _token(made) is None, "where nothing but its start tells the process from the next"


@pytest.mark.parametrize(
    "other",
    [replace(RUNNING, name="another", id="c" * 12, started_at=STARTED_AT - 9000), replace(RUNNING, runtime="systemd")],
    ids=["container", "runtime"],
)
def test_other_connector_begins_a_new_book(other: Sighting) -> None:
    """Another Connector, though it has run for longer, is not blamed for what stood in the first one's log."""
    made = _insight()
    made.note_sighting(RUNNING)
    _refused(made, NOW - 60)
    made.note_sighting(other)
    assert made.log() is None, "nothing of it was read yet"
    made.note([], lines=1, at=NOW)
    assert (_token(made), made.book.summary(NOW).lines) == (None, 1)


def test_look_that_saw_nothing_changes_nothing() -> None:
    """While Docker does not answer, what is known of the Connector's log and settings stays."""
    verbose = replace(RUNNING, environment=MappingProxyType({"TWINGATE_LOG_ANALYTICS": "v2"}))
    made = _insight()
    made.note_sighting(verbose)
    _refused(made, NOW - 60)
    before = made.log()
    for problem in (Reason.PERMISSION_DENIED, Reason.NOT_FOUND):
        made.note_sighting(Sighting(runtime="docker", problem=problem, started_at=NOW))
        assert made.log() == before
    assert before is not None
    assert before.capability.analytics


def test_start_in_the_future_silences_no_line() -> None:
    """A Connector started before the clock was set back by an hour: what it says now counts."""
    clock = Clock()
    made = _insight(clock)
    made.note_sighting(replace(RUNNING, started_at=NOW + 3600))
    clock.now += 1
    made.note([StateSeen(at=NOW + 1, state=LogState.ONLINE)], lines=1, at=NOW + 1)
    summary = made.log()
    assert summary is not None
    assert summary.state is LogState.ONLINE


def test_clock_set_back_ends_no_comparison() -> None:
    """After the clock was set back by an hour users are compared with our probes as before."""
    clock, asked = Clock(), list[str]()
    made = _insight(clock, asked)
    clock.now -= 3600
    made.tick()
    clock.now += 10
    made.note([replace(FAILED, at=clock.now)], lines=1, at=clock.now)
    assert asked == ["tcp:10.0.0.1:443"]
    clock.now += 120
    made.tick()
    assert made.truth.predictions.counts["unknown", Event.UNABLE_TO_CONNECT.value] == 1


@pytest.mark.parametrize(
    ("kind", "address", "check", "expected"),
    [
        (ConnectionKind.UNABLE_TO_CONNECT, "a.test", CheckName.TCP, True),
        (ConnectionKind.UNABLE_TO_CONNECT, "a.test", CheckName.DNS, False),
        (ConnectionKind.DNS_LOOKUP_ERROR, "a.test", CheckName.DNS, True),
        (ConnectionKind.DNS_LOOKUP_ERROR, "a.test", CheckName.TCP, False),
        (ConnectionKind.UNABLE_TO_CONNECT, "b.test", CheckName.TCP, False),
        (ConnectionKind.UNABLE_TO_CONNECT, "a.test", CheckName.HOST, False),
    ],
)
def test_user_failed(kind: ConnectionKind, address: str, check: CheckName, *, expected: bool) -> None:
    """A user who failed counts for the very port or the very name, whichever failed, for 15 minutes."""
    clock = Clock()
    made = _insight(clock)
    made.note([replace(FAILED, kind=kind, address=address)], lines=1, at=NOW)
    spec: object = TcpSpec(address="a.test", port=443, target="a.test:443", timeout_s=1.0)
    if check is not CheckName.TCP:
        spec = NameSpec(name="a.test")
    target = "a.test:443" if check is CheckName.TCP else "a.test"
    job = Job(id=f"{check}:{target}", check=check, target=target, spec=spec, interval_s=30.0, timeout_s=5.0)
    assert made.user_failed(job) is expected
    clock.now += 901
    assert not made.user_failed(job)


def test_nothing_read_is_nothing_known() -> None:
    """Before a line was read the log says nothing, unless why it can't be read."""
    made = _insight()
    assert made.log() is None
    assert made.observed(None, predictions=False).predictions is None
    assert made.observed(RUNNING).predictions is not None
    assert made.observed(RUNNING).sighting is RUNNING
    made.unreadable("no permission")
    summary = made.log()
    assert summary is not None
    assert summary.problem == "no permission"


def test_closing_writes_what_was_learned() -> None:
    """What was learned since the last write is kept for the next run, and found there."""
    kept: dict[str, object] = {}
    config = parse_config(b"connector: {name: t}\nresources: [{name: W, address: '*.corp.test'}]\n", "t").config
    used = replace(FAILED, kind=ConnectionKind.ESTABLISHED, address="db.corp.test", rule="*.corp.test", ip="10.1.1.1")
    for round_ in (1, 2):
        made = Insight(config, Clock(), [].append, Memory(kept.get, kept.__setitem__))  # type: ignore[arg-type]
        assert len(made.learned.samples) == round_ - 1
        made.note([used], lines=1, at=NOW)
        made.close()
    assert kept
