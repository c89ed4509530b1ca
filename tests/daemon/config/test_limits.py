from pathlib import Path

import pytest

from daemon.config import nodes
from daemon.config.load import load_config, parse_config
from daemon.config.problems import MAX_PROBLEMS, ConfigError


def _problems(text: bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "config.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_an_alias_bomb_does_not_expand() -> None:
    """Nine levels of nine aliases are nine lines of messages, not 10^9 values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    found = _problems("\n".join(lines).encode())
    assert all("supported" in line or "unknown key" in line for line in found)
    assert len(found) < MAX_PROBLEMS


def test_deep_nesting_is_refused_before_it_costs_anything() -> None:
    """Neither our stack nor the parser's time grows with the nesting of a hostile file."""
    for opening in (b"[", b"{a: ", b"- ", b"? "):
        assert "nested more than 16 levels deep" in _problems(opening * 500_000)[0]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """More than 8 MiB are refused, however much more there is."""
    path = tmp_path / "config.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        load_config(path)


def test_too_many_values_are_refused() -> None:
    """A file of the allowed size with millions of tiny values stops at the limit."""
    text = b"resources: [" + b"a," * (nodes.MAX_NODES + 10) + b"]"
    assert _problems(text)[0].endswith("more than 1,000,000 values, which no configuration needs")


def test_the_list_of_problems_is_bounded() -> None:
    """A file that is wrong everywhere says so, and does not fill the disk with messages."""
    found = _problems(b"resources:\n" + b"- {nmae: x}\n" * 100_000)
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].endswith("the rest is not listed")


def test_a_long_number_stays_cheap() -> None:
    """Digits beyond any number of ours are not converted."""
    found = _problems(b"web: {listen: []}\nmetrics: {max_series: " + b"9" * 1_000_000 + b"}")
    assert len(found[0]) < 300


def test_a_pattern_with_many_stars_is_matched_in_bounded_time() -> None:
    """Matching samples does not explode, as a regular expression would."""
    pattern, sample = "*a" * 100 + "b", "a" * 60 + "." + "a" * 60
    text = f"resources: [{{name: a, address: '{pattern}', samples: ['{sample}']}}]"
    assert "outside of the Resource" in _problems(text.encode())[0]


def test_ten_thousand_resources_load() -> None:
    """The size of the largest fleets we know loads completely; how fast is shown by the benchmark."""
    line = "- {{name: Resource {0}, address: host{0}.corp.internal, tcp: [443, '8000-8010'], labels: {{team: a}}}}"
    text = "schedule: {max_rate: 10000}\nresources:\n" + "\n".join(line.format(n) for n in range(10_000))
    assert len(parse_config(text.encode(), "config.yaml").config.resources) == 10_000


def test_a_file_full_of_tags_is_given_up_early() -> None:
    """Problems found while reading are bounded too."""
    assert len(_problems(b"resources: [" + b"!a b," * 100_000 + b"]")) <= MAX_PROBLEMS + 1
