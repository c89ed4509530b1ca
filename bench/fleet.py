"""What a fleet costs its Prometheus: 10, 100, 1,000 Connectors that do not exist, scraped and judged by a real one.

Run: make fleet (about six minutes, no root). First the series of one Connector by `metrics.detail`, counted in the
daemon's own exposition, and what they take on disk. Then a Prometheus for each size of fleet, with the shipped rules
and both intervals 30 s. In the last one the Controller vanishes for all Connectors at once, and a real Alertmanager
with the shipped configuration hears of it. CPU and memory are those of each server alone, by its own metrics: compare
them with each other, not with another machine's. Times of rules are the least of those seen: others only add to them.
"""

import argparse
import contextlib
import http.client
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout that is not installed can be measured too

from bench.fleet_connector import INTERVAL_S, Synthetic
from bench.fleet_history import bytes_a_sample, windows
from bench.fleet_server import Fleet, fleet
from tests.support.alertmanagers import Member, cluster, shipped
from tests.support.prometheus import RULES as SHIPPED_RULES
from tests.support.prometheus import Prometheus, Setup, prometheus
from tests.support.webhook import Webhook, webhook

BEGAN = 1_790_000_000.0  # the day of the Connectors that do not exist
DETAILS = ("all", "failing", "none", "auto")
COUNTED = ((0, 1), (10, 1), (50, 1), (500, 1), (2000, 1), (10_000, 2))  # Resources, ports of each
RESOURCES = 50  # of each Connector that is scraped, with one name and one port each
CASES = (((10, "all"), (100, "all")), ((1000, "failing"),), ((1000, "all"),))
"""Connectors and detail; those in one bracket run side by side, and the last meets the storm."""
ROUNDS = 8
SETTLE_S = 1.2 * INTERVAL_S  # each target has been scraped, and each rule group evaluated
LOOK_S = 5.0
STORM_MAX_S = 4 * INTERVAL_S
OUTAGE = "ConnectorControlPlaneUnreachable"
RULES = "prometheus_rule_group_last_duration_seconds"
MIB = 1 << 20

Own = dict[str, float]
"""What a server says of itself: the sum over labels of each metric; rule groups one by one, as METRIC:GROUP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one fleet cost. Bytes, seconds; rates are per second; `rules_s` by group, one evaluation of each."""

    connectors: int
    detail: str
    series: float
    samples_rate: float
    resident: float
    heap: float
    cpu_rate: float
    rules_s: dict[str, float]
    up: int
    failures: float


def counted() -> list[tuple[int, int, int, dict[str, tuple[int, int]]]]:
    """Return Resources, ports, names and ports, and for each `detail` the series and bytes of one Connector."""
    rows = []
    for resources, ports in COUNTED:
        by_detail, targets = {}, 0
        for detail in DETAILS:
            one = Synthetic(resources, ports, detail, BEGAN)
            one.look()
            one.look()
            text, targets = one.show(), one.targets
            by_detail[detail] = (sum(not line.startswith("#") for line in text.splitlines()), len(text))
        rows.append((resources, ports, targets, by_detail))
    return rows


def rounds(detail: str, *, storm: bool) -> list[str]:
    """Return what a Connector shows in one round after the other; a storm comes after the quiet rounds."""
    one = Synthetic(RESOURCES, 1, detail, BEGAN)
    for _ in range(1 + ROUNDS * storm):
        one.look()
    one.storm = storm
    shown = []
    for _ in range(ROUNDS):
        one.look()
        shown.append(one.show())
    return shown


def own_metrics(port: int) -> Own:
    """Ask a server what it says of itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found: Own = {}
    for metric, labels, value in re.findall(r"^(\w+)(\{.*\})? (\S+)$", text, re.MULTILINE):
        found[metric] = found.get(metric, 0.0) + float(value)
        if metric == RULES:
            found[f"{RULES}:{labels.rpartition(';')[2].rstrip(chr(34) + '}')}"] = float(value)
    return found


def groups() -> list[str]:
    """Return the names of the shipped rule groups."""
    return [group["name"] for file in SHIPPED_RULES for group in yaml.safe_load(file.read_text())["groups"]]


@contextlib.contextmanager
def watching(served: Fleet, size: int, folder: Path, alertmanager: str) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes so many Connectors."""
    every = f"{INTERVAL_S}s"
    folder.mkdir()
    setup = Setup(targets=[], scrape=every, evaluation=every, alertmanagers=[alertmanager])
    with prometheus(folder, setup) as server:
        partial = folder / "fleet.new"
        partial.write_text(json.dumps(served.targets(size)))
        partial.replace(folder / "targets.json")
        yield server


def measure(servers: Sequence[Prometheus], case: Sequence[tuple[int, str]]) -> list[Figures]:
    """Wait until the fleets are known, and measure for one interval: one scrape of each, one look at each rule."""
    time.sleep(SETTLE_S)
    began = time.monotonic()
    looks = [[own_metrics(server.port)] for server in servers]
    while time.monotonic() - began < INTERVAL_S:
        time.sleep(LOOK_S)
        for look, server in zip(looks, servers, strict=True):
            look.append(own_metrics(server.port))
    taken = time.monotonic() - began
    return [
        figures(size, detail, look, taken, server)
        for (size, detail), look, server in zip(case, looks, servers, strict=True)
    ]


def figures(size: int, detail: str, looks: Sequence[Own], taken: float, server: Prometheus) -> Figures:
    """Return what one Prometheus had to do in `taken` seconds."""
    first, last = looks[0], looks[-1]
    groups = [metric for metric in last if metric.startswith(f"{RULES}:")]
    samples, cpu = "prometheus_tsdb_head_samples_appended_total", "process_cpu_seconds_total"
    return Figures(
        connectors=size,
        detail=detail,
        series=last["prometheus_tsdb_head_series"],
        samples_rate=(last[samples] - first[samples]) / taken,
        resident=last["process_resident_memory_bytes"],
        heap=last["go_memstats_heap_inuse_bytes"],
        cpu_rate=(last[cpu] - first[cpu]) / taken,
        rules_s={group.partition(":")[2]: min(look[group] for look in looks) for group in groups},
        up=int(sum(server.query("sum(up)").values())),
        failures=last["prometheus_rule_evaluation_failures_total"],
    )


def storm(served: Fleet, server: Prometheus, alertmanager: Member, hook: Webhook) -> dict[str, float]:
    """Take the Controller from all Connectors; return what Prometheus, Alertmanager and the pager saw of it."""
    before, began = own_metrics(server.port), time.monotonic()
    served.storm()
    while not hook.pages("/oncall") and time.monotonic() - began < STORM_MAX_S:
        time.sleep(1)
    paged_s = time.monotonic() - began
    time.sleep(INTERVAL_S)
    after, alerts, carrier = own_metrics(server.port), alertmanager.alerts(), own_metrics(alertmanager.port)
    sent = "prometheus_notifications_sent_total"
    return {
        "alerts in Alertmanager": len(alerts),
        "muted by others": sum(bool(one["status"]["inhibitedBy"]) for one in alerts),
        "pages": len(hook.pages("/oncall")),
        "seconds until the first page": paged_s,
        "alerts sent by Prometheus": after[sent] - before[sent],
        "alerts dropped by Prometheus": after["prometheus_notifications_dropped_total"],
        "CPU seconds of Alertmanager, in all": carrier["process_cpu_seconds_total"],
        "MiB resident of Alertmanager": carrier["process_resident_memory_bytes"] / MIB,
        **{f"ms for {group}": 1e3 * after[f"{RULES}:{group}"] for group in groups()},
    }


def show(one: Figures) -> str:
    """Return a line of the table."""
    rules = "".join(f"{1e3 * one.rules_s[group]:>9.1f}" for group in groups())
    return (
        f"{one.connectors:>10}{one.detail:>9}{one.series:>9.0f}{one.samples_rate:>11.0f}{one.resident / MIB:>10.0f}"
        f"{one.heap / MIB:>7.0f}{100 * one.cpu_rate:>7.1f}{1e6 * one.cpu_rate / one.samples_rate:>11.1f}"
        f"{one.up:>7}{one.failures:>7.0f}{rules}"
    )


def fleets(folder: Path) -> tuple[list[Figures], dict[str, float]]:
    """Print what each fleet cost; return it, and what the storm brought."""
    found: list[Figures] = []
    met: dict[str, float] = {}
    with webhook() as hook:
        for number, case in enumerate(CASES):
            with contextlib.ExitStack() as stack:
                (alertmanager,) = stack.enter_context(cluster(folder / f"am-{number}", shipped(hook)))
                served = [
                    stack.enter_context(fleet(rounds(detail, storm=False), rounds(detail, storm=True)))
                    for _, detail in case
                ]
                servers = [
                    stack.enter_context(watching(one, size, folder / f"prometheus-{size}-{detail}", alertmanager.name))
                    for one, (size, detail) in zip(served, case, strict=True)
                ]
                found += measure(servers, case)
                for one in found[-len(case) :]:
                    print(show(one), flush=True)
                if case is CASES[-1]:
                    met = storm(served[0], servers[0], alertmanager, hook)
    return found, met


def main() -> None:
    """Print tables, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    asked = parser.parse_args()
    ends = float(time.clock_gettime(time.CLOCK_REALTIME) // INTERVAL_S * INTERVAL_S)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = counted()
        print(
            "series of one Connector\n" + "".join(f"{word:>10}" for word in ("Resources", "ports", "targets", *DETAILS))
        )
        for resources, ports, targets, by_detail in table:
            print(f"{resources:>10}{ports:>10}{targets:>10}" + "".join(f"{by_detail[d][0]:>10}" for d in DETAILS))
        disk = {detail: bytes_a_sample(folder, RESOURCES, detail, ends) for detail in ("all", "failing")}
        print("\nbytes a sample on disk: " + ", ".join(f"{size:.1f} ({detail})" for detail, size in disk.items()))
        looked = windows(folder, ends)
        print("\nerror budget, one Connector\n    window  CPU ms  samples read")
        for window, (cpu, samples, _) in looked.items():
            print(f"{window:>10}{1e3 * cpu:>8.2f}{samples:>14.0f}")
        print(f"\n{RESOURCES} Resources each, all every {INTERVAL_S} s. MiB; CPU in % of a core, and µs a sample; "
              f"then ms for each group of rules: {', '.join(groups())}")  # fmt: skip
        print(f"{'Connectors':>10}{'detail':>9}{'series':>9}{'samples/s':>11}{'resident':>10}{'heap':>7}{'CPU':>7}"
              f"{'µs/sample':>11}{'up':>7}{'failed':>7}")  # fmt: skip
        found, met = fleets(folder)
    print(f"\nthe Controller vanishes for all {CASES[-1][0][0]} Connectors")
    for what, value in met.items():
        print(f"{what:>38}  {value:.4g}")
    if asked.json:
        whole = {"series": table, "disk": disk, "windows": looked, "fleet": [asdict(f) for f in found], "storm": met}
        asked.json.write_text(json.dumps(whole))


if __name__ == "__main__":
    main()
