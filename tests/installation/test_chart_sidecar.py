"""The sidecar: how it gets into the Connector's pod by Twingate's operator, by a patch, by a chart of one's own."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.cli.run import run
from daemon.cli.status import status
from daemon.config.identity import POD_LABEL, connector_name
from daemon.config.schema import Config
from tests.support.chart import (
    CHART,
    KUBERNETES,
    REPOSITORY,
    Manifest,
    helm,
    manifests,
    pods,
    rendered,
    rendered_case,
    validate,
)
from tests.support.pod_security import broken_rules

EXAMPLES = REPOSITORY / "helm/examples"
OPERATOR, CHART_CASE = "sidecar-operator-values.yaml", "sidecar-twingate-chart-values.yaml"
CONNECTOR: Manifest = {
    "name": "connector",
    "image": "twingate/connector:1",
    "readinessProbe": {"exec": {"command": ["/connectorctl", "health"]}},
    "securityContext": {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
        "runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
    },
    "volumeMounts": [{"name": "twingate-socket", "mountPath": "/var/run/twingate"}],
}  # fmt: skip
"""The Connector's container, with what a neighbour could disturb: as the operator and Twingate's chart write it."""
SCOPE = '(dict "scope" (index .Subcharts "connector-health") "remoteNetwork" "warehouse")'
PARENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: own-connector, namespace: twingate, labels: {{app: own}}}}
spec:
  selector: {{matchLabels: {{app: own}}}}
  template:
    metadata: {{labels: {{app: own}}}}
    spec:
      containers:
        - {{name: connector, image: "twingate/connector:1"}}
        {{{{- include "connector-health.sidecar" {SCOPE} | nindent 8 }}}}
      volumes:
        {{{{- include "connector-health.sidecar.volumes" {SCOPE} | nindent 8 }}}}
"""


def _snippets(texts: dict[str, str]) -> list[dict[str, Any]]:
    """Return what NOTES.txt tells to put into each TwingateConnector, as YAML reads it."""
    found = re.findall(r"^spec:\n(?: .*\n|\n)+", texts["NOTES.txt"], re.MULTILINE)
    return [yaml.safe_load(text)["spec"] for text in found]


def _deployment(pod: Manifest, labels: dict[str, str]) -> Manifest:
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "twingate-connector"}, "spec": spec}


def _by_the_operator(spec: dict[str, Any]) -> Manifest:
    """Return the Deployment that Twingate's operator makes: its own, our containers and volumes after them."""
    extra = dict(spec["podExtra"])
    volumes = [{"name": "twingate-socket", "emptyDir": {}}, *extra.pop("volumes")]
    pod = {"containers": [CONNECTOR, *spec["sidecarContainers"]], "volumes": volumes, **extra}
    return _deployment(pod, {"connector.twingate.com/name": "office-1"})


def _patched(manifest: Manifest, patch: Manifest) -> Manifest:
    """Return a strategic merge as Kubernetes does it, for what our patch has: maps are merged, lists by name."""
    merged = dict(manifest)
    for key, value in patch.items():
        if isinstance(value, dict):
            merged[key] = _patched(merged.get(key, {}), value)
        elif isinstance(value, list):
            names = {one["name"] for one in value}
            merged[key] = [*value, *(one for one in merged.get(key, []) if one["name"] not in names)]
        else:
            merged[key] = value
    return merged


def _name_in_labels(container: Manifest, labels: dict[str, str]) -> str:
    """Return the Connector's name as the daemon would find it in a pod with these labels."""
    (field,) = (one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"] if one["name"] == POD_LABEL)
    label = re.fullmatch(r"metadata\.labels\['(.+)']", field)
    assert label
    return connector_name(Config(), {POD_LABEL: labels[label[1]]}, "random-5f7d", "config.yaml", in_container=True)


def _harmless(deployment: Manifest) -> Manifest:
    """Return our container of a pod, once it is seen that it keeps the Connector's as it was."""
    for version in KUBERNETES:
        validate(deployment, version)
    pod = deployment["spec"]["template"]["spec"]
    assert broken_rules(pod) == set()
    (ours,) = (one for one in pod["containers"] if one["name"] == "connector-health")
    (connector,) = (one for one in pod["containers"] if one["name"] == "connector")
    assert connector == CONNECTOR
    assert "readinessProbe" not in ours, "it would make the Connector's pod unready"
    assert ours["livenessProbe"]
    for one in (one for one in pod["volumes"] if one["name"].startswith("connector-health-")):
        # Neither what is gone nor what has grown may keep the Connector from running.
        sources, own = one.get("projected", {}).get("sources", ()), one.get("emptyDir", {})
        assert all(kind["optional"] for source in sources for kind in source.values())
        assert "sizeLimit" not in own or own["medium"] == "Memory"
    volumes = [one["name"] for one in pod["volumes"]]
    assert len(volumes) == len(set(volumes))
    assert {one["name"] for one in ours["volumeMounts"]} <= set(volumes) - {"twingate-socket"}
    return dict(ours)


def test_nothing_runs_but_in_the_connectors_pod() -> None:
    """The chart itself starts nothing in mode sidecar but the pod of `helm test`."""
    for case in (OPERATOR, CHART_CASE, "sidecar-remote-networks-values.yaml"):
        assert all(where.startswith("Pod/") for where, _ in pods(rendered_case(case)))
        kinds = {one["kind"] for one in manifests(rendered_case(case))}
        assert kinds <= {"ConfigMap", "PodMonitor", "PrometheusRule", "Pod"}


def test_the_operators_pod_takes_the_sidecar() -> None:
    """What NOTES.txt prints for a TwingateConnector makes a valid, restricted pod, and leaves the Connector alone."""
    (spec,) = _snippets(rendered_case(OPERATOR))
    deployment = _by_the_operator(spec)
    ours = _harmless(deployment)
    assert deployment["spec"]["template"]["spec"]["shareProcessNamespace"] is True
    assert _name_in_labels(ours, deployment["spec"]["template"]["metadata"]["labels"]) == "office-1"


def test_a_registry_with_a_password_is_printed_too() -> None:
    """Secrets for pulling the image are part of what the operator's pod needs."""
    (spec,) = _snippets(rendered({"mode": "sidecar", "imagePullSecrets": [{"name": "registry"}]}))
    assert _by_the_operator(spec)["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_each_remote_network_has_a_snippet_of_its_own() -> None:
    """With several Remote Networks each snippet mounts its own configuration."""
    texts = rendered_case("sidecar-remote-networks-values.yaml")
    mounted = [
        source["configMap"]["name"]
        for spec in _snippets(texts)
        for volume in spec["podExtra"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    (raw, _) = (one["securityContext"] for spec in _snippets(texts) for one in spec["sidecarContainers"])
    assert raw["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}, "halfOpen"
    assert (raw["runAsUser"], raw["runAsNonRoot"]) == (0, False)
    assert mounted == ["health-connector-health-office", "health-connector-health-warehouse"]
    assert set(mounted) <= {one["metadata"]["name"] for one in manifests(texts)}


def test_the_example_for_the_operator_is_what_the_chart_prints() -> None:
    """helm/examples/operator.yaml has the container and the volumes of today's chart."""
    (spec,) = _snippets(rendered_case(OPERATOR))
    connector = {"apiVersion": "twingate.com/v1beta", "kind": "TwingateConnector", "metadata": {"name": "office-1"}}
    _kept(EXAMPLES / "operator.yaml", connector | {"spec": {"name": "office-1", **spec}})


def test_the_patch_of_twingates_chart_is_what_the_chart_prints() -> None:
    """The example's patch has today's container and volumes, and applied to their Deployment it leaves theirs alone."""
    (spec,) = _snippets(rendered_case(CHART_CASE))
    pod = {"containers": spec["sidecarContainers"], **spec["podExtra"]}
    patch: Manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "twingate-connector"}}
    patch = _kept(EXAMPLES / "twingate-chart/sidecar.yaml", patch | {"spec": {"template": {"spec": pod}}})
    labels = {"app.kubernetes.io/name": "connector", "app.kubernetes.io/instance": "twingate"}
    theirs = _deployment({"containers": [CONNECTOR], "volumes": [{"name": "twingate-socket", "emptyDir": {}}]}, labels)
    ours = _harmless(_patched(theirs, patch))
    assert _name_in_labels(ours, labels) == "twingate"
    kustomization = yaml.safe_load((EXAMPLES / "twingate-chart/kustomization.yaml").read_text())
    assert kustomization["patches"] == [{"path": "sidecar.yaml"}]


def test_a_chart_of_ones_own_can_include_the_sidecar(tmp_path: Path) -> None:
    """The library templates work from a parent chart, which has this one as a dependency."""
    parent = tmp_path / "own"
    (parent / "templates").mkdir(parents=True)
    shutil.copytree(CHART, parent / "charts/connector-health")
    chart = {"apiVersion": "v2", "name": "own", "version": "1.0.0"}
    depends = {"dependencies": [{"name": "connector-health", "version": "*"}]}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart | depends))
    (parent / "templates/connector.yaml").write_text(PARENT)
    values = {"mode": "sidecar", "remoteNetworks": [{"name": "office"}, {"name": "warehouse"}]}
    texts = rendered({"connector-health": values}, parent)
    (deployment,) = (one for one in manifests(texts) if one["kind"] == "Deployment")
    validate(deployment, KUBERNETES[-1])
    config = deployment["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"][0]["configMap"]["name"]
    assert config == "health-connector-health-warehouse"
    assert config in {one["metadata"]["name"] for one in manifests(texts)}
    with pytest.raises(helm().HelmError, match="set mode: sidecar, got deployment"):
        rendered({}, parent)


def test_the_commands_are_ours() -> None:
    """What the containers are told to run is what healthctl understands."""
    (pod,) = (pod for where, pod in pods(rendered_case("scheduling-values.yaml")) if where.startswith("Deployment/"))
    (container,) = pod["containers"]
    program, *arguments = container["args"]
    assert program == "run"
    assert run.make_context("run", arguments).params["log_level"] == "debug"
    for probe in ("livenessProbe", "readinessProbe"):
        command = container[probe]["exec"]["command"]
        assert command[:2] == ["healthctl", "status"]
        assert container[probe]["periodSeconds"] >= 30, "each look starts a Python"
        assert status.make_context("status", command[2:]).params["alive"] is True


def _kept(file: Path, wanted: Manifest) -> Manifest:
    """Return what an example says, which must be what is wanted. WRITE_GOLDEN=1 writes it anew, but its heading."""
    if os.environ.get("WRITE_GOLDEN"):
        heading = "".join(line + "\n" for line in file.read_text().splitlines() if line.startswith("#"))
        file.write_text(heading + yaml.safe_dump(wanted, sort_keys=False, width=120))
    found: Manifest = yaml.safe_load(file.read_text())
    assert found == wanted
    return found
