"""A sidecar that was left alone: its pod's (or Connector container's) network namespace is dead, and stays so.

When a container whose network others share is started anew, it gets a new namespace; who shared the old one keeps a
loopback and nothing else. From there nothing can be said about the Connector: unknown, and the process must end, so
that its supervisor lets it join the new namespace.
"""

from dataclasses import replace

from checks.model import Outcome, Reason, Status
from daemon.jobs import Result
from daemon.known import HOST_ROW

RUNS = 3  # an interface that is being set up is not there for a moment either


class Orphans:
    """Counts the runs in a row of the host check that saw nothing but loopback; `alone` is latched."""

    def __init__(self) -> None:
        self.alone = False
        self._runs = 0

    def judged(self, results: tuple[Result, ...], *, shared: bool) -> tuple[Result, ...]:
        """Return the results; in a namespace that we only share, one without a network is our ignorance."""
        if not any(result.id == HOST_ROW for result in results):
            return results
        lonely = shared and any(result.outcome.facts.get("loopback_only") is True for result in results)
        self._runs = self._runs + 1 if lonely else 0
        self.alone = self.alone or self._runs >= RUNS
        return tuple(_unknown(result) for result in results) if lonely else results


def _unknown(result: Result) -> Result:
    outcome = Outcome(
        status=Status.UNKNOWN,
        reason=Reason.NOT_RUNNING,
        summary="only loopback is left in this network namespace: the Connector it belonged to was started anew",
        action="Nothing to do if a supervisor restarts this process: it ends after "
        f"{RUNS} such looks, to join the new namespace. Else start it anew.",
        facts=result.outcome.facts,
    )
    return replace(result, outcome=outcome)
