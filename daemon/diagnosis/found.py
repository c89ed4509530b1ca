"""A cause being made."""

from dataclasses import dataclass, field

from daemon.causes import CauseSeverity, Domain
from daemon.diagnosis.kind import Kind


@dataclass(slots=True, kw_only=True)
class Found:
    """A cause being made. `evidence` and `rows` are ordered sets of row ids; `values` fill the templates.

    - `severity` None: the worst of the Resources behind it. `domain` and `alert` are the kind's unless they are given.
    - `inferred`: it has no row of its own; its members together show it.
    - `kept`: it was held before, and goes on. `ending`: part of what showed it is well again.
    """

    kind: Kind
    target: str
    values: dict[str, object] = field(default_factory=dict)
    severity: CauseSeverity | None = None
    labels: dict[str, str] = field(default_factory=dict)
    domain: Domain | None = None
    alert: str | None = None
    possible: tuple[str, ...] = ()
    inferred: bool = False
    kept: bool = False
    ending: bool = False
    evidence: dict[str, None] = field(default_factory=dict)
    rows: dict[str, None] = field(default_factory=dict)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the cause."""
        self.id = f"{self.kind.code}:{self.target}"
