"""Which Connector this process speaks of."""

import os
import socket
from pathlib import Path

from daemon.config.identity import connector_name
from daemon.config.problems import ConfigError
from daemon.config.schema import Config

_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


def strict_name(config: Config, file: str) -> str:
    """Return the Connector's name for labels and alerts. Raises: ConfigError in a container that tells none."""
    return connector_name(config, os.environ, socket.gethostname(), file, in_container=_in_container())


def shown_name(config: Config) -> str:
    """Return the Connector's name for a single look, which must not fail for want of a label."""
    try:
        return strict_name(config, "")
    except ConfigError:
        return socket.gethostname()


def _in_container() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(Path(mark).exists() for mark in _CONTAINER_MARKS)
