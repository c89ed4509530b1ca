"""`healthctl trace`: one Resource, every link of the chain, the evidence, and the conclusion in the guide's terms."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checks.model import EXIT_CODES
from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.nearest import safe, unknown
from daemon.cli.options import DEFAULT_CONFIG, config_option
from daemon.cli.output import complain, emit
from daemon.cli.terminal import fancy, width_of

if TYPE_CHECKING:  # `--help` and completion do without what these import
    from click.shell_completion import CompletionItem

    from daemon.config.load import Loaded
    from daemon.trace.target import Wanted


def _complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer the names of Resources; a file that can't be read offers none."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell's completion needs these

    from daemon.config.load import load_config  # noqa: PLC0415
    from daemon.config.problems import ConfigError  # noqa: PLC0415

    try:
        config = load_config(ctx.params.get("config_path") or DEFAULT_CONFIG).config
    except ConfigError:
        return []
    names = (resource.name for resource in config.resources)
    return [CompletionItem(name) for name in names if name.lower().startswith(incomplete.lower())]


@click.command(epilog="Exit codes: 0 nothing is wrong on this side, 1 warning, 2 this Connector would fail a user now, "
               "3 unknown, usage or configuration error.")  # fmt: skip
@config_option
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="The format of the result.")  # fmt: skip
@click.argument("resource", metavar="RESOURCE[:PORT]", shell_complete=_complete)
@click.pass_context
def trace(ctx: click.Context, *, config_path: str | None, output: str, resource: str) -> int:
    """Follow one Resource through every link and conclude, as Twingate's troubleshooting guide does.

    RESOURCE is the name of a Resource, its address, or any ADDRESS:PORT ([v6]:port). It takes ten seconds at most,
    whatever is broken, needs no daemon and writes nothing.
    """
    loaded, known = _load(config_path)
    if not known:
        return EXIT_UNKNOWN
    wanted = _wanted(ctx, loaded, resource)

    from checks.runtime.model import AmbiguousError  # noqa: PLC0415
    from daemon.cli.tracing import follow  # noqa: PLC0415 - brings asyncio and every check
    from daemon.trace.conclude import conclude  # noqa: PLC0415

    try:
        facts = follow(wanted)
    except AmbiguousError as error:
        complain(f"connector.container: {error}")
        return EXIT_UNKNOWN
    conclusion = conclude(facts)
    if output == "json":
        from daemon.trace.document import document, encode  # noqa: PLC0415

        emit(encode(document(facts, conclusion)) + "\n")
    else:
        from daemon.cli.render_trace import render  # noqa: PLC0415

        emit(render(facts, conclusion, width=width_of(sys.stdout), colour=fancy(sys.stdout)))
    return EXIT_CODES[conclusion.status]


def _load(config_path: str | None) -> "tuple[Loaded | None, bool]":
    """Load the configuration. Without one in the usual place any address can be traced; one that was named must load.

    Returns (None, False) when it can't be used, which was said.
    """
    from daemon.config.load import load_config  # noqa: PLC0415 - brings the YAML reader
    from daemon.config.problems import ConfigError  # noqa: PLC0415

    if config_path is None and not Path(DEFAULT_CONFIG).exists():
        return None, True
    try:
        return load_config(config_path or DEFAULT_CONFIG), True
    except ConfigError as error:
        for problem in error.problems:
            complain(str(problem))
        return None, False


def _wanted(ctx: click.Context, loaded: "Loaded | None", word: str) -> "Wanted":
    from daemon.trace.target import UnknownTargetError, find_target  # noqa: PLC0415 - brings the checks

    try:
        wanted = find_target(loaded, word)
    except UnknownTargetError as error:
        names = [resource.name for resource in loaded.config.resources] if loaded is not None else []
        near = f"{unknown('Resource', word, names)}; " if names else f"'{safe(word)}': "
        raise click.UsageError(f"{near}{safe(str(error))}", ctx) from error
    if wanted.target.others:
        others = ", ".join(safe(name) for name in wanted.target.others)
        complain(f"note: {safe(wanted.target.resource or '')} is traced; {others} has the same address")
    return wanted
