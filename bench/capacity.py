"""What a large site takes: 10,000 Resources of two ports each, by name, every 30 s; then 3,000 fall silent at once.

One daemon is watched: two intervals in which all is well, then from the moment of the outage on. CPU is that of the
whole process as a share of one core; how late probes start and which slots are missed is what the daemon exports.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.exposed import gained, get, quantile, total
from bench.ours import PREFIX, Daemon, Setup, daemon, ports_of
from bench.place import NotMeasuredError, silence
from bench.servers import ZONE, address, nameserver, targets
from bench.table import Row, median_row, missing_row

BENCH = "capacity"
RESOURCES, INTERVAL_S = 10_000, 30.0
SILENT_OF_TEN = 3
WELL_S, OUTAGE_S = 60.0, 90.0
LOOKBACK_S = 65.0  # `event_loop_lag_seconds` tells the largest of 60 s: the start must be over by then
SCRAPES = 11
CPU_LIMIT, LAG_LIMIT_MS, MEMORY_LIMIT_MIB = 25.0, 250.0, 150.0
SCRAPE_LIMIT_MS, HOLD_LIMIT_MS = 100.0, 25.0


@dataclass(frozen=True, slots=True)
class Site:
    """The Resources of a site, and the nameserver that knows them."""

    resources: list[str]
    nameserver: int

    def setup(self, method: str, detail: str = "auto") -> Setup:
        """Return what the daemon is told."""
        return Setup(resources=self.resources, interval_s=INTERVAL_S, method=method, nameserver=self.nameserver,
                     detail=detail)  # fmt: skip


@contextlib.contextmanager
def site(folder: Path, count: int) -> Iterator[Site]:
    """Start targets and nameserver for so many Resources."""
    where = [address(n, silent=n % 10 < SILENT_OF_TEN) for n in range(count)]
    with targets(folder, 2) as ports, nameserver(folder, where) as dns_port:
        yield Site([ports_of(f"n{n}.{ZONE}", n, *ports) for n in range(count)], dns_port)


def measure(folder: Path, method: str, *, may_silence: bool) -> list[Row]:
    """Watch one daemon through both; return the table."""
    with site(folder, RESOURCES) as where, daemon(where.setup(method), folder) as made:
        made.until_ok()
        time.sleep(INTERVAL_S)
        well, outage = f"{method}, all well", f"{method}, 30 % silent"
        found = _window(made, well, WELL_S)
        found.append(_row(f"{well}: resident", "MiB", made.process.resident_mib(), MEMORY_LIMIT_MIB))
        if not may_silence:
            return [*found, missing_row(BENCH, outage, "needs a network of its own (root, or user namespaces)")]
        try:
            silence()
        except NotMeasuredError as error:
            return [*found, missing_row(BENCH, outage, error)]
        found += _window(made, outage, OUTAGE_S)
        series = made.metrics()
        seen = sum(total(series, PREFIX + "resources", f'state="{state}"') for state in ("failing", "suppressed"))
        silent = RESOURCES * SILENT_OF_TEN // 10
        note = f"of {silent}; {made.ok():.0f} of {RESOURCES - silent} ok"
        found.append(Row(bench=BENCH, what=f"{outage}: seen to fail", unit="Resources", value=seen, note=note))
        found.append(_row(f"{outage}: resident", "MiB", made.process.resident_mib()))
        return found


def _row(what: str, unit: str, value: float, limit: float | None = None) -> Row:
    return Row(bench=BENCH, what=what, unit=unit, value=value, limit=limit)


def _window(made: Daemon, what: str, seconds: float) -> list[Row]:
    """Watch for some seconds."""
    before, cpu, began = made.metrics(), made.process.cpu_s(), time.monotonic()
    time.sleep(seconds)
    spent, took = made.process.cpu_s() - cpu, time.monotonic() - began
    after = made.metrics()
    late = gained(before, after, PREFIX + "scheduler_lag_seconds")
    probes, missed = (total(after, PREFIX + name) - total(before, PREFIX + name)
                      for name in ("checks_total", "scheduler_missed_total"))  # fmt: skip
    hold = total(after, PREFIX + "event_loop_lag_seconds") * 1000
    return [
        _row(f"{what}: CPU of one core", "%", spent / took * 100, CPU_LIMIT),
        _row(f"{what}: verdicts a second", "", probes / took),
        _row(f"{what}: scheduler lag, p99", "ms", quantile(late, 0.99) * 1000, LAG_LIMIT_MS),
        _row(f"{what}: missed slots", "", missed, 0.0),
        _row(f"{what}: longest hold of the loop", "ms", hold),
    ]


def measure_scrape(folder: Path, method: str) -> list[Row]:
    """Scrape a daemon that exports all of 10,000 Resources; return the table."""
    with site(folder, RESOURCES) as where, daemon(where.setup(method, "all"), folder) as made:
        made.until_ok()
        time.sleep(LOOKBACK_S)
        made.metrics()
        time.sleep(LOOKBACK_S)
        found = []
        for coding in ("identity", "gzip"):
            wall, cpu, size = [], [], 0
            for _ in range(SCRAPES):
                spent, began = made.process.cpu_s(), time.monotonic()
                size = len(get(made.port, "/metrics", {"Accept-Encoding": coding})[1])
                wall.append((time.monotonic() - began) * 1000)
                cpu.append((made.process.cpu_s() - spent) * 1000)
                time.sleep(1.0)
            found.append(median_row(BENCH, f"scrape, {coding}: wall", "ms", wall, SCRAPE_LIMIT_MS))
            found.append(median_row(BENCH, f"scrape, {coding}: CPU, probes meanwhile included", "ms", cpu))
            found.append(_row(f"scrape, {coding}: size", "KiB", size / 1024))
        series = made.metrics()
        hold = total(series, PREFIX + "event_loop_lag_seconds") * 1000
        found.append(_row("scrape: series", "", total(series, PREFIX + "series")))
        found.append(_row("scrape: longest hold of the loop in that minute", "ms", hold, HOLD_LIMIT_MS))
        return found
