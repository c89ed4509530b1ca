"""Our daemon as a whole process: `healthctl run` with a configuration made for the purpose, asked over HTTP."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.exposed import Series, get, parse, total
from bench.place import NotMeasuredError
from bench.process import Running, running
from bench.servers import ROOT, free_port

PREFIX = "connector_health_"
NO_NAMESERVER = 9  # the discard port
READY_S = 180.0  # 10,000 names and 20,000 ports at `max_rate` on a slow machine
POLL_S = 0.5  # asking is work for the daemon: seldom enough not to slow its start
BESIDE_PYTHON = Path(sys.executable).with_name("healthctl")
HEALTHCTL = (str(BESIDE_PYTHON),) if BESIDE_PYTHON.exists() else (sys.executable, "-m", "daemon.cli.main")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the daemon is told. Resources are written as in the configuration; durations in seconds."""

    resources: Sequence[str]
    interval_s: float
    method: str = "auto"
    nameserver: int = NO_NAMESERVER
    detail: str = "auto"
    max_rate: int = 1000
    timeout_s: float = 5.0

    @property
    def _names(self) -> str:
        """Whether there is a nameserver at all; one that is dead would have every row looked at for a cause."""
        return "false" if self.nameserver == NO_NAMESERVER else "true"

    def text(self, folder: Path) -> str:
        """Return the configuration: nobody beyond 127.0.0.0/8 is asked anything."""
        return (
            "connector: {name: bench, runtime: none}\n"
            "clock: {servers: [], controller_date: false}\n"
            "relays: {endpoints: []}\nprovider: {enabled: never}\n"
            f"dns: {{nameservers: ['127.0.0.1:{self.nameserver}'], search: []}}\n"
            f"checks: {{control_plane: false, connector: false, nat: false, resolver: {self._names}}}\n"
            f"probing: {{method: {self.method}, ports: {{}}, allow: [127.0.0.0/8]}}\n"
            f"schedule: {{interval: {self.interval_s:g}s, timeout: {self.timeout_s:g}s, max_rate: {self.max_rate}}}\n"
            f"metrics: {{detail: {self.detail}, max_series: 200000}}\n"
            f"state: {{path: {folder / 'state.db'}}}\nresources:\n" + "".join(f"  - {one}\n" for one in self.resources)
        )


def ports_of(address: str, number: int, *ports: int) -> str:
    """Return a Resource with these ports."""
    return f"{{name: R{number}, address: {address}, tcp: [{', '.join(map(str, ports))}]}}"


def name_of(name: str, number: int) -> str:
    """Return a Resource of which only the name is looked up."""
    return f"{{name: R{number}, address: {name}, probe: dns}}"


class Daemon:
    """A running daemon."""

    def __init__(self, process: Running, port: int, resources: int) -> None:
        self.process = process
        self.port = port
        self._resources = resources

    def metrics(self, *, gzip: bool = True) -> Series:
        """Scrape it, and return its own series."""
        _, body = get(self.port, "/metrics", {} if gzip else {"Accept-Encoding": "identity"})
        return parse(body.decode(), PREFIX)

    def ok(self) -> float:
        """Return how many Resources are ok."""
        return total(self.metrics(), PREFIX + "resources", 'state="ok"')

    def until_ok(self) -> None:
        """Wait until every Resource is ok. Raises: NotMeasuredError, with what the others are."""
        self.process.until(lambda: get(self.port, "/-/healthy")[0] == 200, "healthy")
        end = time.monotonic() + READY_S
        while self.ok() < self._resources:
            if self.process.popen.poll() is not None:
                raise NotMeasuredError(f"the daemon ended: {self.process.output()}")
            if self._refused() or time.monotonic() > end:
                raise NotMeasuredError(f"the daemon's Resources are not ok: {self._states()}")
            time.sleep(POLL_S)

    def _refused(self) -> bool:
        """Tell whether there are Resources that can't be probed with this method here: that will not change."""
        series = self.metrics()
        forbidden = total(series, PREFIX + "checks_inconclusive_total", 'reason="not_allowed"')
        return forbidden + total(series, PREFIX + "resources", 'state="not_probeable"') > 0

    def _states(self) -> str:
        series = self.metrics()
        names = ("resources", "check_failures_total", "checks_inconclusive_total")
        return ", ".join(f"{key.removeprefix(PREFIX)} {value:g}" for key, value in series.items()
                         if key.removeprefix(PREFIX).partition("{")[0] in names and value)  # fmt: skip

    def probes(self, check: str) -> float:
        """Return how many rows of a check had a verdict so far."""
        return total(self.metrics(), PREFIX + "checks_total", f'check="{check}"')


@contextlib.contextmanager
def daemon(setup: Setup, folder: Path) -> Iterator[Daemon]:
    """Run `healthctl run` until the block ends. It may not listen yet: `until_ok` waits for that, too."""
    port = free_port()
    place = folder / f"daemon-{port}"
    place.mkdir()
    file = place / "config.yaml"
    file.write_text(setup.text(place))
    argv = [*HEALTHCTL, "run", "--config", str(file), "--web.listen-address", f"127.0.0.1:{port}"]
    with running(argv, place, ROOT) as process:
        yield Daemon(process, port, len(setup.resources))
