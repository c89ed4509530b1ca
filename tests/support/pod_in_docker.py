"""A container as the chart renders it, run by Docker in place of a kubelet: the same user, rights and files."""

import os
from pathlib import Path
from typing import Any

from tests.support.chart import Manifest
from tests.support.image import IMAGE, Docker


def start_as_rendered(
    docker: Docker, name: str, pod: Manifest, container: Manifest, config: str, folder: Path, **how: object
) -> None:
    """Start one container of a pod; `config` is its config.yaml, `how` goes to Docker (`network_mode`).

    An emptyDir is a directory that everybody may write to, and belongs to root and the pod's fsGroup.
    """
    own: dict[str, Any] = {**pod.get("securityContext", {}), **container["securityContext"]}
    assert own["allowPrivilegeEscalation"] is False
    volumes = {one["name"]: one for one in pod["volumes"]}
    files = folder / "etc"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text(config)
    for path, mode in ((folder, 0o755), (files, 0o755), (files / "config.yaml", 0o444)):
        path.chmod(mode)
    binds = []
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "emptyDir" in volume:
            empty = folder / mount["name"]
            empty.mkdir()
            os.chown(empty, 0, own.get("fsGroup", 0))
            empty.chmod(0o777)
            binds.append(f"{empty}:{mount['mountPath']}")
        else:
            binds.append(f"{files}:{mount['mountPath']}:ro")
    with docker.api() as api:
        host = api.create_host_config(
            binds=binds, read_only=own["readOnlyRootFilesystem"], security_opt=["no-new-privileges"],
            cap_drop=own["capabilities"]["drop"], cap_add=own["capabilities"].get("add", []), **how,
        )  # fmt: skip
        named = {one["name"]: one.get("value", "office-1") for one in container.get("env", [])}  # a field of the pod
        made = api.create_container(
            image=IMAGE, name=name, user=f"{own['runAsUser']}:{own['runAsGroup']}", environment=named,
            command=container.get("args"), entrypoint=container.get("command"), host_config=host,
        )  # fmt: skip
        api.start(made["Id"])


def probe(docker: Docker, container: Manifest, which: str, asker: str, address: str) -> str:
    """Ask what a kubelet asks, from another container: the address of the pod stands in the Host header."""
    asked = container[which]["httpGet"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    url = f"http://{address}:{ports[asked['port']]}{asked['path']}"
    return docker.execute(asker, "/bin/busybox", "wget", "-q", "-O", "-", url, ok=False)
