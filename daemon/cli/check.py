"""`healthctl check`: every check once, from this host, with no daemon and without writing state."""

import os
import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from checks.model import EXIT_CODES, CheckName, Status
from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.nearest import unknown
from daemon.cli.options import DEFAULT_CONFIG, config_option
from daemon.cli.output import Destination, complain
from daemon.cli.terminal import fancy, width_of

if TYPE_CHECKING:  # the configuration's types import msgspec; `--help` and completion do without
    from daemon.config.schema import Config
    from daemon.document import Document
    from daemon.view import View


@click.command(epilog="Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown, usage or configuration error.")
@config_option
@click.option("-o", "output", type=click.Choice(["table", "json", "nagios", "prometheus"]), default="table",
              show_default=True, help="The format of the result.")  # fmt: skip
@click.option("--output-file", metavar="F", help="Write the result to a file, replaced in one step.")
@click.option("--only", multiple=True, metavar="CHECK,…", help="Run only these checks; `healthctl explain` lists them.")
@click.option("--timeout", metavar="D", help="Bound on the whole command, as 30s or 2m; what is unfinished is unknown.")
@click.option("--network", metavar="N", help="The Twingate network (N of N.twingate.com); needs no file.")
@click.option("--resource", "addresses", multiple=True, metavar="ADDR[:PORT[,PORT…]]",
              help="An address to judge as a Resource; repeatable; needs no file.")  # fmt: skip
@click.argument("resources", nargs=-1, metavar="[RESOURCE]…")
@click.pass_context
def check(  # noqa: PLR0913 - one argument for each flag
    ctx: click.Context,
    *,
    config_path: str | None,
    output: str,
    output_file: str | None,
    only: tuple[str, ...],
    timeout: str | None,
    network: str | None,
    addresses: tuple[str, ...],
    resources: tuple[str, ...],
) -> int:
    """Look at every link once and say what is broken; RESOURCE names narrow it to these Resources.

    Nothing is written and no daemon is needed. What would be critical is looked at twice.
    """
    checks = _checks(ctx, only)
    timeout_s = _timeout(ctx, timeout)
    destination = Destination(output_file)
    try:
        destination.probe()
    except OSError as error:
        raise click.UsageError(f"--output-file: {error.strerror}: {error.filename}", ctx) from error
    if (network is not None or addresses) and ctx.get_parameter_source(
        "config_path"
    ) is not ParameterSource.COMMANDLINE:
        config_path = None  # these flags need no file: one that only the environment names is not read
    config = _config(config_path, network, addresses, notes=output == "table" and not only)
    if config is None:
        return EXIT_UNKNOWN
    _known_resources(ctx, config, resources)
    asked = _asked(ctx, config, checks)

    from checks.runtime.model import AmbiguousError  # noqa: PLC0415
    from daemon.cli.look import look  # noqa: PLC0415 - brings asyncio and every check

    try:
        view = look(config, only=checks, resources=resources, timeout_s=timeout_s)
    except AmbiguousError as error:
        complain(f"connector.container: {error}")
        return EXIT_UNKNOWN
    from daemon.report import report  # noqa: PLC0415 - start-up time: nothing above this line needs it

    whole = report(view, asked)
    try:
        destination.write(_written(view, whole, output, to_stdout=output_file is None))
    except OSError as error:
        complain(f"--output-file: {error.strerror}: {error.filename or output_file}")
        return EXIT_UNKNOWN
    return EXIT_CODES[Status(whole["status"])]


def _written(view: "View", whole: "Document", output: str, *, to_stdout: bool) -> str:
    # Each format imports only what it needs.
    if output == "json":
        from daemon.report import encode  # noqa: PLC0415

        return encode(whole) + "\n"
    if output == "nagios":
        from daemon.cli import render_nagios  # noqa: PLC0415

        clock = view.config.clock
        return render_nagios.render(whole, warn_offset_s=clock.warn_offset, max_offset_s=clock.max_offset)
    if output == "prometheus":
        from daemon.metrics.exposition import render  # noqa: PLC0415
        from daemon.metrics.state import state_families  # noqa: PLC0415

        return render(state_families(view), openmetrics=False)
    from daemon.cli import render_table  # noqa: PLC0415

    if not to_stdout:
        return render_table.render(whole)
    return render_table.render(whole, width=width_of(sys.stdout), colour=fancy(sys.stdout))


def _checks(ctx: click.Context, only: tuple[str, ...]) -> frozenset[CheckName] | None:
    """Return the checks of all `--only` flags, or None without any."""
    if not only:
        return None
    words = [word.strip() for words in only for word in words.split(",") if word.strip()]
    if not words:
        raise click.UsageError("--only needs at least one check", ctx)
    found = set()
    for word in words:
        try:
            found.add(CheckName(word.lower().replace("-", "_")))
        except ValueError:
            raise click.UsageError(f"--only: {unknown('check', word, [c.value for c in CheckName])}", ctx) from None
    return frozenset(found)


def _timeout(ctx: click.Context, timeout: str | None) -> float | None:
    if timeout is None:
        return None
    from daemon.config.problems import BadValueError  # noqa: PLC0415 - needed with the flag only
    from daemon.config.values import parse_duration  # noqa: PLC0415

    try:
        seconds = parse_duration(float(timeout) if timeout.replace(".", "", 1).isdecimal() else timeout)
    except BadValueError:
        seconds = 0.0
    if not seconds:
        raise click.UsageError(f"--timeout: {timeout!r} is not a time to wait, such as 500ms, 30s, 5m or 30", ctx)
    return seconds


def _config(
    config_path: str | None, network: str | None, addresses: tuple[str, ...], *, notes: bool
) -> "Config | None":
    """Load the configuration, or make it from the flags; say what is wrong and return None if it can't be used.

    `notes`: tell what is only odd as well, to a person who looks at everything; a monitoring system has no use for it.
    """
    from daemon.config.flags import config_for_flags, with_flags  # noqa: PLC0415 - brings the YAML reader
    from daemon.config.load import load_config  # noqa: PLC0415
    from daemon.config.notes import proxy_warnings  # noqa: PLC0415
    from daemon.config.problems import ConfigError  # noqa: PLC0415

    try:
        flags = config_for_flags(network, addresses) if network is not None or addresses else None
        if flags is None:
            loaded = load_config(config_path or DEFAULT_CONFIG)
        else:
            loaded = with_flags(load_config(config_path), flags) if config_path else flags
    except ConfigError as error:
        for problem in error.problems:
            complain(str(problem))
        return None
    for warning in (*loaded.warnings, *proxy_warnings(os.environ)) if notes else ():
        complain(f"note: {warning}")
    return loaded.config


def _known_resources(ctx: click.Context, config: "Config", resources: tuple[str, ...]) -> None:
    known = [resource.name for resource in config.resources]
    for name in resources:
        if name not in known:
            raise click.UsageError(unknown("Resource", name, known), ctx)


def _asked(ctx: click.Context, config: "Config", only: frozenset[CheckName] | None) -> frozenset[CheckName]:
    """Return what will be asked: `--only` does not switch on what the configuration has switched off."""
    from daemon.targets import enabled_checks  # noqa: PLC0415 - brings the checks

    asked = enabled_checks(config, only)
    off = sorted(only - asked) if only else []
    if off and not asked:
        raise click.UsageError(f"--only: {', '.join(off)} is switched off under `checks:` in the configuration", ctx)
    if off:
        complain(f"note: {', '.join(off)} is switched off under `checks:` in the configuration")
    return asked
