"""`healthctl explain`: the product documentation, from the code that does what it says."""

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from daemon.cli.nearest import unknown
from daemon.cli.options import config_option
from daemon.cli.output import emit

if TYPE_CHECKING:  # `explain REASON` needs no configuration
    from daemon.cli.firewall import Output

FIREWALL = "firewall"
_ITS_OPTIONS = {"config_path": "--config", "output": "-o", "resolve": "--resolve"}


@click.command()
@config_option
@click.option("-o", "output", type=click.Choice(["text", "nft", "json"]), default="text", show_default=True,
              help="With firewall: a page, nftables commands, or JSON.")  # fmt: skip
@click.option("--resolve", is_flag=True, help="With firewall: ask for the addresses of names, as the Connector would.")
@click.argument("words", nargs=-1, metavar="[CHECK|REASON|ALERT|CAUSE|firewall]…")
@click.pass_context
def explain(
    ctx: click.Context, *, config_path: str | None, output: "Output", resolve: bool, words: tuple[str, ...]
) -> int:
    """Explain checks, reasons, alerts and causes; without an argument, list them all.

    `explain firewall` lists every way out that the configuration asks for, for the Connector and for this daemon.
    """
    if tuple(word.lower() for word in words) == (FIREWALL,):
        from daemon.cli import firewall  # noqa: PLC0415 - brings the configuration and every check

        return firewall.run(config_path, output, resolve=resolve)
    if FIREWALL in map(str.lower, words):
        raise click.UsageError(f"`healthctl explain {FIREWALL}` stands alone: ask for the other words apart", ctx)
    for parameter, option in _ITS_OPTIONS.items():
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} belongs to `healthctl explain {FIREWALL}`", ctx)
    from daemon.explain import topics  # noqa: PLC0415 - --help and completion need no documentation

    if not words:
        emit(topics.overview())
        return 0
    pages = []
    for word in words:
        page = topics.find(word)
        if page is None:
            known = [*topics.names(), FIREWALL]
            raise click.UsageError(unknown("check, reason, alert or cause", word, known), ctx)
        pages.append(page)
    emit("\n".join(pages))
    return 0
