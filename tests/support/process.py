"""`healthctl run` and its kin as real processes: asked over HTTP, told by signals, ended by their process id."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import environment

WAIT_S = 20.0  # a verdict, on a busy machine
END_S = 10.0  # an orderly end; what must be faster says so in its test
BESIDE_PYTHON = Path(sys.executable).with_name("healthctl")
HEALTHCTL = (str(BESIDE_PYTHON),) if BESIDE_PYTHON.exists() else (sys.executable, "-m", "daemon.cli.main")

Row = dict[str, Any]
Dial = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    text: str
    content_type: str


class Process:
    """One running `healthctl`: its output and log go to files that a failure shows."""

    def __init__(
        self, popen: subprocess.Popen[bytes], folder: Path, port: int, dial: Dial = contextlib.nullcontext
    ) -> None:
        self.popen = popen
        self.port = port
        self.dial = dial
        self.stdout_file, self.log_file = folder / f"out-{popen.pid}.txt", folder / f"log-{popen.pid}.txt"

    @property
    def log(self) -> str:
        """Everything on standard error so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def stdout(self) -> str:
        """Everything on standard output so far."""
        return self.stdout_file.read_text(errors="replace")

    def get(self, path: str, *, method: str = "GET", accept: str = "*/*") -> Answer:
        """Ask the process; OSError while it does not listen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            with self.dial():
                connection.connect()
            connection.request(method, path, headers={"Accept": accept})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.headers.get("Content-Type", ""))
        finally:
            connection.close()

    def status(self, query: str = "") -> dict[str, Any]:
        """Return `/api/v1/status`."""
        found: dict[str, Any] = json.loads(self.get(f"/api/v1/status{query}").text)
        return found

    def rows(self) -> dict[str, Row]:
        """Return the rows of `/api/v1/status` by id."""
        return {row["id"]: row for row in self.status()["checks"]}

    def metric(self, name: str) -> dict[str, float]:
        """Return the series of one metric by what stands in their braces."""
        found = {}
        for line in self.get("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name:
                found[series[len(name) :].strip("{}")] = float(value)
        return found

    def until(self, holds: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever `holds` returns
        """Ask until `holds()` is true, and return it; another process can't signal it to us, so this polls."""
        end = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if found := holds():
                    return found
            if self.popen.poll() is not None or time.monotonic() > end:
                state = "is running" if self.popen.poll() is None else f"ended with {self.popen.returncode}"
                pytest.fail(f"never {what}; healthctl {state}\n{self.stdout}\n{self.log}", pytrace=False)
            time.sleep(0.02)

    def until_ready(self) -> None:
        """Wait until every check has reported."""
        self.until(lambda: self.get("/-/ready").status == 200, "ready")

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.popen.pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal, wait for the end; return the exit code and how many seconds it took."""
        began = time.monotonic()
        self.tell(number)
        return self.popen.wait(END_S), time.monotonic() - began


@contextlib.contextmanager
def healthctl(
    folder: Path,
    *arguments: str,
    port: int = 0,
    env: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    dial: Dial = contextlib.nullcontext,
    **how: Any,  # noqa: ANN401 - `user`, `group` … of Popen
) -> Iterator[Process]:
    """Run `healthctl` until the block ends.

    `before` is a command that starts it, `dial` is entered while a connection to it is made: both for one that stands
    in another network namespace.
    """
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        popen = subprocess.Popen(
            [*before, *HEALTHCTL, *arguments], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            env=environment(env), **how,
        )  # fmt: skip
    process = Process(popen, folder, port, dial)
    out.rename(process.stdout_file)
    err.rename(process.log_file)
    try:
        yield process
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(END_S)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


@contextlib.contextmanager
def daemon(config: Path, *, seen_as: str = "", **how: Any) -> Iterator[Process]:  # noqa: ANN401 - as `healthctl`
    """Run `healthctl run` on a free port until the block ends; enter when it listens.

    `seen_as` is the path of the configuration where the daemon runs, if not the same.
    """
    port = quiet_port()
    arguments = ("run", "--config", seen_as or str(config), "--web.listen-address", f"127.0.0.1:{port}")
    with healthctl(config.parent, *arguments, port=port, **how) as process:
        process.until(lambda: process.get("/-/healthy").status == 200, "healthy")
        yield process


def quiet_port() -> int:
    """Return a free port below those that the kernel hands out to every client meanwhile."""
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


def quiet_config(folder: Path, text: str, *, nameserver: str = "127.0.0.1:9", name: str = "config.yaml") -> Path:
    """Write a configuration that asks nobody but those that `text` names, and keeps its state in `folder`.

    Sections: `resources`, `schedule`, `probing` and others that are not set here.
    """
    file = folder / name
    file.write_text(
        "connector: {name: test-1, remote_network: Test, runtime: none}\n"
        "clock: {servers: [], controller_date: false}\n"
        "relays: {endpoints: []}\n"
        f"dns: {{nameservers: ['{nameserver}'], search: [], timeout: 500ms}}\n"
        "provider: {enabled: never}\n"
        "checks: {host: false, resolver: false, control_plane: false, connector: false}\n"
        f"state: {{path: {folder / 'state.db'}}}\n{text}\n"
    )
    return file
