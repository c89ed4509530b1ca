"""Days of a fleet, written into a Prometheus at once: what a sample takes on disk, and what the long windows cost.

The rules for the error budget look back up to three days, and a bench has no three days. `promtool` makes blocks from
text, so a real Prometheus answers over a past that it has not lived through.
"""

import contextlib
import http.client
import json
import random
import re
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.fleet_connector import INTERVAL_S, Synthetic
from tests.support.process import quiet_port
from tests.support.prometheus import SHIPPED
from tests.support.servers import find, running

CONNECTORS = 20
DAYS = 3
DAY_S = 86_400
DISK_ROUNDS = 480  # four hours
RATES = {"ok": 99.7, "failing": 0.2, "unknown": 0.1}  # of 100 names and ports, per second
REPEAT = 5
SEED = 7


def bytes_a_sample(folder: Path, resources: int, detail: str, ends: float) -> float:
    """Return what one sample of one Connector takes in a block, index included, when four hours of it are in one."""
    one = Synthetic(resources, 1, detail, ends - DISK_ROUNDS * INTERVAL_S)
    lines: dict[str, list[str]] = {}  # by metric family: OpenMetrics wants each in one piece
    meta: dict[str, list[str]] = {}
    for _ in range(DISK_ROUNDS):
        one.look()
        family = ""
        for line in one.show().splitlines():
            if line.startswith("# EOF"):
                continue
            if line.startswith("#"):
                if line.startswith("# HELP"):
                    family = line.split(" ")[2]
                    meta[family] = []
                meta[family].append(line)
            else:
                lines.setdefault(family, []).append(f"{line} {one.at:.0f}")
    text = folder / "connector.txt"
    with text.open("w") as out:
        for family, samples in lines.items():
            out.write("\n".join((*meta[family], *_by_series(samples))) + "\n")
        out.write("# EOF\n")
    count = sum(len(samples) for samples in lines.values())
    size = _blocks(text, folder / f"disk-{detail}")
    return size / count


def _by_series(samples: list[str]) -> list[str]:
    """Sort samples so that those of one series stand together, in their order of time."""
    return sorted(samples, key=lambda line: line.rsplit(" ", 2)[0])


def windows(folder: Path, ends: float) -> dict[str, tuple[float, float, int]]:
    """Return, for each window of the error budget: CPU seconds for one Connector, and samples read and held for it."""
    text = folder / "days.txt"
    _write_days(text, ends)
    _blocks(text, folder / "data")
    rules = yaml.safe_load((SHIPPED / "connector-health-slo.rules.yml").read_text())
    records = {rule["record"].rpartition("rate")[2]: rule["expr"] for group in rules["groups"]
               for rule in group["rules"] if rule.get("record", "").rpartition("rate")[1]}  # fmt: skip
    records = {window: text for window, text in records.items() if re.fullmatch(r"\d+[mhd]", window)}
    found = {}
    with _prometheus(folder) as port:
        for window, expression in records.items():
            query = urllib.parse.urlencode({"query": expression, "time": ends - 2 * INTERVAL_S, "stats": "all"})
            before = _cpu(port)
            answers = [_get(port, f"/api/v1/query?{query}") for _ in range(REPEAT)]
            samples = json.loads(answers[0])["data"]["stats"]["samples"]
            cpu = (_cpu(port) - before) / REPEAT / CONNECTORS
            found[window] = (cpu, samples["totalQueryableSamples"] / CONNECTORS, samples["peakSamples"])
    return found


def _write_days(text: Path, ends: float) -> None:
    rng, rounds = random.Random(SEED), DAYS * DAY_S // INTERVAL_S
    with text.open("w") as out:
        out.write("# TYPE connector_health_target_seconds counter\n")
        for number in range(CONNECTORS):
            for state, rate in RATES.items():
                value = 0.0
                for each in range(rounds):
                    value += rate * INTERVAL_S * rng.uniform(0.9, 1.1)
                    out.write(f'connector_health_target_seconds_total{{state="{state}",{_who(number)}}} {value:.3f} '
                              f"{ends - (rounds - each) * INTERVAL_S:.0f}\n")  # fmt: skip
        out.write("# TYPE connector_health info\n")
        for number in range(CONNECTORS):
            for each in range(10):
                labels = f'connector="office-{number}",remote_network="net-{number // 2}",{_who(number)}'
                out.write(f"connector_health_info{{{labels}}} 1 {ends - (10 - each) * INTERVAL_S:.0f}\n")
        out.write("# EOF\n")


def _who(number: int) -> str:
    return f'job="connector-health",instance="office-{number}.example:19440"'


def _blocks(text: Path, data: Path) -> int:
    """Make blocks of a text; return their size in bytes."""
    data.mkdir()
    command = [find("promtool") or "promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    return sum(file.stat().st_size for file in data.rglob("*") if file.is_file())


@contextlib.contextmanager
def _prometheus(folder: Path) -> Iterator[int]:
    port, config = quiet_port(), folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 30s}\n")

    def ready() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return "Ready" in _get(port, "/-/ready")
        return False

    argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with running(argv, folder / "log", ready):
        yield port


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def _cpu(port: int) -> float:
    (value,) = re.findall(r"^process_cpu_seconds_total (\S+)$", _get(port, "/metrics"), re.MULTILINE)
    return float(value)
