"""Causes whose texts are made when somebody reads them: of 20,000 causes 200 are told."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import NamedTuple

from checks.model import CheckName
from daemon.causes import Cause, CauseSeverity, Change, Domain
from daemon.diagnosis.catalogue import KINDS
from daemon.diagnosis.reading import Reading
from daemon.diagnosis.rules_resource import labels_of

NAME, PORT = KINDS["NameFails"], KINDS["PortFails"]
_DNS_EVENT = "Users of it get a DNS lookup error."
_CONNECT_EVENT = 'Users of it get "Unable to connect".'
_TEXTS = ("title", "text", "action", "possible")
_DEFAULTS = {f.name: f.default for f in fields(Cause) if f.default is not MISSING and f.name not in _TEXTS}
_set = object.__setattr__  # a cause is frozen: who makes it is the only one who fills it


class Texts(NamedTuple):
    """What a cause says."""

    title: str
    text: str
    action: str
    possible: tuple[str, ...] = ()


class LazyCause(Cause):
    """Reads like any other; the rest is known when it is made. It can't be copied by `dataclasses.replace`."""

    __slots__ = ("_say", "_texts")
    _say: Callable[[], Texts]
    _texts: Texts | None

    def __init__(self, say: Callable[[], Texts], **known: object) -> None:
        """Make a cause of all its fields that are no texts; `say` makes the texts."""
        for name, value in (_DEFAULTS | known).items():
            _set(self, name, value)
        _set(self, "_say", say)
        _set(self, "_texts", None)

    @property
    def title(self) -> str:
        """See `Cause`."""
        return self._said.title

    @property
    def text(self) -> str:
        """See `Cause`."""
        return self._said.text

    @property
    def action(self) -> str:
        """See `Cause`."""
        return self._said.action

    @property
    def possible(self) -> tuple[str, ...]:
        """See `Cause`."""
        return self._said.possible

    @property
    def _said(self) -> Texts:
        texts = self._texts
        if texts is None:
            texts = self._say()
            _set(self, "_texts", texts)
        return texts


class Alone(Cause):
    """The cause of a failure that stands alone: all that it says is its row's. There may be one for each row."""

    __slots__ = ("reading",)
    reading: Reading

    domain = Domain.RESOURCE
    possible = ()
    ending = False

    def __init__(
        self,
        reading: Reading,
        severity: CauseSeverity,
        explains: tuple[str, ...],
        changed: tuple[Change, ...],
        runbook: str,
    ) -> None:
        _set(self, "reading", reading)
        _set(self, "severity", severity)
        _set(self, "explains", explains)
        _set(self, "changed", changed)
        _set(self, "runbook", runbook)

    @property
    def id(self) -> str:
        """See `Cause`; asked for of each of them, each second."""
        return f"{self.code}:{self.reading.result.target}"

    @property
    def target(self) -> str:
        """See `Cause`."""
        return self.reading.result.target

    @property
    def evidence(self) -> tuple[str, ...]:
        """See `Cause`."""
        return (self.reading.id,)

    @property
    def action(self) -> str:
        """See `Cause`."""
        return self.reading.outcome.action

    @property
    def since(self) -> float:
        """See `Cause`."""
        return self.reading.since

    @property
    def resources(self) -> int:
        """See `Cause`."""
        return len(self.reading.result.resources)

    @property
    def labels(self) -> Mapping[str, str]:
        """See `Cause`."""
        return MappingProxyType(labels_of(self.reading))


class NameAlone(Alone):
    """A name that does not resolve."""

    __slots__ = ()
    code, alert = NAME.code, NAME.alert

    @property
    def title(self) -> str:
        """See `Cause`."""
        return f"{self.target} does not resolve"

    @property
    def text(self) -> str:
        """See `Cause`."""
        return f"{self.reading.outcome.summary}. {_DNS_EVENT}"


class PortAlone(Alone):
    """A port that does not accept connections."""

    __slots__ = ()
    code, alert = PORT.code, PORT.alert

    @property
    def title(self) -> str:
        """See `Cause`."""
        return f"{self.target} does not accept connections"

    @property
    def text(self) -> str:
        """See `Cause`."""
        return f"{self.reading.outcome.summary}. {_CONNECT_EVENT}"


def alone(reading: Reading) -> type[Alone]:
    """Return which of the two a failing row is."""
    return NameAlone if reading.unresolved or reading.check is CheckName.DNS else PortAlone
