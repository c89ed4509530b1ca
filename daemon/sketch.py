"""Entries of the document of which only so much is made as is asked of all of them.

Of 30,000 rows a page shows 500, and a document is written row by row: all of them made and kept would take 100 MiB and
most of a second.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T", bound=Mapping[str, Any])


class Sketch(dict[str, Any]):
    """An entry of which a part is made; the rest is made when the first of it is read. Only `entire` sees all of it."""

    __slots__ = ("_make",)

    def __init__(self, part: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(part)
        self._make = make

    def __missing__(self, key: str) -> Any:  # noqa: ANN401 - whatever the entry has
        made = self._make()
        if key not in made:
            raise KeyError(key)
        self.update(made)
        return made[key]


def sketched(part: Mapping[str, Any], make: Callable[[], T]) -> T:
    """Return a sketch as what it stands for; `part` must say what `make` says."""
    return cast("T", Sketch(part, make))


def entire(entry: T) -> T:
    """Return an entry with all that there is to it; of a sketch nothing is kept."""
    return cast("T", entry._make()) if isinstance(entry, Sketch) else entry
