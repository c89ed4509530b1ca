"""The Helm chart, by Helm's own engine: each set of values renders what Kubernetes accepts and the daemon reads."""

import os
from pathlib import Path

import pytest

from daemon.config.load import load_config
from tests.support.chart import (
    CASES,
    CHART,
    KUBERNETES,
    helm,
    manifests,
    of_kind,
    only,
    pods,
    rendered,
    rendered_case,
    validate,
    values_of,
    write_config,
)
from tests.support.pod_security import broken_rules

GOLDEN = Path(__file__).parent / "golden"
REVIEWED = ("network-policy-values.yaml", "remote-networks-values.yaml", "sidecar-operator-values.yaml")
"""Their render is committed. After a change: WRITE_GOLDEN=1 pytest …, and read the difference."""
_WARNING = 2  # severities of helm lint: 1 information, 2 warning, 3 error
_HOST = {"hostNetwork"}
_RAW = {"capabilities added", "root user", "running as non-root"}
_EXCEPTIONS = {"daemonset-values.yaml": _HOST, "half-open-values.yaml": _RAW}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", KUBERNETES)
def test_lint_finds_nothing(case: str, version: str) -> None:
    """`helm lint --strict` has no error and no warning, for any set of values."""
    report = helm().lint(CHART, values_of(case), strict=True, kube_version=f"v{version}.0", namespace="twingate")
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] >= _WARNING] == []


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_knows_every_object_and_every_key(case: str) -> None:
    """Each object is valid, no key unknown, in the oldest, a middle and the newest version of Kubernetes."""
    objects = manifests(rendered_case(case))
    assert objects
    for one in objects:
        for version in KUBERNETES:
            validate(one, version)
        assert one["metadata"]["namespace"] == "twingate"
        assert len(one["metadata"]["name"]) <= 63
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "health"


@pytest.mark.parametrize("case", CASES)
def test_the_daemon_accepts_its_configuration(case: str, tmp_path: Path) -> None:
    """`healthctl config check` finds nothing wrong with what the chart writes, and it listens where it is asked."""
    texts = rendered_case(case)
    written = write_config(texts, tmp_path)
    assert written
    asked = {port["containerPort"] for _, pod in pods(texts) for port in pod["containers"][0].get("ports", [])}
    for path in written:
        config = load_config(path).config
        assert not asked or asked <= {endpoint.port for endpoint in config.web.listen}
        assert config.web.socket == "/run/connector-health/api.sock"
        assert config.state.path == "/var/lib/connector-health/state.db"


@pytest.mark.parametrize("case", CASES)
def test_pods_are_restricted(case: str) -> None:
    """Each pod meets the restricted Pod Security Standard; what breaks it is named here, and was asked for."""
    for where, pod in pods(rendered_case(case)):
        allowed = set() if where.startswith("Pod/") else _EXCEPTIONS.get(case, set())
        assert broken_rules(pod) == allowed, where
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("case", CASES)
def test_selectors_find_this_release_and_nothing_else(case: str) -> None:
    """What selects pods finds those of its own workload, and never the pod of `helm test`."""
    texts = rendered_case(case)
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in manifests(texts)
        if one["kind"] in {"Deployment", "DaemonSet"}
    }
    testing = [one["metadata"]["labels"] for one in of_kind(texts, "Pod")]
    for one in manifests(texts):
        spec = one.get("spec", {})
        chosen = spec.get("podSelector") or spec.get("selector")
        if not chosen or one["kind"] in {"PodMonitor", "ServiceMonitor"}:
            continue
        wanted = chosen.get("matchLabels", chosen).items()
        found = {name for name, has in labels.items() if wanted <= has.items()}
        every = one["kind"] in {"Service", "PodDisruptionBudget"}
        assert found == (set(labels) if every else {one["metadata"]["name"]}), one["kind"]
        assert not any(wanted <= has.items() for has in testing), one["kind"]


def test_labels_stay_text_and_ours() -> None:
    """A Remote Network called `no` or `123` is text in every label; no label of the user's replaces ours."""
    names = {"no", "123", "1e3", "office"}
    users = {"app.kubernetes.io/name": "x", "app.kubernetes.io/component": "y", "team": "all"}
    values = {
        "remoteNetworks": [{"name": name} for name in sorted(names)], "networkPolicy": {"enabled": True},
        "commonLabels": users, "podLabels": users | {"team": "own"}, "persistence": {"enabled": True},
    }  # fmt: skip
    found = of_kind(rendered(values), "Deployment")
    for one in manifests(rendered(values)):
        validate(one, KUBERNETES[-1])
    for one in found:
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels["team"] == "own"
    assert {one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] for one in found} == names
    assert only(rendered(values), "Service")["metadata"]["labels"]["app.kubernetes.io/name"] == "connector-health"


def test_the_test_has_every_file_and_runs_where_the_daemon_may() -> None:
    """`config check` misses a file that is not there: the pod of `helm test` has the daemon's, and its place."""
    tolerated = [{"key": "dedicated", "operator": "Exists"}]
    values = values_of("scheduling-values.yaml") | {"nodeSelector": {"zone": "a"}, "tolerations": tolerated}
    tests, daemon = (dict(pods(rendered(values)))[name] for name in ("Pod/watcher-test", "Deployment/watcher"))
    ours, theirs = ({mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} for pod in (tests, daemon))
    assert theirs - ours == {"/var/lib/connector-health", "/run/connector-health"}
    assert {volume["name"] for volume in tests["volumes"]} == {"config", "ca"}
    assert (tests["nodeSelector"], tests["tolerations"]) == (daemon["nodeSelector"], daemon["tolerations"])


def test_the_class_of_a_volume_may_be_none() -> None:
    """No class is the cluster's default; an empty one is a volume that somebody has made by hand."""
    usual, by_hand = (
        only(rendered({"persistence": {"enabled": True, **more}}), "PersistentVolumeClaim")["spec"]
        for more in ({}, {"storageClass": ""})
    )
    assert "storageClassName" not in usual
    assert by_hand["storageClassName"] == ""


def test_secrets_stand_beside_the_configuration() -> None:
    """Keys of both Secrets become files in the directory from which config.yaml names them."""
    texts = rendered_case("secrets-values.yaml")
    (pod,) = (pod for where, pod in pods(texts) if where.startswith("Deployment/"))
    (config,) = (volume["projected"]["sources"] for volume in pod["volumes"] if volume["name"] == "config")
    named = [next(iter(source.values()))["name"] for source in config]
    assert named == ["health-connector-health", "health-connector-health", "connector-health-web"]
    assert only(texts, "Secret")["data"] == {"alertmanager-password": "bm90LWEtcmVhbC1wYXNzd29yZA=="}
    assert "not-a-real-password" not in "".join(texts.values())


def test_a_new_configuration_starts_the_pod_anew() -> None:
    """Another configuration or Secret changes the pod's template; the same does not."""
    first, again, other = (
        only(rendered({"config": {"connector": {"network": name}}}), "Deployment")["spec"]["template"]["metadata"]
        for name in ("acme", "acme", "umbrella")
    )
    assert first == again != other


def test_a_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    """What `helm package` makes needs nothing of this repository, and carries no values of tests."""
    archive = Path(helm().package(CHART, destination=tmp_path))
    assert rendered(values_of(REVIEWED[0]), archive) == rendered_case(REVIEWED[0])
    with helm().Chart.load(archive) as chart:
        held = {file["name"] for file in chart.files}
    assert {"files/rules/connector-health.rules.yml", "README.md"} <= held
    assert not any(name.startswith("ci/") for name in held)


@pytest.mark.parametrize("case", REVIEWED)
def test_the_render_is_the_one_that_was_reviewed(case: str) -> None:
    """What these values render is committed: a change of a template shows what it changes."""
    kept = GOLDEN / case.replace("-values.yaml", ".golden.yaml")
    texts = rendered_case(case)
    # Rules are compared with their source elsewhere, and would drown the rest.
    text = "".join(f"# {path}\n{one.strip()}\n" for path, one in sorted(texts.items()) if path != "prometheusrule.yaml")
    if os.environ.get("WRITE_GOLDEN"):
        kept.write_text(text)
    assert kept.read_text() == text
