"""`healthctl status`: what the running daemon knows; it is asked, nothing is probed."""

from typing import TYPE_CHECKING

import click

from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.nearest import safe
from daemon.cli.options import config_option
from daemon.cli.output import complain

if TYPE_CHECKING:  # `--help` and completion do without what these import
    from daemon.cli.places import Place


@click.command(epilog="Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown, or the daemon can't be asked.")
@config_option
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="The format; json is the daemon's own document.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="List what is fine and what is not probed as well.")
@click.option("--watch", is_flag=True, help="Ask again every 2 s until Ctrl-C.")
@click.option("--alive", is_flag=True, help="Only ask whether the daemon's loop lives: 0 yes, 3 no.")
@click.option("--web.listen-address", "listen", metavar="A",
              help="Ask there: where `healthctl run` was told to listen, if not by its file.")  # fmt: skip
@click.option("--web.socket", "socket", metavar="PATH",
              help="Ask on this unix socket: the one that `healthctl run` was given, if not by its file.")  # fmt: skip
@click.pass_context
def status(  # noqa: PLR0913 - one for each flag
    ctx: click.Context,
    *,
    config_path: str | None,
    output: str,
    everything: bool,
    watch: bool,
    alive: bool,
    listen: str | None,
    socket: str | None,
) -> int:
    """Show what the running daemon knows: what is failing, since when, and what to do.

    It is asked on `web.socket`, else on `web.listen`. Where the usual configuration names no socket, or can't be
    read: on /run/connector-health/api.sock, then on `web.listen`, usually 127.0.0.1:19440.
    """
    if alive and watch:
        raise click.UsageError("--alive asks once: leave out --watch", ctx)
    if socket is not None and listen is not None:
        raise click.UsageError("--web.socket and --web.listen-address: the daemon is asked in one place", ctx)
    places, note = _places(ctx, config_path, listen, socket)
    if not places:
        return EXIT_UNKNOWN
    from daemon.cli import watching  # noqa: PLC0415 - brings msgspec and the document's types

    asking = watching.Asking(places=places, note=note, json=output == "json", everything=everything)
    if watch:
        return watching.watch(asking)
    return watching.alive(asking) if alive else watching.once(asking)


def _places(
    ctx: click.Context, config_path: str | None, listen: str | None, socket: str | None
) -> "tuple[tuple[Place, ...], str]":
    """Return where to ask; nothing when the configuration that was named can't tell, which was said."""
    from checks.net.endpoint import parse_endpoint  # noqa: PLC0415
    from daemon.cli.places import Place, find_places, reached_at  # noqa: PLC0415 - brings the YAML reader
    from daemon.config.problems import ConfigError  # noqa: PLC0415

    if socket is not None:
        return (Place(socket),), ""
    if listen is not None:
        try:
            return (Place(reached_at(parse_endpoint(listen, None))),), ""
        except ValueError as error:
            raise click.UsageError(f"--web.listen-address: {safe(str(error))}", ctx) from error
    try:
        places, note = find_places(config_path)
    except ConfigError as error:
        for problem in error.problems:
            complain(str(problem))
        return (), ""
    if not places:
        complain("the configuration has neither web.socket nor web.listen: this daemon can't be asked")
    return places, note
