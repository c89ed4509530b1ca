"""The published benchmark: what a probe costs beside other probers, a large site, growth, start-up.

Run: make bench, or python -m bench [NAME ...]. Everything stands on this machine, in networks made for the purpose
when that is allowed (root, or user namespaces), else on loopback; nobody else is asked anything. What can't be
measured here is left out, and the table says why.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import capacity, growth, probes, startup, table
from bench.place import NotMeasuredError, machine, own_network
from bench.process import end_on_signal
from bench.table import Row

ROUNDS, SECONDS = 5, 15.0  # a window holds one scrape of the daemon by Prometheus
GROWTH_ROUNDS = 3


class Bench:
    """Runs what was asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._alone = False

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """Make a new network and a folder for the block."""
        self._alone = own_network()
        with tempfile.TemporaryDirectory(prefix="connector-health-bench-") as folder:
            yield Path(folder)

    def probes(self) -> list[Row]:
        """CPU per probe, side by side."""
        if self._options.short:
            return probes.measure_short(self.place)
        return probes.measure(self.place, self._options.targets, self._options.seconds, self._options.rounds)

    def startup(self) -> list[Row]:
        """How soon a command is there."""
        with self.place() as folder:
            return startup.measure(folder)

    def capacity(self) -> list[Row]:
        """A large site, well and in an outage."""
        found = []
        for method in self._options.methods:
            with self.place() as folder:
                found += capacity.measure(folder, method, may_silence=self._alone)
        return found

    def scrape(self) -> list[Row]:
        """What a scrape of all of a large site takes."""
        with self.place() as folder:
            return capacity.measure_scrape(folder, self._options.methods[0])

    def sites(self) -> list[Row]:
        """CPU and memory by the size of a site."""
        return growth.measure_sites(self.place, self._options.methods[0])

    def growth(self) -> list[Row]:
        """CPU per probe by the number of targets."""
        return growth.measure(self.place, self._options.methods[0], min(GROWTH_ROUNDS, self._options.rounds))

    def all(self) -> dict[str, Callable[[], list[Row]]]:
        """Return the parts by name, in the order in which they run."""
        return {"probes": self.probes, "startup": self.startup, "sites": self.sites, "scrape": self.scrape,
                "capacity": self.capacity, "growth": self.growth}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 when a target is missed in the short form, whose targets are loose."""
    names = list(Bench(argparse.Namespace()).all())
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(names)} (all)")
    bound = "only `probes`, within 40 s; exit 1 beyond twice a target, or twice what was published"
    parser.add_argument("--short", action="store_true", help=bound)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="window of a round")
    parser.add_argument(
        "--targets", type=int, default=probes.TARGETS, help=f"of `probes`, every {probes.INTERVAL_S:g} s"
    )
    parser.add_argument("--methods", nargs="+", default=["auto", "connect"], help="of capacity; others use the first")
    parser.add_argument("--markdown", action="store_true", help="print the table as in docs/performance.md")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="put the tables into this page, such as docs/performance.md"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}, expected {', '.join(names)}")
    end_on_signal()
    about = machine()
    rows: list[Row] = []
    for name in ["probes"] if options.short else options.names or names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += (found := _run(Bench(options).all()[name], name))
        if options.json:  # after each part: what was measured is not lost with what comes later
            options.json.write_text(table.as_json(about, rows) + "\n")
        if options.into:
            page = table.into(options.into.read_text("utf-8"), name, table.as_markdown(found))
            options.into.write_text(table.into(page, "machine", table.in_words(about)), "utf-8")
    print(table.in_words(about) + "\n")
    print(table.as_markdown(rows) if options.markdown else table.as_text(rows))
    return int(options.short and any(_fails(row) for row in rows))


def _fails(row: Row) -> bool:
    """Tell whether a row fails the short form; what could not be measured does so where all is there, in CI."""
    unmeasured = row.value is None and os.environ.get("CI") == "true"
    return row.met is False or unmeasured


def _run(measure: Callable[[], list[Row]], name: str) -> list[Row]:
    try:
        return measure()
    except NotMeasuredError as error:
        return [table.missing_row(name, name, error)]


if __name__ == "__main__":
    sys.exit(main())
