"""From the nodes of a file to the configuration types: every problem is collected, nothing is guessed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar

import msgspec

from daemon.config import files
from daemon.config.nodes import Mapping, Node, Refused, Scalar, Sequence
from daemon.config.problems import MAX_PROBLEMS, BadValueError, Path, Problem, key_hint, path_text, value_text
from daemon.config.shapes import NULL, Field, ListOf, MapOf, OneOf, Record, Shape, expected_of, record_of
from daemon.config.values import Leaf

S = TypeVar("S", bound=msgspec.Struct)


class _Failed(Enum):
    """The value has a problem that was reported."""

    FAILED = 0


FAILED: Final = _Failed.FAILED


class TooManyProblemsError(Exception):
    """There are so many problems that reading on helps nobody."""


@dataclass(slots=True)
class Section:
    """A section that was read without a problem, and where it stands."""

    path: Path
    node: Node
    value: msgspec.Struct


@dataclass(slots=True)
class Converter:
    """Converts the nodes of one file.

    `folder`: what relative file names start from. `built` holds every section that is right in itself: the rules
    that span several keys are asked about each of them, even when others are wrong.
    """

    file: str
    folder: str
    problems: list[Problem] = field(default_factory=list)
    built: list[Section] = field(default_factory=list)
    _lists: dict[tuple[Leaf, tuple[object, ...]], tuple[object, ...]] = field(default_factory=dict)

    def report(self, node: Node, path: Path, message: str) -> _Failed:
        """Add a problem. Raises: TooManyProblemsError."""
        self.problems.append(Problem(self.file, node.line, node.column, path_text(path), message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblemsError
        return FAILED

    def document(self, node: Node, cls: type[S]) -> S | None:
        """Convert the whole document; None when something is wrong. Raises: TooManyProblemsError."""
        found = self._record(record_of(cls), node, ())
        return found if isinstance(found, cls) else None

    def _convert(self, shape: Shape, node: Node, path: Path) -> object:
        if isinstance(node, Refused):
            return FAILED
        if isinstance(shape, Leaf):
            return self._leaf(shape, node, path)
        if isinstance(shape, ListOf):
            return self._list(shape, node, path)
        if isinstance(shape, Record):
            return self._record(shape, node, path)
        if isinstance(shape, MapOf):
            return self._map(shape, node, path)
        return self._one_of(shape, node, path)

    def _leaf(self, leaf: Leaf, node: Node, path: Path) -> object:
        if not isinstance(node, Scalar):
            return self._wrong(leaf, node, path)
        try:
            value = leaf.parse(node.value)
        except BadValueError as error:
            return self._bad(error, leaf, node, path)
        if leaf.path:
            value = files.absolute(value, self.folder)
            if leaf.readable and (fault := files.fault(value)):
                return self.report(node, path, fault)
        return value

    def _bad(self, error: BadValueError, shape: Shape, node: Scalar, path: Path) -> _Failed:
        ending = f"; {error.hint}" if error.hint else f", expected {error.expected or expected_of(shape)}"
        return self.report(node, path, f"{error.what}, got {value_text(node.value)}{ending}")

    def _wrong(self, shape: Shape, node: Node, path: Path) -> _Failed:
        """Report another kind of node than expected."""
        if isinstance(node, Scalar):
            got = value_text(node.value)
        else:
            got = "a list" if isinstance(node, Sequence) else "a mapping"
        empty = isinstance(node, Scalar) and node.value is None and path
        hint = "; remove the key to keep its default" if empty else ""
        return self.report(node, path, f"wrong kind of value, got {got}, expected {expected_of(shape)}{hint}")

    def _one_of(self, shape: OneOf, node: Node, path: Path) -> object:
        if not isinstance(node, Scalar):
            kind = ListOf if isinstance(node, Sequence) else (Record, MapOf)
            option = next((option for option in shape.options if isinstance(option, kind)), None)
            return self._convert(option, node, path) if option else self._wrong(shape, node, path)
        leaves = [option for option in shape.options if isinstance(option, Leaf)]
        errors = []
        for leaf in leaves:
            try:
                leaf.parse(node.value)
            except BadValueError as error:
                if leaf is not NULL:
                    errors.append((error, leaf))
                continue
            return self._leaf(leaf, node, path)
        if len(errors) == 1 and all(isinstance(option, Leaf) for option in shape.options):
            return self._bad(*errors[0], node, path)
        return self._wrong(shape, node, path)

    def _list(self, shape: ListOf, node: Node, path: Path) -> object:
        if not isinstance(node, Sequence):
            return self._wrong(shape, node, path)
        values = []
        good = True
        first: dict[object, int] = {}
        for index, child in enumerate(node.items):
            at = (*path, index)
            value = self._convert(shape.item, child, at)
            if value is FAILED:
                good = False
            elif isinstance(shape.item, Leaf) and first.setdefault(value, index) != index:
                self.report(child, at, f"a duplicate of {path_text((*path, first[value]))}; remove one")
                good = False
            values.append(value)
        if not good:
            return FAILED
        made = tuple(values)
        # The ports of thousands of Resources are few different lists.
        return self._lists.setdefault((shape.item, made), made) if isinstance(shape.item, Leaf) else made

    def _entries(
        self, node: Mapping, path: Path, parse: Callable[[Scalar], object]
    ) -> Iterator[tuple[object, Scalar, Node]]:
        """Yield the keys as `parse` understands them (FAILED ones left out), each once."""
        first: dict[object, Scalar] = {}
        for key_node, child in node.items:
            if isinstance(key_node, Refused):
                continue
            if not isinstance(key_node, Scalar):
                self._wrong_key(key_node, path)
                continue
            at = (*path, _written(key_node))
            if key_node.value == "<<":
                self.report(key_node, at, "merge keys are not supported; write the keys out")
                continue
            key = parse(key_node)
            if key is FAILED:
                continue
            if (before := first.setdefault(key, key_node)) is not key_node:
                self.report(key_node, at, f"duplicate key, first at line {before.line}, column {before.column}")
                continue
            yield key, key_node, child

    def _wrong_key(self, node: Node, path: Path) -> None:
        self.report(node, path, 'a key that is not a single value; write "key: value"')

    def _map(self, shape: MapOf, node: Node, path: Path) -> object:
        if not isinstance(node, Mapping):
            return self._wrong(shape, node, path)
        before = len(self.problems)
        values: dict[object, object] = {}

        def parse(key_node: Scalar) -> object:
            try:
                return shape.key.parse(key_node.value)
            except BadValueError as error:
                return self._bad(error, shape.key, key_node, (*path, _written(key_node)))

        for key, key_node, child in self._entries(node, path, parse):
            values[key] = self._convert(shape.value, child, (*path, _written(key_node)))
        if shape.entries is not None and len(values) > shape.entries:
            self.report(node, path, f"too many entries, got {len(values)}, expected at most {shape.entries}")
        return FAILED if len(self.problems) > before or FAILED in values.values() else values

    def _record(self, shape: Record, node: Node, path: Path) -> object:
        if shape.short and isinstance(node, Scalar):
            value = self._convert(shape.fields[shape.short].shape, node, path)
            return value if value is FAILED else self._build(shape, {shape.short: value}, node, path)
        if not isinstance(node, Mapping):
            return self._wrong(shape, node, path)
        before = len(self.problems)
        refused = False
        values: dict[str, object] = {}

        def parse(key_node: Scalar) -> object:
            key = _written(key_node)
            if key in shape.fields:
                return key
            return self.report(key_node, (*path, key), f"unknown key, {key_hint(key, shape.fields)}")

        given = set()
        for key, _, child in self._entries(node, path, parse):
            found = shape.fields[str(key)]
            given.add(found.key)
            value = self._convert(found.shape, child, (*path, found.key))
            refused = refused or value is FAILED
            values[found.attribute] = value
        for found in shape.fields.values():
            if found.required and found.key not in given:
                self._missing(found, node, path)
        if refused or len(self.problems) > before:
            return FAILED
        return self._build(shape, values, node, path)

    def _missing(self, found: Field, node: Node, path: Path) -> None:
        self.report(node, (*path, found.key), f"missing, expected {expected_of(found.shape)}")

    def _build(self, shape: Record, values: dict[str, object], node: Node, path: Path) -> msgspec.Struct:
        value = shape.cls(**values)
        self.built.append(Section(path, node, value))
        return value


def _written(key: Scalar) -> str:
    """Return a key as text, also where YAML takes it for something else (`null:`, `3306:`)."""
    return key.value if isinstance(key.value, str) else value_text(key.value)
