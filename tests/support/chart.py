"""The Helm chart as Helm's own engine renders it: objects, the configuration in them, and what Kubernetes would say."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers import require_module

Manifest = dict[str, Any]

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "helm/connector-health"
CASES = ("", *sorted(path.name for path in (CHART / "ci").glob("*-values.yaml")))
"""The default values, and every file of values under ci/."""
RELEASE, NAMESPACE = "health", "twingate"
KUBERNETES = ("1.25", "1.31", "1.37")
"""The oldest that the chart allows, one between, the newest whose schemas are at hand."""
_OF_OPERATORS = "monitoring.coreos.com/v1"


def helm() -> Any:  # noqa: ANN401 - a module that is not everywhere
    """Return Helm's engine; skip the test where it is not installed."""
    require_module("helm_python", "installation")
    import helm_python  # noqa: PLC0415 - only `make installation` has it

    return helm_python


def values_of(case: str) -> dict[str, Any]:
    """Return the values of a case as Helm reads them."""
    found: dict[str, Any] = helm().values_from_yaml((CHART / "ci" / case).read_text()) if case else {}
    return found


def rendered(values: Mapping[str, Any] | None = None, chart: Path = CHART) -> dict[str, str]:
    """Return the text of each template that says something, as `helm template` would; the schema is asked first."""
    with helm().Chart.load(chart) as loaded:
        loaded.validate_schema(dict(values or {}))
        texts = loaded.render(dict(values or {}), name=RELEASE, namespace=NAMESPACE)
    return {path.removeprefix("connector-health/templates/"): text for path, text in texts.items() if text.strip()}


@cache
def _case(case: str) -> str:
    return json.dumps(rendered(values_of(case)))


def rendered_case(case: str) -> dict[str, str]:
    """Return the same for a case; it is rendered once."""
    found: dict[str, str] = json.loads(_case(case))
    return found


def manifests(texts: Mapping[str, str]) -> list[Manifest]:
    """Return the objects in rendered templates."""
    found: list[Manifest] = []
    for path, text in texts.items():
        if not path.endswith(".txt"):
            found += [one for one in yaml.safe_load_all(text) if one]
    return found


def of_kind(texts: Mapping[str, str], kind: str) -> list[Manifest]:
    """Return the objects of one kind."""
    return [one for one in manifests(texts) if one["kind"] == kind]


def only(texts: Mapping[str, str], kind: str) -> Manifest:
    """Return the only object of a kind."""
    (found,) = of_kind(texts, kind)
    return found


def pods(texts: Mapping[str, str]) -> Iterator[tuple[str, Manifest]]:
    """Yield the specification of each pod that would run, with the kind and name of what makes it."""
    for one in manifests(texts):
        where = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] in {"Deployment", "DaemonSet"}:
            yield where, one["spec"]["template"]["spec"]
        elif one["kind"] == "Pod":
            yield where, one["spec"]


def validate(manifest: Manifest, version: str) -> None:
    """Fail unless this version of Kubernetes knows the object and each key of it; custom resources are left out."""
    require_module("kubernetes_validate", "installation")
    import kubernetes_validate  # noqa: PLC0415 - only `make installation` has it

    if manifest["apiVersion"] == _OF_OPERATORS:
        return
    kubernetes_validate.validate(manifest, version, strict=True)


def write_config(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write each config.yaml beside the files that the Secrets would bring; return them, in order."""
    written = []
    for one in of_kind(texts, "ConfigMap"):
        if text := one["data"].get("config.yaml"):
            place = folder / one["metadata"]["name"]
            place.mkdir()
            for name in ("alertmanager-password", "alertmanager-token", "heartbeat-url", "web.yaml"):
                (place / name).write_text("{}\n")
            (place / "config.yaml").write_text(text)
            written.append(place / "config.yaml")
    return written
