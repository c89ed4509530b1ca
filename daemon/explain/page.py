"""What the pages of the product documentation consist of: of a reason, and of an alert."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

MINUTE_S = 60.0

Platform: TypeAlias = Literal["Docker", "systemd", "Kubernetes", "AWS", "Azure", "Google Cloud"]
"""Where a fix is done differently: what runs the Connector, or whose network it stands in."""

Fixes: TypeAlias = Mapping[Platform, str]
"""What to do there, in words, commands between back quotes."""

Severity: TypeAlias = Literal["critical", "warning", "info", "none", "resource"]
"""`resource`: the severity that the Resource's own definition gives."""

Carrier: TypeAlias = Literal["both", "prometheus", "push"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The documentation of one reason.

    `meaning`: what was observed. `impact`: what a user meets. `commands`: how to look by hand, in this order; words in
    capitals stand for the target's own values. `fix`: what to do anywhere. `fixes`: what to do where it differs.
    """

    meaning: str
    impact: str
    fix: str
    commands: tuple[str, ...]
    fixes: Fixes = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Tier:
    """A severity, and for how many seconds the condition must hold before the alert fires with it."""

    severity: Severity
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. `advice` says where to look first; `reasons` and checks are explained on their own pages.

    `ends` says when it ends, where that is not simply when the condition is over. `carrier` tells how it reaches
    people; with `prometheus` the shipped rules decide it, and `alerting.after` does not know it.
    """

    name: str
    when: str
    tiers: tuple[Tier, ...]
    advice: str
    ends: str = ""
    carrier: Carrier = "both"


def one_tier(severity: Severity, minutes: float) -> tuple[Tier, ...]:
    """Return the tiers of an alert that has one severity."""
    return (Tier(severity, minutes * MINUTE_S),)
