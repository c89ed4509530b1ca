"""`healthctl status --watch`: on a terminal it draws over, elsewhere it goes on; and it ends without a traceback."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest

from daemon.cli.watching import frame
from daemon.report import encode, report
from tests.support.cli import COMMAND, TIMEOUT_S, environment
from tests.support.observed import everything
from tests.support.servers import free_port, wait_until
from tests.support.statuses import answer, liar

DOCUMENT = answer(encode(report(everything())).encode())
LINES = 12


@pytest.fixture
def at() -> Iterator[str]:
    """Serve one document on loopback, again and again."""
    with liar(lambda sock: sock.sendall(DOCUMENT)) as endpoint:
        yield str(endpoint)


class Watch:
    """A running `status --watch`; `seen` is what it has written so far."""

    def __init__(self, *arguments: str, terminal: bool) -> None:
        self.seen = b""
        if terminal:
            self._from, out = pty.openpty()
            fcntl.ioctl(out, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, 80, 0, 0))
        else:
            self._from, out = os.pipe()
        self.process = subprocess.Popen(
            [*COMMAND, "status", "--watch", *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
            env=environment({"TERM": "xterm"}),
        )  # fmt: skip
        os.close(out)
        os.set_blocking(self._from, False)

    def until(self, pattern: str, times: int = 1) -> None:
        """Wait until a pattern was written so often."""

        def written() -> bool:
            with contextlib.suppress(BlockingIOError, OSError):
                self.seen += os.read(self._from, 1 << 20)
            return len(re.findall(pattern, self.seen.decode("utf-8", "replace"))) >= times

        wait_until(written, lambda: self.process.poll() is None, lambda: f"{self.seen!r}")

    def stop_reading(self) -> None:
        """Close the reader's end."""
        os.close(self._from)
        self._from = -1

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what stands on standard error."""
        _, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, err.decode()

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C, and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        if self._from >= 0:
            os.close(self._from)


@contextlib.contextmanager
def watching(*arguments: str, terminal: bool = False) -> Iterator[Watch]:
    """Watch until the block ends."""
    watch = Watch(*arguments, terminal=terminal)
    try:
        yield watch
    finally:
        watch.close()


def test_off_a_terminal_it_appends(at: str) -> None:
    """Each look follows the one before, without escapes; Ctrl-C ends it with the last verdict and no word more."""
    with watching("--web.listen-address", at) as watch:
        watch.until("SUMMARY  CRITICAL", 2)
        assert b"\x1b" not in watch.seen
        assert b"\n\nConnector office-1" in watch.seen
        assert watch.interrupt() == (2, "")


def test_json_is_one_document_a_line(at: str) -> None:
    """So that a program can read it as it comes."""
    with watching("-o", "json", "--web.listen-address", at) as watch:
        watch.until('"schema"', 2)
        first, second, *_ = watch.seen.decode().split("\n")
        assert json.loads(first) == json.loads(second)
        assert watch.interrupt() == (2, "")


def test_on_a_terminal_it_draws_over_what_it_drew(at: str) -> None:
    """From the top left corner each time, never more lines than the terminal has, and wrapping is on again."""
    with watching("--web.listen-address", at, terminal=True) as watch:
        watch.until("SUMMARY", 2)
        assert watch.interrupt() == (2, "")
        frames = watch.seen.decode().split("\x1b[H")[1:]
        assert len(frames) >= 2
        assert frames[0].count("\n") < LINES
        assert "more lines: healthctl status" in frames[0]
        assert frames[0].rstrip("\r\n").endswith(("\x1b[?7h", "\x1b[?7l"))
        assert watch.seen.endswith(b"\x1b[?7h")


def test_a_daemon_that_comes_back_is_shown_again() -> None:
    """While it is away that is said each time; when it is there again it is shown."""
    port = free_port()
    with watching("--web.listen-address", f"127.0.0.1:{port}", terminal=True) as watch:
        watch.until("not reachable at 127.0.0.1:")
        with liar(lambda sock: sock.sendall(DOCUMENT), port=port):
            watch.until("SUMMARY")
        watch.until("not reachable at 127.0.0.1:", 2)
        assert watch.interrupt() == (3, "")


def test_it_ends_when_nobody_reads(at: str) -> None:
    """`healthctl status --watch | head` does not go on for ever, and leaves no traceback."""
    with watching("--web.listen-address", at) as watch:
        watch.until("SUMMARY")
        watch.stop_reading()
        assert watch.end() == (2, "")


def test_interrupted_while_it_asks() -> None:
    """Ctrl-C while the daemon hangs: no traceback either."""
    hung = []

    def hang(sock: object) -> None:
        hung.append(sock)
        time.sleep(1)

    with liar(hang) as endpoint, watching("--web.listen-address", str(endpoint)) as watch:
        wait_until(lambda: bool(hung), lambda: True, lambda: "nobody asked")
        assert watch.interrupt() == (3, "")


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 20, 100])
def test_a_frame_is_never_higher_than_the_terminal(height: int) -> None:
    """The middle is left out and counted; the summary stays as long as there is a line for it."""
    text = "\n".join(["head", *(f"row {n}" for n in range(40)), "", "More: x", "SUMMARY  OK"]) + "\n"
    drawn = frame(text, height)
    assert drawn.count("\n") <= max(1, height - 1)
    assert "SUMMARY  OK" in drawn
    assert ("more lines" in drawn) is (5 <= height < 50)


def test_a_short_frame_is_whole() -> None:
    """What fits is drawn as it is."""
    assert re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", frame("a\nb\n", 24)) == "a\nb\n"
