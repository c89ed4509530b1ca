"""Two looks at the Connector's process, and what is said to have changed between them."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from checks.model import Reason
from checks.runtime.model import Sighting
from daemon.changes.sightings import connector_changes
from tests.support.sightings import RUNNING, stopped

WHO = "the Connector (twingate-1)"
ANEW = replace(RUNNING, id="b" * 12, pid=4712)
KILLED = stopped(exit_code=137, oom_killed=True)
OTHERWISE = replace(ANEW, environment=MappingProxyType({"TWINGATE_NETWORK": "acme", "TWINGATE_DNS": "192.0.2.1"}))
VERSION = "the Connector's version is 1.81.0 now, and was 1.80.0"
ANEW_SAID = f"{WHO} was started anew (process 4712)"
HIDDEN = Sighting(runtime="docker", problem=Reason.PERMISSION_DENIED, evidence="the engine's socket is not ours")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (RUNNING, replace(RUNNING, fds=(900, 1024), started_at=1.0), []),
        (RUNNING, KILLED, [f"{WHO} has stopped: exited, exit code 137, killed for lack of memory"]),
        (stopped(), RUNNING, [f"{WHO} was started (process 4711)"]),
        (RUNNING, ANEW, [ANEW_SAID]),
        (RUNNING, replace(RUNNING, pid=None), []),
        (RUNNING, OTHERWISE, [f"{ANEW_SAID} with other settings: TWINGATE_DNS"]),
        (RUNNING, replace(ANEW, version="1.81.0"), [ANEW_SAID, VERSION]),
        (RUNNING, replace(RUNNING, health="unhealthy"), [f"{WHO} reports to be unhealthy"]),
        (RUNNING, HIDDEN, [f"{WHO} can't be seen any more: the engine's socket is not ours"]),
        (HIDDEN, HIDDEN, []),
        (HIDDEN, RUNNING, [f"{WHO} can be seen now: running"]),
        (HIDDEN, stopped(), [f"{WHO} can be seen now: exited"]),
        (RUNNING, replace(RUNNING, running=None), []),
    ],
    ids=[
        "same", "stopped", "started", "restarted", "process-hidden", "settings", "version", "health", "out-of-sight",
        "still-out-of-sight", "back-in-sight", "back-and-stopped", "not-known",
    ],
)  # fmt: skip
def test_what_is_said(before: Sighting, after: Sighting, said: list[str]) -> None:
    """Starts, stops, restarts with their settings' names, versions and health are told; what can't be seen is not."""
    assert list(connector_changes(before, after)) == said


def test_settings_are_named_and_never_shown() -> None:
    """A value may be of a kind that not everybody who reads of changes should read."""
    values = {"TWINGATE_LABEL_SECRET": "hush-hush"}
    after = replace(ANEW, environment=MappingProxyType(values))
    assert "hush-hush" not in "".join(connector_changes(RUNNING, after))
