"""A Connector in our own pod: its processes shared with us, or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.runtime.kubernetes import KubernetesRuntime
from tests.support.pidspace import PidSpace, pid_space

ENVIRON = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "HOSTNAME": "connector-7d9",
    "TWINGATE_NETWORK": "acme",
    "TWINGATE_LABEL_HOSTNAME": "pod",
    "TWINGATE_ACCESS_TOKEN": "planted-token",
}


@pytest.fixture
def space(tmp_path: Path) -> Iterator[PidSpace]:
    """The processes of a pod."""
    with pid_space(tmp_path) as made:
        yield made


async def test_processes_are_not_shared(tmp_path: Path) -> None:
    """Without a shared process namespace nobody knows whether it runs; the network is the pod's, the settings ours."""
    seen = await KubernetesRuntime(ENVIRON, proc=tmp_path).look()
    assert (seen.runtime, seen.name, seen.problem, seen.running) == ("kubernetes", "connector-7d9", None, None)
    assert "shareProcessNamespace: true" in seen.evidence
    assert seen.own_namespace is True
    assert dict(seen.environment) == {"TWINGATE_NETWORK": "acme", "TWINGATE_LABEL_HOSTNAME": "pod"}
    assert seen.log is not None
    assert "kubectl logs" in seen.log.problem
    assert "planted-token" not in repr(seen)


async def test_processes_are_shared(space: PidSpace) -> None:
    """With shareProcessNamespace the Connector's process is followed; its own settings go before ours."""
    pid = space.start("connectord", env={"TWINGATE_NETWORK": "other", "PATH": "/bin:/usr/bin"})
    runtime = KubernetesRuntime(ENVIRON, proc=space.proc)
    seen = await runtime.look()
    assert (seen.runtime, seen.running, seen.pid, seen.own_namespace) == ("kubernetes", True, pid, True)
    assert dict(seen.environment) == {"TWINGATE_NETWORK": "other", "TWINGATE_LABEL_HOSTNAME": "pod"}
    space.kill(pid)
    ended = await runtime.look()
    assert (ended.runtime, ended.running, ended.problem) == ("kubernetes", False, None)
