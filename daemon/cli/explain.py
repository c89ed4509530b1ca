"""`healthctl explain`: the product documentation, from the code that does what it says."""

import click

from daemon.cli.nearest import unknown
from daemon.cli.output import emit


@click.command()
@click.argument("words", nargs=-1, metavar="[CHECK|REASON|ALERT|CAUSE]…")
@click.pass_context
def explain(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Explain checks, reasons, alerts and causes; without an argument, list them all."""
    from daemon.explain import topics  # noqa: PLC0415 - --help and completion need no documentation

    if not words:
        emit(topics.overview())
        return 0
    pages = []
    for word in words:
        page = topics.find(word)
        if page is None:
            raise click.UsageError(unknown("check, reason, alert or cause", word, topics.names()), ctx)
        pages.append(page)
    emit("\n".join(pages))
    return 0
