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
INTERVAL_S, TIMEOUT_S, CONFIRM_S = 5.0, 1.0, 2.0
BOUND_S = INTERVAL_S + 2 * TIMEOUT_S + CONFIRM_S + 1.0
EVENT_BOUND_S = 3.0  # what the kernel reports is looked at at once, and once more after confirm.interval
PORT = 4433
ROUNDS, EVENT_ROUNDS = 3, 20
REST_S = 4.0  # between two events: a network that never rests is asked less often, by design
FAULTS = {
    "port drops": f"tcp dport {PORT} drop",
    "port refuses": f"tcp dport {PORT} reject with tcp reset",
    "host unreachable": f"tcp dport {PORT} reject with icmp type host-unreachable",
    "nameserver drops": "meta l4proto {tcp, udp} th dport 53 drop",
    "nameserver refuses": "udp dport 53 reject",
}

EVENTS = {
    "link down": ("ip link set v0 down", "ip link set v0 up"),
    "default route gone": ("ip route del default", "true"),
}
"""What is done on the host, and how that is undone; the routes that went with it are set again each time."""
ROUTES = ("ip route replace 10.78.0.0/24 via 10.77.0.2", "ip route replace default via 10.77.0.2")


class Engine:
    """The engine in its namespace, and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.said: list[dict[str, object]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self.said.append(json.loads(line))

    def wait(self, kind: str, prefix: str, since: int, state: str, wanted: int = TARGETS) -> list[float]:
        """Return when rows of a kind entered a state, since a line; the wanted number of them, unless it takes ages."""
        end = time.monotonic() + 3 * BOUND_S
        while True:
            seen = {s["id"]: float(str(s["at"])) for s in self.said[since:]
                    if str(s.get("id", "")).startswith(prefix) and s.get("state") == state}  # fmt: skip
            if len(seen) >= wanted or time.monotonic() > end:
                if len(seen) < wanted:
                    print(f"{kind}: only {len(seen)} of {wanted} became {state}", file=sys.stderr)
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
    found = [at - began for at in engine.wait(fault, prefix, since, "failing")]
    since = len(engine.said)
    far.run("nft delete table inet fault")
    engine.wait(fault, prefix, since, "ok")
    return found


def measure_event(engine: Engine, host: Namespace, event: str) -> float:
    """Let one event happen on the host, wait until its own row fails, undo it; return the seconds."""
    done, undone = EVENTS[event]
    time.sleep(REST_S)
    since, began = len(engine.said), time.monotonic()
    host.run(done)
    (at, *_) = engine.wait(event, "host:network", since, "failing", 1)
    since = len(engine.said)
    for command in (undone, *ROUTES):
        host.run(command)
    engine.wait(event, "host:network", since, "ok", 1)
    return at - began


@contextlib.contextmanager
def place() -> Iterator[tuple[Engine, Namespace, Namespace]]:
    """Build a host with the engine on it, and behind a link nameserver and targets; yield engine, host, far side."""
    serve = "\n".join(
        (
            "import socket",
            f"server = socket.create_server(('', {PORT}), backlog=4096)",
            "while True:",
            "    server.accept()[0].close()",
        )
    )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        host, far = stack.enter_context(namespace()), stack.enter_context(namespace())
        link(host, far)
        for command in ROUTES:
            host.run(command)
        far.run("ip route add local 10.78.0.0/24 dev lo")
        (folder / "unbound.conf").write_text(
            f'server:\n directory: "{folder}"\n chroot: ""\n username: ""\n pidfile: ""\n use-syslog: no\n'
            " do-daemonize: no\n interface: 10.77.0.2\n access-control: 10.0.0.0/8 allow\n"
            ' local-zone: "corp.test" redirect\n local-data: "corp.test A 10.78.0.1"\n'
        )
        log = stack.enter_context((folder / "log").open("w"))
        unbound = (find("unbound") or "unbound", "-d", "-c", str(folder / "unbound.conf"))
        stack.enter_context(running(*inside(far, *unbound), stderr=log))
        stack.enter_context(running(*inside(far, sys.executable, "-c", serve)))
        (folder / "config.yaml").write_text(config())
        module = ("-m", "tests.support.engine_in_namespace", str(folder / "config.yaml"))
        process = stack.enter_context(
            running(*inside(host, sys.executable, *module), stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
        )
        engine = Engine(process)
        while not any(said.get("ready") for said in list(engine.said)):
            time.sleep(0.1)
        yield engine, host, far


def row(fault: str, seen: list[float], bound_s: float) -> str:
    """Return a line of the table."""
    seen.sort()
    p99 = statistics.quantiles(seen, n=100, method="inclusive")[98]
    return f"{fault:<20}{len(seen):>7}{statistics.median(seen):>9.2f}{p99:>9.2f}{seen[-1]:>9.2f}{bound_s:>9g}"


def main() -> None:
    """Print a table."""
    print(
        f"interval {INTERVAL_S:g} s, time-out {TIMEOUT_S:g} s, confirm.interval {CONFIRM_S:g} s; seconds to `failing`\n"
    )
    print(f"{'fault':<20}{'seen':>7}{'median':>9}{'p99':>9}{'longest':>9}{'bound':>9}")
    with place() as (engine, host, far):
        for fault, rule in FAULTS.items():
            found = [s for _ in range(ROUNDS) for s in measure(engine, far, fault, rule)]
            print(row(fault, found, BOUND_S), flush=True)
        for event in EVENTS:
            found = [measure_event(engine, host, event) for _ in range(EVENT_ROUNDS)]
            print(row(event, found, EVENT_BOUND_S), flush=True)


if __name__ == "__main__":
    main()
