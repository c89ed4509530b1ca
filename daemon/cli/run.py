"""`healthctl run`: the daemon. Only its flags are read here."""

import os

import click

from checks.net.endpoint import Endpoint, parse_endpoint
from daemon.cli.main import accept_interrupts, accept_restarts
from daemon.cli.nearest import safe
from daemon.cli.options import DEFAULT_CONFIG, config_option

DEFAULT_PORT = 19440
LOG_LEVELS = ("debug", "info", "warning", "error")


@click.command()
@config_option
@click.option("--web.listen-address", "listen", multiple=True, metavar="A",
              help="Listen here instead of `web.listen`: host[:port] or [v6]:port; repeatable.")  # fmt: skip
@click.option("--web.socket", "web_socket", metavar="PATH",
              help="Serve on this unix socket instead of `web.socket`; the other commands ask there.")  # fmt: skip
@click.option("--web.config.file", "web_config_file", metavar="F",
              help="TLS and users, in the format of Prometheus' exporters, instead of `web.config_file`.")  # fmt: skip
@click.option("--log.format", "log_format", type=click.Choice(["logfmt", "json"]), default="logfmt", show_default=True,
              help="The format of the log, on standard error.")  # fmt: skip
@click.option("--log.level", "log_level", type=click.Choice(LOG_LEVELS), default="info", show_default=True,
              help="The least severe lines that are logged.")  # fmt: skip
@click.pass_context
def run(
    ctx: click.Context,
    *,
    config_path: str | None,
    listen: tuple[str, ...],
    web_socket: str | None,
    web_config_file: str | None,
    log_format: str,
    log_level: str,
) -> int:
    """Watch one Connector until told to stop.

    SIGHUP reloads the configuration, SIGTERM ends in good order.
    """
    endpoints = tuple(_endpoint(ctx, text) for text in listen)

    from daemon.logs import configure  # noqa: PLC0415 - the whole daemon: --help and completion do without
    from daemon.options import Options  # noqa: PLC0415
    from daemon.serve import run as run_daemon  # noqa: PLC0415

    accept_interrupts()
    accept_restarts()
    configure("json" if log_format == "json" else "logfmt", log_level)
    return run_daemon(
        Options(
            config_file=config_path or DEFAULT_CONFIG,
            listen=endpoints,
            web_socket=_absolute(ctx, "--web.socket", web_socket),
            web_config_file=_absolute(ctx, "--web.config.file", web_config_file),
        )
    )


def _endpoint(ctx: click.Context, text: str) -> Endpoint:
    try:
        return parse_endpoint(text, DEFAULT_PORT)
    except ValueError as error:
        raise click.UsageError(f"--web.listen-address: {safe(str(error))}", ctx) from error


def _absolute(ctx: click.Context, flag: str, path: str | None) -> str | None:
    """Return the path as seen from where the command was typed, whatever a reload finds later."""
    if path is None:
        return None
    if not path or "\0" in path:
        raise click.UsageError(f"{flag}: expected a path, got {safe(repr(path))}", ctx)
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links, and later another file is meant
