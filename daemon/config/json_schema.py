"""The JSON Schema of the file: for editors, and for charts that template it."""

from typing import Any

import msgspec

from daemon.config.describe import KEYS
from daemon.config.schema import Config
from daemon.config.shapes import Field, ListOf, MapOf, OneOf, Record, Shape, record_of
from daemon.config.show import shown
from daemon.config.values import Leaf

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Connector Health configuration"


def json_schema() -> dict[str, Any]:
    """Make the schema. It accepts the documented forms; rules that span several keys are left to `config check`."""
    return {"$schema": DIALECT, "title": TITLE, **_of(record_of(Config), "")}


def _of(shape: Shape, path: str) -> dict[str, Any]:
    if isinstance(shape, Leaf):
        return dict(shape.schema)
    if isinstance(shape, ListOf):
        unique = {"uniqueItems": True} if isinstance(shape.item, Leaf) else {}
        return {"type": "array", "items": _of(shape.item, path), **unique}
    if isinstance(shape, MapOf):
        return _map(shape, path)
    if isinstance(shape, OneOf):
        return {"anyOf": [_of(option, path) for option in shape.options]}
    section = _section(shape, path)
    return {"anyOf": [_of(shape.fields[shape.short].shape, path), section]} if shape.short else section


def _map(shape: MapOf, path: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "additionalProperties": _of(shape.value, path)}
    # The keys of a JSON object are text, also where YAML has numbers.
    if shape.key.schema.get("type") == "integer":
        schema["propertyNames"] = {"pattern": "^[0-9]+$"}
    else:
        schema["propertyNames"] = dict(shape.key.schema)
    if shape.entries is not None:
        schema["maxProperties"] = shape.entries
    return schema


def _section(shape: Record, path: str) -> dict[str, Any]:
    defaults = {field.encode_name: field for field in msgspec.structs.fields(shape.cls)}
    properties = {key: _property(field, _join(path, key), defaults[key]) for key, field in shape.fields.items()}
    required = [key for key, field in shape.fields.items() if field.required]
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": required} if required else schema


def _property(field: Field, path: str, info: msgspec.structs.FieldInfo) -> dict[str, Any]:
    schema = _of(field.shape, path)
    # What stands at the key itself goes before what its kind of value says in general.
    schema["description"] = KEYS[path] + (f" {schema['description']}." if "description" in schema else "")
    if isinstance(field.shape, Record):
        return schema
    if info.default is not msgspec.NODEFAULT:
        schema["default"] = shown(field.shape, info.default)
    elif info.default_factory is not msgspec.NODEFAULT:
        default = shown(field.shape, info.default_factory())
        schema["default"] = (
            {str(key): value for key, value in default.items()} if isinstance(default, dict) else default
        )
    return schema


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
