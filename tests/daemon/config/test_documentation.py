import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.describe import KEYS
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.config.show import show_config

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
ROWS = {
    key: (words, default, example.strip().strip("`"))
    for key, words, default, example in re.findall(
        r"^\| `([a-z_.]+)` \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE
    )
}
SECTIONS = ("basic", "tls", "intervals", "confirm")  # described by the keys in them


def _examples() -> Iterator[tuple[str, str]]:
    for key, (_, _, example) in ROWS.items():
        reads_a_file = key.endswith("_file") or ".alertmanagers." in key
        if example and not reads_a_file:
            yield key, example


def test_every_key_is_documented() -> None:
    """The page has a row for each key that can be set, in the words that editors show."""
    parents = {key.rpartition(".")[0] for key in KEYS}
    expected = {key for key in KEYS if "." in key and key.rpartition(".")[2] not in SECTIONS}
    assert set(ROWS) == expected - {"resource_sources.type"}
    for key, (words, _, _) in ROWS.items():
        assert words.startswith(KEYS[key])
    for section in parents - {""}:
        assert section in PAGE


def test_the_documented_defaults_are_those_in_effect() -> None:
    """What the page calls the default is what `config show` writes for an empty file."""
    for key, (_, default, _) in ROWS.items():
        if default.startswith("`") and not key.startswith(("resources.", "maintenance.", "alerting.alertmanagers.")):
            assert parse_config(_nested(key, default.strip("`")), "config.yaml").config == Config(), key


@pytest.mark.parametrize(("key", "example"), tuple(_examples()))
def test_the_examples_load(key: str, example: str) -> None:
    """Each example can be copied into a file, and changes something."""
    config = parse_config(_nested(key, example), "config.yaml").config
    if key != "relays.endpoints":
        assert config != Config()
    assert parse_config(show_config(config).encode(), "shown.yaml").config == config


def test_the_example_files_load() -> None:
    """Each block of YAML on the page is a valid file."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        parse_config(block.encode(), "config.yaml")


def _nested(key: str, value: str) -> bytes:
    """Write a file that sets one key, with what a Resource or a maintenance needs besides."""
    section, _, rest = key.partition(".")
    entry = {
        "resources": "name: a, address: 10.0.0.0/8",
        "maintenance": "match: a, from: 2026-01-01T00:00Z, to: 2026-03-01T00:00Z",
    }
    if section in entry:
        others = [pair for pair in entry[section].split(", ") if not pair.startswith(f"{rest}:")]
        return f"{section}: [{{{', '.join([*others, f'{rest}: {value}'])}}}]".encode()
    text = value
    for step in reversed(key.split(".")):
        text = f"{{{step}: {text}}}"
    return text.encode()
