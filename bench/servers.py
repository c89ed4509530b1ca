"""What stands around the probers: targets, a nameserver, Prometheus, blackbox_exporter; on free ports of 127.0.0.1."""

import contextlib
import json
import random
import socket
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.exposed import get, parse, total
from bench.place import SERVERS, find
from bench.process import Running, running

ROOT = Path(__file__).resolve().parent.parent
ZONE = "corp.test"
INTERVALS = "prometheus_target_interval_length_seconds_count"
"""Prometheus counts every scrape but the first of each target, by the interval that was wanted."""


def free_port() -> int:
    """Return a port that nobody uses, of those that the kernel gives to no client meanwhile."""
    while True:
        port = random.choice(SERVERS)
        with contextlib.suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port


def address(number: int, *, silent: bool = False) -> str:
    """Return the address of a target; `silent` ones are those that can be made so."""
    return f"127.{64 if silent else 1}.{number // 250}.{number % 250 + 1}"


@contextlib.contextmanager
def targets(folder: Path, ports: int = 1) -> Iterator[list[int]]:
    """Run the listener; yield its ports."""
    with running([sys.executable, "-m", "bench.listener", str(ports)], folder, ROOT) as listener:
        listener.until(lambda: listener.output().endswith("]"), "listening")
        yield json.loads(listener.output())


@contextlib.contextmanager
def nameserver(folder: Path, addresses: Sequence[str]) -> Iterator[int]:
    """Run unbound with a name for each address (n0, n1 … of ZONE); yield its port."""
    program, port = find("unbound", "unbound"), free_port()
    file = folder / "unbound.conf"
    data = "".join(f' local-data: "n{n}.{ZONE}. A {where}"\n' for n, where in enumerate(addresses))
    file.write_text(
        f'server:\n directory: "{folder}"\n chroot: ""\n username: ""\n pidfile: ""\n use-syslog: no\n'
        f" do-daemonize: no\n interface: 127.0.0.1@{port}\n access-control: 127.0.0.0/8 allow\n do-ip6: no\n"
        f' local-zone: "{ZONE}." static\n{data}'
    )
    with running([program, "-d", "-c", str(file)], folder) as server:
        server.until(lambda: _connects(port), "listening")
        yield port


def _connects(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


class Prometheus:
    """One Prometheus: its process, its API."""

    def __init__(self, process: Running, port: int) -> None:
        self.process = process
        self._port = port

    def value(self, expression: str) -> float:
        """Return the first value of an instant vector, 0 when it is empty. Raises: OSError until it answers queries."""
        status, body = get(self._port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        if status != 200:
            raise ConnectionError(f"status {status}")
        found = json.loads(body)["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def scrapes(self, interval_s: float) -> float:
        """Return how many scrapes of targets with this interval it has made, without the first of each."""
        series = parse(get(self._port, "/metrics")[1].decode(), INTERVALS)
        return total(series, INTERVALS, f'interval="{interval_s:g}s"')


@contextlib.contextmanager
def prometheus(folder: Path, *jobs: str) -> Iterator[Prometheus]:
    """Run Prometheus with these scrape jobs, entries of `scrape_configs` in flow style. It may not listen yet."""
    program, port = find("prometheus", "prometheus"), free_port()
    file = folder / f"prometheus-{port}.yml"
    file.write_text("scrape_configs:\n" + "".join(f"  - {job}\n" for job in jobs))
    argv = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / f'prometheus-{port}'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]  # fmt: skip
    with running(argv, folder) as process:
        yield Prometheus(process, port)


@contextlib.contextmanager
def blackbox(folder: Path) -> Iterator[tuple[Running, int]]:
    """Run blackbox_exporter with the modules `tcp_connect` and `dns`; yield it with its port. It may not listen yet."""
    program, port = find("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"), free_port()
    file = folder / "blackbox.yml"
    file.write_text(
        "modules:\n  tcp_connect: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4}}\n"
        "  dns: {prober: dns, timeout: 5s, dns: {transport_protocol: udp, preferred_ip_protocol: ip4, "
        f"query_name: n0.{ZONE}, query_type: A}}}}\n"
    )
    argv = [program, f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}"]
    with running(argv, folder) as process:
        yield process, port
