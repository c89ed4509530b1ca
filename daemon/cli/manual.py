"""The manual pages, made from the command lines themselves: `python -m daemon.cli.manual healthctl`.

What a page says of a command is what `--help` says of it, so the two can't differ. Source: man(7).
"""

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import click

from daemon.cli.group import PROGRAM, cli
from daemon.cli.options import CONFIG_VARIABLE, DEFAULT_CONFIG
from daemon.cli.places import USUAL_SOCKET
from daemon.config.schema import State
from daemon.netns_target import options_parser
from daemon.version import __version__

HELPER = "connector-health-netns"
_LINE = 78  # mandoc(1) asks for lines of at most 80 bytes


def page(title: str, section: int, sections: Mapping[str, Iterator[str]]) -> str:
    """Return a page of the manual; a section is lines of man(7)."""
    built = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)  # a page must not change when nothing in it has changed
    date = datetime.fromtimestamp(built, UTC) if built else datetime.now(UTC)
    lines = [f'.TH {title.upper()} {section} {date:%Y-%m-%d} "Connector Health {__version__}" "Connector Health"']
    for name, body in sections.items():
        lines += [f".SH {name}", *body]
    return "\n".join(lines) + "\n"


def words(text: str) -> str:
    """Return text in which man(7) reads nothing as its own, on one line."""
    text = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-").replace("…", r"\&...")
    return text.replace("'", r"\(aq").replace("`", r"\(ga").replace("^", r"\(ha").replace("~", r"\(ti")


def prose(text: str) -> str:
    """Return text as a paragraph: in short lines, of which none is a request."""
    lines = textwrap.wrap(words(text), _LINE, break_long_words=False, break_on_hyphens=False)
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in lines)


def bold(text: str) -> str:
    """Return text in bold."""
    return rf"\fB{words(text)}\fR"


def entry(term: str, *paragraphs: str) -> Iterator[str]:
    """Yield a term and what it means; the term is in man(7) already."""
    yield ".TP"
    yield term
    yield from _apart(map(prose, paragraphs), ".IP")


def healthctl() -> str:
    """Return healthctl(1)."""
    with click.Context(cli, info_name=PROGRAM, **cli.context_settings) as top:
        return page(
            PROGRAM,
            1,
            {
                "NAME": iter([rf"{PROGRAM} \- watch a Twingate Connector and every link it depends on"]),
                "SYNOPSIS": iter([rf"{bold(PROGRAM)} [\fIoptions\fR] \fIcommand\fR [\fIarguments\fR]"]),
                "DESCRIPTION": _paragraphs(_TEXT),
                "OPTIONS": _options(cli, top),
                "COMMANDS": _commands(cli, top),
                "EXIT STATUS": _exits(),
                "ENVIRONMENT": _environment(),
                "FILES": _files(),
                "EXAMPLES": _examples(),
                "SEE ALSO": iter([rf"\fB{HELPER}\fR(8), \fBsystemctl\fR(1)"]),
            },
        )


def helper() -> str:
    """Return connector-health-netns(8)."""
    parser = options_parser()
    usage = parser.format_usage().split(maxsplit=2)[2]
    return page(
        HELPER,
        8,
        {
            "NAME": iter([rf"{words(HELPER)} \- hand out sockets of one Connector\(aqs network"]),
            "SYNOPSIS": iter([bold(HELPER), prose(usage)]),
            "DESCRIPTION": _paragraphs(_HELPER_TEXT),
            "OPTIONS": _arguments(parser),
            "EXAMPLES": _listing(
                "As a unit of systemd, for a Connector that is one, too:",
                "systemctl enable --now connector-health-netns.service",
                "By hand, for a container:",
                f"{HELPER} --container twingate-office-1 --socket /run/connector-health/netns.sock"
                " --user connector-health",
            ),
            "SEE ALSO": iter([rf"\fB{PROGRAM}\fR(1), \fBsetns\fR(2), \fBcapabilities\fR(7)"]),
        },
    )


_HELPER_TEXT = """\
The Connector may stand in another network than its host: a container, a DNS of its own. This helper makes sockets there
and passes them to the daemon, which so needs no privilege.

It is started as root and keeps four capabilities: CAP_SYS_ADMIN to enter the network, CAP_SYS_PTRACE and
CAP_DAC_READ_SEARCH to read the Connector's place in /proc, CAP_NET_RAW for half-open probes. Without the last one ports
are asked by connecting. It knows only the Connector that its arguments name; whoever asks can't choose. Root, its own
user and each --user are answered."""
_TEXT = """\
Stands beside a Twingate Connector and knows, before any user does, that this Connector is about to answer "DNS lookup
error" or "Unable to connect", and which broken link is to blame. One process watches one Connector.

Results are on standard output, all else on standard error; there is no colour where that is no terminal."""


def _commands(group: click.Group, above: click.Context, before: str = "") -> Iterator[str]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        full = f"{before}{name}"
        with click.Context(command, info_name=name, parent=above, **command.context_settings) as context:
            arguments = " ".join(p.make_metavar(context) for p in command.params if isinstance(p, click.Argument))
            yield f".SS {PROGRAM} {words(full)}"
            yield f"{bold(f'{PROGRAM} {full}')} [\\fIoptions\\fR]" + (f" {words(arguments)}" if arguments else "")
            yield ".PP"
            yield from _paragraphs(command.help or "")
            yield from _options(command, context)
            if command.epilog and command.epilog != group.epilog:
                yield ".PP"
                yield prose(command.epilog)
            if isinstance(command, click.Group):
                yield from _commands(command, context, f"{full} ")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None and "--help" not in parameter.opts:
            names, _, value = record[0].partition(" ") if "," not in record[0] else _last_word(record[0])
            yield from entry(bold(names) + (rf" \fI{words(value)}\fR" if value else ""), record[1])


def _last_word(text: str) -> tuple[str, str, str]:
    """Part `-o, --output F` into its names and its value."""
    found = re.fullmatch(r"((?:-[\w.-]+(?:, )?)+)(?: (.*))?", text)
    return (found[1], " ", found[2] or "") if found else (text, "", "")


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - argparse shows what it was told only as finished text
        names = ", ".join(map(bold, action.option_strings))
        takes = rf" \fI{words(action.dest.upper().replace('_', '-'))}\fR" if action.nargs != 0 else ""
        default = f"Default: {action.default}" if isinstance(action.default, str) and action.nargs != 0 else ""
        yield from entry(names + takes, action.help or "", "" if default.endswith("==SUPPRESS==") else default)


def _exits() -> Iterator[str]:
    for code, meaning in (
        ("0", "ok"),
        ("1", "a warning"),
        ("2", "critical: users meet it now"),
        ("3", "unknown, wrong usage, or a mistake in the configuration"),
    ):
        yield from entry(bold(code), meaning)


def _environment() -> Iterator[str]:
    yield from entry(bold(CONFIG_VARIABLE), "The configuration, unless --config names one.")
    yield from entry(bold("NO_COLOR"), "When set to anything, there is no colour.")
    yield from entry(bold("HTTP_PROXY, HTTPS_PROXY, ALL_PROXY"), "Ignored, as by the Connector, and reported.")


def _files() -> Iterator[str]:
    yield from entry(bold(DEFAULT_CONFIG), "The configuration; healthctl config schema prints all it may say.")
    yield from entry(bold("/etc/connector-health/NAME.yaml"), "That of the unit connector-health@NAME.service.")
    yield from entry(bold(State().path), "What survives a restart.")
    yield from entry(bold(USUAL_SOCKET), "Where the daemon answers; members of the group connector-health may ask.")


def _examples() -> Iterator[str]:
    yield from _listing(
        "One look, without any file:",
        f"{PROGRAM} check --network acme --resource orders-db.corp.internal:5432",
        "Is the configuration right?",
        f"{PROGRAM} config check",
        "What does the daemon know, and what is to be done?",
        f"{PROGRAM} status",
        "What does this word mean?",
        f"{PROGRAM} explain NameserverDown",
    )


def _listing(*pairs: str) -> Iterator[str]:
    """Yield sentences and, indented and unfilled, the command that belongs to each."""
    for number, (text, command) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
        yield from ([".PP"] if number else [])
        yield from (prose(text), ".PP", ".RS 4", ".nf", words(command), ".fi", ".RE")


def _paragraphs(text: str) -> Iterator[str]:
    yield from _apart(map(prose, text.split("\n\n")), ".PP")


def _apart(texts: Iterator[str], macro: str) -> Iterator[str]:
    for number, text in enumerate(text for text in texts if text):
        if number:
            yield macro
        yield text


PAGES: Mapping[str, Callable[[], str]] = {PROGRAM: healthctl, HELPER: helper}


def main() -> int:
    """Print one page."""
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in PAGES:
        sys.stderr.write(f"usage: python -m daemon.cli.manual {' | '.join(PAGES)}\n")
        return 2
    sys.stdout.write(PAGES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
