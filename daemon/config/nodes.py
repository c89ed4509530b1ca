"""YAML as a tree of nodes with positions: strict, bounded, and typed by the core schema of YAML 1.2.

PyYAML's own constructors follow YAML 1.1 (`no` is false, `22:30` is 1350) and expand aliases. This reads the parser's
events instead: nothing is expanded, nothing recurses, and every limit holds while the file is read.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from daemon.config.problems import MAX_PROBLEMS, ConfigError, Problem, value_text

MAX_BYTES = 8 * 1024 * 1024  # 10,000 Resources take about 1.5 MiB
MAX_NODES = 1_000_000  # 10,000 Resources with 16 ports and 8 labels each are 600,000
MAX_DEPTH = 16  # the deepest valid value stands at depth 5

ScalarValue: TypeAlias = str | int | float | bool | None
Event: TypeAlias = Any  # the events of libyaml and of the Python parser share attributes, not a type

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, ScalarValue] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_MAX_NUMBER = 40  # more digits are no number of ours, and reading them costs time

# Not allowed in a YAML file (YAML 1.2 §5.1), and invisible in an editor: named with their position.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_HINTS = {
    "cannot start any token": "put the value in quotes",
    "mapping values are not allowed": "put a value that contains ': ' in quotes, and indent with care",
}


@dataclass(slots=True)
class Scalar:
    """A single value; `value` is typed by the core schema unless it was quoted."""

    line: int
    column: int
    value: ScalarValue


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Keys and values in the order of the file; duplicates are still there."""

    line: int
    column: int
    items: list[tuple["Node", "Node"]] = field(default_factory=list)
    key: "Node | None" = None


@dataclass(slots=True)
class Refused:
    """Stands for something that was reported already."""

    line: int
    column: int


Node: TypeAlias = Scalar | Sequence | Mapping | Refused


def plain_value(text: str) -> ScalarValue:
    """Type an unquoted scalar by the core schema of YAML 1.2 (§10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_NUMBER:
        if _INT.fullmatch(text):
            return int(text, 10 if text[1:2] not in ("o", "x") else 0)
        if _FLOAT.fullmatch(text):
            return float(text.replace(".inf", "inf").replace(".nan", "nan") if text[-1:].isalpha() else text)
    return text


def read_nodes(data: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """Read one YAML document; None when it is empty. The problems are those after which reading could go on.

    Raises: ConfigError when the rest can't be understood.
    """
    text = _decode(data, file)
    tree = _Tree(file)
    try:
        for event in _events(text):
            tree.add(event)
    except yaml.YAMLError as error:
        tree.problems.append(_syntax_problem(error, text, file))
        raise ConfigError(tree.problems) from None
    except _StopReading:
        raise ConfigError(tree.problems) from None
    finally:
        tree.end()
    return tree.root, tree.problems


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 2**20} MiB, which no configuration needs"
        raise ConfigError([Problem(file, 0, 0, "", message)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"not UTF-8, got byte 0x{data[error.start]:02x} at offset {error.start}; save the file as UTF-8"
        raise ConfigError([Problem(file, line, column, "", message)]) from None
    if found := _FORBIDDEN.search(text):
        start = found.start()
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        message = f"a character that YAML does not allow, got {value_text(found.group())}; remove it"
        raise ConfigError([Problem(file, line, column, "", message)])
    return text


def _events(text: str) -> Iterator[Event]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or str(error)
    if mark is None:
        return Problem(file, 0, 0, "", f"not valid YAML: {what}")
    if start and start.line < mark.line:
        what += f" {getattr(error, 'context', None) or ''}, which starts at line {start.line + 1}"
    hint = next((hint for words, hint in _HINTS.items() if words in what), "")
    if text[mark.index : mark.index + 1] == "\t" or "tab" in what:
        hint = "indent with spaces, not with tabs"
    message = f"not valid YAML: {what}; {hint}" if hint else f"not valid YAML: {what}"
    return Problem(file, mark.line + 1, mark.column + 1, "", message)


class _StopReading(Exception):  # noqa: N818 - not an error: the problem is already in the list
    """A limit was reached."""


class _Tree:
    """Builds the tree from the parser's events with a stack of its own."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._open: list[Sequence | Mapping] = []
        self._nodes = 0
        self._documents = 0
        self._do: dict[type, Callable[[Event], None]] = {
            yaml.DocumentStartEvent: self._document,
            yaml.ScalarEvent: self._scalar,
            yaml.SequenceStartEvent: lambda event: self._start(event, Sequence(*_place(event))),
            yaml.MappingStartEvent: lambda event: self._start(event, Mapping(*_place(event))),
            yaml.SequenceEndEvent: self._end,
            yaml.MappingEndEvent: self._end,
            yaml.AliasEvent: self._alias,
        }

    def add(self, event: object) -> None:
        """Take the next event."""
        if do := self._do.get(type(event)):
            do(event)

    def end(self) -> None:
        """Let go of what refers to the tree: it is large, and must not live until cycles are looked for."""
        self._do = {}

    def _report(self, event: Event, message: str) -> None:
        self.problems.append(Problem(self.file, *_place(event), "", message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StopReading

    def _document(self, event: Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._report(event, "a second document starts here, expected one document")
            raise _StopReading

    def _scalar(self, event: Event) -> None:
        line, column = _place(event)
        plain = event.implicit[0] and event.tag is None
        self._attach(
            event, self._checked(event, Scalar(line, column, plain_value(event.value) if plain else event.value))
        )

    def _start(self, event: Event, node: Sequence | Mapping) -> None:
        self._attach(event, self._checked(event, node))
        self._open.append(node)
        if len(self._open) > MAX_DEPTH:
            self._report(event, f"nested more than {MAX_DEPTH} levels deep")
            raise _StopReading

    def _end(self, _event: object) -> None:
        self._open.pop()

    def _alias(self, event: Event) -> None:
        self._report(event, f"aliases are not supported, got *{event.anchor}; write the value out")
        self._attach(event, Refused(*_place(event)))

    def _checked(self, event: Event, node: Node) -> Node:
        """Refuse anchors (nobody may refer to them) and tags (they could name any type)."""
        if event.anchor is not None:
            self._report(event, f"anchors are not supported, got &{event.anchor}; write the value out")
        if event.tag is not None:
            self._report(event, f"tags are not supported, got {value_text(event.tag)}; remove it")
            return Refused(node.line, node.column)
        return node

    def _attach(self, event: Event, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._report(event, f"more than {MAX_NODES:,} values, which no configuration needs")
            raise _StopReading
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            parent.items.append((parent.key, node))
            parent.key = None


def _place(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
