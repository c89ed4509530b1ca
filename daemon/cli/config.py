"""`healthctl config`: check a configuration, show what it amounts to, print its JSON Schema."""

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

from checks.net.text import printable
from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.options import CONFIG_VARIABLE, DEFAULT_CONFIG
from daemon.cli.output import emit
from daemon.config.load import Loaded, load_config
from daemon.config.notes import proxy_warnings
from daemon.config.problems import ConfigError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def run_check(path: str, out: TextIO, err: TextIO) -> int:
    """Validate a file; every problem is one line on `err`, without a prefix, so that editors find the place.

    Return the exit code: 0, or 3 when there is any problem. Warnings do not change it.
    """
    if not (loaded := _load(path, err)) or not _web_file_is_good(loaded.config.web.config_file, err):
        return EXIT_UNKNOWN
    err.writelines(f"warning: {warning}\n" for warning in loaded.warnings)
    err.writelines(f"warning: {message}\n" for message in proxy_warnings(os.environ))
    count = len(loaded.config.resources)
    out.write(f"{printable(path)}: ok, {count} Resource{'' if count == 1 else 's'}\n")
    return 0


def run_show(path: str, out: TextIO, err: TextIO) -> int:
    """Write the effective configuration as YAML, every default included. Return the exit code."""
    from daemon.config.show import show_config  # noqa: PLC0415 - what `config check` does not need is not loaded

    if not (loaded := _load(path, err)):
        return EXIT_UNKNOWN
    out.write(show_config(loaded.config))
    return 0


def run_schema(out: TextIO) -> int:
    """Write the JSON Schema of the file. Return the exit code."""
    from daemon.config.json_schema import json_schema  # noqa: PLC0415 - as above

    out.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0


def _load(path: str, err: TextIO) -> Loaded | None:
    try:
        return load_config(path)
    except ConfigError as error:
        err.write(f"{error}\n")
        return None


def _web_file_is_good(file: str | None, err: TextIO) -> bool:
    """Tell whether `web.config_file` can be used, with the certificates that it names."""
    if file is None:
        return True
    if not os.access(file, os.R_OK):  # which nothing but a credential may be: loading has seen to it
        err.write(f"warning: {file}: a credential of the unit, which nobody else can see: it is checked at the start\n")
        return True
    from daemon.web.web_file import read_access  # noqa: PLC0415 - brings TLS, which few files ask for

    try:
        access = read_access(file)
    except ConfigError as error:
        err.write(f"{error}\n")
        return False
    err.writelines(f"warning: {file}: {note}\n" for note in (access.notes if access else ()))
    return True


def _config_option(command: _Command) -> _Command:
    """Add `--config F`, which may stand before or after the subcommand; the environment is asked last."""
    words = f"The configuration; else ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG}."
    return click.option("--config", "config_path", metavar="F", help=words)(command)


def _finish(context: click.Context, run: Callable[[TextIO], int]) -> None:
    """Run with a buffer in place of standard output: a reader that has gone is no error."""
    out = io.StringIO()
    code = run(out)
    emit(out.getvalue())
    context.exit(code)


def _path(context: click.Context, config_path: str | None) -> str:
    before = context.parent.params.get("config_path") if context.parent else None
    return config_path or before or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG


@click.group()
@_config_option
def config(config_path: str | None) -> None:
    """Validate, show or describe the configuration."""


@config.command()
@_config_option
@click.pass_context
def check(context: click.Context, config_path: str | None) -> None:
    """Report every problem of the file at once; exit with 3 if there is any."""
    _finish(context, lambda out: run_check(_path(context, config_path), out, sys.stderr))


@config.command()
@_config_option
@click.pass_context
def show(context: click.Context, config_path: str | None) -> None:
    """Print the effective configuration: every default, no secret."""
    _finish(context, lambda out: run_show(_path(context, config_path), out, sys.stderr))


@config.command()
@click.pass_context
def schema(context: click.Context) -> None:
    """Print the JSON Schema of the file, for editors."""
    _finish(context, run_schema)
