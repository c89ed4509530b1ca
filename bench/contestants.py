"""Who is measured side by side: each probes at one pace until its block ends, and tells its counters."""

import contextlib
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.ours import Setup, daemon, name_of, ports_of
from bench.place import NotMeasuredError, find
from bench.process import running
from bench.servers import ROOT, ZONE, Prometheus, address, blackbox, prometheus

SCRAPE_S = 15
"""How often the daemon is scraped by Prometheus: the usual interval of those who run one."""
GOOD = 0.99  # of the targets: on a busy machine some probe or other is always late
SNMP = Path("/proc/net/snmp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The pace: so many targets, each once in an interval; and where they are."""

    targets: int
    interval_s: float
    folder: Path
    tcp_port: int
    dns_port: int
    scraped: bool = True

    @property
    def rate(self) -> float:
        """Probes a second."""
        return self.targets / self.interval_s


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters at one moment: probes done, CPU seconds, those of a process beside it that is not part of the figure."""

    probes: float
    cpu_s: float
    beside_s: float = 0.0
    datagrams: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent between two samples."""

    probes: float
    cpu_us: float
    beside_us: float
    datagrams: float

    @classmethod
    def between(cls, before: Sample, after: Sample) -> "Cost":
        """Return the cost of each probe. Raises: NotMeasuredError when there were none."""
        probes = after.probes - before.probes
        if probes <= 0:
            raise NotMeasuredError("no probe was made")
        return cls(
            probes,
            (after.cpu_s - before.cpu_s) / probes * 1e6,
            (after.beside_s - before.beside_s) / probes * 1e6,
            (after.datagrams - before.datagrams) / probes,
        )


@dataclass(frozen=True, slots=True)
class Probing:
    """A prober that was started. `ready` returns when all targets were probed; `settle_s` later it probes as it
    will for ever. `sample` reads its counters.
    """

    ready: Callable[[], None]
    settle_s: float
    sample: Callable[[], Sample]


Contestant: TypeAlias = Callable[[Load], contextlib.AbstractContextManager[Probing]]


def datagrams() -> float:
    """Return how many UDP datagrams were sent in this network so far: questions and answers."""
    names, values = (line.split() for line in SNMP.read_text().splitlines() if line.startswith("Udp:"))
    return float(values[names.index("OutDatagrams")])


def built(folder: Path) -> Path:
    """Compile the C loop. Raises: NotMeasuredError without a compiler."""
    program = folder / "connect_loop"
    if not program.exists():
        source = ROOT / "bench" / "connect_loop.c"
        argv = [find("cc", "gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise NotMeasuredError(f"cc: {done.stderr.strip()}")
    return program


@contextlib.contextmanager
def c_loop(load: Load) -> Iterator[Probing]:
    """The C epoll loop: what the system calls alone cost."""
    counter = load.folder / f"connected-{time.monotonic_ns()}"
    argv = [str(built(load.folder)), str(load.tcp_port), str(load.targets), f"{load.rate:g}", str(counter)]
    with running(argv, load.folder) as process:
        yield Probing(
            lambda: process.until(lambda: _count(counter) > load.rate, "connecting"),
            0.0,
            lambda: Sample(_count(counter), process.cpu_s()),
        )


def _count(file: Path) -> int:
    raw = file.read_bytes()
    return int(struct.unpack("=Q", raw)[0]) if len(raw) == 8 else 0


@contextlib.contextmanager
def blackbox_tcp(load: Load) -> Iterator[Probing]:
    """blackbox_exporter's tcp prober, asked by Prometheus."""
    with _blackbox(load, "tcp_connect", [f"{address(n)}:{load.tcp_port}" for n in range(load.targets)], "") as probing:
        yield probing


@contextlib.contextmanager
def blackbox_dns(load: Load) -> Iterator[Probing]:
    """blackbox_exporter's dns prober, asked by Prometheus: as many questions of one name, which it can't vary."""
    asked = f", target: ['127.0.0.1:{load.dns_port}']"
    with _blackbox(load, "dns", [f"n{n}.{ZONE}" for n in range(load.targets)], asked) as probing:
        yield probing


@contextlib.contextmanager
def _blackbox(load: Load, module: str, instances: list[str], params: str) -> Iterator[Probing]:
    with blackbox(load.folder) as (process, port):
        target = "" if params else "{source_labels: [__address__], target_label: __param_target}, "
        job = (
            f"{{job_name: {module}, metrics_path: /probe, scrape_interval: {load.interval_s:g}s, "
            f"scrape_timeout: {load.interval_s:g}s, params: {{module: [{module}]{params}}}, "
            f"relabel_configs: [{target}{{source_labels: [__address__], target_label: instance}}, "
            f"{{target_label: __address__, replacement: '127.0.0.1:{port}'}}], "
            f"static_configs: [{{targets: [{', '.join(map(repr, instances))}]}}]}}"
        )
        with prometheus(load.folder, job) as scraper:

            def ready() -> None:
                wanted = load.targets * GOOD
                scraper.process.until(lambda: scraper.value("count(probe_success == 1)") >= wanted, "told of success")

            def sample() -> Sample:
                return Sample(scraper.scrapes(load.interval_s), process.cpu_s(), scraper.process.cpu_s(), datagrams())

            yield Probing(ready, load.interval_s, sample)


def ours_tcp(method: str) -> Contestant:
    """Our daemon with ports only, probed by this method."""

    @contextlib.contextmanager
    def contestant(load: Load) -> Iterator[Probing]:
        resources = [ports_of(address(n), n, load.tcp_port) for n in range(load.targets)]
        with _ours(load, "tcp", resources, method) as probing:
            yield probing

    return contestant


@contextlib.contextmanager
def ours_dns(load: Load) -> Iterator[Probing]:
    """Our daemon with names only."""
    with _ours(load, "dns", [name_of(f"n{n}.{ZONE}", n) for n in range(load.targets)], "auto") as probing:
        yield probing


@contextlib.contextmanager
def _ours(load: Load, check: str, resources: list[str], method: str) -> Iterator[Probing]:
    rate = max(1000, round(load.rate * 2))
    setup = Setup(resources=resources, interval_s=load.interval_s, method=method, nameserver=load.dns_port,
                  max_rate=rate, timeout_s=min(5.0, load.interval_s))  # fmt: skip
    with daemon(setup, load.folder) as made, contextlib.ExitStack() as stack:
        scraper: Prometheus | None = None
        if load.scraped:
            where = f"[{{targets: ['127.0.0.1:{made.port}']}}]"
            job = f"{{job_name: ours, scrape_interval: {SCRAPE_S}s, static_configs: {where}}}"
            scraper = stack.enter_context(prometheus(load.folder, job))
        beside = scraper.process.cpu_s if scraper else float

        def sample() -> Sample:
            return Sample(made.probes(check), made.process.cpu_s(), beside(), datagrams())

        yield Probing(made.until_ok, 2 * load.interval_s, sample)  # first runs come sooner than the schedule says
