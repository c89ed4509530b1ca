"""How soon a command is there: `healthctl --version`, and the first SYN of `healthctl check`, against Python itself.

All three are started in turns; wall time, medians; modules are compiled once, as an installation does, whatever this
environment says of that. The SYN is seen by a raw socket where that is allowed, so that it
does not matter how `check` probes; elsewhere the accepted connection counts.
"""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.ours import HEALTHCTL, Setup, ports_of
from bench.place import NotMeasuredError
from bench.servers import ROOT
from bench.table import Row, median_row, ratio_row

BENCH = "startup"
TURNS = 15
WAIT_S = 30.0
SYN, ACK = 0x02, 0x10
QUIET: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}


def measure(folder: Path) -> list[Row]:
    """Start everything in turns; return the table."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server, _wire() or server as seen:
        seen.settimeout(WAIT_S)
        port: int = server.getsockname()[1]
        setup = Setup(resources=[ports_of("127.0.0.1", 1, port)], interval_s=30,
                      method="connect" if seen is server else "auto")  # fmt: skip
        file = folder / "config.yaml"
        file.write_text(setup.text(folder))
        env = installed(folder)
        ways: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: whole([sys.executable, "-c", "pass"], env),
            "healthctl --version": lambda: whole([*HEALTHCTL, "--version"], env),
            "healthctl check, first SYN": lambda: first_syn(
                [*HEALTHCTL, "check", "--config", str(file)], env, seen, server, port
            ),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(-1, TURNS):
            for name, way in ways.items():
                took = way() * 1000
                if turn >= 0:  # before the first turn files are read and compiled
                    found[name].append(took)
    bare, version, check = found.values()
    return [
        *(median_row(BENCH, name, "ms", values) for name, values in found.items()),
        ratio_row(BENCH, "healthctl --version / python -c pass", version, bare, 4.0),
        ratio_row(BENCH, "healthctl check, first SYN / python -c pass", check, bare, 20.0),
    ]


def _wire() -> socket.socket | None:
    """Return a socket that sees every TCP segment that reaches this host, None when that is not allowed."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    except PermissionError:
        return None


def installed(folder: Path) -> dict[str, str]:
    """Return this environment, with what Python compiles kept in a folder of its own, as an installation keeps it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def whole(argv: list[str], env: dict[str, str]) -> float:
    """Run a command to its end; return the seconds."""
    began = time.monotonic()
    subprocess.run(argv, check=True, timeout=WAIT_S, env=env, **QUIET)
    return time.monotonic() - began


def first_syn(argv: list[str], env: dict[str, str], seen: socket.socket, server: socket.socket, port: int) -> float:
    """Run `check`; return the seconds until its first SYN came, and let it end."""
    began = time.monotonic()
    with subprocess.Popen(argv, env=env, **QUIET) as process:
        try:
            if seen is server:
                server.accept()[0].close()
            else:
                while not is_syn(seen.recv(128), port):
                    pass
            took = time.monotonic() - began
            process.wait(WAIT_S)
        except (TimeoutError, subprocess.TimeoutExpired):
            process.kill()
            raise NotMeasuredError(f"healthctl check did not do its work within {WAIT_S:g} s") from None
    return took


def is_syn(packet: bytes, port: int) -> bool:
    """Tell whether an IPv4 packet is a SYN to this port, and no answer to one."""
    segment = packet[(packet[0] & 0x0F) * 4 :] if packet else b""
    if len(segment) < 14:
        return False
    to, flags = struct.unpack_from("!2xH9xB", segment)
    return bool(to == port and flags & (SYN | ACK) == SYN)
