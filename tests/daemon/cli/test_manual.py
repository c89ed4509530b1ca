"""The manual pages say what the command lines say."""

import re
from collections.abc import Iterator

import click
import pytest

from daemon.cli import manual
from daemon.cli.group import PROGRAM, cli
from daemon.netns_target import options_parser

Found = Iterator[tuple[str, click.Command, click.Context]]
ESCAPES = {r"\-": "-", r"\(aq": "'", r"\(ga": "`", r"\(ha": "^", r"\(ti": "~", r"\e": "\\"}


def commands(group: click.Group, above: click.Context, before: str) -> Found:
    """Yield each command below a group with its full name."""
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command
        context = click.Context(command, info_name=name, parent=above)
        yield f"{before} {name}", command, context
        if isinstance(command, click.Group):
            yield from commands(command, context, f"{before} {name}")


def shown(page: str) -> str:
    """Return a page's words, without what man(7) reads."""
    text = re.sub(r"^\.\w+ ?", "", page, flags=re.MULTILINE)
    text = re.sub(r"\\f[BIR]|\\&", "", text)
    for escape, character in ESCAPES.items():
        text = text.replace(escape, character)
    return " ".join(text.replace("…", "...").split())


def test_every_command_and_every_option_has_its_place() -> None:
    """Whatever `--help` tells of any command stands in healthctl(1)."""
    text = shown(manual.healthctl())
    found = list(commands(cli, click.Context(cli, info_name=PROGRAM), PROGRAM))
    assert {"healthctl config schema", "healthctl run"} <= {name for name, _, _ in found}
    for name, command, context in found:
        assert f"{name} {name} [options]" in text
        for parameter in command.params:
            record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
            if record is not None:
                assert " ".join(record[0].replace("…", "...").split()) in text
                assert " ".join(record[1].replace("…", "...").split()) in text


def test_the_helpers_options_stand_in_its_page() -> None:
    """Whatever the helper can be told stands in connector-health-netns(8)."""
    text = shown(manual.helper())
    for option in options_parser()._option_string_actions:
        assert f" {option}" in text


def test_a_page_is_of_the_time_that_the_build_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds of one source give one page."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767323045")
    for name, section in ((PROGRAM, 1), (manual.HELPER, 8)):
        page = manual.PAGES[name]()
        assert page.startswith(f".TH {name.upper()} {section} 2026-01-02 ")
        assert page == manual.PAGES[name]()


def test_no_word_of_ours_is_read_as_a_request() -> None:
    """A sentence that begins with a dot or a quote, or holds a backslash, is shown as it is."""
    assert manual.prose(".so /etc/passwd") == r"\&.so /etc/passwd"
    assert manual.prose("'br \\fB") == r"\(aqbr \efB"
