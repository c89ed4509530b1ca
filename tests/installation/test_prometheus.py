"""A real Prometheus scrapes the daemon: what it sees is what the presence rules promise, in a format without a flaw."""

import contextlib
import http.client
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import healthctl
from tests.support.demo_lab import RunningLab, running_lab
from tests.support.exposed import Series, lint, series, values
from tests.support.process import Process, daemon, quiet_port
from tests.support.servers import require, running

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
UP = "connector_health_resource_tcp_up"


class Prometheus:
    """The query API of one Prometheus."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ready(self) -> bool:
        """Tell whether it answers queries: it listens, and answers 503, before it can."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        return False

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return an instant vector: values by labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
            found = json.loads(connection.getresponse().read())["data"]["result"]
        finally:
            connection.close()
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}

    def by_resource(self, name: str) -> dict[str, float]:
        """Return the values of a metric by its label `resource`."""
        return {dict(labels)["resource"]: value for labels, value in self.query(name).items()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """The lab, with its planted faults."""
    require("prometheus", "promtool")
    with running_lab(tmp_path_factory.mktemp("lab")) as running_one:
        yield running_one


@pytest.fixture(scope="module")
def watched(lab: RunningLab) -> Iterator[Process]:
    """The daemon that watches the lab."""
    with daemon(lab.fast_config()) as process:
        yield process


@pytest.fixture(scope="module")
def prometheus(watched: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes it each second."""
    folder, port = tmp_path_factory.mktemp("prometheus"), quiet_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
        f"  - {{job_name: connector, static_configs: [{{targets: ['127.0.0.1:{watched.port}']}}]}}\n"
    )
    argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    made = Prometheus(port)
    with running(argv, folder / "prometheus.log", made.ready):
        yield made


def test_scrape_succeeds_and_shows_the_verdicts(watched: Process, prometheus: Prometheus) -> None:
    """`up` is 1; each Resource with a verdict is 1 or 0; one whose name fails, or that is not probeable, is absent."""
    watched.until(lambda: set(prometheus.query("up").values()) == {1.0}, "scraped")
    verdicts = {"Orders DB": 1.0, "Wiki": 1.0, "Reports": 1.0, "Billing": 0.0}
    watched.until(lambda: prometheus.by_resource(UP) == verdicts, f"exporting {verdicts}")
    names = verdicts | {"Billing": 1.0, "HR": 0.0}
    watched.until(lambda: prometheus.by_resource("connector_health_resource_dns_up") == names, f"exporting {names}")
    (predicted,) = prometheus.query('connector_health_resource_predicted_event{event="dns_lookup_error"}')
    assert dict(predicted)["resource"] == "HR"


def _scrape(process: Process) -> dict[Series, float]:
    answer = process.get("/metrics", accept=OPENMETRICS)
    assert answer.content_type.startswith(OPENMETRICS)
    return series(answer.text)


def test_every_scrape_is_valid_while_faults_come_and_go(watched: Process, lab: RunningLab) -> None:
    """Both formats stay without a flaw, and counters never fall, while a Resource fails and comes back."""
    before = _scrape(watched)

    def holds(up: float) -> bool:
        nonlocal before
        now = _scrape(watched)
        assert lint(watched.get("/metrics").text) == ""
        for key, value in before.items():
            if key[0].endswith(("_total", "_bucket", "_count")):
                assert now[key] >= value, key
        before = now
        ports = values(now, "resource_tcp_up")
        return [value for labels, value in ports.items() if ("resource", "Orders DB") in labels] == [up]

    watched.until(lambda: holds(1.0), "up")
    lab.plant("resource")
    watched.until(lambda: holds(0.0), "down")
    lab.mend_resource()
    watched.until(lambda: holds(1.0), "up again")


def test_textfile_of_check_is_valid(lab: RunningLab, tmp_path: Path) -> None:
    """`check -o prometheus --output-file`: a file of gauges for the textfile collector that promtool accepts."""
    file = tmp_path / "connector.prom"
    config = lab.fast_config("textfile.yaml")
    done = healthctl("check", "--config", str(config), "-o", "prometheus", "--output-file", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    text = file.read_text()
    assert lint(text) == ""
    assert f'{UP}{{resource="Billing"' in text
    assert not [line for line in text.splitlines() if line.startswith("# TYPE") and not line.endswith(" gauge")]
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside it"


def test_what_is_unknown_vanishes_from_prometheus(watched: Process, lab: RunningLab, prometheus: Prometheus) -> None:
    """With the nameserver silent no port has a verdict: its series is gone, neither 0 nor the last value."""
    watched.until(lambda: prometheus.by_resource(UP).get("Orders DB") == 1.0, "seen by Prometheus")
    lab.plant("nameserver")
    watched.until(lambda: prometheus.by_resource(UP) == {}, "silent about ports")
    assert set(prometheus.by_resource("connector_health_resource_dns_up").values()) == {0.0}
    assert set(prometheus.query("up").values()) == {1.0}
