"""The effective configuration as YAML: what the daemon uses, every default written out."""

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from daemon.config.nodes import plain_value
from daemon.config.schema import Config
from daemon.config.shapes import NULL, ListOf, MapOf, OneOf, Record, Shape, record_of
from daemon.config.values import Leaf

_WIDTH = 2**30  # characters: lines are never folded, so that every value can be found with grep


def show_config(config: Config) -> str:
    """Write the configuration as a file that loads to the same configuration.

    No secret is in it: the configuration holds the names of files that contain them, never their content.
    """
    text: str = yaml.dump(
        _record(record_of(Config), config),
        Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False,
    )  # fmt: skip
    return text


_Fastest: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fastest):  # type: ignore[misc]  # libyaml may be missing
    """Quotes all text that either YAML 1.1 or our reading of YAML 1.2 would take for something else."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write equal values out: aliases are refused when the file is read."""
        return True


def _text(dumper: Any, text: str) -> Any:  # noqa: ANN401 - PyYAML's types
    plain = isinstance(plain_value(text), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _list(dumper: Any, items: list[object]) -> Any:  # noqa: ANN401 - as above
    """Write a list of single values on one line."""
    flow = not any(isinstance(item, list | dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def shown(shape: Shape, value: Any) -> object:  # noqa: ANN401 - a value of whatever the shape makes
    """Return the value as lists, mappings and scalars, as it would be written in the file."""
    if isinstance(shape, Leaf):
        return shape.show(value)
    if isinstance(shape, ListOf):
        return [shown(shape.item, item) for item in value]
    if isinstance(shape, MapOf):
        return {shape.key.show(key): shown(shape.value, item) for key, item in value.items()}
    if isinstance(shape, Record):
        return _record(shape, value)
    return _one_of(shape, value)


def _record(shape: Record, value: msgspec.Struct) -> Mapping[str, object]:
    return {field.key: shown(field.shape, getattr(value, field.attribute)) for field in shape.fields.values()}


def _one_of(shape: OneOf, value: Any) -> object:  # noqa: ANN401 - as above
    if value is None or isinstance(value, str):
        return value
    kind = next((kind for made, kind in _KINDS.items() if isinstance(value, made)), Leaf)
    options = [option for option in shape.options if isinstance(option, kind) and option is not NULL]
    return shown(options[-1], value)  # of leaves the last: a choice of words, which comes first, makes text


_KINDS: dict[type, type] = {tuple: ListOf, dict: MapOf, msgspec.Struct: Record}
