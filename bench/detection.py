"""How long from a fault to the state `failing`: scheduled probes of 100 targets, faults planted in network namespaces.

Run as root: make detection. Beside each figure stands the bound that the schedule promises: interval + 2 x time-out +
confirm.interval + 1 s. Times, not CPU: what matters here is the schedule, so a slow machine changes little.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.netns import Namespace, link, namespace
from tests.support.servers import find

TARGETS = 100
INTERVAL_S, TIMEOUT_S, CONFIRM_S = 5.0, 1.0, 1.0
BOUND_S = INTERVAL_S + 2 * TIMEOUT_S + CONFIRM_S + 1.0
PORT = 4433
ROUNDS = 3
FAULTS = {
    "port drops": f"tcp dport {PORT} drop",
    "port refuses": f"tcp dport {PORT} reject with tcp reset",
    "host unreachable": f"tcp dport {PORT} reject with icmp type host-unreachable",
    "nameserver drops": "meta l4proto {tcp, udp} th dport 53 drop",
    "nameserver refuses": "udp dport 53 reject",
}


class Engine:
    """The engine in its namespace, and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.said: list[dict[str, object]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self.said.append(json.loads(line))

    def wait(self, kind: str, prefix: str, since: int, state: str, most_s: float) -> list[float]:
        """Return when rows of a kind entered a state, since a line; all TARGETS of them, or those until `most_s`."""
        end = time.monotonic() + most_s
        while True:
            seen = {s["id"]: float(str(s["at"])) for s in self.said[since:]
                    if str(s.get("id", "")).startswith(prefix) and s.get("state") == state}  # fmt: skip
            if len(seen) >= TARGETS or time.monotonic() > end:
                if len(seen) < TARGETS:
                    print(f"{kind}: only {len(seen)} of {TARGETS} became {state}", file=sys.stderr)
                return list(seen.values())
            time.sleep(0.02)


def config() -> str:
    """Return 100 ports of 100 addresses, and 100 names."""
    ports = (f"  - {{name: Port {n}, address: 10.78.0.{n}, tcp: [{PORT}]}}\n" for n in range(1, TARGETS + 1))
    names = (f"  - {{name: Name {n}, address: n{n}.corp.test, probe: dns}}\n" for n in range(1, TARGETS + 1))
    return (
        "connector: {name: bench, runtime: none}\nclock: {servers: [], controller_date: false}\n"
        f"relays: {{endpoints: []}}\ndns: {{nameservers: [10.77.0.2], search: [], timeout: {TIMEOUT_S}s}}\n"
        "provider: {enabled: never}\nchecks: {control_plane: false, connector: false}\n"
        f"schedule: {{interval: {INTERVAL_S}s, timeout: {TIMEOUT_S}s, confirm: {{interval: {CONFIRM_S}s}}}}\n"
        f"resources:\n{''.join(ports)}{''.join(names)}"
    )


@contextlib.contextmanager
def running(*argv: str, **how: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a command until the block ends."""
    process = subprocess.Popen(argv, text=True, **how)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def inside(ns: Namespace, *argv: str) -> list[str]:
    """Return a command that runs in a namespace."""
    return [find("ip") or "ip", "netns", "exec", ns.name, *argv]


def measure(engine: Engine, far: Namespace, fault: str, rule: str) -> list[float]:
    """Plant one fault, wait until all see it, mend it; return the seconds from the fault to `failing`."""
    prefix = "dns:" if fault.startswith("nameserver") else "tcp:"
    since, began = len(engine.said), time.monotonic()
    far.nft(f"table inet fault {{ chain in {{ type filter hook input priority 0; {rule}; }}; }}\n")
    found = [at - began for at in engine.wait(fault, prefix, since, "failing", 3 * BOUND_S)]
    since = len(engine.said)
    far.run("nft delete table inet fault")
    engine.wait(fault, prefix, since, "ok", 3 * BOUND_S)
    return found


def main() -> None:
    """Print a table."""
    serve = "\n".join(
        (
            "import socket",
            f"server = socket.create_server(('', {PORT}), backlog=4096)",
            "while True:",
            "    server.accept()[0].close()",
        )
    )
    with (
        tempfile.TemporaryDirectory() as name,
        namespace() as host,
        namespace() as far,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        link(host, far)
        host.run("ip route add 10.78.0.0/24 via 10.77.0.2")
        host.run("ip route add default via 10.77.0.2")
        far.run("ip route add local 10.78.0.0/24 dev lo")
        (folder / "unbound.conf").write_text(
            f'server:\n directory: "{folder}"\n chroot: ""\n username: ""\n pidfile: ""\n use-syslog: no\n'
            " do-daemonize: no\n interface: 10.77.0.2\n access-control: 10.0.0.0/8 allow\n"
            ' local-zone: "corp.test" redirect\n local-data: "corp.test A 10.78.0.1"\n'
        )
        log = stack.enter_context((folder / "log").open("w"))
        stack.enter_context(
            running(*inside(far, find("unbound") or "unbound", "-d", "-c", str(folder / "unbound.conf")), stderr=log)
        )
        stack.enter_context(running(*inside(far, sys.executable, "-c", serve)))
        (folder / "config.yaml").write_text(config())
        module = ("-m", "tests.support.engine_in_namespace", str(folder / "config.yaml"))
        process = stack.enter_context(
            running(*inside(host, sys.executable, *module), stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
        )
        engine = Engine(process)
        while not any(said.get("ready") for said in list(engine.said)):
            time.sleep(0.1)
        print(f"{TARGETS} targets, {ROUNDS} rounds; interval {INTERVAL_S:g} s, time-out {TIMEOUT_S:g} s, "
              f"confirm.interval {CONFIRM_S:g} s; bound {BOUND_S:g} s\n")  # fmt: skip
        print(f"{'fault':<20}{'median':>9}{'p99':>9}{'longest':>9}   seconds to `failing`")
        for fault, rule in FAULTS.items():
            seen = sorted(s for _ in range(ROUNDS) for s in measure(engine, far, fault, rule))
            p99 = statistics.quantiles(seen, n=100)[98]
            print(f"{fault:<20}{statistics.median(seen):>9.2f}{p99:>9.2f}{seen[-1]:>9.2f}")


if __name__ == "__main__":
    main()
