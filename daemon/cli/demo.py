"""`healthctl demo`: an embedded lab on loopback, and the daemon watching it."""

import asyncio
import sys
import tempfile
from pathlib import Path

import click

from checks.net.endpoint import parse_endpoint
from daemon.cli.main import accept_interrupts
from daemon.cli.nearest import safe, unknown
from daemon.cli.output import complain

DEFAULT_LISTEN = "127.0.0.1:19440"


@click.command()
@click.option("--break", "fault", metavar="WHAT", help="Plant a fault while the daemon watches (`list` names them).")
@click.option("--once", is_flag=True, help="Check the lab once, print the table and end.")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="HOST:PORT", help="Where the page is.")
@click.pass_context
def demo(ctx: click.Context, fault: str | None, listen: str, *, once: bool) -> None:
    """Run an embedded lab on loopback and the daemon watching it: no account, no root, no network."""
    try:
        endpoint = parse_endpoint(listen, None)
    except ValueError as error:
        raise click.UsageError(f"--listen: {safe(str(error))}", ctx) from error
    if not (endpoint.literal or endpoint.host == "localhost"):
        raise click.UsageError(f"--listen: '{safe(endpoint.host)}' is not an IP address", ctx)
    try:
        from daemon.cli.show import Show  # noqa: PLC0415 - the lab's parts are needed by this command only
    except ImportError as error:
        click.echo(f"healthctl demo: {error.name} is missing; install connector-health[demo]", err=True)
        sys.exit(3)
    accept_interrupts()
    with tempfile.TemporaryDirectory(prefix="connector-health-demo-") as directory:
        show = Show(Path(directory), listen=str(endpoint), say=click.echo)
        if fault is not None and fault not in show.lab.faults:
            wrong = fault != "list"
            if wrong:
                complain(f"--break: {unknown('fault', fault, show.lab.faults)}")
            click.echo("\n".join(f"{name:12} {text}" for name, (text, _) in show.lab.faults.items()), err=wrong)
            sys.exit(3 if wrong else 0)
        try:
            code = asyncio.run(show.once() if once else show.watch(fault))
        except KeyboardInterrupt:
            code = 0
    sys.exit(code)
