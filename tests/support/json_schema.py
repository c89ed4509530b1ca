"""A validator for the keywords of JSON Schema that our own schemas use; any other keyword is an error."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Value: TypeAlias = Any  # any JSON value
Schema: TypeAlias = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "integer": (int,), "number": (int, float),
}  # fmt: skip
_SILENT = frozenset({"$schema", "title", "description", "default"})


def errors(value: Value, schema: Schema, at: str = "$") -> Iterator[str]:
    """Yield where the value breaks the schema, and which keyword."""
    for keyword, rule in schema.items():
        if keyword in _INSIDE:
            yield from _INSIDE[keyword](value, schema, at)
        elif keyword not in _SILENT and not _HOLDS[keyword](value, rule):
            yield f"{at}: {keyword}"


def _fits(value: Value, schema: Schema) -> bool:
    return not list(errors(value, schema))


def _type(value: Value, rule: str) -> bool:
    return isinstance(value, _TYPES[rule]) and not (isinstance(value, bool) and rule != "boolean")


_HOLDS: dict[str, Callable[[Value, Any], bool]] = {
    "type": _type,
    "enum": lambda value, rule: value in rule,
    "anyOf": lambda value, rule: any(_fits(value, option) for option in rule),
    "oneOf": lambda value, rule: sum(_fits(value, option) for option in rule) == 1,
    "pattern": lambda value, rule: not isinstance(value, str) or bool(re.search(rule, value)),
    "minimum": lambda value, rule: not isinstance(value, int | float) or value >= rule,
    "maximum": lambda value, rule: not isinstance(value, int | float) or value <= rule,
    "minLength": lambda value, rule: not isinstance(value, str) or len(value) >= rule,
    "maxLength": lambda value, rule: not isinstance(value, str) or len(value) <= rule,
    "maxProperties": lambda value, rule: not isinstance(value, dict) or len(value) <= rule,
    "required": lambda value, rule: not isinstance(value, dict) or set(rule) <= set(value),
    "uniqueItems": lambda value, rule: (
        not (rule and isinstance(value, list)) or len({json.dumps(item) for item in value}) == len(value)
    ),
    "propertyNames": lambda value, rule: not isinstance(value, dict) or all(_fits(key, rule) for key in value),
}


def _items(value: Value, schema: Schema, at: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from errors(item, schema["items"], f"{at}[{index}]")


def _properties(value: Value, schema: Schema, at: str) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else ():
        if key in schema["properties"]:
            yield from errors(item, schema["properties"][key], f"{at}.{key}")


def _additional(value: Value, schema: Schema, at: str) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else ():
        if key in schema.get("properties", {}):
            continue
        if schema["additionalProperties"] is False:
            yield f"{at}.{key}: unknown"
        else:
            yield from errors(item, schema["additionalProperties"], f"{at}.{key}")


_INSIDE: dict[str, Callable[[Value, Schema, str], Iterator[str]]] = {
    "items": _items,
    "properties": _properties,
    "additionalProperties": _additional,
}
