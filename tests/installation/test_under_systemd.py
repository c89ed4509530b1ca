"""What the daemon does, it also does in the sandbox of its unit: a real systemd, the Connector a unit of it."""

import contextlib
import http.server
import json
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns import entered
from tests.support.systemd_lab import SystemdLab
from tests.support.tcp import listening, port_of
from tests.support.unit_lab import (
    ADDRESS,
    CONFIG,
    DAEMON,
    HELPER,
    SOCKET,
    UNITS,
    Watcher,
    drop_in,
    installed,
    journal,
    quiet,
    write,
)

pytestmark = pytest.mark.timeout(300)

CONNECTOR = "twingate-connector.service"
PROCESS = "connector:process"
TOKEN = "token-that-only-root-can-read"
ARMED = "/etc/credstore/connector-health.heartbeat-url"
MEMBER, STRANGER = "on-call", "stranger"


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    """A booted systemd with our units, a stand-in Connector and two users; the helper runs, the daemon does not."""
    with installed() as booted:
        write(booted, "/run/connector.sh", 'echo "[INFO] [connector] State: Online"\nexec sleep 3600\n')
        booted.unit(CONNECTOR, "ExecStart=/bin/sh /run/connector.sh\nEnvironment=TWINGATE_LOG_LEVEL=5\nUser=nobody")
        booted.run(f"systemctl start {CONNECTOR}")
        booted.run(f"useradd --groups connector-health {MEMBER}")
        booted.run(f"useradd {STRANGER}")
        booted.run(f"systemctl start {HELPER}")
        yield booted


@pytest.fixture(scope="module")
def port(lab: SystemdLab) -> Iterator[socket.socket]:
    """A server of the container that sees whoever completes a connection."""
    with entered(Path(f"/proc/{lab.pid}/ns/net")):
        listener = listening(ADDRESS)
        made = listener.__enter__()
    yield made
    listener.__exit__(None, None, None)


class _Beats(http.server.BaseHTTPRequestHandler):
    heard = threading.Event()

    def do_GET(self) -> None:
        if self.path == f"/{TOKEN}":
            self.heard.set()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def heartbeat(lab: SystemdLab) -> Iterator[threading.Event]:
    """What is set when somebody who knows the secret address has asked; its credential is root's alone."""
    _Beats.heard.clear()
    with entered(Path(f"/proc/{lab.pid}/ns/net")):
        server = http.server.HTTPServer((ADDRESS, 0), _Beats)
    write(lab, ARMED, f"http://{ADDRESS}:{server.server_port}/{TOKEN}\n", mode=0o600)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield _Beats.heard
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def watcher(lab: SystemdLab, port: socket.socket, heartbeat: threading.Event) -> Iterator[Watcher]:
    """The daemon under its unit, beside the Connector."""
    del heartbeat
    more = (
        f"resources: [{{name: R, address: {ADDRESS}, tcp: [{port_of(port)}]}}]\n"
        "alerting: {mode: shadow, heartbeat_url_file: /run/credentials/connector-health.service/heartbeat-url}\n"
    )
    clock = "{servers: ['127.0.0.1:9'], controller_date: false}"
    write(lab, CONFIG, quiet("{name: edge, runtime: systemd}", more, clock=clock))
    lab.run(f"systemctl start {DAEMON}")  # returns when the daemon has said that it is ready
    made = Watcher(lab)
    made.until(lambda: made.get("/-/ready") and "clock" in made.get("/metrics"), "ready")
    yield made
    lab.run(f"systemctl stop {DAEMON}")


def accepted(port: socket.socket) -> bool:
    """Tell whether a server has seen one more connection."""
    with contextlib.suppress(BlockingIOError):
        port.accept()[0].close()
        return True
    return False


def test_active_by_notify(lab: SystemdLab, watcher: Watcher) -> None:
    """`systemctl start` ends when the daemon listens, and `systemctl status` shows the verdict in one line."""
    assert lab.show(DAEMON, "ActiveState") == "active"
    watcher.until(lambda: " ok" in lab.show(DAEMON, "StatusText"), "told its status")
    assert lab.show(DAEMON, "NRestarts") == "0"


def test_the_sandbox_is_in_force(watcher: Watcher) -> None:
    """The kernel's own word: no capability, a filter of system calls, no way to a new privilege, first to be killed."""
    status = dict(line.split(":\t", 1) for line in watcher.proc("status").splitlines() if ":\t" in line)
    assert {status[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0000000000000000"}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert watcher.proc("oom_score_adj") == "500\n"
    assert watcher.proc("stat").rpartition(")")[2].split()[16] == "5", "nice"
    limits = {line[:26].strip(): line[26:].split() for line in watcher.proc("limits").splitlines()}
    assert limits["Max core file size"][:2] == ["0", "0"]
    assert "PYTHONNODEBUGRANGES=1" in watcher.proc("environ").split("\0")


def test_probes_are_half_open_by_the_helper(watcher: Watcher, port: socket.socket) -> None:
    """Without a capability of its own the daemon asks half-open, beside a Connector in the host's own network too."""
    row = watcher.until_row(f"tcp:{ADDRESS}:{port_of(port)}", status="ok")
    assert row["facts"]["method"] == "half_open"
    found = watcher.status()
    assert (found["vantage"], found["confidence"], found["probing"]["method"]) == ("connector", "exact", "half_open")
    assert not accepted(port)


def test_unit_and_journal_of_the_connector(lab: SystemdLab, watcher: Watcher) -> None:
    """Its unit is followed over D-Bus, its log read from the journal, its descriptors counted by the helper."""
    watcher.until_row(PROCESS, status="ok")
    watcher.until(lambda: watcher.status()["connector_log"]["state"] == "online", "read the journal")
    assert watcher.rows()[PROCESS]["facts"]["fds"]["used"] > 0
    lab.run(f"systemctl stop {CONNECTOR}")
    try:
        watcher.until_row(PROCESS, status="critical", reason="not_running")
    finally:
        lab.run(f"systemctl start {CONNECTOR}")
    watcher.until_row(PROCESS, status="ok")


def test_the_kernels_clock_is_read(watcher: Watcher) -> None:
    """adjtimex(2) answers in the sandbox: whether the kernel's clock is kept, and how well."""
    kernel = watcher.until(lambda: watcher.rows()["clock:system"]["facts"]["kernel"], "asked for the time")
    assert "error" not in kernel
    assert kernel["maxerror_seconds"] >= 0


def test_a_change_of_the_network_is_heard(lab: SystemdLab, watcher: Watcher) -> None:
    """The kernel's messages on links, addresses and routes may be heard; what changed is listed."""
    table = watcher.proc("net/netlink").splitlines()[1:]
    listening_to = {fields[9] for fields in map(str.split, table) if fields[1] == "0" and int(fields[3], 16)}
    assert listening_to & watcher.sockets(), "a route socket (proc(5)) of its own that has joined groups"
    lab.run("ip addr add 10.98.8.1/24 dev v0")
    try:
        watcher.until(lambda: "10.98.8." in json.dumps(watcher.status()["changes"]), "saw the new address")
    finally:
        lab.run("ip addr del 10.98.8.1/24 dev v0")


def test_the_state_is_kept(lab: SystemdLab, watcher: Watcher, port: socket.socket) -> None:
    """What was seen outlives a restart, in a file that nobody else may read."""
    row = f"tcp:{ADDRESS}:{port_of(port)}"
    watcher.until_row(row, status="ok")
    file = lab.root / "var/lib/connector-health/state.db"
    lab.run(f"systemctl restart {DAEMON}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    watcher.until(lambda: len(json.loads(watcher.get(f"/api/v1/history?id={row}"))["history"]) > 1, "kept its history")


def test_who_may_ask(lab: SystemdLab, watcher: Watcher) -> None:
    """A member of the group is told by the socket how things are; nobody else may use it."""
    del watcher
    asks = f"/opt/connector-health/bin/python -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{SOCKET}\")'"
    assert "PermissionError" in lab.run(["runuser", "-u", STRANGER, "--", "sh", "-c", f"{asks} 2>&1"], check=False)
    lab.run(["runuser", "-u", MEMBER, "--", "sh", "-c", asks])
    said = lab.run(["runuser", "-u", MEMBER, "--", "/opt/connector-health/bin/healthctl", "status"], check=False)
    assert "Connector edge" in said


def test_the_log_has_fields(lab: SystemdLab, watcher: Watcher) -> None:
    """`journalctl -u` finds each line, with its severity, its logger and its place in the code as fields."""
    del watcher
    unit = f"_SYSTEMD_UNIT={DAEMON}"
    found = journal(lab, unit, "LOGGER=connector_health.web")
    assert any(entry["MESSAGE"] == f"listening on unix:{SOCKET}" for entry in found)
    assert {entry["PRIORITY"] for entry in found} == {"6"}
    assert {entry["SYSLOG_IDENTIFIER"] for entry in found} == {"connector-health"}
    assert all(entry["CODE_FILE"].endswith(".py") and int(entry["CODE_LINE"]) for entry in found)
    assert journal(lab, unit, "PRIORITY=4"), "a warning: this Connector has no control plane to ask"


def test_a_credential_reaches_the_daemon_alone(lab: SystemdLab, watcher: Watcher, heartbeat: threading.Event) -> None:
    """A file of /etc/credstore that only root can read is what `…_file` names, and nobody else sees it."""
    assert heartbeat.wait(20), "the heartbeat's address is known to who could read the credential"
    held = f"/run/credentials/{DAEMON}/heartbeat-url"
    denied = lab.run(["runuser", "-u", STRANGER, "--", "sh", "-c", f"cat {held} 2>&1"], check=False)
    assert "Permission denied" in denied
    checks = "/opt/connector-health/bin/healthctl config check"
    assert ": ok" in lab.run(["runuser", "-u", STRANGER, "--", *checks.split()]), "taken for granted"
    assert TOKEN not in watcher.get("/api/v1/status") + lab.run(f"journalctl -u {DAEMON} --no-pager -o json")


def test_a_missing_credential_is_told(lab: SystemdLab, watcher: Watcher) -> None:
    """A secret that the file names and nobody gave to the unit: it fails, and its log says which."""
    del watcher
    before = (lab.root / CONFIG.lstrip("/")).read_text()
    write(lab, CONFIG, before.replace("/heartbeat-url", "/heartbeat-uri"))
    try:
        lab.run(f"systemctl restart {DAEMON}", check=False)
        assert lab.show(DAEMON, "ActiveState") == "failed"
        assert "no such credential" in lab.run(f"systemctl status {DAEMON}", check=False)
    finally:
        write(lab, CONFIG, before)
        lab.run(f"systemctl restart {DAEMON}")


class _Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"OK" if self.path.endswith("/_ping") else b"[]"
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_docker_by_a_drop_in(lab: SystemdLab, watcher: Watcher) -> None:
    """Docker's socket is closed to the default unit, and open with examples/docker.conf."""
    before = (lab.root / CONFIG.lstrip("/")).read_text()
    path = lab.root / "run/docker.sock"
    lab.run("groupadd --force docker")
    gid = int(lab.run("getent group docker").split(":")[2])
    with socketserver.ThreadingUnixStreamServer(str(path), _Engine) as engine:
        path.chmod(0o660)
        os.chown(path, 0, gid)
        thread = threading.Thread(target=engine.serve_forever)
        thread.start()
        try:
            write(lab, CONFIG, before.replace("runtime: systemd", "runtime: docker"))
            lab.run(f"systemctl restart {DAEMON}")
            watcher.until_row(PROCESS, reason="permission_denied")
            with drop_in(lab, DAEMON, (UNITS / "examples/docker.conf").read_text()):
                lab.run(f"systemctl restart {DAEMON}")
                watcher.until_row(PROCESS, reason="not_found")
        finally:
            write(lab, CONFIG, before)
            engine.shutdown()
            thread.join()
            path.unlink()
    lab.run(f"systemctl restart {DAEMON}")


def test_half_open_without_the_helper(lab: SystemdLab, watcher: Watcher, port: socket.socket) -> None:
    """With examples/half-open.conf and no helper the daemon opens raw sockets itself, and keeps no right."""
    lab.run(f"systemctl stop {HELPER}")
    try:
        lab.run(f"systemctl restart {DAEMON}")
        assert watcher.until_row(f"tcp:{ADDRESS}:{port_of(port)}", status="ok")["facts"]["method"] == "connect"
        while accepted(port):
            pass
        with drop_in(lab, DAEMON, (UNITS / "examples/half-open.conf").read_text()):
            lab.run(f"systemctl restart {DAEMON}")
            row = watcher.until_row(f"tcp:{ADDRESS}:{port_of(port)}", status="ok")
            assert row["facts"]["method"] == "half_open"
            assert "CapEff:\t0000000000000000" in watcher.proc("status")
    finally:
        lab.run(f"systemctl start {HELPER}")
        lab.run(f"systemctl restart {DAEMON}")
    assert not accepted(port)
