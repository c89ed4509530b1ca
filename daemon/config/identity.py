"""The name under which this Connector appears in labels, alerts and reports."""

from collections.abc import Mapping

from checks.net.text import printable
from daemon.config.problems import ConfigError, Problem
from daemon.config.schema import Config

HOSTNAME_LABEL = "TWINGATE_LABEL_HOSTNAME"
"""Set by Twingate's own instructions for Docker: the name that the Admin Console shows."""

POD_LABEL = "CONNECTOR_HEALTH_POD_LABEL"
"""Set through the downward API from the pod's label `connector.twingate.com/name`."""


def connector_name(config: Config, environ: Mapping[str, str], hostname: str, file: str, *, in_container: bool) -> str:
    """Return `connector.name`; where it is not set TWINGATE_LABEL_HOSTNAME, the pod's label, the host name.

    `environ` may be the process's own with what was learned of the Connector's. A container's host name is random
    and changes with each deployment, so there one of the others is required. Raises: ConfigError.
    """
    known = (config.connector.name, environ.get(HOSTNAME_LABEL), environ.get(POD_LABEL))
    for name in (*known, None if in_container else hostname):
        if name and name.strip():
            return printable(name.strip())
    where = "in a container the host name is random" if in_container else "this host has no name"
    message = f"not set, and {where}; set connector.name, or {HOSTNAME_LABEL} in the environment"
    raise ConfigError([Problem(file, 0, 0, "connector.name", message)])
