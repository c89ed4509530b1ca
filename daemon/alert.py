"""Alerts as they are decided: which are active, and how their delivery goes. Types only.

`daemon.alerting` decides, `daemon.push` delivers, views show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

LABELS = ("resource", "address", "port", "nameserver", "endpoint")
"""The labels that, besides name and severity, tell the alerts of one Connector apart; empty ones are left out."""


class AlertKey(NamedTuple):
    """The identity of an alert: `labels` has one value for each of LABELS, empty where it does not apply."""

    name: str
    severity: str
    labels: tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert that fires, or has fired. Times: Unix seconds; `ends_at` None: it still fires.

    `severity` in the key is `none` in shadow mode. `cause` is the id of the cause behind it, if there is one.
    `rows`: ids of the rows that it stands on. `flapping`: it comes and goes. `ends_after`: what it is about is over,
    but it has fired often of late, so it ends only then unless it comes back (Unix seconds).
    """

    key: AlertKey
    starts_at: float
    ends_at: float | None = None
    summary: str = ""
    description: str = ""
    action: str = ""
    cause: str | None = None
    rows: tuple[str, ...] = ()
    flapping: bool = False
    ends_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """What the daemon has decided: at most 200 active ones of each name, the longest firing first.

    - `resolved`: those that ended within the last 15 minutes: an Alertmanager is told again and again for so long.
    - `pending`: conditions that hold, not yet for long enough: key → Unix seconds at which it will fire.
    - `truncated`: how many more there are, by name.
    - `version` goes up whenever `active` or `resolved` changes.
    """

    active: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()
    pending: Mapping[AlertKey, float] = field(default_factory=lambda: MappingProxyType({}))
    truncated: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How one Alertmanager takes what is pushed. Counts are of alerts, since this process started.

    `name` is host:port, never the whole URL. `failing_since`: Unix seconds of the first of the failures in a row, None
    while it takes them; `problem` says why, in one clause.
    """

    name: str
    sent: int = 0
    errors: int = 0
    dropped: int = 0
    queue_length: int = 0
    failing_since: float | None = None
    problem: str = ""


NO_ALERTS = Alerts()
