"""`healthctl check` as root brings its own helper, for as long as one look takes."""

import logging
import os
import threading
from collections.abc import Callable, Sequence

from checks.blocking import Blocking
from checks.net.helper import CLOSE_S, START_S, HelperClient, start_helper
from checks.runtime.model import PROCESSES, Sighting
from daemon.config.schema import Connector
from daemon.vantage.watch import ConnectorWatch

log = logging.getLogger("connector_health.vantage")

Start = Callable[[Sequence[str]], HelperClient]


async def with_own_helper(watch: ConnectorWatch, start: Start = start_helper) -> None:
    """Give `watch` a helper of its own where that gains the Connector's seat, and this process may start one.

    Where it can't be started the seat stays as it is, and the rows say from where was looked.
    """
    if os.geteuid() != 0 or watch.connector_seat is not None or watch.sighting is None:
        return
    arguments = helper_arguments(watch.sighting, watch.connector)
    if not arguments:
        return
    starting = _Starting(start, arguments)
    thread = Blocking("helper")
    try:
        await thread.call(starting.run, START_S + 2 * CLOSE_S)
        client = starting.take()
    except OSError as error:  # a time-out of ours, and a SeatError, are such too
        log.info("no helper of our own: %s", str(error) or "it did not start in time")
        return
    finally:
        starting.abandon()
        await thread.close(0.0)
    if client is not None:
        await watch.use(client)


class _Starting:
    """A start that blocks, in a thread: when nobody waits for it any more, what it started is ended there."""

    def __init__(self, start: Start, arguments: Sequence[str]) -> None:
        self._start = start
        self._arguments = arguments
        self._lock = threading.Lock()
        self._client: HelperClient | None = None
        self._over = False

    def run(self) -> None:
        """Start it, in the thread. Raises: SeatError, OSError."""
        client = self._start(self._arguments)
        with self._lock:
            self._client = client
        if self._over:
            self.abandon()

    def take(self) -> HelperClient | None:
        """Return what was started, once: it is the caller's to close."""
        with self._lock:
            client, self._client = self._client, None
        return client

    def abandon(self) -> None:
        """Nobody waits any more: what was not taken is ended, now or when it has started."""
        self._over = True
        client = self.take()
        if client is not None:
            client.close()


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
