"""How the cost grows: CPU per probe of 200 and of 20,000 targets at one pace; sites of 50 to 10,000 Resources."""

import sys
import time
from itertools import pairwise
from pathlib import Path

from bench.capacity import INTERVAL_S, site
from bench.contestants import Cost, Sample
from bench.ours import Setup, daemon, ports_of
from bench.probes import Place
from bench.servers import address, targets
from bench.table import Row, median_row, ratio_row

BENCH = "growth"
FEW, MANY = 200, 20_000
WINDOW_S = 30.0
SETTLE_S = 20.0  # after all are ok: what the start needed is given back
SITES = (50, 1_000, 10_000)
MEMORY_LIMIT_MIB = {50: 50.0, 10_000: 150.0}


def measure(place: Place, method: str, rounds: int) -> list[Row]:
    """Measure few and many in turns; return the table."""
    costs: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(rounds):
        for count, found in costs.items():
            with place() as folder:
                found.append(_cost(folder, method, count))
                print(f"growth, {count} targets: {found[-1]:.0f} us", file=sys.stderr)
    few, many = costs.values()
    return [
        median_row(BENCH, f"{method}, {FEW} targets", "µs", few),
        median_row(BENCH, f"{method}, {MANY} targets", "µs", many),
        ratio_row(BENCH, f"{method}, {MANY} targets / {FEW} targets", many, few, 1.2),
    ]


def _cost(folder: Path, method: str, count: int) -> float:
    """Return the microseconds of each probe when so many targets share the pace of MANY in INTERVAL_S."""
    interval_s = round(INTERVAL_S * count / MANY, 3)
    with targets(folder) as (port,):
        resources = [ports_of(address(n), n, port) for n in range(count)]
        setup = Setup(resources=resources, interval_s=interval_s, method=method, timeout_s=min(5.0, interval_s))
        with daemon(setup, folder) as made:
            made.until_ok()
            time.sleep(max(SETTLE_S, 2 * interval_s))
            before = Sample(made.probes("tcp"), made.process.cpu_s())
            time.sleep(WINDOW_S)
            return Cost.between(before, Sample(made.probes("tcp"), made.process.cpu_s())).cpu_us


def measure_sites(place: Place, method: str) -> list[Row]:
    """Return what sites of each size take as a whole, and what one Resource more takes of memory."""
    made: list[Row] = []
    resident: dict[int, float] = {}
    for count in SITES:
        with place() as folder:
            mib, share = _site(folder, method, count)
        resident[count] = mib
        what = f"{count} Resources of a name and two ports"
        made.append(_row(f"{what}: CPU of one core", "%", share))
        made.append(_row(f"{what}: resident", "MiB", mib, MEMORY_LIMIT_MIB.get(count)))
    for less, more in pairwise(SITES):
        kib = (resident[more] - resident[less]) * 1024 / (more - less)
        made.append(_row(f"a Resource more, {less} to {more}: resident", "KiB", kib))
    return made


def _row(what: str, unit: str, value: float, limit: float | None = None) -> Row:
    return Row(bench=BENCH, what=what, unit=unit, value=value, limit=limit)


def _site(folder: Path, method: str, count: int) -> tuple[float, float]:
    """Return MiB and CPU share, in percent, of a daemon that watches so many Resources."""
    with site(folder, count) as where, daemon(where.setup(method), folder) as made:
        made.until_ok()
        time.sleep(INTERVAL_S)
        before = made.process.cpu_s()
        time.sleep(WINDOW_S)
        return made.process.resident_mib(), (made.process.cpu_s() - before) / WINDOW_S * 100
