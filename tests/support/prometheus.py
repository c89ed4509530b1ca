"""A real Prometheus: what it scrapes, which rules it evaluates, whom it tells; and its query API."""

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.process import quiet_port
from tests.support.servers import require, running

SHIPPED = Path(__file__).parents[2] / "deploy/prometheus"
RULES = tuple(sorted(SHIPPED.glob("connector-health*.rules.yml")))
Vector = dict[frozenset[tuple[str, str]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What it is to do, in place of what the shipped example says. Durations in seconds (`30s`), addresses host:port.

    `targets` can be changed while it runs: they stand in a file that it watches.
    """

    targets: Sequence[str]
    target_labels: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[Path] = RULES
    alertmanagers: Sequence[str] = ()
    scrape: str = "1s"
    evaluation: str = "1s"
    external_labels: Mapping[str, str] = field(default_factory=dict)
    relabel_configs: Sequence[Mapping[str, Any]] | None = None


class Prometheus:
    """The query API of one Prometheus."""

    def __init__(self, port: int, targets_file: Path) -> None:
        self.port = port
        self._targets_file = targets_file

    def aim(self, targets: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
        """Scrape these from now on; service discovery says these labels of them."""
        partial = self._targets_file.with_suffix(".new")
        partial.write_text(json.dumps([{"targets": list(targets), "labels": dict(labels or {})}]))
        partial.replace(self._targets_file)

    def ready(self) -> bool:
        """Tell whether it answers queries: it listens, and answers 503, before it can."""
        with contextlib.suppress(OSError):
            return self._get("/-/ready")[0] == http.HTTPStatus.OK
        return False

    def query(self, expression: str) -> Vector:
        """Return an instant vector: values by labels."""
        found = self._data("/api/v1/query", {"query": expression})["result"]
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}

    def query_range(self, expression: str, seconds: float) -> list[float]:
        """Return all values of the last seconds, one a second, of all series."""
        end = time.time()  # noqa: TID251 - Prometheus counts in wall time
        asked = {"query": expression, "start": str(end - seconds), "end": str(end), "step": "1"}
        series = self._data("/api/v1/query_range", asked)["result"]
        return [float(value) for one in series for _, value in one["values"]]

    def label_values(self, label: str, selector: str) -> list[str]:
        """Return the values of a label among the series of a selector."""
        found: list[str] = self._data(f"/api/v1/label/{label}/values", {"match[]": selector})
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Return every alert that is pending or fires."""
        found: list[dict[str, Any]] = self._data("/api/v1/alerts")["alerts"]
        return found

    def broken_rules(self) -> dict[str, str]:
        """Return what is wrong with rules that fail, by name."""
        groups = self._data("/api/v1/rules")["groups"]
        return {rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")}

    def _data(self, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        status, text = self._get(path + ("?" + urllib.parse.urlencode(query) if query else ""))
        assert status == http.HTTPStatus.OK, text
        return json.loads(text)["data"]

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextlib.contextmanager
def prometheus(folder: Path, setup: Setup) -> Iterator[Prometheus]:
    """Run one on a free port of 127.0.0.1 until the block ends."""
    require("prometheus")
    made = Prometheus(quiet_port(), folder / "targets.json")
    made.aim(setup.targets, setup.target_labels)
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(folder, setup)))
    argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{made.port}"]  # fmt: skip
    with running(argv, folder / "prometheus.log", made.ready):
        yield made


def _config(folder: Path, setup: Setup) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    (scraped,) = config["scrape_configs"]
    del scraped["static_configs"]
    if setup.relabel_configs is not None:
        scraped["relabel_configs"] = [dict(one) for one in setup.relabel_configs]
    return config | {
        "global": {
            "scrape_interval": setup.scrape,
            "scrape_timeout": min(setup.scrape, "10s", key=_seconds),
            "evaluation_interval": setup.evaluation,
            "external_labels": dict(setup.external_labels),
        },
        "rule_files": [str(path) for path in setup.rules],
        "alerting": config["alerting"]
        | {"alertmanagers": [{"static_configs": [{"targets": list(setup.alertmanagers)}]}]},
        "scrape_configs": [
            scraped | {"file_sd_configs": [{"files": [str(folder / "targets.json")], "refresh_interval": "5s"}]}
        ],
    }


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))
