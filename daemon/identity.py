"""Which Connector this process speaks of."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from daemon.config.identity import connector_name
from daemon.config.problems import ConfigError
from daemon.config.schema import Config

_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


def strict_name(config: Config, file: str, learned: Mapping[str, str] | None = None) -> str:
    """Return the Connector's name for labels and alerts; `learned` is what is known of its own environment.

    Raises: ConfigError in a container that tells none.
    """
    environ = {**(learned or {}), **os.environ}
    return connector_name(config, environ, socket.gethostname(), file, in_container=in_container())


def shown_name(config: Config, learned: Mapping[str, str] | None = None) -> str:
    """Return the Connector's name for a single look, which must not fail for want of a label."""
    try:
        return strict_name(config, "", learned)
    except ConfigError:
        return socket.gethostname()


def in_container() -> bool:
    """Tell whether this process runs in a container."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(Path(mark).exists() for mark in _CONTAINER_MARKS)
