"""What there is to say of one kind of cause: its texts as templates, its place in the order, and who carries it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from checks.model import Reason
from daemon.causes import CauseSeverity, Domain

OF_RESOURCES: tuple[CauseSeverity, ...] = ("critical", "warning", "info")
"""The severities of causes that are about Resources: the worst of those behind their rows."""
ANYWHERE = ""  # the key of commands that are the same on every platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One cause code. Texts are templates of `str.format`; their values are escaped where they come in.

    - `title` is one line. `text` says what was observed and what it means for users; `action` is the fix.
    - `by_hand`: the commands that show or mend the same, by runtime of the Connector (docker, systemd, kubernetes), or
      ANYWHERE. Commands of the runtime win; `{enter}` in them goes to the Connector's network where we look from there.
    - `possible`: what else it could be, and can't be told apart on a host. Lines of text, never a title.
    - `depends_on`: codes that explain this one when they hold.
    - `severities`: those that it can have, the worst first; OF_RESOURCES where the Resources decide.
    - `alert` carries it to people; None: no alert does, and its runbook is the page of `reason`.
    """

    code: str
    domain: Domain
    title: str
    text: str
    action: str
    severities: tuple[CauseSeverity, ...]
    reason: Reason
    by_hand: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    possible: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    alert: str | None = None

    def commands(self, runtime: str) -> tuple[str, ...]:
        """Return the templates of the commands for a runtime."""
        return self.by_hand.get(runtime) or self.by_hand.get(ANYWHERE, ())
