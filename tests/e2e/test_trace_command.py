"""`healthctl trace` as a process: its time, its exit codes, its formats, and how it ends when it is interrupted."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import COMMAND, environment, healthctl
from tests.support.netns import Namespace, link, namespace
from tests.support.process import quiet_config
from tests.support.servers import free_port

WHOLE_S = 10.0  # the promise: whatever is broken
DROP = "table inet far {\nchain pre { type filter hook prerouting priority 0; drop; }\n}\n"
EVERYTHING = """\
connector: {{name: t1, network: acme, runtime: docker, docker_host: "unix://{docker}"}}
clock: {{servers: [10.99.0.1, 10.99.0.2], controller_date: true}}
relays: {{endpoints: ["10.99.0.3:443", "relays.example.test:443"], stun: ["10.99.0.4:3478", "10.99.0.5:3478"]}}
dns: {{nameservers: [10.99.0.6, 10.99.0.7], search: [corp.test]}}
state: {{path: {folder}/state.db}}
resources:
  - {{name: Named, address: db.corp.test, tcp: [5432, "8000-8010"]}}
  - {{name: Literal, address: 10.99.0.8, tcp: [5432, "8000-8010"]}}
"""


@pytest.fixture
def black_hole() -> Iterator[Namespace]:
    """A host whose router swallows every packet."""
    with namespace() as host, namespace() as router:
        _, address = link(host, router)
        host.run(f"ip route add default via {address}")
        router.nft(DROP)
        yield host


@contextlib.contextmanager
def _hanging_docker(folder: Path) -> Iterator[tuple[Path, socket.socket]]:
    """Yield a Docker socket on which nobody ever answers."""
    path = folder / "d.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(16)
        yield path, sock


def _started(ns: Namespace, *arguments: str) -> subprocess.Popen[str]:
    with ns.entered():
        return subprocess.Popen(
            [*COMMAND, "trace", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL, env=environment(),
        )  # fmt: skip


def test_ten_seconds_whatever_is_broken(black_hole: Namespace, tmp_path: Path) -> None:
    """A Docker engine that hangs, and a network that swallows all: names, ports, clock, Controller and Relays alike."""
    config = tmp_path / "config.yaml"
    with _hanging_docker(tmp_path) as (docker, _):
        config.write_text(EVERYTHING.format(docker=docker, folder=tmp_path))
        began = time.monotonic()
        started = {
            name: _started(black_hole, "--config", str(config), "-o", "json", name) for name in ("Named", "Literal")
        }
        found = {name: process.communicate(timeout=30) for name, process in started.items()}
        took = time.monotonic() - began
    assert took < WHOLE_S
    named, literal = (json.loads(found[name][0]) for name in ("Named", "Literal"))
    assert {process.returncode for process in started.values()} == {2}
    assert named["checks"]
    codes = {also["code"] for also in named["conclusion"]["also"]} | {named["conclusion"]["code"]}
    assert "connector_dns" in codes
    ports = {port["endpoint"]: port for port in literal["ports"]}
    assert {port["reason"] for port in ports.values()} == {"timeout"}
    assert len(ports) == 12
    assert [port["way"]["stop"] for port in ports.values() if port["way"]] == ["silence"]
    assert not (tmp_path / "state.db").exists()


def test_ctrl_c_leaves_no_traceback(black_hole: Namespace, tmp_path: Path) -> None:
    """Interrupted in the middle, it says so in one line."""
    config = tmp_path / "config.yaml"
    with _hanging_docker(tmp_path) as (docker, sock):
        config.write_text(EVERYTHING.format(docker=docker, folder=tmp_path))
        process = _started(black_hole, "--config", str(config), "Named")
        sock.settimeout(15)
        with sock.accept()[0]:  # it has begun
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=15)
    assert (process.returncode, out, err.strip()) == (3, "", "healthctl: interrupted")


def test_table_and_exit_codes(tmp_path: Path) -> None:
    """0 or 2 by what is found, 3 for wrong usage; the table names the conclusion, and nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, closed = server.getsockname()[1], free_port()
        config = quiet_config(
            tmp_path,
            f"resources: [{{name: Up, address: 127.0.0.1, tcp: [{port}]}}]\nprobing: {{allow: [127.0.0.0/8]}}\n",
        )
        up = healthctl("trace", "--config", str(config), "Up")
        down = healthctl("trace", "--config", str(config), f"127.0.0.2:{closed}")
        typo = healthctl("trace", "--config", str(config), "Upp")
        missing = healthctl("trace", "--config", str(tmp_path / "none.yaml"), "Up")
    assert (up.returncode, down.returncode, typo.returncode, missing.returncode) == (0, 2, 3, 3)
    assert "CONCLUSION  Nothing is wrong on this side" in up.stdout
    by_hand = (f"nc -vz -w 5 127.0.0.2 {closed}", f"nmap -Pn -sS -p {closed} 127.0.0.2   # as root; needs nmap")
    method = ("connect", "half_open")
    root = os.geteuid() == 0
    assert f"REPEAT    {by_hand[root]}\n" in down.stdout
    assert f"({method[root]})" in up.stdout
    assert "did you mean 'Up'?" in typo.stderr
    assert up.stderr == down.stderr == typo.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_completion_offers_resources(tmp_path: Path) -> None:
    """A shell completes the names of the file that the command line names."""
    config = quiet_config(tmp_path, "resources: [{name: Orders DB, address: a.test}, {name: Wiki, address: b.test}]")
    words = {"COMP_WORDS": f"healthctl trace --config {config} Or", "COMP_CWORD": "4"}
    done = healthctl(env={"_HEALTHCTL_COMPLETE": "bash_complete", **words})
    assert done.stdout == "plain,Orders DB\n"
