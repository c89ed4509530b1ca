"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

CONFIG_VARIABLE = "CONNECTOR_HEALTH_CONFIG"
DEFAULT_CONFIG = "/etc/connector-health/config.yaml"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """Add `--config F` as `config_path`: the flag, else the environment variable, else None (the usual place)."""
    return click.option(
        "--config",
        "config_path",
        metavar="F",
        envvar=CONFIG_VARIABLE,
        help=f"The configuration; else ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG}.",
    )(command)
