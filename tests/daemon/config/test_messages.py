from pathlib import Path

import pytest

from checks.net.text import printable
from daemon.config.load import load_config, parse_config
from daemon.config.problems import ConfigError, Problem

DATA = Path(__file__).parent / "data"
BAD = sorted((DATA / "bad").glob("*.yaml"))


def _messages(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(file.read_bytes(), str(file))
    return str(caught.value).replace(str(DATA / "bad"), "bad").replace(str(DATA), "DATA") + "\n"


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_each_mistake_has_its_exact_message(file: Path) -> None:
    """A file with one kind of mistake is refused with exactly the lines that stand beside it."""
    assert _messages(file) == file.with_suffix(".txt").read_text()


def test_every_bad_file_has_a_message_and_every_message_a_file() -> None:
    """No mistake is left without its expected words, and no words without their file."""
    assert BAD
    assert {file.stem for file in BAD} == {file.stem for file in (DATA / "bad").glob("*.txt")}


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """Syntax aside, every problem of a file is reported in one go, sorted by position."""
    with pytest.raises(ConfigError) as caught:
        load_config(DATA / "bad" / "several.yaml")
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert len(places) == 6
    assert places == sorted(places)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_no_message_carries_a_character_that_a_terminal_obeys(file: Path) -> None:
    """Whatever a file contains, its messages are printable lines."""
    for line in _messages(file).splitlines():
        assert line == printable(line, len(line))


def test_a_credential_in_a_url_is_not_repeated() -> None:
    """A password that was written where it does not belong stays out of the message."""
    for address in ("https://user:hunter2@acme.twingate.com", "https://hunter2@x", "ftp://a:hunter2@b"):
        text = f"control_plane: {{urls: ['{address}']}}\nresources: [{{name: a, address: '{address}'}}]\n"
        with pytest.raises(ConfigError) as caught:
            parse_config(text.encode(), "config.yaml")
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(caught.value.problems)


def test_the_name_of_the_file_is_escaped_too() -> None:
    """A file name with control characters does not reach the terminal."""
    assert str(Problem("a\x1b[31m.yaml", 1, 2, "x", "wrong")) == "a\\x1b[31m.yaml:1:2: x: wrong"
    assert str(Problem("a.yaml", 0, 0, "", "wrong")) == "a.yaml: wrong"


def test_a_missing_file_is_one_problem_with_its_fix(tmp_path: Path) -> None:
    """The message names the path and what to do."""
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "config.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/config.yaml: no such file; create it, or name another with --config or $CONNECTOR_HEALTH_CONFIG"
    )


def test_a_folder_in_place_of_the_file_is_one_problem_with_its_fix(tmp_path: Path) -> None:
    """The message names the path and what to do."""
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value) == f"{tmp_path}: a directory, expected a file; name the file in it with --config"
