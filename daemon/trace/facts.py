"""What one trace has found, link by link, before anything is concluded. Types only.

Texts in here may still hold whatever the network said; they are made harmless where they are shown or written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from checks.connlog.model import ConnectionKind
from checks.connlog.summary import LogSummary
from checks.model import Outcome, Reason, Status
from checks.net.answers import Answer
from checks.net.hops import HopTrace
from checks.runtime.model import Sighting
from daemon.causes import Cause
from daemon.jobs import Result

RECENT_S = 3600.0  # connection events that old still tell about now; older ones are only dated
FRESH_S = 900.0  # a user's failure or denial is held against the link for so long, as in `checks.connlog.failing`


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is traced.

    - `resource`: the name of the configured Resource, None for an address that no Resource covers.
    - `address`: the Resource's address as configured (`rule` where that is a pattern or network and `address` one of
      what it covers). `port`: the one port that was asked for; None: all of the Resource.
    - `not_allowed`: the Resource does not allow that port. `others`: more Resources with this address.
    """

    resource: str | None
    address: str
    rule: str = ""
    port: int | None = None
    not_allowed: bool = False
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSeen:
    """How packets to an address leave this place, as the kernel decides it.

    `gateway` is empty on the link, None where the table of routes does not tell (policy routing). `silent`: that next
    hop was asked for its hardware address and gave none. `reason` and `evidence`: why no packet leaves at all.
    """

    address: str
    source: str | None = None
    interface: str | None = None
    gateway: str | None = None
    silent: bool = False
    reason: Reason | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSeen:
    """What the nameservers make of the name: `answers` has one for each nameserver and type that was asked.

    `outcome` is the verdict of the check `dns`, `host` that of a second look from the host's own place, made only when
    the first one failed. `addresses` are those to connect to, with the nameservers that gave them.
    """

    name: str
    outcome: Outcome | None = None
    answers: tuple[Answer, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    host: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSeen:
    """One address and port: what was done, and what came of it.

    - `verdict`: accepted, failed, not_touched (`why` says by which rule), or unfinished.
    - `host`: what the same connection shows from the host's own place, if that is another one and this one failed:
      `ok` or a reason. `way`: where packets die.
    """

    address: str
    port: int
    verdict: Literal["accepted", "failed", "not_touched", "unfinished"]
    method: str = "connect"
    reason: Reason | None = None
    seconds: float = 0.0
    why: str = ""
    host: str | None = None
    way: HopTrace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCount:
    """Connection events of one kind: how many within RECENT_S, of how many distinct users, and when last (Unix s)."""

    kind: ConnectionKind
    count: int
    users: int
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersSeen:
    """What the Connector's log tells of users of this Resource, and how much its silence is worth.

    `readable`: the log shows user connections at all (True), does not (False), or nobody knows (None). `whole`: it was
    read to its end. `problem`: why it could not be read. `since`: from when on it was read (Unix s).
    """

    events: tuple[EventCount, ...] = ()
    readable: bool | None = None
    whole: bool = True
    problem: str = ""
    since: float | None = None
    advice: tuple[str, ...] = ()

    def of(self, kind: ConnectionKind) -> EventCount | None:
        """Return the events of one kind, if there was one."""
        return next((event for event in self.events if event.kind is kind), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFacts:
    """Everything that one trace found. Times: Unix seconds.

    - `seat`: `connector` or `host`; `connector`: the Connector's effective name.
    - `around`: rows that concern the whole Connector, by id (`host:network`, `clock:system`, `control_plane:…`, …).
    - `rows`: the rows of this Resource (`dns:…`, `tcp:…`), as `healthctl check` would have them.
    - `unfinished`: links that were not looked at to the end within the time there is.
    - `causes`: what the diagnosis says explains rows of this Resource.
    """

    target: Target
    connector: str = ""
    seat: Literal["connector", "host"] = "host"
    started_at: float = 0.0
    seconds: float = 0.0
    around: Mapping[str, Result] = field(default_factory=lambda: MappingProxyType({}))
    rows: Mapping[str, Outcome] = field(default_factory=lambda: MappingProxyType({}))
    routes: tuple[RouteSeen, ...] = ()
    name: NameSeen | None = None
    ports: tuple[PortSeen, ...] = ()
    users: UsersSeen = UsersSeen()
    log: LogSummary | None = None
    sighting: Sighting | None = None
    causes: tuple[Cause, ...] = ()
    unfinished: tuple[str, ...] = ()

    def around_of(self, check: str) -> tuple[Result, ...]:
        """Return the rows of one check; second looks are not among them."""
        return tuple(r for r in self.around.values() if r.check == check and not r.second)

    def verdicts(self, check: str) -> tuple[Status, ...]:
        """Return the verdicts of this Resource's rows of a check (`dns` or `tcp`)."""
        return tuple(outcome.status for row, outcome in self.rows.items() if row.partition(":")[0] == check)
