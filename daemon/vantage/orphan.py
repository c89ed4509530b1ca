"""A sidecar that was left alone: its pod's (or Connector container's) network namespace is dead, and stays so.

When a container whose network others share is started anew, it gets a new namespace; who shared the old one keeps a
loopback and nothing else. From there nothing can be said about the Connector: unknown, and the process must end, so
that its supervisor lets it join the new namespace.
"""

import socket
from collections.abc import Callable
from dataclasses import replace

from checks.hostnet import read_interfaces
from checks.model import Outcome, Reason, Status
from checks.net.seat import open_socket, read_net
from daemon.jobs import Result
from daemon.known import HOST_ROW, RESOURCE_CHECKS, dependency_failed
from daemon.vantage.seats import SEATED

_ALONE = "only loopback is left in this network namespace"
RUNS = 3  # an interface that is being set up is not there for a moment either


def only_loopback() -> bool:
    """Tell whether no interface but loopback could carry anything, in our own network namespace."""
    try:
        with open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            return not any(interface.usable for interface in read_interfaces(sock, read_net))
    except OSError:
        return False


class Orphans:
    """Counts the runs in a row of the host check that saw nothing but loopback; `alone` is latched."""

    def __init__(self, dead: Callable[[], bool] = only_loopback) -> None:
        self.alone = False
        self._runs = 0
        self._dead = dead

    def judged(self, results: tuple[Result, ...], *, shared: bool) -> tuple[Result, ...]:
        """Return the results; in a namespace that we only share, one without a network is our ignorance.

        What fails there may be heard of before the host check is due again: so each failure has us look.
        """
        if any(result.id == HOST_ROW for result in results):
            lonely = shared and any(result.outcome.facts.get("loopback_only") is True for result in results)
            self._runs = self._runs + 1 if lonely else 0
            self.alone = self.alone or self._runs >= RUNS
        else:
            failed = any(r.check in SEATED and r.outcome.status is Status.CRITICAL for r in results)
            lonely = shared and failed and self._dead()
        return tuple(_unknown(result) for result in results) if lonely else results


def _unknown(result: Result) -> Result:
    if result.check in RESOURCE_CHECKS:
        return replace(result, outcome=dependency_failed(_ALONE, HOST_ROW))
    outcome = Outcome(
        status=Status.UNKNOWN,
        reason=Reason.NOT_RUNNING,
        summary=f"{_ALONE}: the Connector it belonged to was started anew",
        action="Nothing to do if a supervisor restarts this process: it ends after "
        f"{RUNS} such looks, to join the new namespace. Else start it anew.",
        facts=result.outcome.facts,
    )
    return replace(result, outcome=outcome)
