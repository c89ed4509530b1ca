"""What systemd hears from the daemon, on a socket that stands in for its own."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.process import WAIT_S, Process, healthctl, quiet_config, quiet_port
from tests.support.tcp import listening, port_of

WATCHDOG_S = 2.0


class Systemd:
    """Receives notifications, with the moment of each."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.heard: list[tuple[float, str]] = []

    def until(self, start: str) -> str:
        """Wait for a notification that starts so, and return it."""
        end = time.monotonic() + WAIT_S
        while True:
            self._socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                text = self._socket.recv(4096).decode()
            except TimeoutError:
                pytest.fail(f"never heard {start}, only {self.heard}")
            self.heard.append((time.monotonic(), text))
            if text.startswith(start):
                return text


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    """Listen where NOTIFY_SOCKET will point."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        yield Systemd(sock)


@contextlib.contextmanager
def _service(folder: Path, text: str) -> Iterator[Process]:
    """Run the daemon as a unit of Type=notify with WatchdogSec would."""
    port = quiet_port()
    env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
    arguments = ("run", "--config", str(quiet_config(folder, text)), "--web.listen-address", f"127.0.0.1:{port}")
    with healthctl(folder, *arguments, port=port, env=env) as process:
        yield process


def test_ready_status_watchdog_and_end(systemd: Systemd, tmp_path: Path) -> None:
    """READY=1 once it listens, STATUS= with the verdicts, WATCHDOG=1 twice within its time, STOPPING=1 at SIGTERM."""
    with listening() as sock:
        text = f"resources: [{{name: A, address: 127.0.0.1, tcp: [{port_of(sock)}]}}]\nschedule: {{interval: 1s}}"
        with _service(tmp_path, text) as process:
            systemd.until("READY=1")
            assert process.get("/-/healthy").status == 200, "it listens when it says that it is ready"
            assert "1 ok" in systemd.until("STATUS=1 ok")
            for _ in range(3):
                systemd.until("WATCHDOG=1")
            process.end()
            systemd.until("STOPPING=1")
    beats = [at for at, what in systemd.heard if what == "WATCHDOG=1"]
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    assert max(gaps) <= WATCHDOG_S / 2, gaps
    assert [what for _, what in systemd.heard].count("READY=1") == 1


def test_a_reload_has_a_beginning_and_an_end(systemd: Systemd, tmp_path: Path) -> None:
    """SIGHUP: RELOADING=1, and READY=1 when the new configuration is in force; the same when it has a mistake."""
    with _service(tmp_path, "") as process:
        systemd.until("READY=1")
        for text in ("", "schedul: {}"):
            quiet_config(tmp_path, text)
            process.tell(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in systemd.until("RELOADING=1")
            systemd.until("READY=1")
    words = [text.partition("=")[0] for _, text in systemd.heard if text.startswith(("READY", "RELOADING"))]
    assert words == ["READY", "RELOADING", "READY", "RELOADING", "READY"]


def test_what_cannot_start_never_says_ready(systemd: Systemd, tmp_path: Path) -> None:
    """A configuration with a mistake: the process ends with 3, and systemd was never told that it is ready."""
    with _service(tmp_path, "schedul: {}") as process:
        assert process.popen.wait(WAIT_S) == 3
    with pytest.raises(BlockingIOError):
        systemd._socket.recv(4096, socket.MSG_DONTWAIT)
