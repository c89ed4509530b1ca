import string
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.net.text import printable
from daemon.config.describe import KEYS
from daemon.config.load import Loaded, parse_config
from daemon.config.problems import ConfigError
from daemon.config.show import show_config

GOOD = Path(__file__).parent / "data" / "good"

WORDS = sorted({part for key in KEYS for part in key.split(".")})
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["system", "auto", "10.0.0.0/8", "::1", "30s", "443", "8000-8010", "https://a", "*.a"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=30,
)
FULL = (GOOD / "full.yaml").read_bytes()


def _try(text: bytes) -> Loaded | None:
    try:
        return parse_config(text, str(GOOD / "any.yaml"))
    except ConfigError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert str(problem) == printable(str(problem), 5000)
    return None


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400))
def test_bytes_never_crash_the_reader(text: bytes) -> None:
    """Any bytes either load or are a ConfigError with printable messages."""
    _try(text)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="abn01:-,.[]{}&*!|>'\"%@#?~ \t\n\\x\u202e", max_size=200))
def test_text_of_yaml_characters_never_crashes_the_reader(text: str) -> None:
    """Any text either loads or is a ConfigError with printable messages."""
    _try(text.encode())


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(key for key in KEYS if "." not in key)), TREES, max_size=4))
def test_any_tree_of_values_is_judged(tree: dict[str, object]) -> None:
    """Whatever stands under our own keys, the verdict is a configuration or a list of problems."""
    loaded = _try(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"))
    if loaded:
        assert parse_config(show_config(loaded.config).encode(), "shown.yaml").config == loaded.config


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(FULL) - 1), st.integers(0, 30), st.binary(max_size=8))
def test_a_damaged_file_never_crashes_the_reader(start: int, length: int, replacement: bytes) -> None:
    """A good file with any part replaced either loads or is a ConfigError; what loads can be shown and read again."""
    if loaded := _try(FULL[:start] + replacement + FULL[start + length :]):
        assert parse_config(show_config(loaded.config).encode(), "shown.yaml").config == loaded.config


NAMES = st.text(max_size=40).filter(lambda text: bool(text.strip()))
HOSTS = st.from_regex(r"[a-z_]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z][a-z0-9]{0,5}){0,2}", fullmatch=True)
LABELS = st.dictionaries(
    st.text(string.ascii_letters, min_size=1, max_size=6).filter(lambda n: n not in ("resource", "address", "port")),
    st.text(max_size=20), max_size=8,
)  # fmt: skip


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


@settings(deadline=None, max_examples=200)
@given(NAMES, HOSTS, LABELS, st.lists(st.integers(1, 65535), unique=True, max_size=5), st.integers(1, 2_592_000_000))
def test_what_is_shown_loads_to_the_same(
    name: str, host: str, labels: dict[str, str], ports: list[int], milliseconds: int
) -> None:
    """`config show` is itself a valid configuration of equal meaning, whatever the names and labels contain."""
    written = ", ".join(f"{_quoted(key)}: {_quoted(value)}" for key, value in labels.items())
    text = (
        f"schedule: {{max_rate: 100000}}\nresources:\n- name: {_quoted(name)}\n  address: {_quoted(host)}\n"
        f"  tcp: {ports}\n  labels: {{{written}}}\n  interval: {milliseconds / 1000}\n"
    )
    config = parse_config(text.encode(), "config.yaml").config
    assert config.resources[0].interval == milliseconds / 1000
    assert parse_config(show_config(config).encode(), "shown.yaml").config == config


def test_text_that_looks_like_something_else_is_shown_in_quotes() -> None:
    """What YAML 1.1 or 1.2 would read as a number, a boolean, a date or nothing stays the name it was."""
    for name in (
        "1e3",
        "0o17",
        "0x1F",
        "42",
        "~",
        "null",
        "no",
        "TRUE",
        "22:30",
        "1_000",
        "2026-02-01",
        ".inf",
        "<<",
        "=",
        "a: b",
        "- a",
        "#",
    ):
        config = parse_config(f"resources: [{{name: {_quoted(name)}, address: a}}]".encode(), "config.yaml").config
        shown = show_config(config)
        assert parse_config(shown.encode(), "shown.yaml").config == config
        assert yaml.safe_load(shown)["resources"][0]["name"] == name


def test_every_good_file_is_shown_and_read_again() -> None:
    """The effective configuration of every example loads to the same configuration, and shows the same again."""
    for file in sorted(GOOD.glob("*.yaml")):
        config = parse_config(file.read_bytes(), str(file)).config
        shown = show_config(config)
        assert parse_config(shown.encode(), "shown.yaml").config == config
        assert show_config(parse_config(shown.encode(), "shown.yaml").config) == shown
