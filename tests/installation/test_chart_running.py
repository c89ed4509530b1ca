"""What the chart renders, really run: by Docker in place of a kubelet, beside a stand-in Connector."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import Manifest, of_kind, only, pods, rendered
from tests.support.image import Docker
from tests.support.image_site import NETWORK, connector_site, document, row, until
from tests.support.pod_in_docker import probe, start_as_rendered

CONFIG: dict[str, Any] = {
    "connector": {"remote_network": "Lab"},
    "clock": {"servers": [], "controller_date": False},
    "relays": {"endpoints": []},
    "dns": {"timeout": "1s"},
    "provider": {"enabled": "never"},
    "checks": {"resolver": False, "control_plane": False},
    "schedule": {
        "interval": "500ms", "timeout": "400ms", "confirm": {"interval": "100ms"},
        "intervals": {"host": "1s", "connector": "1s"},
    },
    "resources": [{"name": "Database", "address": "db", "tcp": [5432]}],
}  # fmt: skip
WATCHER = "watcher"

pytestmark = pytest.mark.timeout(900)  # the first test may wait for the image


@pytest.fixture(scope="module")
def site(image_docker: Docker) -> Iterator[Docker]:
    """A Connector on a network of its own, and a database beside it."""
    with connector_site(image_docker):
        yield image_docker


@contextlib.contextmanager
def _running(
    docker: Docker, values: dict[str, Any], folder: Path, **how: str
) -> Iterator[tuple[Manifest, dict[str, str]]]:
    """Run the daemon's container with these values until the block ends; yield it and all that was rendered."""
    texts = rendered({"config": CONFIG, **values})
    config = of_kind(texts, "ConfigMap")[0]["data"]["config.yaml"]
    if values.get("mode") == "sidecar":
        spec = yaml.safe_load(texts["NOTES.txt"].partition("\nspec:\n")[2].partition("\nWith Twingate's own")[0])
        pod: Manifest = {"volumes": spec["podExtra"]["volumes"]}
        container: Manifest = spec["sidecarContainers"][0]
    else:
        (pod,) = (one for where, one in pods(texts) if where.startswith("Deployment/"))
        (container,) = pod["containers"]
    start_as_rendered(docker, WATCHER, pod, container, config, folder / WATCHER, **how)
    try:
        until(lambda: row(docker)["status"] == "ok", lambda: docker.said(WATCHER))
        yield container, texts
    finally:
        docker.remove(WATCHER)


def test_the_sidecar_sees_what_the_connector_sees(site: Docker, tmp_path: Path) -> None:
    """In the Connector's network, named by the pod's label, it has an exact view, and the kubelet finds it alive."""
    with _running(site, {"mode": "sidecar"}, tmp_path, network_mode="container:connector") as (container, _):
        whole = document(site)
        assert (whole["connector"], whole["remote_network"], whole["confidence"]) == ("office-1", "Lab", "exact")
        assert probe(site, container, "livenessProbe", "db", site.address("connector", NETWORK)) == "healthy\n"


def test_a_deployment_is_probed_scraped_and_tested(site: Docker, tmp_path: Path) -> None:
    """A pod of its own answers the kubelet's probes; both containers of `helm test` succeed beside it."""
    with _running(site, {}, tmp_path, network_mode=NETWORK) as (container, texts):
        address = site.address(WATCHER, NETWORK)
        for which in ("livenessProbe", "readinessProbe"):
            until(lambda: probe(site, container, which, "db", address).strip(), lambda: site.said(WATCHER))  # noqa: B023
        pod = only(texts, "Pod")["spec"]
        configuration, metrics = pod["containers"]
        service = f"{only(texts, 'Service')['metadata']['name']}.twingate.svc"
        config = of_kind(texts, "ConfigMap")[0]["data"]["config.yaml"]
        start_as_rendered(site, "configuration", pod, configuration, config, tmp_path / "test", network_mode="none")
        lookup = {service: address}
        start_as_rendered(
            site, "metrics", pod, {"volumeMounts": [], **metrics}, config, tmp_path / "metrics",
            network_mode=NETWORK, extra_hosts=lookup,
        )  # fmt: skip
        with site.api() as api:
            for name in ("configuration", "metrics"):
                assert api.wait(name, timeout=60)["StatusCode"] == 0, site.said(name)
        assert f"{address} answers with" in site.said("metrics")
        site.remove("configuration", "metrics")


def test_half_open_starts_as_root_with_one_capability_and_keeps_none(site: Docker, tmp_path: Path) -> None:
    """With halfOpen ports are asked half-open, though privileges may not grow; afterwards no raw socket can be made."""
    with _running(site, {"mode": "sidecar", "halfOpen": True}, tmp_path, network_mode="container:connector"):
        assert "ports are asked half-open" in site.said(WATCHER)
        text = Path(f"/proc/{site.pid(WATCHER)}/status").read_text()
        held = {line.partition(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith("Cap")}
        assert {held[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
