"""A Connector in the same pod as we: its network is ours; its process is seen only where the pod shares processes.

The Kubernetes API is not asked: a sidecar has no account there, and needs none.
Source: Kubernetes, "Share Process Namespace between Containers in a Pod"; Twingate's Helm chart `connector`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from checks.runtime import procfs
from checks.runtime.model import LogPlace, RuntimeName, Sighting, allowed_environment
from checks.runtime.process import ProcessRuntime

IN_A_POD = "KUBERNETES_SERVICE_HOST"
NO_LOG = "a container's log can't be read from its neighbour in the pod: kubectl logs POD -c CONTAINER"
UNSEEN = "the pod's containers do not share their processes (shareProcessNamespace: true shows them to each other)"


class KubernetesRuntime:
    """Looks at the Connector from a sidecar. `environ` is our own: it may repeat the Connector's settings."""

    def __init__(self, environ: Mapping[str, str], *, proc: Path = procfs.PROC) -> None:
        self._name = environ.get("HOSTNAME", "")
        self._environment = allowed_environment(f"{name}={value}" for name, value in environ.items())
        self._proc = proc
        self._process = ProcessRuntime(proc=proc)

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs."""
        return "kubernetes"

    async def look(self) -> Sighting:
        """Look once; never raises. `running` is None where its process can't be seen."""
        seen = await self._process.look()
        ping = procfs.ping_group_range(self._proc)
        log = LogPlace(kind="docker", id="", problem=NO_LOG)
        if seen.problem is not None:
            return Sighting(
                runtime="kubernetes",
                name=self._name,
                evidence=UNSEEN,
                environment=self._environment,
                log=log,
                own_namespace=True,
                ping_group_range=ping,
            )
        return replace(
            seen,
            runtime="kubernetes",
            name=self._name or seen.name,
            environment={**self._environment, **seen.environment},
            log=log,
            own_namespace=True,
            ping_group_range=ping,
        )

    async def close(self) -> None:
        """Nothing is held."""
