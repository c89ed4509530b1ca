"""What is wrong, and why: causes, what they explain, and what changed just before. Types only.

`daemon.diagnosis` makes them, views and alerts read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, TypeAlias

CauseSeverity: TypeAlias = Literal["critical", "warning", "info"]


class Domain(StrEnum):
    """Where a fault lies, from this host outwards: the order in which causes are looked for."""

    HOST = "host"
    CLOCK = "clock"
    RESOLVER = "resolver"
    CONTROL_PLANE = "control_plane"
    RELAY = "relay"
    CONNECTOR = "connector"
    NETWORK = "network"
    RESOURCE = "resource"


class ChangeKind(StrEnum):
    """What kind of thing changed around us."""

    LINK = "link"
    ADDRESS = "address"
    ROUTE = "route"
    NAMESERVERS = "nameservers"
    CONNECTOR = "connector"
    SEAT = "seat"
    CLOCK = "clock"
    CONFIG = "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something changed at `at` (Unix seconds); `text` is one clause for a person, its content ours or escaped."""

    at: float
    kind: ChangeKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that is wrong, and what follows from it.

    - `code` names the kind (`NameserverDown`), `target` which one; together they are the cause's `id`.
    - `title` is one line; `text` says what was observed and what it means; `action` the fix and the command by hand.
    - `since`: Unix seconds of the first failing look that it is seen in.
    - `evidence`: ids of the rows that show it; `explains`: ids of the rows that fail, or are not asked, because of it.
    - `resources`: how many Resources that makes, each counted once.
    - `possible`: what else it could be and can't be told apart from here; never more than lines of text.
    - `changed`: what changed shortly before, nearest first.
    - `alert` carries it to people, with `labels` as its identity (resource, address, port | nameserver | endpoint);
      None: no alert does.
    - `ending`: some of what showed it is well again; it only goes on explaining what has not recovered yet.
    - `runbook`: address of the page that tells more, as configured (`alerting.runbooks`).
    """

    code: str
    target: str
    domain: Domain
    severity: CauseSeverity
    title: str
    text: str
    action: str
    since: float
    evidence: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    resources: int = 0
    possible: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    alert: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    runbook: str = ""
    ending: bool = False

    @property
    def id(self) -> str:
        """The name by which rows refer to it."""
        return f"{self.code}:{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The smallest set of causes that explains what fails, most severe first; `explained` maps row ids to cause ids."""

    causes: tuple[Cause, ...] = ()
    explained: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


NO_DIAGNOSIS = Diagnosis()
