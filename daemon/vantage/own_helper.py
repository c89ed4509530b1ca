"""`healthctl check` as root brings its own helper, for as long as one look takes."""

import os

from checks.net.helper import start_helper
from checks.runtime.model import PROCESSES, Sighting
from daemon.config.schema import Connector
from daemon.vantage.watch import ConnectorWatch


async def with_own_helper(watch: ConnectorWatch) -> None:
    """Give `watch` a helper of its own where that gains the Connector's seat, and this process may start one."""
    if os.geteuid() != 0 or watch.connector_seat is not None or watch.sighting is None:
        return
    arguments = helper_arguments(watch.sighting, watch.connector)
    if arguments:
        await watch.use(start_helper(arguments))


def helper_arguments(sighting: Sighting, connector: Connector) -> list[str]:
    """Return the arguments that tell the helper which Connector it may serve; none when there is none to be served."""
    if connector.vantage == "host" or not sighting.running:
        return []
    match sighting.runtime:
        case "docker":
            return ["--container", sighting.name, "--docker-host", connector.docker_host]
        case "systemd":
            return ["--unit", connector.unit]
        case "none" if sighting.name in PROCESSES:
            return ["--process", sighting.name]
        case _:
            return []
