"""A Connector that is looked at from a script: what any runtime could say, without one."""

from dataclasses import replace
from types import MappingProxyType

from checks.connector import ConnectorSpec, probe
from checks.connlog.model import LogCause, LogState
from checks.connlog.summary import Capability, CauseCount, LogSummary
from checks.model import Outcome
from checks.net.seat import Context, Seat
from checks.runtime.model import RuntimeName, Sighting
from tests.support.fakes import FakeResolver

NOW = 1767323045.0  # 2026-01-02T03:04:05Z
STARTED_AT = NOW - 3600
RUNNING = Sighting(
    runtime="docker",
    name="twingate-1",
    running=True,
    status="running",
    id="a" * 12,
    pid=4711,
    started_at=STARTED_AT,
    health="healthy",
    restarts=0,
    image="twingate/connector:1",
    version="1.80.0",
    environment=MappingProxyType({"TWINGATE_NETWORK": "acme"}),
    own_namespace=False,
    fds=(64, 1024),
    ping_group_range=(0, 2147483647),
)


class Looks:
    """A runtime that says one thing after the other, the last one for ever."""

    def __init__(self, *sightings: Sighting) -> None:
        self.sightings = list(sightings)

    @property
    def name(self) -> RuntimeName:
        """The runtime of what is seen next."""
        return self.sightings[0].runtime

    async def look(self) -> Sighting:
        """Return the next sighting."""
        return self.sightings.pop(0) if len(self.sightings) > 1 else self.sightings[0]

    async def close(self) -> None:
        """Do nothing: nothing is held."""


def log(
    *,
    state: LogState | None = None,
    token: LogCause | None = None,
    at: float = NOW - 60,
    last_at: float | None = None,
    states: bool | None = True,
    down: tuple[str, ...] = (),
    lines: int = 10,
) -> LogSummary:
    """Make a summary of the log: all that it tells happened at `at`, the token's last error at `last_at`."""
    causes = {} if token is None else {token: CauseCount(count=3, last_at=at if last_at is None else last_at)}
    return LogSummary(
        lines=lines,
        last_line_at=at,
        state=state,
        state_at=None if state is None else at,
        token=token,
        token_at=None if token is None else at,
        nameservers_down=MappingProxyType(dict.fromkeys(down, at)),
        causes=MappingProxyType(causes),
        capability=Capability(errors=True, states=states, analytics=False, advice=("add a line",)),
    )


def standing(sighting: Sighting | None = RUNNING, summary: LogSummary | None = None) -> Context:
    """Make the context of a run at NOW that would see this."""
    seat = Seat(resolver=FakeResolver(), wall_clock=lambda: NOW)
    return Context(seat=seat, connector=None if sighting is None else Looks(sighting), log=summary)


async def judged(context: Context, spec: ConnectorSpec | None = None) -> Outcome:
    """Run the check once; return its one row."""
    spec = spec or ConnectorSpec(timeout_s=0.5)
    rows = await probe(spec, context)
    assert list(rows) == [spec.target]
    return rows[spec.target]


def stopped(status: str = "exited", *, exit_code: int | None = 1, oom_killed: bool = False) -> Sighting:
    """Make a Connector that ended ten minutes ago."""
    return replace(
        RUNNING, running=False, status=status, pid=None, exit_code=exit_code, oom_killed=oom_killed, health=None,
        finished_at=NOW - 600, fds=None,
    )  # fmt: skip
