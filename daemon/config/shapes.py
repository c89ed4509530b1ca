"""The configuration types as a tree of shapes, which loading, `config show` and `config schema` walk alike."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from daemon.config.problems import BadValueError, choices_text
from daemon.config.values import SWITCH, Leaf


@dataclass(frozen=True, slots=True)
class AtMost:
    """Annotates a mapping: it has at most so many entries."""

    entries: int


@dataclass(frozen=True, slots=True)
class Short:
    """Annotates a section: it may be written as the value of this one key."""

    key: str


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a section; `attribute` is its name in the struct, where that is a word of Python."""

    key: str
    attribute: str
    shape: "Shape"
    required: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A section; `short`: the key whose value may stand for it."""

    cls: type[msgspec.Struct]
    fields: Mapping[str, Field]
    short: str | None = None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with free keys."""

    key: Leaf
    value: "Shape"
    entries: int | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several forms, told apart by what stands in the file."""

    options: "tuple[Shape, ...]"


Shape: TypeAlias = Leaf | Record | ListOf | MapOf | OneOf


def expected_of(shape: Shape) -> str:
    """Say in words what a shape accepts."""
    if isinstance(shape, Leaf):
        return shape.expected
    if isinstance(shape, OneOf):
        return choices_text(expected_of(option) for option in shape.options if option is not NULL)
    return "a list" if isinstance(shape, ListOf) else "a mapping"


@cache
def record_of(cls: type[msgspec.Struct], short: str | None = None) -> Record:
    """Return the shape of a section."""
    hints = get_type_hints(cls, include_extras=True)
    fields = (
        Field(field.encode_name, field.name, _shape_of(hints[field.name]), field.required)
        for field in msgspec.structs.fields(cls)
    )
    return Record(cls, {field.key: field for field in fields}, short)


def _shape_of(hint: Any) -> Shape:  # noqa: ANN401, PLR0911 - one return for each way to write a type
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(args[0], args[1:])
    if origin is Literal:
        return _choice(args)
    if origin in (Union, types.UnionType):
        return OneOf(tuple(option for arg in args for option in _options(_shape_of(arg))))
    if origin is tuple:
        return ListOf(_shape_of(args[0]))
    if origin is dict:
        key = _shape_of(args[0])
        if isinstance(key, Leaf):
            return MapOf(key, _shape_of(args[1]))
    if hint is bool:
        return SWITCH
    if hint is types.NoneType:
        return NULL
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return record_of(hint)
    raise TypeError(f"no way to write {hint} in a file")


def _annotated(hint: Any, extras: tuple[object, ...]) -> Shape:  # noqa: ANN401 - as above
    for extra in extras:
        if isinstance(extra, Leaf):
            return extra
        if isinstance(extra, Short):
            return record_of(hint, extra.key)
        if isinstance(extra, AtMost):
            shape = _shape_of(hint)
            if isinstance(shape, MapOf):
                return MapOf(shape.key, shape.value, extra.entries)
    return _shape_of(hint)


def _options(shape: Shape) -> tuple[Shape, ...]:
    return shape.options if isinstance(shape, OneOf) else (shape,)


def _choice(choices: tuple[str, ...]) -> Leaf:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise BadValueError("not one of the choices" if len(choices) > 1 else "not understood")
        return value

    return Leaf(expected=choices_text(choices), parse=parse, schema={"type": "string", "enum": list(choices)})


def _nothing(value: object) -> None:
    if value is not None:
        raise BadValueError("not empty")


NULL = Leaf(expected="null", parse=_nothing, schema={"type": "null"})
"""Nothing: the key is written without a value."""
