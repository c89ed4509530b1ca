"""Which rules of the Pod Security Standards a pod breaks.

Source: Kubernetes, "Pod Security Standards", the levels `baseline` and `restricted`, as far as a chart of ours goes.
"""

from collections.abc import Iterator
from typing import Any

_VOLUMES = {"name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
            "secret"}  # fmt: skip


def broken_rules(pod: dict[str, Any]) -> set[str]:
    """Return the restricted level's rules that this specification breaks, as short words."""
    return {*_of_pod(pod), *(rule for one in _containers(pod) for rule in _of_container(one, pod))}


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    for shared in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(shared):
            yield shared
    if any(set(volume) - _VOLUMES for volume in pod.get("volumes", [])):
        yield "volume types"
    if pod.get("securityContext", {}).get("sysctls"):
        yield "sysctls"


def _of_container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**pod.get("securityContext", {}), **own}
    if own.get("privileged"):
        yield "privileged"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "host ports"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "privilege escalation"
    if both.get("runAsNonRoot") is not True:
        yield "running as non-root"
    if both.get("runAsUser") == 0:
        yield "root user"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccomp"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities added"
