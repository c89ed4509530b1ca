"""Query parameters of the API: strict, so that a typo is told and never answered with everything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from checks.model import CheckName, Status
from checks.net.text import printable

MAX_LIMIT = 10000


class BadQueryError(Exception):
    """One sentence for the client: which parameter, what is wrong, what is accepted."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a parameter takes.

    - `accepted`: its values, when these are few; they may be given with commas between them.
    - `repeats`: it may be given several times, and any of its values will do. `number`: 1 to MAX_LIMIT.
    """

    accepted: Collection[str] = ()
    repeats: bool = False
    number: bool = False


STATUS_PARAMETERS: Mapping[str, Parameter] = {
    "status": Parameter(accepted=tuple(Status), repeats=True),
    "resource": Parameter(repeats=True),
    "check": Parameter(accepted=tuple(CheckName), repeats=True),
    "limit": Parameter(number=True),
    "after": Parameter(),
}
PAGE_PARAMETERS: Mapping[str, Parameter] = {"refresh": Parameter(accepted=("off",))}
HISTORY_PARAMETERS: Mapping[str, Parameter] = {"id": Parameter(), "limit": Parameter(number=True)}


@dataclass(frozen=True, slots=True)
class Query:
    """The values that were given, by parameter."""

    values: Mapping[str, tuple[str, ...]]

    def choices(self, name: str) -> tuple[str, ...]:
        """Return every value given; none means that all will do."""
        return self.values.get(name, ())

    def text(self, name: str) -> str | None:
        """Return the one value given."""
        return self.values[name][0] if name in self.values else None

    def number(self, name: str) -> int | None:
        """Return the one number given."""
        return int(self.values[name][0]) if name in self.values else None


def parse_query(pairs: Sequence[tuple[str, str]], parameters: Mapping[str, Parameter]) -> Query:
    """Return what was asked. Raises: BadQueryError about the first parameter that is wrong."""
    found: dict[str, tuple[str, ...]] = {}
    for name, text in pairs:
        parameter = parameters.get(name)
        if parameter is None:
            known = f"expected one of {', '.join(parameters)}" if parameters else "none is expected here"
            raise BadQueryError(f"unknown parameter '{printable(name, 50)}': {known}")
        if name in found and not parameter.repeats:
            raise BadQueryError(f"parameter '{name}' is given twice: give it once")
        values = tuple(text.split(",")) if parameter.accepted else (text,)
        for value in values:
            _check(name, value, parameter)
        found[name] = found.get(name, ()) + values
    return Query(found)


def _check(name: str, value: str, parameter: Parameter) -> None:
    shown = printable(value, 50)
    if parameter.accepted and value not in parameter.accepted:
        raise BadQueryError(f"parameter '{name}': '{shown}' is not one of {', '.join(parameter.accepted)}")
    if not parameter.number:
        return
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= MAX_LIMIT):
        raise BadQueryError(f"parameter '{name}': '{shown}' is no whole number from 1 to {MAX_LIMIT}")
