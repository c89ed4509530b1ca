"""One line on standard error while a check takes long; nothing of it stays behind."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TextIO

from checks.net.text import printable
from daemon.cli.terminal import columns, fancy
from daemon.jobs import Job, Result

QUIET_S = 1.0  # what is done sooner needs no progress; a line that flashes up only disturbs
REDRAW_S = 0.2  # faster, nobody can read it
MAX_HOST = 40  # characters of the host that is waited for; an IPv6 address fits
ERASE = "\r\x1b[K"  # back to the first column, and clear the line


class Progress:
    """Counts finished jobs, and says what is still waited for."""

    def __init__(self, jobs: Iterable[Job], stream: TextIO, width: int, *, what: str = "checking") -> None:
        self._what = what
        self._waiting = {job.id: job.host or job.target for job in jobs if job.fixed is None}
        self._total = len(self._waiting)
        self._stream = stream
        self._width = width
        self._painted = False

    def done(self, result: Result) -> None:
        """Take one result into account."""
        self._waiting.pop(result.job, None)

    def line(self) -> str:
        """Return what to show now, at most as wide as the terminal."""
        text = f"{self._what}…" + (f" {self._total - len(self._waiting)}/{self._total}" if self._total else "")
        if self._waiting:
            host, count = Counter(self._waiting.values()).most_common(1)[0]
            waiting = f", {count} waiting for {printable(host, MAX_HOST)}"
            if columns(text + waiting) < self._width:
                text += waiting
        return text

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the line during the block, if it takes long and the stream is a terminal; erase it at the end."""
        if not fancy(self._stream):
            yield
            return
        self._timer = asyncio.get_running_loop().call_later(QUIET_S, self._paint)
        try:
            yield
        finally:
            self._timer.cancel()
            if self._painted:
                self._write(ERASE)

    def _paint(self) -> None:
        self._painted = True
        self._write(ERASE + self.line())
        self._timer = asyncio.get_running_loop().call_later(REDRAW_S, self._paint)

    def _write(self, text: str) -> None:
        # A terminal that went away is no reason to give up the check: its result may go to a file.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
