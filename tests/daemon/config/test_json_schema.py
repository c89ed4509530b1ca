import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import nodes
from daemon.config.describe import KEYS
from daemon.config.json_schema import json_schema
from daemon.config.load import parse_config
from daemon.config.nodes import Mapping, Node, Refused, Sequence, read_nodes
from daemon.config.show import show_config
from tests.support.json_schema import Schema, Value, errors

DATA = Path(__file__).parent / "data"
SCHEMA = json.loads(json.dumps(json_schema()))

# What only `config check` can know: syntax, files, the calendar, and rules that span several values.
BEYOND_A_SCHEMA = (
    "address", "alertmanager", "alert-prometheus", "alias", "bidi", "cidr", "clock", "complex", "depth", "directive",
    "docker", "duplicate", "duration-huge", "duration-zero", "endpoint", "escape-key", "listen", "maintenance",
    "merge", "nameserver-name", "name-empty", "not-utf8", "nul", "path", "pattern", "port-overlap", "port-range",
    "probe-port", "rate", "raw", "samples", "secret-blank", "secret-empty", "secret-missing", "server", "socket",
    "source", "syntax", "tag", "two", "url-port", "utf16",
)  # fmt: skip


def _plain(node: Node) -> Value:
    if isinstance(node, Mapping):
        return {str(_plain(key)): _plain(value) for key, value in node.items}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    assert not isinstance(node, Refused)
    return node.value


def _document(text: bytes) -> Value:
    return _plain(read_nodes(text, "config.yaml")[0] or Mapping(1, 1))


@pytest.mark.parametrize("file", sorted((DATA / "good").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_schema_accepts_what_loads(file: Path) -> None:
    """Every good file, and what `config show` makes of it, is valid by the schema."""
    assert list(errors(_document(file.read_bytes()), SCHEMA)) == []
    shown = show_config(parse_config(file.read_bytes(), str(file)).config)
    assert list(errors(_document(shown.encode()), SCHEMA)) == []


@pytest.mark.parametrize(
    "file",
    [file for file in sorted((DATA / "bad").glob("*.yaml")) if not file.stem.startswith(BEYOND_A_SCHEMA)],
    ids=lambda file: file.stem,
)
def test_the_schema_refuses_what_does_not_load(file: Path) -> None:
    """A mistake in a single value is seen by an editor already."""
    assert list(errors(_document(file.read_bytes()), SCHEMA))


def _keys(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    for option in (schema, *schema.get("anyOf", ()), schema.get("items", {})):
        for key, value in option.get("properties", {}).items():
            at = f"{path}.{key}" if path else key
            yield at, value
            yield from _keys(value, at)
    for option in schema.get("items", {}).get("anyOf", ()):
        yield from _keys(option, path)


def test_every_key_is_described_once() -> None:
    """Each key of the file has its sentence in the schema; no sentence is about a key that does not exist."""
    described = dict(_keys(SCHEMA))
    assert sorted(described) == sorted(KEYS)
    for path, schema in described.items():
        assert schema["description"].startswith(KEYS[path])


def test_the_schema_names_every_default() -> None:
    """The defaults in the schema are those that `config show` writes for an empty file."""
    shown = _document(show_config(parse_config(b"", "config.yaml").config).encode())
    for path, schema in _keys(SCHEMA):
        value = shown
        for step in path.split("."):
            value = value.get(step, nodes) if isinstance(value, dict) else nodes
        if value is not nodes and "properties" not in schema:
            assert schema["default"] == value, path
